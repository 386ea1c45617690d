"""History, totals, explanations and the rule file over the API; what the memory holds is known to the watt."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from loadctl.config import load
from loadctl.drivers import Shared
from loadctl.service.daemon import Daemon
from loadctl.service.ledger import DecisionRow, Leaves, MinuteRow, Money, Portion
from loadctl.service.memory import FILE, Memory
from loadctl.service.store import write_leaves
from loadctl.web.api.rules import BACKUPS, halves
from tests.api import owners_api
from tests.e2e.street import RULES, loadctl_run, open_street
from tests.e2e.until import until

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)
NOON = datetime(2026, 6, 2, 12, 0, tzinfo=UTC)
LEAST = RULES.format(envoy="envoy.local", boiler="192.168.1.40", port=8480)


@dataclass(frozen=True)
class Still:
    """A clock that stands."""

    def now(self) -> float:
        return 0.0

    def wall(self) -> datetime:
        return NOW

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError


def known() -> Leaves:
    """Two hours of June 2nd: one at 1000 W of import, and, after an hour that nobody saw, one at 2500 W of export."""
    first, third = int(NOON.timestamp() // 60), int(NOON.timestamp() // 60) + 120
    rows = [
        MinuteRow(first + n, 60, (500.0, 1500.0, 1000.0, None, None, None), (("boiler", 1000 / 60, 60),))
        for n in range(60)
    ]
    rows += [MinuteRow(third + n, 60, (4500.0, 2000.0, -2500.0, None, None, 2500.0), ()) for n in range(60)]
    day = "2026-06-02"
    energy = {
        (day, "import", ""): Portion(1000, 7200),
        (day, "export", ""): Portion(500, 7200),
        (day, "production", ""): Portion(3000, 7200),
        (day, "consumption", ""): Portion(3500, 7200),
        (day, "load", "boiler"): Portion(1000, 3600, 2),
        (day, "sun", "boiler"): Portion(250),
        ("2026-06-01", "import", ""): Portion(2000, 3600),
    }
    decisions = tuple(
        DecisionRow(
            int((NOON + timedelta(minutes=n)).timestamp() * 1000), "boiler", word, phase, None, 0.0, 1.0, 2.0, 3.0, said
        )
        for n, word, phase, said in (
            (0, "start", "starting", "starts: enough"),
            (60, "stop", "off", "stops: too little"),
        )
    )
    return Leaves(minutes=tuple(rows), decisions=decisions, energy=energy)


@asynccontextmanager
async def told(folder: Path, rules: str = LEAST, leaves: Leaves | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the API of a daemon that has this past and does not run."""
    file = folder / "home.yaml"
    file.write_text(rules, encoding="utf-8")
    home = load(file)
    memory = await Memory.open(folder / FILE, Still(), home.site)
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        write_leaves(connection, leaves or known())
    try:
        async with owners_api(Daemon(home, Shared(Still()), memory=memory)) as api:
            yield api
    finally:
        await memory.close(write=False)


def day(moment: datetime) -> dict[str, str]:
    return {"from": moment.isoformat(), "to": (moment + timedelta(days=1)).isoformat()}


async def test_means_with_gaps(tmp_path):
    async with told(tmp_path) as api:
        found = (await api.get("history", params=day(NOON) | {"resolution": "hour"})).json()
        assert found["time"] == [int(NOON.timestamp()) + hours * 3600 for hours in range(3)]
        assert found["grid_w"] == [1000, None, -2500]
        assert found["pv_w"] == [500, None, 4500]
        assert found["battery_w"] == [None] * 3
        assert found["loads"] == {"boiler": [1000, None, 0]}
        found = (await api.get("history", params=day(NOON - timedelta(hours=12)) | {"resolution": "day"})).json()
        assert (found["time"], found["grid_w"], found["loads"]["boiler"]) == (
            [int((NOON - timedelta(hours=12)).timestamp())],
            [-750],
            [500],
        )
        auto = (await api.get("history", params=day(NOON))).json()
        assert (auto["resolution"], len(auto["time"])) == ("minute", 180)
        assert auto["load_w"][59:61] == [1500, None]
        nothing = (await api.get("history", params=day(NOON + timedelta(days=300)))).json()
        assert (nothing["time"], nothing["loads"]) == ([], {"boiler": []})


