"""The shipped unit at work under a real systemd: a start, a hung loop, a SIGKILL, bad rules, a stop, in a virtual PC.

The guest tells what it did and saw; what the loads did is asked of the emulated relays' own log. It needs 10 to 25 s to
start a Python program: its seconds say in which order things came and what they did not wait for.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from tests.slow.debian import Missing, cache_of
from tests.slow.virtual_pc import build

pytestmark = pytest.mark.slow

LOADS = {"boiler", "pool_pump"}
MIN_OFF_S, LEASE_S, WATCHDOG_S = 30.0, 60.0, 6.0
ENDS = [("SIGSTOP", "watchdog", "status=6/ABRT"), ("SIGKILL", "signal", "status=9/KILL")]
Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """All lines of one run of the story, in the order in which things happened."""

    lines: list[Line]

    def __getitem__(self, what: str) -> Line:
        [line] = [line for line in self.lines if line.get("told") == what]
        return line

    def at(self, what: str) -> float:
        return float(self[what]["at"])

    def switched(self, load: str, *, on: bool) -> list[Line]:
        """The load's own relay, at the second it moved."""
        return [line for line in self.lines if line.get("relay") == load and line["on"] is on]

    def next_switched(self, load: str, *, on: bool, after: float) -> Line:
        return next(line for line in self.switched(load, on=on) if line["at"] > after)

    def journal(self, after: float = 0.0, before: float = float("inf")) -> list[Line]:
        return [line for line in self.lines if line.get("told") == "journal" and after < line["at"] < before]

    def said(self, sentence: str, after: float = 0.0) -> float:
        """When the journal first had `sentence`."""
        said = self.journal(after)
        return float(next((line["at"] for line in said if sentence in line["message"]), "nan"))


@pytest.fixture(scope="module")
def told() -> Told:
    try:
        pc = build(cache_of("virtual-pc"))
    except Missing as missing:
        pytest.skip(str(missing))
    told = Told(pc.run(timeout_s=480))
    sys.stdout.write(table(told))
    return told


