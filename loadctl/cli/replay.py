"""`loadctl replay`: what rules would have done on days that were."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from loadctl.cli.words import Duration, read_moment

if TYPE_CHECKING:
    from loadctl.lab.course import Course, Part, Totals
    from loadctl.lab.difference import Difference
    from loadctl.lab.trace import Trace

WORTH_TELLING_WH = 50.0
MOST_TOLD = 20  # differences in the text
UNKNOWN = "unknown"


@click.command()
@click.argument("files", metavar="RULES... TRACE...", nargs=-1, required=True)
@click.option("--trace", "traces", multiple=True, metavar="FILE", help="One more trace.")
@click.option("--last", type=Duration(), metavar="30d", help="No file, but so much of this house's own history.")
@click.option("--from", "begin", metavar="TIME", help="Only from 2025-06-01, 'yesterday 14:00' or so on…")
@click.option("--to", "end", metavar="TIME", help="…until then; a day is included as a whole.")
@click.option("--house", metavar="FILE", help="What the appliances really are: the `house:` of this scenario file.")
@click.option("--entity", "entities", multiple=True, metavar="pv=sensor.x", help="Which is which in Home Assistant's.")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Draw an .html or .png.")
@click.option("--decisions", is_flag=True, help="Tell every decision and its reason.")
@click.option("--json", "as_json", is_flag=True, help="For programs: W, Wh, s; all decisions; null is unknown.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="So many rule files at once.")
@click.option("--state-dir", type=click.Path(path_type=Path, file_okay=False), help="Where the history is kept.")
def replay(
    *,
    files: tuple[str, ...],
    traces: tuple[str, ...],
    last: float | None,
    begin: str | None,
    end: str | None,
    house: str | None,
    entities: tuple[str, ...],
    plot: Path | None,
    decisions: bool,
    as_json: bool,
    jobs: int,
    state_dir: Path | None,
) -> None:
    """Live through recorded days under RULES: what would have run when and why, and what it would have cost.

    RULES are rule files, scenario files (`rules:` and `house:`) or the built-in homes `a`, `b`, `c`; several are set
    side by side. A TRACE is a CSV file with time, pv_w and load_w, or what `loadctl history export` or Home Assistant
    wrote. All days are lived as one.
    """
    from loadctl.lab.side_by_side import Job, compared, guesses_of, homes_of, is_rules, live_all

    if plot is not None and plot.suffix not in {".html", ".png"}:
        raise click.UsageError(f"--plot {plot}: the name of a picture ends in .html or .png")
    names = [name for name in files if is_rules(name)]
    paths = [Path(name) for name in (*(name for name in files if not is_rules(name)), *traces)]
    if not names:
        raise click.UsageError(f"say which rules to live under: a .yaml file before {files[0]}")
    if bool(paths) == (last is not None):
        raise click.UsageError("say which days to live through: trace files, or --last 30d of this house's history")
    homes = homes_of(names, house)
    zone = next((home.zone for home in homes.values() if home.zone is not None), None)
    trace = _of_history(last, state_dir) if last is not None else _of_files(paths, zone, entities)
    trace = _part(trace, begin, end)
    for note in trace.notes:
        click.echo(f"loadctl: {note}", err=True)
    several = len(homes) > 1
    kept = several or as_json or decisions or plot is not None
    jobs_ = [Job(name, home, trace, plot is not None, kept) for name, home in homes.items()]
    courses = live_all(jobs_, jobs)
    found = compared(jobs_, courses, jobs) if several else []
    if plot is not None:
        _draw(plot, courses)
    if as_json:
        click.echo(json.dumps(plain(courses, found), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(table(courses)))
        for course in courses if decisions else ():
            click.echo("\n".join(decided(course, titled=several)))
        if several:
            click.echo("\n".join(differing(courses, found)))
    for note in guesses_of(homes):
        click.echo(f"loadctl: {note}", err=True)
    for course in courses:
        if course.unknown:
            what = ", ".join(f"`{name}`" for name in course.unknown)
            click.echo(f"loadctl: {course.name} asks for {what}, of which the trace tells nothing", err=True)


def plain(courses: Sequence[Course], found: Sequence[Difference]) -> dict[str, Any]:
    """Return courses and their differences as plain values."""
    first = courses[0]
    return {
        "from": _moment(first, first.begin).isoformat(),
        "to": _moment(first, first.end).isoformat(),
        "rules": [
            {"name": course.name, "decisions": course.plain()["decisions"], "totals": course.totals.plain()}
            for course in courses
        ],
        "differences": [each.plain() for each in found],
    }


def table(courses: Sequence[Course]) -> Iterator[str]:
    """Yield the lines of a table: what each course came to, a column for each."""
    first = courses[0]
    begin, end = _moment(first, first.begin), _moment(first, first.end)
    known = first.totals.seconds
    days = f"{known / 86400:.1f} days" if known > 1.5 * 86400 else f"{known / 3600:.1f} h"
    yield f"{begin:%a %F %H:%M} to {end:%a %F %H:%M}, {days} of it known"
    widths = [max(10, len(course.name)) + 2 for course in courses]
    yield f"{'':26}" + "".join(f"{course.name:>{width}}" for course, width in zip(courses, widths, strict=True))
    for label, *cells in _rows(courses):
        yield f"{label:26}{''.join(f'{cell:>{width}}' for cell, width in zip(cells, widths, strict=True))}".rstrip()


def _rows(courses: Sequence[Course]) -> Iterator[tuple[str, ...]]:
    totals = [course.totals for course in courses]
    yield "from the sun", *(_kwh(one.pv_wh) for one in totals)
    yield "the house itself", *(_kwh(one.base_wh) for one in totals)
    yield "bought", *(_kwh(one.import_wh) for one in totals)
    yield "sold", *(_kwh(one.export_wh) for one in totals)
    yield "of the sun used here", *(_share(one) for one in totals)
    yield "paid", *(f"{one.paid:z.2f}" for one in totals)
    yield "earned", *(f"{one.earned:z.2f}" for one in totals)
    yield "the bill", *(f"{one.money:z.2f}" for one in totals)
    lacked = [sum(lack.energy_wh for lack in one.unmet) for one in totals]
    if max(lacked) >= WORTH_TELLING_WH:
        yield "not served in time", *map(_kwh, lacked)
    for load in dict.fromkeys(name for one in totals for name in one.loads):
        parts = [one.loads.get(load) for one in totals]
        yield load, *("" for _ in parts)
        yield "  used", *_each(parts, lambda part: _kwh(part.energy_wh))
        yield "  of it bought", *_each(parts, lambda part: _kwh(part.grid_wh))
        yield "  on for", *_each(parts, lambda part: _hours(part.on_s))
        yield "  starts", *_each(parts, lambda part: str(part.starts))
        if any(part is not None and part.needs for part in parts):
            yield "  needs met", *_each(parts, lambda part: f"{part.needs - part.missed} of {part.needs}")
        if any(part is not None and part.unjudged for part in parts):
            yield "  needs hidden by a gap", *_each(parts, lambda part: f"{part.unjudged} not judged")


def decided(course: Course, *, titled: bool) -> Iterator[str]:
    """Yield a line for each decision."""
    yield ""
    if titled:
        yield f"What {course.name} decided"
    width = max((len(one.load) for one in course.decided), default=0)
    day = None
    for one in course.decided:
        when = _moment(course, one.time)
        if when.date() != day:
            day = when.date()
            yield f"{when:%A %F}"
        yield f"  {when:%H:%M:%S}  {one.load:{width}}  {one.sentence}"


def differing(courses: Sequence[Course], found: Sequence[Difference]) -> Iterator[str]:
    """Yield when and why the other courses differ from the first: of each load how often, then the first of all."""
    from loadctl.lab.difference import told

    first = courses[0]
    for other in courses[1:]:
        mine = [each for each in found if other.name in {each.on, each.off}]
        yield ""
        if not mine:
            yield f"{other.name} switches as {first.name} does."
            continue
        lasts_s = sum(each.lasts_s for each in mine)
        yield f"Where {other.name} differs from {first.name}: {_times(len(mine))}, for {_hours(lasts_s)} in all"
        for load in dict.fromkeys(each.load for each in mine):
            yield _summed(load, [each for each in mine if each.load == load])
        for each in mine[:MOST_TOLD]:
            yield from told(each, first)
        if len(mine) > MOST_TOLD:
            yield f"  … and {len(mine) - MOST_TOLD} more; --json has all"


def _summed(load: str, found: Sequence[Difference]) -> str:
    lasts_s: dict[str, float] = {}
    for each in found:
        lasts_s[each.on] = lasts_s.get(each.on, 0.0) + each.lasts_s
    only = ", ".join(f"{_hours(seconds)} on under {name} only" for name, seconds in sorted(lasts_s.items()))
    return f"  {load}: {_times(len(found))}, {only}"


def _of_history(last_s: float, state_dir: Path | None) -> Trace:
    from loadctl.lab.history_trace import history_trace
    from loadctl.service.memory import FILE
    from loadctl.service.memory import state_dir as folder

    now = datetime.now(UTC)
    return history_trace(folder(state_dir, os.environ) / FILE, now - timedelta(seconds=last_s), now)


def _of_files(paths: Sequence[Path], zone: tzinfo | None, entities: Sequence[str]) -> Trace:
    from loadctl.lab.days import clock_of
    from loadctl.lab.trace import joined, open_trace

    named = []
    for entity in entities:
        role, equals, name = entity.partition("=")
        if not (role and equals and name):
            raise click.UsageError(f"--entity {entity}: write what it is and its name, such as pv=sensor.roof_power")
        named.append((role, name))
    return joined([open_trace(path, zone or clock_of(path), tuple(named)) for path in paths])


def _part(trace: Trace, begin: str | None, end: str | None) -> Trace:
    from loadctl.lab.trace import cut

    since = read_moment(begin, trace.zone, "--from").timestamp() if begin else None
    until = read_moment(end, trace.zone, "--to", end=True).timestamp() if end else None
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from must be before --to")
    return cut(trace, since, until)


def _draw(path: Path, courses: Sequence[Course]) -> None:
    if path.suffix == ".html":
        from loadctl.lab.plot.page import page

        try:
            path.write_text(page(courses), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error
        return
    from loadctl.lab.plot.picture import draw

    draw(courses, path)


def _each(parts: Sequence[Part | None], text: Callable[[Part], str]) -> Iterator[str]:
    return ("-" if part is None else text(part) for part in parts)


def _moment(course: Course, at: float) -> datetime:
    return datetime.fromtimestamp(at, course.zone)


def _kwh(wh: float | None) -> str:
    return UNKNOWN if wh is None else f"{wh / 1000:z.2f} kWh"


def _share(totals: Totals) -> str:
    if totals.pv_wh is None:
        return UNKNOWN
    share = totals.self_consumption
    return "-" if share is None else f"{share:.0%}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _hours(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02}" if minutes >= 60 else f"{minutes} min"