async def test_decisions_and_why(tmp_path):
    async with told(tmp_path) as api:
        found = (await api.get("decisions", params=day(NOON))).json()["decisions"]
        assert [each["verdict"] for each in found] == ["start", "stop"]
        found = (await api.get("decisions", params=day(NOON) | {"limit": "1"})).json()["decisions"]
        assert [each["sentence"] for each in found] == ["stops: too little"]
        assert (await api.get("decisions", params=day(NOON) | {"load": "car"})).json() == {"decisions": []}
        at = {"at": (NOON + timedelta(minutes=30)).isoformat()}
        why = (await api.get("loads/boiler/explain", params=at)).json()
        assert (why["state"], why["sentence"], why["numbers"]["grid_w"]) == ("on", "starts: enough", 1000)
        assert why["numbers"]["power_w"] == pytest.approx(1000)
        gone = (await api.get("loads/boiler/explain", params={"at": "2026-06-02T13:30:00Z"})).json()
        assert "did not run" in gone["second"]
        assert (await api.get("loads/boiler/explain", params={"at": "2026-06-09T13:30:00Z"})).status_code == 422


BY_INPUT = LEAST.replace("hold: 2 s", "hold: 2 s, tariff: {import: {default: 30 ct/kWh, input: spot}}").replace(
    "loads:", "inputs:\n  spot: {driver: http-json, url: http://192.168.1.30/price, path: now, unit: ct/kWh}\nloads:"
)


@pytest.mark.parametrize(
    ("kept", "paid", "saved"),
    [
        ({"paid": Money(0.51, 7200), "used": Money(1.71, 7200)}, 0.51, 1.20),
        ({"paid": Money(0.51, 7200)}, None, None),  # half of it is not known
        ({"paid": Money(0.51, 3600), "used": Money(1.71, 7200)}, None, None),  # half of the day, by an older loadctl
        ({}, None, None),
    ],
)
async def test_money_of_days_on_which_an_input_told_the_price(tmp_path, kept, paid, saved):
    money = {("2026-06-02", kind): amount for kind, amount in kept.items()}
    async with told(tmp_path, BY_INPUT, replace(known(), money=money)) as api:
        rows = (await api.get("totals", params={"from": "2026-06-01", "to": "2026-06-02"})).json()["rows"]
        assert [(row["paid"], row["saved"]) for row in rows] == [(None, None), (paid, saved)]


