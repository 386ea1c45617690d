"""The meter as a whole: its options as the owner writes them, and answers that nobody expects."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import httpx
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loadctl.core.values import Sample
from loadctl.drivers import Shared
from loadctl.errors import DeviceError
from loadctl.lab.emulators.envoy import bodies
from loadctl.meters.envoy import Envoy, EnvoyOptions
from tests.envoys import QuickClock

OPTIONS = TypeAdapter(EnvoyOptions)


def test_options_as_they_are_written():
    options = OPTIONS.validate_python(
        {"host": "192.168.1.20", "every": "2 s", "max_age": "15 s", "login": {"email": "a@b.c", "password": "moon"}},
        context={"file": True},
    )
    assert (options.every, options.max_age) == (2.0, 15.0)
    assert options.addresses() == ("https://192.168.1.20", "http://192.168.1.20")
    assert "moon" not in repr(options)
    assert OPTIONS.validate_python({"host": "http://envoy:8080/"}).addresses() == ("http://envoy:8080",)


@pytest.mark.parametrize(
    ("given_options", "words"),
    [
        ({"host": "my envoy"}, "not a name or address"),
        ({"host": "ftp://envoy"}, "not a name or address"),
        ({"every": "0.5 s"}, "too little"),
        ({"fingerprint": "ab:cd"}, "SHA-256"),
        ({"username": "installer"}, "needs a `password`"),
        ({"source": "cloud"}, "readings"),
        ({"tokn": "x"}, "tokn"),
    ],
)
def test_options_that_cannot_be_meant(given_options, words):
    with pytest.raises(ValidationError, match=words):
        OPTIONS.validate_python(given_options)


def test_every_key_is_explained():
    schema = OPTIONS.json_schema()
    assert all("description" in entry for entry in schema["properties"].values())


HOUSE = bodies.Household(pv_w=900.0, batteries=1, controller=True, ac_batteries=1)
GOOD: dict[str, Any] = {
    "/ivp/meters": bodies.meters(HOUSE),
    "/ivp/meters/readings": bodies.readings(HOUSE, 5),
    "/production.json": bodies.production(HOUSE, 5, details=True),
    "/api/v1/production": bodies.v1(HOUSE),
    "/ivp/livedata/status": bodies.livedata(HOUSE, 5, on=True),
    "/ivp/ensemble/power": bodies.power(HOUSE),
    "/ivp/ensemble/secctrl": bodies.secctrl(HOUSE),
    "/ivp/ensemble/inventory": bodies.ensemble_inventory(HOUSE, 5),
    "/ivp/ensemble/relay": bodies.relay(HOUSE),
    "/ivp/ensemble/generator": bodies.generator(HOUSE),
    "/api/v1/production/inverters": bodies.inverters(HOUSE, 5),
    "/inventory.json": bodies.inventory(HOUSE, 5),
}
BODIES = st.one_of(
    st.none(),  # the good one
    st.binary(max_size=60),
    st.sampled_from(
        [b"", b"<html>", b"[]", b"{}", b"null", b"[null]", b"\xff\xfe", b'{"devices:": null}', b"[" * 5000]
    ),
)
ANSWERS = st.tuples(st.sampled_from([200, 200, 200, 200, 204, 301, 401, 403, 404, 418, 429, 500, 503]), BODIES)
SOURCES = st.sampled_from(["auto", "readings", "production", "v1", "page", "inverters", "stream", "livedata"])


@settings(max_examples=150, deadline=None)
@given(
    firmware=st.sampled_from(["D3.7.1", "D4.2.27", "D5.0.62", "D7.6.175", "D8.3.6086", "", "Dx"]),
    source=SOURCES,
    answers=st.lists(ANSWERS, min_size=1, max_size=30),
)
def test_whatever_is_answered_it_is_a_sample_or_a_device_error(firmware, source, answers):
    asked: list[str] = []
    samples: list[Sample] = []
    errors: list[DeviceError] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path == "/info":
            return httpx.Response(200, text=bodies.info(firmware, "992201123456", 5, imeter=True, tokens=False))
        status, body = answers[len(asked) % len(answers)]
        good = json.dumps(GOOD.get(request.url.path, "?")).encode()
        return httpx.Response(
            status, content=good if body is None else body, headers={"Location": "https://localhost/"}
        )

    def client(**settings: Any) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), **settings)

    async def use() -> None:
        clock = QuickClock()
        meter = Envoy(
            EnvoyOptions(token="a.b.c", source=source, live_data=True),
            Shared(clock, client),
        )
        for _ in range(6):
            try:
                samples.append(await meter.read())
            except DeviceError as error:
                errors.append(error)
            await meter.extras()
            clock.leap(5)
        await meter.close()

    asyncio.run(use())
    assert all(error.retry_after_s >= 5 and "a.b.c" not in str(error) for error in errors)
    for sample in samples:
        powers = (sample.grid_w, sample.pv_w, sample.load_w, sample.battery_w, sample.soc_pct)
        assert all(power is None or math.isfinite(power) for power in powers)
        assert sample.pv_w is None or sample.pv_w >= 0
        assert (sample.grid_w is None) == bool(sample.flags & {"grid_unknown", "stale"})
    event("a reading" if samples else "none")
