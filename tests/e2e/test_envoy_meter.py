"""The Envoy meter against an emulated Envoy: firmware, logins, sources, faults and manners, judged at the wire."""

from __future__ import annotations

import hashlib
import ssl
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest

from loadctl.drivers import Shared
from loadctl.errors import DeviceError, Garbled, Refused, Unreachable
from loadctl.lab.emulators.envoy import EmulatedEnlighten, Fault, make_token
from loadctl.lab.emulators.serve import Certificate, serve
from loadctl.meters.envoy import Envoy, EnvoyOptions
from loadctl.meters.envoy.link import REST_S
from tests.envoys import QuickClock, emulated, make_certificate, reading

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("envoy"))


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


def settled(box) -> list[str]:
    return [path for path in box.paths() if not path.startswith("/ivp/ensemble")]


async def refused(meter) -> DeviceError:
    with pytest.raises(DeviceError) as caught:
        await meter.read()
    return caught.value


@pytest.mark.parametrize(
    ("era", "source", "pv_w", "grid_w"),
    [
        ("3.7", "/production", 3000.0, None),
        ("3.9", "/api/v1/production", 3000.0, None),
        ("4.2", "/production.json", 3000.0, None),
        ("5", "/ivp/meters/readings", 3000.0, -2000.0),
    ],
)
async def test_below_7_needs_no_login(clock, era, source, pv_w, grid_w):
    box = emulated(clock, era)
    async with reading(box.app, clock) as meter:
        sample = await meter.read()
    assert (sample.source, sample.pv_w, sample.grid_w) == (source, pv_w, grid_w)
    assert ("grid_unknown" in sample.flags) == (grid_w is None)


@pytest.mark.parametrize("era", ["7", "8"])
async def test_from_7_on_a_token_over_https_and_one_session(clock, certificate, era):
    box = emulated(clock, era)
    box.gate.cookie_wanted = True
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        first = await meter.read()
        for _ in range(4):
            await clock.sleep(meter.every_s)
            await meter.read()
    assert (first.pv_w, first.grid_w, first.load_w) == (3000.0, -2000.0, 1000.0)
    assert settled(box)[:4] == ["/info", "/auth/check_jwt", "/ivp/meters", "/ivp/meters/readings"]
    assert box.gate.logins == 1


async def test_no_token_says_what_to_do(clock, certificate):
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate) as meter:
        error = await refused(meter)
    assert isinstance(error, Refused)
    assert "entrez.enphaseenergy.com" in str(error)
    assert box.paths() == ["/info"]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (make_token("992201123456", 1_000_000_000), "expired on 2001-09-09"),
        (make_token("990000007777", 4_000_000_000), "for the gateway …7777, this one is …3456"),
        ("not a token!", "cannot be one"),
    ],
)
async def test_a_bad_token_is_named_and_never_shown(clock, certificate, token, words):
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate, token=token) as meter:
        error = await refused(meter)
        again = await refused(meter)
    assert words in str(error)
    assert token not in str(error)
    assert error.retry_after_s >= 5
    assert again.retry_after_s >= error.retry_after_s


async def test_a_lost_session_is_renewed_once(clock, certificate):
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        await meter.read()
        box.gate.sessions.clear()
        box.gate.cookie_wanted = True
        assert (await meter.read()).grid_w == -2000.0


async def test_shut_out_it_logs_in_afresh_once_then_slows_down(clock, certificate):
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        await meter.read()
        before = len(box.requests)
        box.gate.shut = True
        error = await refused(meter)
        assert error.retry_after_s >= 300
        assert Counter(box.paths()[before:])["/info"] == 1
        assert Counter(box.paths()[before:])["/auth/check_jwt"] == 1
        box.gate.shut = False
        await clock.sleep(error.retry_after_s)
        assert (await meter.read()).grid_w == -2000.0


async def test_token_file_is_read_again_when_it_changes(clock, certificate, tmp_path):
    box = emulated(clock, "8")
    file = tmp_path / "token"
    async with reading(box.app, clock, certificate, token_file=file) as meter:
        assert "entrez" in str(await refused(meter))
        file.write_text(make_token("990000007777", 4_000_000_000))
        assert "gateway" in str(await refused(meter))
        file.write_text(f"{box.token}\n")
        assert (await meter.read()).grid_w == -2000.0