@pytest.mark.parametrize(
    ("tariff", "paid", "saved"),
    [
        ("", 0.30 - 0.04, 3.5 * 0.30 - 0.26),
        (
            ', tariff: {import: {default: 0.50/kWh, prices: [{price: 0.20/kWh, from: "12:00", to: "13:00"}]}}',
            0.16,
            None,
        ),
        (", tariff: {export: 0/kWh}", 0.30, 3.5 * 0.30 - 0.30),
    ],
)
async def test_days_and_months_with_their_money(tmp_path, tariff, paid, saved):
    rules = LEAST.replace("hold: 2 s", f"hold: 2 s{tariff}")
    async with told(tmp_path, rules) as api:
        rows = (await api.get("totals", params={"from": "2026-06-01", "to": "2026-06-02"})).json()["rows"]
        assert [row["period"] for row in rows] == ["2026-06-01", "2026-06-02"]
        row = rows[1]
        assert (row["import_wh"], row["export_wh"], row["self_consumption"]) == (1000, 500, 0.833)
        assert row["paid"] == pytest.approx(paid, abs=1e-3)
        if saved is not None:
            assert row["saved"] == pytest.approx(saved, abs=1e-3)
        assert row["loads"]["boiler"] == {
            "energy_wh": 1000,
            "sun_wh": 250,
            "grid_wh": 750,
            "starts": 2,
            "runtime_s": 3600,
        }
        assert rows[0]["self_consumption"] is None
        (month,) = (await api.get("totals", params={"by": "month"})).json()["rows"]
        assert (month["period"], month["import_wh"]) == ("2026-06", 3000)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("history?from=yesterday", "`from` is a moment such as"),
        ("history?from=2026-06-02T12:00:00Z&to=2026-06-01T12:00:00Z", "`from` must be before `to`"),
        ("history?from=2020-06-02T12:00:00Z&resolution=minute", "too long for `minute`"),
        ("history?resolution=second", "`resolution` is one of"),
        ("history?from=0001-01-01T00:00:00Z", "`from` is a moment such as"),
        ("decisions?limit=0", "`limit` is a whole number"),
        ("decisions?limit=99999", "`limit` is a whole number"),
        ("totals?by=year", "`by` is day or month"),
        ("totals?from=1999-01-01", "too long"),
        ("totals?from=2026-13-01", "`from` is a day such as"),
        ("totals?until=2026-01-01", "there is no parameter `until` here"),
        ("totals?from=2026-01-01&from=2026-01-02", "`from` stands there twice"),
    ],
)
async def test_what_cannot_be_asked(tmp_path, path, said):
    async with told(tmp_path) as api:
        answer = await api.get(path)
        assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("`laods` is not a key here; did you mean `loads`?", "`laods` is not a key here", "did you mean `loads`?"),
        ("a name; has letters: write `a; b`; or none", "a name", "has letters: write `a; b`; or none"),
        ("`a; b` is no name: write `ab`", "`a; b` is no name", "write `ab`"),
        ("`dusk`: write `sunset`", "`dusk`: write `sunset`", None),
        ("a quote is opened here and never closed", "a quote is opened here and never closed", None),
        ("an odd ` in it; delete it", "an odd ` in it; delete it", None),
    ],
)
def test_what_is_wrong_is_told_apart_from_what_to_do(said, message, hint):
    assert halves(said) == (message, hint)


async def test_rules_are_checked_and_nothing_wrong_is_saved(tmp_path):
    async with told(tmp_path) as api:
        rules = (await api.get("rules")).json()
        assert (rules["text"], rules["writable"]) == (LEAST, True)
        assert (await api.post("rules/check", json={"text": LEAST})).json()["ok"]
        wrong = LEAST.replace("power: 2 kW", "power: 2")
        checked = (await api.post("rules/check", json={"text": wrong})).json()
        assert not checked["ok"]
        (fault,) = checked["faults"]
        assert (fault["line"], fault["where"], fault["severity"]) == (8, "loads.boiler.power", "error")
        assert (fault["message"], fault["hint"]) == ("`2` has no unit", "write `2 W` or `2 kW`")
        refused = await api.put("rules", json={"text": wrong, "revision": rules["revision"]})
        assert (refused.status_code, refused.json()["faults"]) == (422, checked["faults"])
        late = await api.put("rules", json={"text": LEAST, "revision": "older"})
        assert late.status_code == 409
        assert (tmp_path / "home.yaml").read_text(encoding="utf-8") == LEAST
        assert not list(tmp_path.glob("*.bak"))


async def test_what_was_there_is_kept(tmp_path):
    async with told(tmp_path) as api:
        file = tmp_path / "home.yaml"
        file.chmod(0o640)
        for number in range(BACKUPS + 3):
            (tmp_path / f"home.yaml.20250101T0000{number:02d}.bak").touch()
        revision = (await api.get("rules")).json()["revision"]
        fresh = f"{LEAST}# more\n"
        saved = (await api.put("rules", json={"text": fresh, "revision": revision})).json()
        assert file.read_text(encoding="utf-8") == fresh
        assert file.stat().st_mode & 0o777 == 0o640
        kept = {str(each): each.read_text(encoding="utf-8") for each in tmp_path.glob("*.bak")}
        assert (len(kept), kept[saved["backup"]]) == (BACKUPS, LEAST)
        assert (await api.get("rules")).json()["revision"] == saved["revision"]


