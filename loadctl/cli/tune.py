"""`loadctl tune`: look for better rules on recorded days, and propose what held-back days confirm."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from loadctl.lab.tune.days import Sum
    from loadctl.lab.tune.propose import Change, Proposal, Row
    from loadctl.lab.tune.space import Settings, Space
    from loadctl.lab.tune.write import Line


@click.command()
@click.argument("rules", metavar="RULES")
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--house", metavar="FILE", help="What the appliances really are: the `house:` of this scenario file.")
@click.option("--trials", type=click.IntRange(1), default=60, show_default=True, help="So many rules are tried.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="So many days at once.")
@click.option("--storage", metavar="URL", help="Share the search with others: sqlite:///FILE, journal://FILE, …")
@click.option("--study", metavar="NAME", help="Its name in the storage; default: that of the rule file.")
@click.option("--only-search", is_flag=True, help="Help others with the search; judge and propose nothing.")
@click.option("--patience", type=click.FloatRange(1), default=60.0, metavar="SECONDS", help="Silence of one who died.")
@click.option("--cluster", metavar="ADDRESS", help="Live the days on the workers of this Dask scheduler: tcp://…")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the search's dice.")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@click.option("--write", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write the tuned rules there.")
@click.option("--force", is_flag=True, help="Let --write write over a file.")
def tune(
    *,
    rules: str,
    traces: tuple[Path, ...],
    house: str | None,
    trials: int,
    jobs: int,
    storage: str | None,
    study: str | None,
    only_search: bool,
    patience: float,
    cluster: str | None,
    seed: int,
    as_json: bool,
    target: Path | None,
    force: bool,
) -> None:
    """Look for better rules on recorded days.

    RULES is a rule file, a scenario file (`rules:` and `house:`), or one of the built-in homes `a`, `b`, `c`. On every
    second day of the TRACEs thresholds, hold times, minimum times (only longer ones) and the order of the loads are
    tried; the other days are held back and decide what is proposed. Money is counted as `loadctl score` does.
    """
    from loadctl.errors import LoadctlError
    from loadctl.lab.days import days as cut
    from loadctl.lab.tune import cluster as places
    from loadctl.lab.tune.days import Days, split
    from loadctl.lab.tune.space import space_of
    from loadctl.lab.tune.subject import read_subject

    try:
        from loadctl.lab.tune import study as studies
        from loadctl.lab.tune.propose import propose
    except ModuleNotFoundError as error:
        raise LoadctlError(places.MISSING.format(error.name)) from error
    if target is not None and target.exists() and not force:
        raise LoadctlError(f"{target} exists; name another file, or write over it with --force")
    if target is not None and not os.access(target.parent, os.W_OK):
        raise LoadctlError(f"{target} cannot be written: there is no folder {target.parent} that you may write to")
    subject = read_subject(rules, house)
    parts = split(day for trace in traces for day in cut(trace, subject.scenario.zone))
    space = space_of(subject, [*parts.searched, *parts.held])
    if not space.knobs:
        raise LoadctlError(f"{subject.file}: nothing to tune; {'; '.join(space.left_alone)}".rstrip("; "))
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(studies.stored(storage))
        pool = stack.enter_context(places.cluster(cluster) if cluster else places.local(jobs))
        plan = studies.Plan(trials, pool.width, seed, patience, storage is None, _progress(quiet=as_json))
        name = study or subject.scenario.name
        opened = studies.open_study(kept, name, subject.print_of([*parts.searched, *parts.held]), space, plan)
        lived = Days(space, pool.executor, subject.changed(()).on(parts.searched[0]).controller.house.tariff.buy.usual)
        if only_search:
            found = studies.search(opened, space, lived, parts.searched, plan)
            click.echo(f"the study `{name}` is done: {len(found)} rules were tried")
            return
        proposal = propose(opened, space, lived, parts, plan)
    lines = list(_lines(space, proposal))
    if target is not None and proposal.settings:
        _write(space, lines, target)
    if as_json:
        click.echo(json.dumps(plain(space, proposal), indent=2))
        return
    click.echo("\n".join(told(space, proposal)))
    if target is not None:
        click.echo(f"Written to {target}." if proposal.settings else f"{target} was not written.")


def told(space: Space, proposal: Proposal) -> Iterator[str]:
    """Yield what a person reads."""
    from loadctl.lab.tune.evidence import rule
    from loadctl.lab.tune.propose import Row

    yield f"{space.subject.file.name}: {proposal.trials} rules tried. {proposal.split.sentence}"
    yield from space.left_alone
    yield ""
    yield "Money against switching, a day: your rules, then those to which no others that were tried are better in both"
    yield f"  {'searched days':>18}{'held-back days':>20}"
    yield f"  {'cost':>9}{'starts':>9}{'cost':>11}{'starts':>9}"
    yours = Row((), *proposal.before)
    for row in (yours, *(row for row in proposal.trade if row.settings)):
        held = f"{row.held.money:11.3f}{row.held.starts:9.1f}" if row.held else " " * 20
        yield f"  {row.searched.money:9.3f}{row.searched.starts:9.1f}{held}   {_short(space, row.settings)}"
    yield ""
    dropped = [change for change in proposal.changes if not change.kept]
    if not proposal.settings:
        yield f"Nothing is proposed: {proposal.why}"
    else:
        yield "Proposed:"
        for change in proposal.changes:
            if change.kept:
                yield f"- {_what(space, proposal.settings, change.name)}: {_brings(change)}."
        before, after = proposal.before[1], proposal.after[1]
        if before and after and proposal.whole:
            yield (
                f"All together: {before.money:.3f} a day becomes {after.money:.3f} on the held-back days, "
                f"{before.starts:.1f} starts become {after.starts:.1f}; {_chance(proposal.whole.chance)}."
            )
    for change in dropped:
        yield f"Not proposed: {change.name}, {_saves(change.gain.mean)} a day there; {_chance(change.gain.chance)}."
    yield rule(len(proposal.split.held))


def plain(space: Space, proposal: Proposal) -> dict[str, Any]:
    """Return it as plain values."""
    parts = proposal.split
    return {
        "rules": str(space.subject.file),
        "trials": proposal.trials,
        "days": {
            "searched": [day.name for day in parts.searched],
            "held_back": [day.name for day in parts.held],
            "left_out": parts.left_out,
        },
        "left_alone": list(space.left_alone),
        "trade": [_plain_row(space, row) for row in proposal.trade],
        "proposed": _edits(space, proposal.settings),
        "why_nothing": proposal.why or None,
        "changes": [
            {
                "name": change.name,
                "proposed": change.kept,
                "saves_searched": round(change.searched, 4),
                "saves_held_back": round(change.gain.mean, 4),
                "by_chance": round(change.gain.chance, 5),
                "better_days": change.gain.better,
                "worse_days": change.gain.worse,
                "more_starts": round(change.starts, 2),
            }
            for change in proposal.changes
        ],
        "before": _plain_sums(*proposal.before),
        "after": _plain_sums(*proposal.after),
    }


def _plain_row(space: Space, row: Row) -> dict[str, Any]:
    return {"rules": _edits(space, row.settings), **_plain_sums(row.searched, row.held)}


def _plain_sums(searched: Sum, held: Sum | None) -> dict[str, Any]:
    def one(total: Sum | None) -> dict[str, float] | None:
        return None if total is None else {"money": round(total.money, 4), "starts": round(total.starts, 2)}

    return {"searched": one(searched), "held_back": one(held)}


def _edits(space: Space, settings: Settings) -> dict[str, str | int]:
    return {".".join(map(str, edit.path)): edit.value for edit in space.edits(settings)}


def _short(space: Space, settings: Settings) -> str:
    edits = space.edits(settings)
    said = ", ".join(f"{edit.path[1]}: {'.'.join(map(str, edit.path[2:]))} {edit.value}" for edit in edits)
    return said or "your rules"


def _what(space: Space, settings: Settings, name: str) -> str:
    """Say what one change writes, and what stands there now."""
    from loadctl.lab.tune.write import old_value

    said = []
    for edit in space.edits_of(settings, name):
        old = old_value(space.subject.text, space.subject.prefix, edit)
        key = ".".join(map(str, edit.path[2:]))
        said.append(
            f"`{key}: {edit.value}`" + (f" instead of `{old}`" if old else f", new ({_default(space, edit.path)})")
        )
    load = space.knobs[name].load or name
    return f"{load}: {' and '.join(said)}"


def _default(space: Space, path: tuple[str | int, ...]) -> str:
    """Say what holds where nothing is written."""
    from loadctl.units import spell

    load = space.loads[str(path[1])]
    match path[2]:
        case "min_on":
            return f"until now {spell(load.min_on_s, 's')}"
        case "min_off":
            return f"until now {spell(load.min_off_s, 's')}"
        case "rise_every" if load.follow is not None:
            return f"until now {spell(load.follow.every_s, 's')}"
        case _:
            return "until now the default"


def _brings(change: Change) -> str:
    starts = f"{abs(change.starts):.1f} starts a day {'more' if change.starts > 0 else 'fewer'}"
    more = f", {starts}" if abs(change.starts) >= 0.05 else ""
    return (
        f"{_saves(change.gain.mean)} a day on the held-back days ({_saves(change.searched)} on those searched){more}; "
        f"better on {change.gain.better} days, worse on {change.gain.worse}; {_chance(change.gain.chance)}"
    )


def _saves(money: float) -> str:
    return f"saves {money:.3f}" if money >= 0 else f"costs {-money:.3f}"


def _chance(chance: float) -> str:
    return f"by chance once in {1 / chance:.0f} times" if chance < 0.5 else "as good as chance"


def _lines(space: Space, proposal: Proposal) -> Iterator[Line]:
    """Yield the changes to be written, each value once, with why."""
    from loadctl.lab.tune.write import Line, old_value

    by_name = {change.name: change for change in proposal.changes}
    reasons = {name: space.edits_of(proposal.settings, name) for name, _ in proposal.settings}
    for edit in space.edits(proposal.settings):
        old = old_value(space.subject.text, space.subject.prefix, edit)
        names = [name for name, edits in reasons.items() if edit in edits] or [name for name, _ in proposal.settings]
        whys = [
            f"{'' if len(names) == 1 else name + ' '}{_saves(by_name[name].gain.mean)} a day on "
            f"{len(proposal.split.held)} held-back days"
            for name in names
            if name in by_name
        ]
        was = f"was `{old}`" if old else f"new, {_default(space, edit.path)}"
        yield Line(edit, f"{was}; {'; '.join(whys)}")


def _write(space: Space, lines: list[Line], target: Path) -> None:
    from loadctl.config import parse
    from loadctl.errors import LoadctlError
    from loadctl.lab.tune.write import written

    subject = space.subject
    text = written(subject.text, subject.prefix, lines, subject.file)
    if not subject.prefix:
        parse(text, str(subject.file), lenient=True)
    try:
        fresh = target.with_name(target.name + ".new")
        fresh.write_bytes(text.encode())
        fresh.replace(target)
    except OSError as error:
        raise LoadctlError(f"{target}: cannot be written: {error.strerror}") from error


def _progress(*, quiet: bool) -> Any:
    def said(done: int, wanted: int) -> None:
        if not quiet and sys.stderr.isatty():
            click.echo(f"\r{done} of {wanted} rules tried", nl=done >= wanted, err=True)

    return said