@pytest.fixture
async def enlighten(clock):
    cloud = EmulatedEnlighten(expires_at=clock.wall().timestamp() + 365 * 86400)
    async with serve(cloud.app) as url:
        yield (
            cloud,
            {
                "login": {"email": cloud.email, "password": cloud.password},
                "login_url": f"{url}/login/login.json",
                "token_url": f"{url}/tokens",
            },
        )


async def test_token_is_fetched_kept_and_renewed_ahead(clock, certificate, enlighten, tmp_path):
    cloud, options = enlighten
    file = tmp_path / "token"
    box = emulated(clock, "8")
    year_s = 365 * 86400
    first = make_token(box.serial, cloud.expires_at)
    second = make_token(box.serial, cloud.expires_at + year_s + 1)
    box.gate.tokens |= {first: "owner", second: "owner"}
    async with reading(box.app, clock, certificate, token_file=file, **options) as meter:
        await meter.read()
        assert cloud.requests == ["/login/login.json", "/tokens"]
        assert file.read_text().strip() == first
        assert file.stat().st_mode & 0o777 == 0o600
        clock.leap(year_s - 20 * 86400)
        cloud.expires_at += year_s
        cloud.broken = True
        while "token_renewal_failed" not in (await meter.read()).flags:
            await clock.sleep(5)
        assert "token_expires_soon" in (await meter.read()).flags
        cloud.broken = False
        clock.leap(1000)
        while file.read_text().strip() == first:
            await clock.sleep(5)
            await meter.read()
        assert cloud.given[1] == second
        assert file.read_text().strip() == second
    async with reading(box.app, clock, certificate, token_file=file, **options) as meter:
        await meter.read()
    assert len(cloud.given) == 2


async def test_a_wrong_password_is_not_tried_in_a_loop(clock, certificate, enlighten):
    cloud, options = enlighten
    options["login"] = {"email": cloud.email, "password": "secret-moon"}
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate, **options) as meter:
        for _ in range(10):
            error = await refused(meter)
            assert "refuses the e-mail" in str(error)
            assert "secret-moon" not in str(error)
            await clock.sleep(60)
    assert cloud.requests == ["/login/login.json"]


async def test_second_factor_is_explained(clock, certificate, enlighten):
    cloud, options = enlighten
    cloud.second_factor = True
    async with reading(emulated(clock, "8").app, clock, certificate, **options) as meter:
        error = await refused(meter)
    assert "second factor" in str(error)
    assert "entrez" in str(error)


async def test_refused_fetched_tokens_do_not_loop_either(clock, certificate, enlighten):
    cloud, options = enlighten
    box = emulated(clock, "8")  # does not take what the cloud gives
    async with reading(box.app, clock, certificate, **options) as meter:
        for _ in range(5):
            await refused(meter)
            await clock.sleep(60)
    assert len(cloud.given) == 1


async def test_pinned_certificate(clock, certificate):
    box = emulated(clock, "8")
    der = ssl.PEM_cert_to_DER_cert(certificate.chain.read_text())
    good = hashlib.sha256(der).hexdigest()
    async with reading(box.app, clock, certificate, token=box.token, fingerprint=good.upper()) as meter:
        assert (await meter.read()).grid_w == -2000.0
        assert (await meter.extras())["certificate_sha256"] == good
    asked = len(box.requests)
    async with reading(box.app, clock, certificate, token=box.token, fingerprint="ab" * 32) as meter:
        error = await refused(meter)
    assert isinstance(error, Refused)
    assert good in str(error)
    assert "fingerprint" in str(error)
    assert len(box.requests) == asked


async def test_firmware_changes_overnight(clock, certificate):
    """5 to 8 in one night: the same address now wants a token."""
    box = emulated(clock, "5")
    async with reading(box.app, clock, token=box.token) as meter:
        assert (await meter.read()).grid_w == -2000.0
        box.era = "8"
        assert (await meter.read()).grid_w == -2000.0
    assert "/auth/check_jwt" in box.paths()