async def test_what_is_saved_is_taken_over(tmp_path):
    async with open_street(tmp_path) as street, loadctl_run(street):
        await until(lambda: street.boiler.on)
        socket = street.state_dir / "loadctl.sock"
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/", timeout=60) as api:
            rules = (await api.get("rules")).json()
            text = f'{rules["text"]}  pump: {{actuator: {{driver: shelly, host: "127.0.0.1:1"}}, power: 1 kW}}\n'
            answer = await api.put("rules", json={"text": text, "revision": rules["revision"]})
            assert answer.status_code == 200, answer.text
            await until(lambda: street.said("new rules: controlling boiler, pump"))
            await until(lambda: street.boiler.on)


async def test_other_rules_on_a_day_that_was(tmp_path):
    async with told(tmp_path) as api:
        draft = LEAST.replace("start: 1.5 kW", "start: 1.8 kW")
        answer = await api.post("rules/replay", json={"text": draft, "day": "2026-06-02"}, timeout=180)
        found = answer.json()
        assert answer.status_code == 200, found
        assert found["day"] == "2026-06-02"
        for course in (found["yours"], found["now"]):
            assert len(course["time"]) == len(course["loads"]["boiler"])
            assert course["totals"]["loads"]["boiler"]["energy_wh"] > 0
        refused = await api.post("rules/replay", json={"text": "version: 1\n", "day": "2026-06-02"}, timeout=180)
        assert refused.status_code == 422
        assert refused.json()["faults"][0]["line"] == 1
        for other, said in (("2020-01-01", "nothing is written down"), ("2026-02-30", "`day` is a day")):
            answer = await api.post("rules/replay", json={"text": draft, "day": other}, timeout=180)
            assert (answer.status_code, said in answer.json()["detail"]) == (422, True)


async def test_who_asks_takes_no_locks_from_who_writes(tmp_path):
    """Another process that lets go of the file must find it in use, or it takes the journal away."""
    look = f"import sqlite3; c = sqlite3.connect({str(tmp_path / FILE)!r}); c.execute('SELECT * FROM house'); c.close()"
    async with told(tmp_path) as api:
        for _ in range(2):
            assert (await api.get("totals")).status_code == 200
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", look)
            assert await process.wait() == 0
            assert (tmp_path / f"{FILE}-wal").exists()


async def test_without_a_history_the_rest_goes_on(tmp_path):
    async with told(tmp_path) as api:
        (tmp_path / FILE).rename(tmp_path / "elsewhere")
        answer = await api.get("totals")
        assert (answer.status_code, "no history" in answer.json()["detail"]) == (503, True)
        assert (await api.get("state")).status_code == 200


async def test_who_walks_away_from_a_replay_leaves_it_free_for_others(tmp_path):
    async with open_street(tmp_path) as street, loadctl_run(street):
        await until(lambda: street.boiler.on)
        transport = httpx.AsyncHTTPTransport(uds=str(street.state_dir / "loadctl.sock"))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1/") as api:
            question = {"text": street.file.read_text(encoding="utf-8"), "day": "2026-06-02"}
            with pytest.raises(httpx.ReadTimeout):
                await api.post("rules/replay", json=question, timeout=0.3)
            codes: list[int] = []
            async with asyncio.timeout(120):
                while not codes or codes[-1] == 429:
                    codes.append((await api.post("rules/replay", json=question, timeout=120)).status_code)
            assert codes[-1] == 422  # nothing is written down of that day
        assert not street.said("Traceback")
