"""YAML without its traps, and secrets that stay secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadctl.config import House, load, parse
from loadctl.config.findings import Findings
from loadctl.config.text import Secrets, read
from loadctl.errors import ConfigError
from tests.unit.tiny_drivers import TINY

HOME = """\
version: 1
site: {timezone: Europe/Amsterdam}
meter: {driver: envoy, host: envoy.local, token: TOKEN}
loads:
  boiler:
    actuator: {driver: shelly, host: 192.168.1.40}
    power: 2 kW
"""

XY = {"k": 1, "l": 2}


def data(text: str) -> Any:
    findings = Findings("home.yaml")
    found = read(text, findings, None)
    assert findings.faults == []
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: off\nyes: no", {"on": "off", "yes": "no"}),
        ("a: 10:30\nb: 010\nc: 1e3\nd: 0x1F", {"a": "10:30", "b": "010", "c": 1000.0, "d": "0x1F"}),
        ("a: 2026-07-01\nb: 1_000\nc: .5\nd: 1.", {"a": "2026-07-01", "b": "1_000", "c": 0.5, "d": 1.0}),
        ("a: true\nb: False\nc: 'true'\nd: ~\ne:", {"a": True, "b": False, "c": "true", "d": None, "e": None}),
        ("1: a\ntrue: b\nnull: c", {"1": "a", "true": "b", "null": "c"}),
        ("a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 3}", {"a": XY, "b": XY, "c": {"k": 3, "l": 2}}),
        ("a: .inf\nb: .nan\nc: 12345678901234567890", {"a": ".inf", "b": ".nan", "c": "12345678901234567890"}),
        ("\ufeffa: 1", {"a": 1}),
    ],
)  # fmt: skip
def test_words_stay_words(text, value):
    assert data(text) == value


def test_each_key_has_a_place_also_what_is_merged_in():
    findings = Findings("home.yaml")
    read("a: &x\n  k: 1\nb:\n  <<: *x\n  m: [1, {n: 2}]\n", findings, None)
    assert findings.places["b", "k"] == (2, 3)
    assert findings.places["b", "m"] == (5, 3)
    assert findings.places["b", "m", 1, "n"] == (5, 11)


def faults(text: str, file: str = "home.yaml", *, lenient: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, file, {}, drivers=TINY, lenient=lenient)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: b: c", "1:5: a `:` where none can be"),
        ("a: [1, 2", "1:4: a comma or a closing `]` is missing"),
        ("a: {b: 1", "1:4: a comma or a closing `}` is missing"),
        ("a: @b", "1:4: text that begins with this character must stand in quotes"),
        ("a: *b", "1:4: text that begins with `*` must stand in quotes"),
        ('a: "\\q"', "in double quotes a backslash has a special meaning"),
        ("a: 1\n---\nb: 2", "a second `---`"),
        ("a: \x07", "1:4: an unprintable character stands here; delete it"),
        ("a: !tag b", "1:1: a: `!` begins a tag and this one means nothing here"),
        ("? [a]\n: b", "1:3: a key must be a plain word"),
        ("a: {<<: 3}", "`<<:` takes a group of keys"),
        ("[" * 3000, "groups within groups, too deep to follow"),
        ("x" * 1_000_001, "too long for a rule file"),
        ('a: "\\UFFFFFFFF"', "1:1: a number in this file is beyond all measure"),
    ],
)
def test_what_is_no_yaml_is_said_in_words(text, sentence):
    assert sentence in faults(text)


def test_a_bomb_of_aliases_is_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
    assert "far too often" in faults(bomb)


def house_or_faults(text: str, env: dict[str, str] | None = None) -> ConfigError | None:
    try:
        assert isinstance(parse(text, "home.yaml", env or {}, drivers=TINY), House)
    except ConfigError as error:
        return error
    return None


def in_the_file(error: ConfigError | None, text: str) -> bool:
    lines = max(1, len(text.splitlines()))
    return error is None or all(1 <= fault.line <= lines and fault.column >= 1 for fault in error.faults)


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("%YAML 99999999999999999999\n---\n")
@example("a: !!int x")
@example("\x85")
def test_any_text_is_a_house_or_faults_with_places(text):
    assert in_the_file(house_or_faults(text), text)


WORDS = st.sampled_from(
    [
        *("version", "site", "meter", "loads", "boiler", "actuator", "driver", "shelly", "envoy", "host", "power"),
        *("start", "stop", "need", "between", "by", "2 kW", "1", "import 3 W", "09:00-10:00", "24:00", "on", "true"),
        *("~", "-1", "6 kWh by 7:00", "*a", "&a", "!secret x", "${X}", "<<", "'", "[", "{", "}", "]", ",", "? "),
        *(": ", ": ", ": ", "- ", "\n  ", "\n    ", "\n"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(WORDS, max_size=30).map("".join))
def test_any_heap_of_words_is_a_house_or_faults(text):
    assert in_the_file(house_or_faults(text), text)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, len(HOME) - 1), st.integers(0, 12), st.text(max_size=4) | WORDS)
def test_a_home_with_a_slip_of_the_pen_is_a_house_or_faults(at, length, instead):
    text = HOME[:at] + instead + HOME[at + length :]
    assert in_the_file(house_or_faults(text), text)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"version: 1\nname: caf\xe9\n", ":2:1: not UTF-8 text; save the file as UTF-8"),
        (HOME.encode("utf-16"), ":1:1: not UTF-8 text"),
        (b"", ":1:1: the file is empty"),
        (b"# only a comment\n", ":1:1: the file is empty"),
    ],
)
def test_what_is_no_text(tmp_path, content, sentence):
    file = tmp_path / "home.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=sentence):
        load(file, {}, drivers=TINY)


def test_what_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match=r"home\.yaml:1:1: there is no such file"):
        load(tmp_path / "home.yaml", {}, drivers=TINY)
    with pytest.raises(ConfigError, match=":1:1: this is a directory"):
        load(tmp_path, {}, drivers=TINY)


def token(text: str, env: dict[str, str], file: str = "home.yaml") -> Any:
    return parse(text, file, env, drivers=TINY).meter.options.token.get_secret_value()


def test_secrets_come_from_the_environment():
    assert token(HOME.replace("TOKEN", "'${T}'"), {"T": "abc"}) == "abc"
    assert token(HOME.replace("TOKEN", "'a${T}b$${T}'"), {"T": "1"}) == "a1b${T}"
    assert faults(HOME.replace("TOKEN", "'${T}'")) == (
        "home.yaml:3:43: meter.token: the environment variable T is not set"
    )


def test_secrets_come_from_the_file_beside(tmp_path):
    home = tmp_path / "home.yaml"
    text = HOME.replace("TOKEN", "!secret envoy")
    assert f"`envoy` is not in {tmp_path}/secrets.yaml" in faults(text, file=str(home))
    (tmp_path / "secrets.yaml").write_text("envoy: abc\nother: 0123\n", "utf-8")
    assert token(text, {}, str(home)) == "abc"
    assert token(HOME.replace("TOKEN", "!secret other"), {}, str(home)) == "0123"
    assert "did you mean `envoy`?" in faults(HOME.replace("TOKEN", "!secret envoi"), file=str(home))
    (tmp_path / "secrets.yaml").write_text("envoy: [\n", "utf-8")
    assert f"{tmp_path}/secrets.yaml:" in faults(text, file=str(home))


def test_lenient_notes_a_secret_that_is_not_set():
    house = parse(HOME.replace("TOKEN", "'${T}'"), "home.yaml", {}, lenient=True, drivers=TINY)
    assert [str(note) for note in house.notes] == ["home.yaml:3:43: meter.token: the environment variable T is not set"]
    broken = HOME.replace("2 kW", "${POWER}")
    assert "`${POWER}` is not set here, so this cannot be checked" in faults(broken, lenient=True)


SECRETS = ["hunter-2-hunter-2", "http://me:hunter-2-hunter-2@there", "hunter-2-hunter-2" * 9]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("place", ["2 kW", "Europe/Amsterdam", "envoy.local", "shelly", "192.168.1.40", "1"])
def test_a_secret_in_the_wrong_place_is_not_told(place, secret):
    error = house_or_faults(HOME.replace(place, "'${SECRET}'", 1), {"SECRET": secret})
    assert (error is None) == (place in {"envoy.local", "192.168.1.40"} and "@" not in secret)
    assert "hunter-2" not in str(error)


def test_two_loads_at_one_secret_address():
    text = HOME.replace("192.168.1.40", "'${SECRET}'")
    text += text[text.index("  boiler") :].replace("boiler", "pump")
    assert "hunter-2" not in str(house_or_faults(text, {"SECRET": "hunter-2-hunter-2"}))


def test_options_do_not_show_what_is_secret():
    assert "TOKEN" not in repr(parse(HOME, "home.yaml", {}, drivers=TINY))


def test_secrets_may_not_refer_to_secrets(tmp_path):
    (tmp_path / "secrets.yaml").write_text("envoy: !secret other\n", "utf-8")
    findings = Findings("home.yaml")
    Secrets({}, tmp_path).stored(findings)
    assert "a secret cannot refer to a secret" in str(findings.faults[0])
