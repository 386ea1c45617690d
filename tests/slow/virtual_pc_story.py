"""Runs inside the virtual PC as root: installs loadctl as an owner would, then does to it what should never happen.

Tells what it did and what it saw, in JSON lines; what to make of that is the test's business.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

SERIAL = Path("/dev/ttyS1")
SEEN = Path("/run/home.jsonl")
ETC, STATE = Path("/etc/loadctl"), Path("/var/lib/loadctl")
RULES = ETC / "home.yaml"
METRICS = "http://127.0.0.1:8480/metrics"
KEPT = ("loadctl_appliance_starts_today", "loadctl_rules_reload_success")
LIMIT_S = 120.0

HOME_YAML = """\
version: 1
site: {timezone: UTC}
meter: {driver: envoy, host: "http://127.0.0.1:8001", every: 2 s, max_age: 20 s}
loads:
  boiler:
    actuator: {driver: shelly, host: "http://127.0.0.1:8002", lease: 60 s}
    power: 2 kW
    start: 1.6 kW for 4 s
    stop: import 700 W for 2 min
    min_on: 5 s
    min_off: 30 s
  pool_pump:
    actuator: {driver: shelly, host: "http://127.0.0.1:8003", password: "${PUMP_PASSWORD}", lease: 60 s}
    power: 1.1 kW
    start: 1.2 kW for 4 s
    min_on: 5 s
    min_off: 30 s
"""
SECRETS = "PUMP_PASSWORD=sunshine\n"
QUICKER = "[Service]\nWatchdogSec=6s\nRestartSec=1s\n"


def tell(what: str, **more: object) -> None:
    with SERIAL.open("w") as serial:
        serial.write(json.dumps({"told": what, "at": time.monotonic(), **more}) + "\n")


def sh(*command: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: PLW1510
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout.strip()


def unit(*names: str) -> dict[str, str]:
    _, text = sh("systemctl", "show", "loadctl", "-p", ",".join(names))
    return dict(line.split("=", 1) for line in text.splitlines())


def until(what: str, true: Callable[[], bool], every_s: float = 0.5) -> None:
    ends = time.monotonic() + LIMIT_S
    while not true():
        if time.monotonic() > ends:
            tell("waited in vain", **{"for": what}, unit=unit("ActiveState", "StatusText", "Result"))
            raise SystemExit(1)
        time.sleep(every_s)


def relays() -> dict[str, bool]:
    changes = [json.loads(line) for line in SEEN.read_text().splitlines()]
    return {change["relay"]: change["on"] for change in changes if "relay" in change}


def all_on() -> bool:
    return relays() == {"boiler": True, "pool_pump": True}


def said(sentence: str) -> int:
    return sh("journalctl", "-u", "loadctl", "-o", "cat", "--no-pager")[1].count(sentence)


def numbers() -> dict[str, float]:
    """Return the metrics that must outlive a restart."""
    with urllib.request.urlopen(METRICS, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line.startswith(KEPT))}


def memory() -> dict[str, object]:
    """Return what lies in the file: whether the clock was trusted, and each load's standing."""
    with closing(sqlite3.connect(f"file:{STATE}/memory.sqlite?mode=ro", uri=True)) as file:
        [(trusted,)] = file.execute("SELECT trusted FROM house").fetchall()
        standings = {name: json.loads(text) for name, text in file.execute("SELECT load, standing FROM standings")}
    return {"trusted": bool(trusted), "standings": standings}


def install() -> None:
    ETC.mkdir()
    RULES.write_text(HOME_YAML)
    (ETC / "secrets.env").write_text(SECRETS)
    quicker = Path("/etc/systemd/system/loadctl.service.d/quicker.conf")
    quicker.parent.mkdir()
    quicker.write_text(QUICKER)
    [wheel] = map(str, Path("/guest").glob("*.whl"))
    tell("install")
    code, text = sh("/guest/deploy/install.sh", "--from", wheel, PIP_NO_INDEX="1")
    tell("installed", code=code, text=text, enabled=sh("systemctl", "is-enabled", "loadctl")[1])


def begin() -> None:
    names = ("Type", "ActiveState", "SubState", "StatusText", "WatchdogUSec", "NRestarts", "User", "MainPID")
    tell("runs", unit=unit(*names))
    until("both loads on", all_on)
    fed = unit("WatchdogTimestampMonotonic", "MainPID", "NRestarts")
    time.sleep(12.0)
    tell("fed", before=fed, after=unit("WatchdogTimestampMonotonic", "MainPID", "NRestarts"))


