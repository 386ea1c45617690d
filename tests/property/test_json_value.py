"""Whatever a source answers and whatever path is written: a finite number, or a sentence."""

from __future__ import annotations

import json
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from loadctl.errors import Garbled
from loadctl.inputs.json_value import Scale, decode, number, path, pick, scale, spell

KEYS = st.sampled_from(("a", "b", "temp", "0", ""))
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just("21.5 °C"))
DOCUMENTS = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))
UNITS = st.sampled_from(("", "°C", "°F", "K", "kW", "%", "€/MWh", "ppm"))
STEPS = st.lists(st.one_of(st.sampled_from(("a", "b", "temp", "0")), st.integers(-3, 3)), max_size=4).map(tuple)


def said_by(body: bytes, written: str, unit: Scale, times: float) -> float | Garbled:
    try:
        return number(pick(decode(body, "it"), path(written), "it"), unit, times, "it")
    except Garbled as garbled:
        return garbled


@given(DOCUMENTS, STEPS, UNITS, st.floats(allow_nan=False, allow_infinity=False))
def test_any_document(document, steps, unit, times):
    found = said_by(json.dumps(document).encode(), spell(steps), scale(unit), times)
    if isinstance(found, Garbled):
        assert str(found).isprintable()
        assert len(str(found)) < 500
    else:
        assert isfinite(found)


@given(st.binary(max_size=60))
def test_any_bytes(body):
    found = said_by(body, "", Scale(), 1.0)
    assert isinstance(found, Garbled) or isfinite(found)


@given(st.text(max_size=30))
def test_any_path_and_unit_is_read_or_refused(text):
    for read in (path, scale):
        try:
            read(text)
        except ValueError as refused:
            assert "`" in str(refused)  # noqa: PT017 - only what is refused has a sentence


@given(STEPS)
def test_a_path_that_is_spelled_reads_back(steps):
    assert path(spell(steps)) == steps
