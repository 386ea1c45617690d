"""Every recorded Envoy, played over real HTTP or HTTPS, gives the values that were worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadctl.core.values import Sample
from loadctl.lab.emulators.envoy import RecordedEnvoy, make_token
from loadctl.lab.emulators.envoy.gate import role_of
from loadctl.lab.emulators.serve import Certificate
from tests.conftest import SHARED
from tests.envoys import QuickClock, make_certificate, reading

CASES = sorted((SHARED / "fixtures" / "envoy").glob("*/expected.json"))

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not CASES, reason="the recordings are not here")]

WRONG_FLAGS = {"stale", "ct_missing", "negative_load", "inverters_disagree", "battery_unknown"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("envoy"))


async def read(case: Path, certificate: Certificate, times: int = 6) -> list[Sample]:
    box = RecordedEnvoy(case, auth=True)
    token = make_token(box.serial, 4_000_000_000)
    box.tokens[token] = role_of(token)
    clock = QuickClock()
    secured: Any = {"certificate": certificate, "token": token} if box.with_token else {}
    async with reading(box.app, clock, **secured) as meter:
        samples = []
        for _ in range(times):
            samples.append(await meter.read())
            await clock.sleep(2)  # a recording stands still: after 30 s it would be stale
    return samples


@pytest.fixture(params=CASES, ids=lambda path: path.parent.name)
def case(request) -> tuple[Path, dict[str, Any]]:
    return request.param.parent, json.loads(request.param.read_text())


async def test_recording(case: tuple[Path, dict[str, Any]], certificate: Certificate):
    folder, expected = case
    samples = await read(folder, certificate)
    first, last = samples[0], samples[3]
    accept = expected["accept"]
    for key, value in (("pv_w", first.pv_w), ("grid_w", first.grid_w)):
        if key in accept and expected[key] is not None:
            assert value is not None
            assert accept[key][0] <= value <= accept[key][1]
        if expected[key] is None:
            assert value is None
    assert (first.grid_w is None) == ("grid_unknown" in first.flags) == (not expected["surplus_allowed"])
    for key, got in (("battery_w", last.battery_w), ("soc", last.soc_pct), ("load_w", last.load_w)):
        if expected[key] is None:
            assert got is None, key
        else:
            assert got is not None, key
            assert accept[key][0] <= got <= accept[key][1], key
    assert not last.flags & WRONG_FLAGS
    assert ("pv_slow" in last.flags) == ("pv_slow" in expected["flags"])
    count = expected["setup"]["phase_count"] or 1
    assert len(first.phases) == (count if expected["phases"] else 0)
    for phase, leg in zip(first.phases, expected["phases"].values(), strict=True):
        for got, name in ((phase.pv_w, "pv_w"), (phase.grid_w, "grid_w")):
            assert got == (None if name not in leg else pytest.approx(leg[name], rel=0.1, abs=80))
    assert all(sample.read_at <= samples[-1].read_at for sample in samples)