async def test_batteries_relay_and_generator(clock, certificate):
    box = emulated(clock, "8", batteries=3, controller=True, generator="open")
    box.battery_w, box.soc_pct, box.grid_w = -1500.0, 62.0, -500.0
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        first = await meter.read()
        assert (first.battery_w, first.load_w) == (-1500.0, 1000.0)
        for _ in range(6):
            await clock.sleep(5)
            sample = await meter.read()
        assert (sample.battery_w, sample.soc_pct, sample.load_w) == (-1500.0, 62.0, 1000.0)
        assert (sample.grid_up, sample.generator, sample.grid_w) == (True, False, -500.0)
        box.house.relay = "open synchronizing"
        for _ in range(5):
            await clock.sleep(5)
            sample = await meter.read()
        assert (sample.grid_up, sample.grid_w) == (False, None)
        assert "grid_open" in sample.flags
        box.house.relay, box.house.generator = "closed", "closed"
        for _ in range(9):
            await clock.sleep(5)
            sample = await meter.read()
        assert (sample.grid_up, sample.generator, sample.grid_w) == (True, True, None)
        assert "generator_running" in sample.flags


async def test_ac_batteries_count_while_fresh(clock):
    box = emulated(clock, "5", ac_batteries=2)
    box.gate.passwords["envoy"] = "unused"
    box.battery_w = 400.0
    box.soc_pct = 80.0
    async with reading(box.app, clock, source="production") as meter:
        sample = await meter.read()
    assert (sample.battery_w, sample.soc_pct, sample.load_w) == (400.0, 80.0, 1400.0)


@pytest.mark.parametrize(
    ("installed", "grid_w", "load_w"),
    [
        ({"consumption_ct": None}, None, None),
        ({"consumption_ct": "total-consumption"}, -2000.0, 1000.0),
        ({"production_ct": False}, -2000.0, None),
        ({"phases": 3}, -2000.0, 1000.0),
    ],
)
async def test_what_is_fitted(clock, installed, grid_w, load_w):
    box = emulated(clock, "5", **installed)
    async with reading(box.app, clock) as meter:
        sample = await meter.read()
    assert sample.grid_w == (None if grid_w is None else pytest.approx(grid_w))
    assert sample.load_w == (None if load_w is None else pytest.approx(load_w))
    assert len(sample.phases) == (3 if installed.get("phases") else 0)


@pytest.mark.parametrize(("kind", "grid_w"), [("net", -2000.0), ("total", -2000.0), (None, None)])
async def test_untyped_meter_of_4_2_is_what_the_owner_says(clock, kind, grid_w):
    box = emulated(clock, "4.2", consumption_ct="total-consumption" if kind == "total" else "net-consumption")
    async with reading(box.app, clock, untyped_meter=kind) as meter:
        sample = await meter.read()
    assert sample.grid_w == grid_w
    assert ("untyped_meters" in sample.flags) == (kind is None)


@pytest.mark.parametrize(
    ("source", "page", "every_s", "max_age_s"),
    [
        ("readings", "/ivp/meters/readings", 5, 20),
        ("production", "/production.json", 10, 35),
        ("v1", "/api/v1/production", 60, 1200),
        ("inverters", "/api/v1/production/inverters", 60, 1200),
    ],
)
async def test_each_source_at_its_own_pace(clock, certificate, source, page, every_s, max_age_s):
    box = emulated(clock, "8")
    async with reading(box.app, clock, certificate, token=box.token, source=source) as meter:
        sample = await meter.read()
        assert meter.every_s == every_s
    assert (sample.source, sample.every_s, sample.max_age_s) == (page, every_s, max_age_s)
    assert sample.pv_w == 3000.0


async def test_the_owner_may_ask_more_often(clock):
    async with reading(emulated(clock, "5").app, clock, every=2.0, max_age=9.0) as meter:
        sample = await meter.read()
        assert (meter.every_s, sample.every_s, sample.max_age_s) == (2.0, 2.0, 9.0)


async def test_live_data_only_with_permission(clock, certificate):
    box = emulated(clock, "8", batteries=1)
    box.battery_w, box.grid_w = -800.0, -1200.0
    async with reading(box.app, clock, certificate, token=box.token, source="livedata") as meter:
        assert "live_data: true" in str(await refused(meter))
    assert "/ivp/livedata/stream" not in box.paths()
    async with reading(box.app, clock, certificate, token=box.token, live_data=True) as meter:
        sample = await meter.read()
        assert "/ivp/livedata/stream" in box.paths()
        assert (sample.source, sample.grid_w, sample.battery_w) == ("/ivp/livedata/status", -1200.0, -800.0)
        box.live_on = False
        await clock.sleep(5)
        sample = await meter.read()  # not yet a minute since it was switched on: the other source
        assert (sample.source, sample.grid_w) == ("/ivp/meters/readings", -1200.0)
        await clock.sleep(120)
        assert (await meter.read()).source == "/ivp/livedata/status"


