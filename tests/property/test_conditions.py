"""Laws of conditions that no text, no value and no history may break."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from loadctl.config.expression import Misread, negated, parse_condition
from loadctl.config.reach import unreachable
from loadctl.core.conditions import Compare, Condition, Every, Term, Test, comparisons, names, weigh
from loadctl.core.values import Input
from loadctl.inputs.names import BUILT_IN, load_names
from loadctl.telling.conditions import sentence, spell_test

NAMES = ("a", "b", "c")
OPS = st.sampled_from(("<", "<=", ">", ">=", "==", "!="))
NUMBERS = st.integers(-5, 5).map(float)
UNITS = {**BUILT_IN, **load_names(["boiler", "heat-pump"]), "tank": "°C", "room": "°C", "guests": "", "co2": "ppm"}


def numbered(test: Test, index: Iterator[int]) -> Test:
    """Give each comparison a place of its own among the truths."""
    if isinstance(test, Every):
        return Every(tuple(numbered(part, index) for part in test.parts), test.any_of)
    return replace(test, index=next(index))


def bare(test: Test) -> Test:
    """Take all hysteresis away."""
    if isinstance(test, Every):
        return replace(test, parts=tuple(bare(part) for part in test.parts))
    return replace(test, band=0.0)


terms = st.builds(
    Term,
    NUMBERS,
    st.lists(st.tuples(st.sampled_from(NAMES), NUMBERS), max_size=2, unique_by=lambda pair: pair[0]).map(tuple),
)
tests = st.recursive(
    st.builds(Compare, st.just(0), terms, OPS, terms, st.sampled_from((0.0, 0.0, 1.0, 2.5))),
    lambda inner: st.builds(Every, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()),
    max_leaves=6,
).map(lambda test: numbered(test, count()))
inputs = st.dictionaries(st.sampled_from(NAMES), st.builds(Input, NUMBERS, st.just(0.0)))
truths = st.lists(st.sampled_from((True, False, None)), max_size=4).map(tuple)


def three(test: Test, known: dict[str, Input], held: tuple[bool | None, ...] = ()) -> bool | None:
    """Weigh in three values: an unknown one follows what its owner says of it."""
    yes, no = (weigh(Condition("", test, unknown), known, 0.0, held)[0] for unknown in (True, False))
    return yes if yes is no else None


@given(tests, inputs)
def test_not_turns_yes_and_no_around_and_leaves_the_unknown(test, known):
    """Within the hysteresis neither has begun."""
    test = bare(test)
    word = three(test, known)
    assert three(negated(test), known) is (None if word is None else not word)
    assert negated(negated(test)) == test


@given(tests, inputs, truths)
def test_what_holds_is_so_as_it_is_written(test, known, held):
    """A hysteresis puts the beginning off, never the end."""
    assert three(test, known, held) is not True or three(bare(test), known) is True


@given(st.lists(tests, min_size=1, max_size=3), inputs)
def test_and_is_the_least_and_or_the_most(parts, known):
    order = {False: 0, None: 1, True: 2}
    places = count()
    parts = [numbered(part, places) for part in parts]
    words = [three(part, known) for part in parts]
    assert three(Every(tuple(parts)), known) is min(words, key=order.__getitem__)
    assert three(Every(tuple(parts), any_of=True), known) is max(words, key=order.__getitem__)


@given(tests, inputs, inputs)
def test_what_becomes_known_never_contradicts(test, less, more):
    """Who learns more may turn unknown into yes or no, and never yes into no."""
    word = three(test, less)
    assert word is None or three(test, {**more, **less}) is word


@given(tests, inputs, truths, st.sampled_from((True, False, None)))
def test_weighing_twice_is_weighing_once(test, known, held, unknown):
    condition = Condition("", test, unknown)
    first, kept = weigh(condition, known, 0.0, held)
    second, same = weigh(condition, known, 0.0, kept)
    assert (first, kept) == (second, same)
    assert same is kept
    assert sentence(condition, known, 0.0, kept)


@given(
    st.sampled_from(("<", "<=", ">", ">=")),
    st.integers(1, 10),
    st.lists(st.one_of(st.none(), st.integers(-20, 20)), min_size=2, max_size=40),
)
def test_between_two_changes_lies_the_band(op, band, values):
    """It begins to hold a band within its limit and ends at it, whatever comes in between, unknown values too."""
    condition = Condition("", Compare(0, Term(inputs=(("a", 1.0),)), op, Term(0.0), float(band)))
    held: tuple[bool | None, ...] = (None,)
    for value in values:
        before = held[0]
        _, held = weigh(condition, {} if value is None else {"a": Input(float(value), 0.0)}, 0.0, held)
        if value is None or held[0] is before:
            assert held[0] is before
            continue
        within = -value if op in {"<", "<="} else value
        assert within >= band if held[0] else within <= 0 or (before is None and within <= band)


STEPS = st.one_of(st.none(), st.integers(1, 60).map(lambda tenths: f"{tenths / 10} °C"))


@given(st.integers(-200, 400), st.integers(1, 60), STEPS)
def test_between_two_limits_it_can_begin(least, width, hysteresis):
    """By default at once in the middle; with a hysteresis of its owner's on the way up, or he is told."""
    text = f"{least / 10} °C < tank < {(least + width) / 10} °C"
    found = read(text, hysteresis)
    if isinstance(found, Misread):
        assert "nothing could begin" in str(found)
        assert float(str(hysteresis).split()[0]) * 10 >= width
        return
    middle = {"tank": Input((least + width / 2) / 10, 0.0)}
    assert hysteresis or weigh(found, middle, 0.0, ())[0]
    begun, held = False, tuple[bool | None, ...]()
    for hundredths in range(least * 10 - 700, (least + width) * 10):
        holds, held = weigh(found, {"tank": Input(hundredths / 100 + 0.005, 0.0)}, 0.0, held)
        begun |= holds
    assert begun


