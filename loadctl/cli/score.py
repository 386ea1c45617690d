"""`loadctl score`: what rules are worth, in money, on recorded days."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from loadctl.lab.contest import Day
    from loadctl.lab.scenario_file import Scenario
    from loadctl.lab.score import Score
    from loadctl.lab.trace import Moments, Trace


@click.command()
@click.argument("rules", metavar="RULES")
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--house", metavar="FILE", help="What the appliances really are: the `house:` of this scenario file.")
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="So many days at once.")
@click.option("--search", type=click.FloatRange(1), default=60.0, metavar="SECONDS", help="Time to look for each plan.")
def score(*, rules: str, traces: tuple[Path, ...], house: str | None, as_json: bool, jobs: int, search: float) -> None:
    """Live through recorded days under RULES and count the money.

    RULES is a rule file, a scenario file (`rules:` and `house:`), or one of the built-in homes `a`, `b`, `c`. Each day
    of each TRACE (CSV with time, pv_w, load_w) is lived under these rules, under no diversion, under what others do,
    and beside the perfect-foresight plan: the best that anybody could have done who knew the day. The share is the part
    of that plan's saving that was reached. The cost is what was bought less what was sold, with 0.005 for the wear of
    each start, and with what was not served in time and had to be bought.
    """
    from loadctl.errors import LoadctlError
    from loadctl.lab.side_by_side import guesses_of, homes_of

    try:
        from loadctl.lab.contest import contests
    except ModuleNotFoundError as error:
        raise LoadctlError(f"scoring needs {error.name}: pip install 'loadctl[lab]'") from error
    homes = homes_of([rules], house)
    (home,) = homes.values()
    found = _days(traces, home)
    done: list[Day] = []
    for day in contests([(home, trace) for trace in found], jobs, limit_s=search):
        done.append(day)
        if not as_json:
            click.echo("\n".join(told(day)))
    if as_json:
        click.echo(json.dumps({"days": [plain(day) for day in done], "total": total(done)}, indent=2))
    elif len(done) > 1:
        click.echo("\n".join(summed(done)))
    for note in guesses_of(homes):
        click.echo(f"loadctl: {note}", err=True)
    if home.guessed:
        click.echo("loadctl: the score judges that guess: more than a need is worth what selling would bring", err=True)


def _days(paths: Sequence[Path], home: Scenario) -> list[Trace]:
    from loadctl.errors import LoadctlError
    from loadctl.lab.days import days

    found: dict[Moments, Trace] = {}
    for path in paths:
        for day in days(path, home.zone):
            if day.moments in found:
                raise LoadctlError(f"{path}: {day.name} is given twice; it would count twice")
            found[day.moments] = day
    return list(found.values())


def told(day: Day) -> Iterator[str]:
    """Yield the lines on one day: a table of policies, and where the rest was lost."""
    from loadctl.lab.contest import share

    yield f"{day.trace}, home {day.home}" + (f", {day.known:.1%} of it known" if day.known < 0.9995 else "")
    yield f"  {'':28}{'cost':>8}{'saved':>8}{'share':>8}{'starts':>8}  unmet"
    for one in day.scores:
        reached = share([day.saved(one)], [day.possible])
        yield _row(one.policy, one.money, day.saved(one), _shown(reached), one.all_starts, _unmet(one))
    if day.plan is None or day.planned is None:
        yield f"  no perfect plan: {day.why}"
        return
    plan, reached = day.plan, share([day.planned], [day.possible])
    at_most = f"a better plan saves {_shown(plan.gap)} more at most, on a grid of {plan.step_s} s"
    if day.beaten_by is not None:
        at_most = f"{day.beaten_by.policy} saved more, so more was possible; look longer with --search"
    if reached is None:
        at_most = f"nothing to save, so no share; {at_most}"
    starts = sum(plan.starts.values())
    yield _row("perfect foresight", plan.money, day.planned, _shown(reached), starts, at_most)
    yield from _lost(day.losses)


def summed(days: Sequence[Day]) -> Iterator[str]:
    """Yield the lines on all days together."""
    everything = total(days)
    planned = everything["planned"]
    if planned == len(days):
        yield f"{len(days)} days together"
    elif planned:
        yield f"{len(days)} days together: sums and share over {planned} of {len(days)} days, those with a perfect plan"
    else:
        yield f"{len(days)} days together, without a share: none has a perfect plan"
    for name, entry in everything["policies"].items():
        yield _row(name, entry["money"], entry["saved"], _shown(entry["share"], 3), entry["starts"])
    if (best := everything["foresight"]) is not None:
        at_most = f"better plans save {_shown(best['gap'])} more at most"
        if best["beaten"]:
            at_most += f"; on {best['beaten']} of the days a policy saved more than the plan"
        shared = _shown(best["share"], 3)
        yield _row("perfect foresight", best["money"], best["saved"], shared, best["starts"], at_most)
    yield from _lost(everything["losses"])


def total(days: Sequence[Day]) -> dict[str, Any]:
    """Return the sums over the days that have a plan, if there are any: only those can be compared with it."""
    from loadctl.lab.contest import share

    planned = [day for day in days if day.plan is not None]
    counted = planned or days
    possible = [day.possible for day in counted]
    policies = {}
    for name in (one.policy for one in counted[0].scores):
        scores = [_of(day, name) for day in counted]
        saved = [day.saved(one) for day, one in zip(counted, scores, strict=True)]
        policies[name] = {
            "money": _round(sum(one.money for one in scores), 4),
            "saved": _round(sum(saved), 4),
            "share": share(saved, possible),
            "starts": sum(one.all_starts for one in scores),
            "unmet_kwh": round(sum(one.unmet_wh for one in scores) / 1000, 3),
            "broken_minimum_times": sum(len(one.broken) for one in scores),
        }
    causes = sorted({cause for day in counted for cause in day.losses})
    losses = {cause: _round(sum(day.losses.get(cause, 0.0) for day in counted), 4) for cause in causes}
    return {
        "days": len(days),
        "planned": len(planned),
        "policies": policies,
        "foresight": _plans(planned) if planned else None,
        "losses": losses,
    }


def plain(day: Day) -> dict[str, Any]:
    """Return a day as plain values."""
    from loadctl.lab.contest import share

    return {
        "home": day.home,
        "trace": day.trace,
        "known": round(day.known, 4),
        "policies": {
            one.policy: {
                "money": _round(one.money, 4),
                "saved": _round(day.saved(one), 4),
                "share": _round(share([day.saved(one)], [day.possible]), 4),
                "import_kwh": round(one.import_wh / 1000, 3),
                "export_kwh": round(one.export_wh / 1000, 3),
                "starts": dict(one.starts),
                "unmet": [
                    {"load": lack.load, "by": lack.due, "kwh": round(lack.energy_wh / 1000, 3)} for lack in one.unmet
                ],
                "broken_minimum_times": len(one.broken),
            }
            for one in day.scores
        },
        "foresight": _plain_plan(day),
        "no_foresight": day.why or None,
        "losses": {cause: _round(money, 4) for cause, money in day.losses.items()},
    }


def _plain_plan(day: Day) -> dict[str, Any] | None:
    from loadctl.lab.contest import share

    plan = day.plan
    if plan is None:
        return None
    return {
        "money": _round(plan.money, 4),
        "saved": _round(day.planned, 4),
        "share": _round(share([day.planned or 0.0], [day.possible]), 4),
        "gap": _round(plan.gap, 4),
        "step_s": plan.step_s,
        "starts": dict(plan.starts),
    }


def _plans(days: Sequence[Day]) -> dict[str, Any]:
    """Return the sums of the plans of days that have one."""
    from loadctl.lab.contest import share

    plans = [day.plan for day in days if day.plan is not None]
    saved = [day.planned or 0.0 for day in days]
    return {
        "money": _round(sum(plan.money for plan in plans), 4),
        "saved": _round(sum(saved), 4),
        "share": share(saved, [day.possible for day in days]),
        "gap": _round(sum(plan.gap for plan in plans), 4),
        "starts": sum(sum(plan.starts.values()) for plan in plans),
        "beaten": sum(day.beaten_by is not None for day in days),
    }


def _row(name: str, cost: float, saved: float, reached: str, starts: int, more: str = "") -> str:
    return f"  {name:28}{_shown(cost):>8}{_shown(saved):>8}{reached:>8}{starts:8}  {more}".rstrip()


def _lost(losses: Mapping[str, float]) -> Iterator[str]:
    from loadctl.lab.losses import called

    lost = sorted(((money, cause) for cause, money in losses.items() if abs(money) >= 0.005), reverse=True)
    if lost:
        yield "  lost: " + ", ".join(f"{_shown(money)} {called(cause, money)}" for money, cause in lost)


def _shown(number: float | None, digits: int = 2) -> str:
    return "" if number is None else f"{number:z.{digits}f}"


def _round(number: float | None, digits: int) -> float | None:
    """Round to a number that is never -0."""
    return None if number is None else round(number, digits) + 0.0


def _of(day: Day, name: str) -> Score:
    return next(one for one in day.scores if one.policy == name)


def _unmet(one: Score) -> str:
    lacks = [
        f"{lack.load} {lack.energy_wh / 1000:.1f} kWh{' (tank)' if lack.due is None else ''}"
        for lack in one.unmet
        if lack.energy_wh >= 50
    ]
    if one.broken:
        lacks.append(f"{len(one.broken)} minimum times broken")
    return ", ".join(lacks)
