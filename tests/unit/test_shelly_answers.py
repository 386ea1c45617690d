"""Reading what Shellys answer, and the keys an owner may write; the bodies are written here, after the documents."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loadctl.actuators.address import base_url
from loadctl.actuators.shelly import ShellyOptions
from loadctl.actuators.shelly.answers import RELAY, About, Output, about, gen1_output, gen2_output, source
from loadctl.core.values import Source
from loadctl.errors import DeviceError, Garbled

MAC = "AABBCCDDEEFF"
PLUG = About(1, MAC, "SHPLG-S")
PLUS = About(2, MAC, "Plus1PM")


def test_who_it_is() -> None:
    assert about({"type": "SHPLG-S", "mac": MAC, "num_outputs": 1, "num_meters": 1}, "x") == PLUG
    assert about({"gen": 2, "mac": MAC, "app": "Plus1PM", "model": "SNSW-001P16EU"}, "x") == PLUS
    assert about({"gen": 4, "mac": "aa:bb:cc:dd:ee:ff", "model": "S4SW-001P16EU"}, "x").mac == MAC


@pytest.mark.parametrize(
    ("body", "roller"),
    [
        ({}, False),
        ({"num_rollers": 1}, None),
        ({"num_rollers": 1, "mode": "relay"}, False),
        ({"num_rollers": 1, "mode": "roller"}, True),
        ({"gen": 2, "profile": "cover"}, True),
        ({"gen": 2, "profile": "switch"}, False),
    ],
)
def test_whether_it_works_a_shutter(body: dict[str, Any], roller: bool | None) -> None:
    assert about({"type": "SHSW-25", "mac": MAC} | body, "x").roller is roller


def test_gen1_relay_with_a_timer() -> None:
    timer = {"has_timer": True, "timer_started": 1708330000, "timer_duration": 120, "timer_remaining": 77}
    status: dict[str, Any] = {
        "relays": [{"ison": False}, {"ison": True, "overpower": False, "source": "http"} | timer],
        "meters": [{"power": 1.0, "is_valid": True}, {"power": 812.5, "is_valid": True}],
        "mac": MAC,
    }
    assert gen1_output(status, PLUG, RELAY, 1, "x") == Output(
        MAC, on=True, source="http", watts=812.5, timer_s=120, timer_started_at=1708330000, timer_left_s=77
    )
    status["meters"][1]["is_valid"] = False
    assert gen1_output(status, PLUG, RELAY, 1, "x").watts is None


def test_gen1_of_the_first_days_tells_only_what_is_left() -> None:
    status = {"relays": [{"ison": True, "has_timer": True, "timer_remaining": 5}]}
    relay = gen1_output(status, PLUG, RELAY, 0, "x")
    assert (relay.mac, relay.timer_s, relay.timer_left_s, relay.has_timer) == (MAC, None, 5, True)


@pytest.mark.parametrize(
    ("unixtime", "left"), [(1000, 120), (1020, 100.5), (1120.5, 0), (5000, 0), (0, 120), (None, None), ("soon", None)]
)
def test_gen2_relay_counts_its_timer_on_the_clock_of_the_device(unixtime: Any, left: float | None) -> None:
    switch = {"output": True, "source": "HTTP_in", "timer_started_at": 1000.5, "timer_duration": 120, "apower": None}
    relay = gen2_output({"switch:0": switch, "sys": {"unixtime": unixtime, "mac": MAC}}, PLUS, RELAY, 0, "x")
    assert (relay.timer_left_s, relay.has_timer, relay.watts) == (left, True, None)


def test_gen2_relay_that_has_protected_itself() -> None:
    switch = {"output": False, "source": "HTTP_in", "errors": ["overpower", "overtemp"], "apower": 0.0}
    relay = gen2_output({"switch:1": switch}, PLUS, RELAY, 1, "x")
    assert relay.errors == ("overpower", "overtemp")
    assert source(relay, wanted=False, leased=True) is Source.PROTECTION


@pytest.mark.parametrize("on", ["true", 1, None])
def test_a_state_that_is_neither_on_nor_off_is_garbled(on: Any) -> None:
    with pytest.raises(Garbled, match="does not say whether it is on"):
        gen1_output({"relays": [{"ison": on}]}, PLUG, RELAY, 0, "x")
    with pytest.raises(Garbled, match="does not say whether it is on"):
        gen2_output({"switch:0": {"output": on}}, PLUS, RELAY, 0, "x")


@pytest.mark.parametrize(
    ("word", "on", "timer", "wanted", "who"),
    [
        ("HTTP_in", True, True, True, Source.US),
        ("http", False, False, False, Source.US),
        ("http", False, False, True, Source.HAND),
        ("http", True, True, False, Source.HAND),
        ("http", True, False, True, Source.HAND),
        ("http", True, True, None, Source.US),
        ("http", True, False, None, Source.UNKNOWN),
        ("http", False, False, None, Source.UNKNOWN),
        ("timer", False, False, True, Source.TIMER),
        ("init", True, False, True, Source.REBOOT),
        ("boot", False, False, None, Source.REBOOT),
        ("overpower", False, False, True, Source.PROTECTION),
        ("button", True, False, True, Source.HAND),
        ("input", False, False, False, Source.HAND),
        ("SHC", True, False, None, Source.HAND),
        ("WS_in", True, True, True, Source.HAND),
        ("MQTT", False, False, False, Source.HAND),
        ("", True, False, True, Source.UNKNOWN),
    ],
)
def test_who_switched_it(word: str, on: bool, timer: bool, wanted: bool | None, who: Source) -> None:
    relay = Output(MAC, on=on, source=word, timer_s=120.0 if timer else None)
    assert source(relay, wanted, leased=True) is who


def test_without_a_lease_an_on_of_ours_needs_no_timer() -> None:
    relay = Output(MAC, on=True, source="http")
    assert source(relay, wanted=True, leased=False) is Source.US
    assert source(relay, wanted=None, leased=False) is Source.UNKNOWN


WORDS = (
    "mac gen type mode relays meters switch:0 cover:0 sys ison output source has_timer timer_remaining "
    "timer_started_at timer_duration unixtime is_valid power apower errors num_meters num_outputs"
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(WORDS.split()), inside, max_size=5),
    max_leaves=12,
)
BODIES = JSON.filter(lambda body: isinstance(body, dict))


@given(BODIES, st.integers(0, 2))
def test_whatever_a_device_answers_is_read_or_refused(body: dict[str, Any], channel: int) -> None:
    for read in (
        lambda: about(body | {"mac": MAC}, "x"),
        lambda: gen1_output(body, PLUG, RELAY, channel, "x"),
        lambda: gen2_output(body, PLUS, RELAY, channel, "x"),
    ):
        with suppress(DeviceError):
            read()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("192.168.1.40", "http://192.168.1.40"),
        ("boiler.local", "http://boiler.local"),
        ("boiler:8080", "http://boiler:8080"),
        ("http://127.0.0.1:1234/", "http://127.0.0.1:1234/"),
        ("https://boiler.local", "https://boiler.local"),
        ("fe80::1", "http://[fe80::1]"),
        (" boiler ", "http://boiler"),
    ],
)
def test_addresses(host: str, url: str) -> None:
    assert str(base_url(host)) == url


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"host": ""}, "no address"),
        ({"host": "boiler/rpc"}, "no address"),
        ({"host": "the boiler"}, "no address"),
        ({"host": "ftp://boiler"}, "no address"),
        ({"host": "http://boiler:port"}, "no address"),
        ({"host": "http://admin:pw@boiler"}, "holds a login"),
        ({"mac": "AABBCC"}, "reads like"),
        ({"lease": "20 s"}, "three times"),
        ({"lease": "5 s"}, "too little"),
        ({"failsafe": "never"}, "lease"),
        ({"channel": -1}, "greater than or equal to 0"),
        ({"chanel": 1}, "chanel"),
    ],
)
def test_keys_that_cannot_be_meant(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TypeAdapter(ShellyOptions).validate_python({"host": "boiler"} | keys)


def test_keys_as_a_rule_file_writes_them() -> None:
    keys = {"host": "boiler", "lease": "1 min", "every": "5 s", "failsafe": "lease", "password": "hush"}
    options = TypeAdapter(ShellyOptions).validate_python(keys, context={"file": True})
    assert (options.lease, options.every, options.channel) == (60.0, 5.0, 0)
    assert "hush" not in repr(options)


def test_every_key_is_explained_in_the_schema() -> None:
    properties = TypeAdapter(ShellyOptions).json_schema()["properties"]
    assert all(key.get("description") for key in properties.values())
    assert TypeAdapter(ShellyOptions).json_schema()["additionalProperties"] is False