@given(st.sampled_from(("<", "<=", ">", ">=")), st.integers(0, 100))
def test_a_share_can_begin_and_end(op, limit):
    found = parse_condition(f"soc {op} {limit} %", UNITS)
    best, worst = (0.0, 100.0) if op in {"<", "<="} else (100.0, 0.0)
    never = any("never" in said for said in unreachable(found))
    always = any("always" in said for said in unreachable(found))
    holds, held = weigh(found, {"soc": Input(best, 0.0)}, 0.0, ())
    assert holds is not never
    assert weigh(found, {"soc": Input(worst, 0.0)}, 0.0, held)[0] is always


WORDS = st.sampled_from((
    "tank", "room", "soc", "guests", "co2", "heat-pump.power", "grid_w", "nobody", "and", "or", "not", "true", "(", ")",
    "<", "<=", ">", "==", "!=", "+", "-", "*", "/", "60 °C", "50 %", "2", "0", "0.5 kW", "800 ppm", "0.12/kWh",
    "=", ",", "1,5",
))  # fmt: skip


def read(text: str, hysteresis: str | None = None) -> Condition | Misread:
    """Return the condition, or what refuses it; anything else that is raised is a bug."""
    try:
        return parse_condition(text, UNITS, hysteresis)
    except Misread as refused:
        return refused


@given(st.one_of(st.text(), st.lists(WORDS, max_size=12).map(" ".join)), st.one_of(st.none(), st.text(max_size=8)))
def test_any_text_is_read_or_refused_with_a_sentence(text, hysteresis):
    found = read(text, hysteresis)
    if isinstance(found, Misread):
        assert str(found)
        assert found.at is None or 0 <= found.at <= len(text)
        return
    assert names(found) <= UNITS.keys()
    assert [compare.index for compare in comparisons(found.test)] == list(range(len(list(comparisons(found.test)))))
    assert isinstance(unreachable(found), tuple)
    weigh(found, {}, 0.0, ())


@st.composite
def texts(draw: st.DrawFn, depth: int = 2) -> str:
    """Conditions that can be meant."""
    kind = draw(
        st.sampled_from(("temperature", "share", "truth", "sum") + (("and", "or", "not", "()") if depth else ()))
    )
    number = draw(st.integers(1, 99))
    op = draw(st.sampled_from(("<", "<=", ">", ">=")))
    inner = texts(depth=depth - 1)
    match kind:
        case "temperature":
            return f"{draw(st.sampled_from(('tank', 'room', 'boiler.temperature')))} {op} {number} °C"
        case "share":
            return f"{number} % {op} soc"
        case "truth":
            return draw(st.sampled_from(("guests", "heat-pump.on", "guests == false", "not guests")))
        case "sum":
            return f"2 * tank - room / {number} {op} {number} °C + tank"
        case "not":
            return f"not ({draw(inner)})"
        case "()":
            return f"({draw(inner)})"
        case _:
            return f"({draw(inner)}) {kind} {draw(inner)}"


@given(texts())
def test_what_is_spelled_reads_back(text):
    found = parse_condition(text, UNITS, "0")
    again = parse_condition(spell_test(found.test), UNITS, "0")
    assert spell_test(again.test) == spell_test(found.test)


@given(
    texts(),
    st.dictionaries(st.sampled_from(sorted(UNITS)), st.builds(Input, st.integers(-99, 99).map(float), st.just(0.0))),
)
def test_what_cannot_be_reached_never_is(text, known):
    """The lint says never and always of what never and always holds, as far as the values are such that can be."""
    known = {
        name: Input(min(100.0, abs(found.value)), 0.0) if name == "soc" else found for name, found in known.items()
    }
    found = parse_condition(text, UNITS, "0")
    for said in unreachable(found):
        if said == f"`{spell_test(found.test)}` can never hold":
            assert not weigh(found, known, 0.0, ())[0]
        if said == f"`{spell_test(found.test)}` always holds":
            assert weigh(Condition("", found.test, unknown=True), known, 0.0, ())[0]