def table(told: Told) -> str:
    """What happened, for people: seconds after the event."""
    rows = [("event", "systemd said", "relays off after", "off by", "READY again after", "on again after off")]
    for event, result, status in ENDS:
        at, ready = told.at(event), told.said("Started loadctl", told.at(event))
        offs = [told.next_switched(load, on=False, after=at) for load in sorted(LOADS)]
        ons = [
            told.next_switched(load, on=True, after=off["at"]) for load, off in zip(sorted(LOADS), offs, strict=True)
        ]
        spans = [f"{on['at'] - off['at']:.0f} s" for on, off in zip(ons, offs, strict=True)]
        rows.append(
            (
                event,
                f"{status.removeprefix('status=')}, result '{result}' after {told.said(status, at) - at:.1f} s",
                ", ".join(f"{off['at'] - at:.1f} s" for off in offs),
                "loadctl safe" if all(off["source"] != "timer" for off in offs) else "THE LEASE",
                f"{ready - at:.1f} s",
                ", ".join(spans),
            )
        )
    at = told.at("stop")
    offs = [told.next_switched(load, on=False, after=at) for load in sorted(LOADS)]
    off_after = ", ".join(f"{off['at'] - at:.1f} s" for off in offs)
    rows.append(("systemctl stop", f"result '{told['stopped']['unit']['Result']}'", off_after, "loadctl run", "-", "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [" | ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n" + "\n".join([lines[0], "-|-".join("-" * width for width in widths), *lines[1:]]) + "\n"


def test_the_installer_leaves_a_service_that_runs(told):
    installed, unit = told["installed"], told["runs"]["unit"]
    assert (installed["code"], installed["enabled"]) == (0, "enabled"), installed["text"]
    assert "loadctl runs" in installed["text"]
    assert (unit["Type"], unit["ActiveState"], unit["SubState"]) == ("notify", "active", "running")
    assert unit["StatusText"], "a notifying service tells how it is"


def test_it_is_ready_with_the_first_tick(told):
    assert told.said("controlling boiler, pool_pump") < told.said("Started loadctl") < told.at("installed")


def test_ticks_feed_the_watchdog(told):
    before, after = told["fed"]["before"], told["fed"]["after"]
    fed_s = (int(after["WatchdogTimestampMonotonic"]) - int(before["WatchdogTimestampMonotonic"])) / 1e6
    assert fed_s > WATCHDOG_S, "it would have been killed meanwhile"
    assert (after["MainPID"], after["NRestarts"]) == (before["MainPID"], "0")


def test_it_asks_the_kernel_through_the_syscall_filter_whether_the_clock_is_right(told):
    clock = told["clock"]
    assert (clock["before"], clock["kernel"], clock["after"]) == (False, 0, True)


def test_it_has_no_more_rights_than_it_needs(told):
    status = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", told["process"]["status"], re.MULTILINE))
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"], status["Umask"]) == ("1", "2", "0077")
    assert "0" not in {*status["Uid"].split(), *status["Gid"].split(), *status["Groups"].split()}
    exposure = re.search(r"exposure level for loadctl.service: (\d+\.\d+)", told["security"]["text"])
    assert exposure, told["security"]
    assert float(exposure.group(1)) < 2.0


def test_only_it_can_read_what_it_keeps(told):
    files = told["files"]["files"]
    assert files["state"] == ["loadctl", "loadctl", "0o700"]
    kept = {name: rights for name, rights in files.items() if name.startswith("state/")}
    assert {"state/memory.sqlite", "state/loadctl.sock"} <= kept.keys()
    assert set(map(tuple, kept.values())) == {("loadctl", "loadctl", "0o600")}
    assert files["etc"] == ["root", "loadctl", "0o750"]
    assert files["home.yaml"] == files["secrets.env"] == ["root", "loadctl", "0o640"]


def test_the_secret_is_nowhere_to_be_seen(told):
    assert "sunshine" not in told["process"]["arguments"]
    assert not [line for line in told.journal() if "sunshine" in line["message"]]


def test_bad_rules_change_nothing_and_good_ones_do(told):
    bad, good = told["bad rules"], told["good rules"]
    for line in (bad, good):
        assert line["unit"] == {"ActiveState": "active", "MainPID": told["runs"]["unit"]["MainPID"]}
        assert line["relays"] == dict.fromkeys(LOADS, True)
    assert bad["numbers"]["loadctl_rules_reload_success"] == 0.0
    assert good["numbers"]["loadctl_rules_reload_success"] == 1.0
    assert told.said("home.yaml:7:5: loads.boiler.power: `2 kilos`") < told.said("new rules: controlling")
    assert all(len(told.switched(load, on=False)) == 3 for load in LOADS), "one for each end, none for the rules"


@pytest.mark.parametrize(("event", "result", "status"), ENDS)
def test_systemd_sees_the_end_and_starts_another(told, event, result, status):
    at, back = told.at(event), told[f"back after {event}"]
    assert at < told.said(status, at) < told.said(f"Failed with result '{result}'", at) < told.said("Started", at)
    assert int(back["unit"]["NRestarts"]) == int(told[event]["unit"]["NRestarts"]) + 1
    assert back["unit"]["MainPID"] != told[event]["unit"]["MainPID"]


def test_a_hung_loop_is_killed_by_its_watchdog_and_leaves_word_where_it_hung(told):
    at = told.at("SIGSTOP")
    assert told.said("Watchdog timeout (limit 6s)!", at) - at > WATCHDOG_S - 2.0
    assert told.said("Fatal Python error: Aborted", at) < told.said("Failed with result 'watchdog'", at)


@pytest.mark.parametrize("load", sorted(LOADS))
@pytest.mark.parametrize(("event", "result", "status"), ENDS)
def test_the_loads_are_put_off_before_their_lease_ends(told, load, event, result, status):
    at = told.at(event)
    off = told.next_switched(load, on=False, after=at)
    assert off["source"].lower().startswith("http"), "not its own timer"
    assert told.said(status, at) < off["at"] < told.said(f"Failed with result '{result}'", at), "by ExecStopPost"
    assert off["at"] < at + LEASE_S


@pytest.mark.parametrize("load", sorted(LOADS))
@pytest.mark.parametrize(("event", "result", "status"), ENDS)
def test_the_next_one_goes_on_where_the_last_one_ended(told, load, event, result, status):
    back, known = told[f"back after {event}"], told[f"before {event}"]["memory"]["standings"][load]["tally"]
    standing = back["memory"]["standings"][load]
    starts = sum(line["at"] < told.at(event) for line in told.switched(load, on=True))
    assert back["numbers"][f'loadctl_appliance_starts_today{{appliance="{load}"}}'] == starts, "as its relay counts"
    assert standing["tally"]["starts"] == starts
    assert standing["tally"]["runtime_s"] >= known["runtime_s"]
    assert standing["tally"]["energy_wh"] >= known["energy_wh"]
    assert told.said("goes on from the last run", told.at(event)) < told.said("Started", told.at(event))


@pytest.mark.parametrize("load", sorted(LOADS))
@pytest.mark.parametrize(("event", "result", "status"), ENDS)
def test_it_rests_for_its_minimum_time_all_the_same(told, load, event, result, status):
    off = told.next_switched(load, on=False, after=told.at(event))
    on = told.next_switched(load, on=True, after=off["at"])
    assert on["at"] - off["at"] >= MIN_OFF_S
    [held, *_] = [line for line in told.journal(off["at"], on["at"]) if f"{load}: blind → held_off" in line["message"]]
    assert "minimum time off" in held["message"], "there was power enough"


@pytest.mark.parametrize("load", sorted(LOADS))
def test_a_stop_is_clean_and_says_so(told, load):
    stopped, at = told["stopped"], told.at("stop")
    assert (stopped["code"], stopped["text"]) == (0, "")
    assert stopped["unit"] == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}
    off = told.next_switched(load, on=False, after=at)
    assert told.said("SIGTERM: stopping", at) < off["at"] < told.said(f"{load}: off, confirmed", at)
    assert stopped["memory"]["standings"][load]["phase"] == "off"
    assert stopped["memory"]["standings"][load]["tally"]["starts"] == len(told.switched(load, on=True))


def test_uninstalling_leaves_rules_and_history(told):
    uninstalled = told["uninstalled"]
    assert (uninstalled["code"], uninstalled["unit"]["LoadState"]) == (0, "not-found"), uninstalled["text"]
    assert {"/etc/loadctl/home.yaml", "/etc/loadctl/secrets.env", "/var/lib/loadctl/memory.sqlite"} <= {
        *uninstalled["left"]
    }
    assert not [path for path in uninstalled["left"] if path.startswith("/opt")]