async def test_stream_gives_the_last_frame(clock, certificate):
    box = emulated(clock, "7", phases=3)
    box.gate.stream_open = True
    box.stream_every_s, box.stream_burst = 0.05, 20
    async with reading(box.app, clock, certificate, token=box.token, source="stream") as meter:
        first = await meter.read()
        assert (first.source, len(first.phases)) == ("/stream/meter", 3)
        assert first.grid_w == pytest.approx(-2000.0, abs=0.1)
        box.grid_w = 700.0
        for _ in range(3):
            sample = await meter.read()
        assert sample.grid_w == pytest.approx(700.0, abs=0.1)
        assert sample.read_at > first.read_at
    assert box.paths().count("/stream/meter") == 2  # it rested once, for the pages that are asked rarely


async def test_cut_lines_of_a_stream_are_skipped(clock, certificate):
    box = emulated(clock, "7")
    box.gate.stream_open = True
    box.stream_every_s = 0.02
    async with reading(box.app, clock, certificate, token=box.token, source="stream") as meter:
        await meter.read()
        await meter.read()
        box.fault, box.faulty_paths = Fault.TRUNCATED, ("/stream",)
        box.grid_w = 900.0
        while (sample := await meter.read()).grid_w != 900.0:
            assert sample.grid_w == -2000.0
    assert box.paths().count("/stream/meter") == 2


async def test_a_stream_that_ends_is_opened_again(clock, certificate):
    box = emulated(clock, "7")
    box.gate.stream_open = True
    box.stream_every_s = 0.02
    async with reading(box.app, clock, certificate, token=box.token, source="stream") as meter:
        await meter.read()
        await meter.read()
        box.fault, box.faulty_paths = Fault.HANG, ("/elsewhere",)
        for _ in range(5):  # frames that came before the end are still given
            with suppress(DeviceError):
                await meter.read()
        box.fault = None
        assert (await meter.read()).grid_w == -2000.0


async def test_the_old_token_serves_on_if_the_new_one_is_refused(clock, certificate, enlighten):
    cloud, options = enlighten
    box = emulated(clock, "8")
    old = make_token(box.serial, clock.wall().timestamp() + 86400)
    box.gate.tokens = {old: "owner"}
    async with reading(box.app, clock, certificate, token=old, **options) as meter:
        await meter.read()
        while not cloud.given:
            await clock.sleep(5)
            await meter.read()
        for _ in range(20):
            await clock.sleep(5)
            assert (await meter.read()).grid_w == -2000.0
    assert len(cloud.given) == 1


async def test_stream_without_rights_says_so(clock, certificate):
    box = emulated(clock, "7")
    async with reading(box.app, clock, certificate, token=box.token, source="stream") as meter:
        error = await refused(meter)
    assert "installer" in str(error)


async def test_stream_below_7_with_the_installers_password(clock):
    box = emulated(clock, "5")
    installer: Any = {"username": "installer", "password": box.gate.passwords["installer"]}
    async with reading(box.app, clock, source="stream", **installer) as meter:
        assert (await meter.read()).grid_w == pytest.approx(-2000.0)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.BROKEN, Unreachable),
        (Fault.BUSY, Unreachable),
        (Fault.EMPTY, Garbled),
        (Fault.TRUNCATED, Garbled),
        (Fault.RESET, Garbled),
    ],
)
async def test_a_fault_is_a_failed_reading_and_rest_doubles(clock, fault, kind):
    box = emulated(clock, "5")
    async with reading(box.app, clock) as meter:
        await meter.read()
        box.fault, box.faulty_paths = fault, ("/ivp/meters/readings",)
        first, second, third = [await refused(meter) for _ in range(3)]
        assert isinstance(first, kind)
        least = 30 if fault is Fault.BUSY else 5
        assert first.retry_after_s >= least
        assert third.retry_after_s >= max(least, 20)
        assert second.retry_after_s >= first.retry_after_s * 0.9
        box.fault = None
        assert (await meter.read()).grid_w == -2000.0
        box.fault = fault
        assert (await refused(meter)).retry_after_s < third.retry_after_s + 15