def look() -> None:
    tell("security", text=sh("systemd-analyze", "security", "--no-pager", "loadctl")[1].splitlines()[-1])
    files = {"etc": ETC, **{path.name: path for path in ETC.iterdir()}}
    files |= {"state": STATE, **{f"state/{path.name}": path for path in STATE.iterdir()}}
    told = {name: (path.owner(), path.group(), oct(path.stat().st_mode & 0o7777)) for name, path in files.items()}
    tell("files", files=told)
    pid = unit("MainPID")["MainPID"]
    tell("process", status=Path(f"/proc/{pid}/status").read_text(), arguments=Path(f"/proc/{pid}/cmdline").read_text())


def clock() -> None:
    """Have the kernel believe that NTP set the clock, and see whether loadctl gets to know."""
    before = memory()["trusted"]
    timex = (ctypes.c_uint * 128)()  # begins with `modes`; the rest 0, so no STA_UNSYNC
    timex[0] = 0x04 | 0x08 | 0x10  # ADJ_MAXERROR, ADJ_ESTERROR, ADJ_STATUS
    state = ctypes.CDLL(None).adjtimex(timex)
    until("a flush that knows", lambda: memory()["trusted"] is True)
    tell("clock", before=before, kernel=state, after=memory()["trusted"])


def reload() -> None:
    RULES.write_text(HOME_YAML.replace("2 kW", "2 kilos"))
    code, _ = sh("systemctl", "reload", "loadctl")
    until("word of the bad file", lambda: said("the rules stay as they were") == 1)
    tell("bad rules", code=code, numbers=numbers(), relays=relays(), unit=unit("ActiveState", "MainPID"))
    RULES.write_text(HOME_YAML.replace("min_on: 5 s", "min_on: 4 s"))
    sh("systemctl", "reload", "loadctl")
    until("word of the good file", lambda: said("new rules: controlling") == 1)
    tell("good rules", numbers=numbers(), relays=relays(), unit=unit("ActiveState", "MainPID"))


def suffer(what: str, number: signal.Signals) -> None:
    """End or stop the main process, wait until systemd has another one going and all is as it was."""
    known = unit("MainPID", "NRestarts")
    tell(f"before {what}", memory=memory())
    os.kill(int(known["MainPID"]), number)
    tell(what, unit=known)

    def another() -> bool:
        now = unit("ActiveState", "NRestarts")
        return now["ActiveState"] == "active" and now["NRestarts"] != known["NRestarts"]

    # Asking systemd costs a second of this slow machine's, which the restart needs.
    until(f"a restart after {what}", another, every_s=4.0)
    tell(f"back after {what}", unit=unit("MainPID", "NRestarts"), relays=relays(), numbers=numbers(), memory=memory())
    until(f"both loads on after {what}", all_on)
    tell(f"on after {what}")


def stop() -> None:
    tell("stop")
    code, text = sh("systemctl", "stop", "loadctl")
    tell(
        "stopped",
        code=code,
        text=text,
        unit=unit("ActiveState", "Result", "ExecMainStatus"),
        relays=relays(),
        memory=memory(),
    )


def journal() -> None:
    _, text = sh("journalctl", "-u", "loadctl", "-o", "json", "--no-pager")
    for entry in map(json.loads, text.splitlines()):
        message, who = entry["MESSAGE"], entry.get("SYSLOG_IDENTIFIER", "")
        if isinstance(message, str):
            tell("journal", at=int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6, who=who, message=message[:1500])


def uninstall() -> None:
    code, text = sh("/guest/deploy/install.sh", "--uninstall")
    left = [str(path) for folder in ("/opt/loadctl", ETC, STATE) for path in Path(folder).rglob("*")]
    tell("uninstalled", code=code, text=text, left=left, unit=unit("LoadState"))


def main() -> None:
    install()
    begin()
    look()
    clock()
    reload()
    suffer("SIGSTOP", signal.SIGSTOP)
    suffer("SIGKILL", signal.SIGKILL)
    stop()


if __name__ == "__main__":
    until("the home", SEEN.exists)
    try:
        main()
    finally:
        journal()
        uninstall()
        with SERIAL.open("w") as serial:
            serial.write("=== the end ===\n")