async def test_a_page_that_turns_into_html_is_replaced_by_the_next_best(clock):
    box = emulated(clock, "5")
    async with reading(box.app, clock) as meter:
        await meter.read()
        box.fault, box.faulty_paths = Fault.HTML, ("/ivp/meters/readings",)
        sample = await meter.read()
        assert (sample.source, sample.grid_w) == ("/production.json", -2000.0)


async def test_repeated_readings_age_and_go_stale(clock):
    box = emulated(clock, "5")
    async with reading(box.app, clock) as meter:
        first = await meter.read()
        box.fault = Fault.STALE
        await clock.sleep(5)
        frozen = await meter.read()
        await clock.sleep(10)
        again = await meter.read()
        assert again.read_at == frozen.read_at >= first.read_at
        assert again.grid_w == -2000.0
        await clock.sleep(30)
        stale = await meter.read()
        assert (stale.grid_w, stale.pv_w) == (None, None)
        assert "stale" in stale.flags
        box.fault = None
        await clock.sleep(5)
        assert (await meter.read()).grid_w == -2000.0


@pytest.mark.parametrize("source", ["readings", "production", "v1"])
async def test_nonsense_is_never_a_number(clock, source):
    box = emulated(clock, "5")
    box.fault = Fault.NONSENSE
    async with reading(box.app, clock, source=source) as meter:
        sample = await meter.read()
    assert (sample.grid_w, sample.pv_w, sample.load_w) == (None, None, None)
    assert "grid_unknown" in sample.flags


async def test_ct_off_for_moments_is_no_jump_to_the_inverters(clock):
    box = emulated(clock, "5")
    async with reading(box.app, clock, source="production") as meter:
        await meter.read()
        box.fault = Fault.EIM_IDLE
        sample = await meter.read()
    assert (sample.pv_w, sample.grid_w) == (None, None)
    assert {"eim_inactive", "grid_unknown"} <= sample.flags


async def test_redirects_are_not_followed(clock):
    box = emulated(clock, "5")
    box.fault = Fault.REDIRECT
    async with reading(box.app, clock) as meter:
        error = await refused(meter)
    assert "elsewhere" in str(error)


async def test_nobody_there(clock):
    async with serve(emulated(clock, "5").app) as url:
        pass
    meter = Envoy(EnvoyOptions(host=url), Shared(clock))
    error = await refused(meter)
    await meter.close()
    assert isinstance(error, Unreachable)
    assert "is `host` right" in str(error)


async def test_manners_one_at_a_time_a_second_apart(clock, certificate):
    box = emulated(clock, "8", batteries=2, controller=True, generator="open")
    async with reading(box.app, clock, certificate, token=box.token, every=1.0) as meter:
        for _ in range(40):
            await meter.read()
            await meter.extras()
        box.gate.sessions.clear()
        box.fault, box.faulty_paths = Fault.BROKEN, ("/ivp/meters/readings",)
        await refused(meter)
    assert box.most_in_flight == 1
    assert all(after.at - before.ended_at >= REST_S - 0.02 for before, after in pairwise(box.requests))
    asked = Counter(box.paths())
    assert asked["/info"] == asked["/ivp/meters"] == asked["/inventory.json"] == 1
    assert asked["/ivp/ensemble/power"] <= 5


async def test_info_is_read_daily_and_the_meters_hourly(clock):
    box = emulated(clock, "5")
    async with reading(box.app, clock) as meter:
        for _ in range(26):
            await meter.read()
            clock.leap(3600)
    asked = Counter(box.paths())
    assert asked["/info"] == 2
    assert 20 <= asked["/ivp/meters"] <= 27


async def test_extras_show_panels_in_plain_words(clock, certificate):
    box = emulated(clock, "8", panels=3)
    box.house.statuses = ["envoy.cond_flags.pcu_ctrl.dc-pwr-low", "envoy.cond_flags.new.kind"]
    async with reading(box.app, clock, certificate, token=box.token) as meter:
        await meter.read()
        extras = await meter.extras()
        await meter.extras()
    assert [panel["watts"] for panel in extras["panels"]] == [1000.0] * 3
    assert extras["devices"][0]["status"] == ["DC Power Too Low", "envoy.cond_flags.new.kind"]
    assert extras["devices"][0]["fault"]
    assert "Too little light" in extras["devices"][0]["advice"][0]
    assert box.paths().count("/inventory.json") == 1
