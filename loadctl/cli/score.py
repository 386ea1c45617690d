"""`loadctl score`: what rules are worth, in money, on recorded days."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from loadctl.lab.contest import Day
    from loadctl.lab.scenario_file import Scenario
    from loadctl.lab.score import Score


@click.command()
@click.argument("rules", metavar="RULES")
@click.argument("traces", metavar="TRACE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Say it as JSON.")
@click.option("--jobs", type=click.IntRange(1), default=os.cpu_count() or 1, help="So many days at once.")
@click.option("--search", type=click.FloatRange(1), default=60.0, metavar="SECONDS", help="Time to look for each plan.")
def score(*, rules: str, traces: tuple[Path, ...], as_json: bool, jobs: int, search: float) -> None:
    """Live through recorded days under RULES and count the money.

    RULES is a rule file, a scenario file (`rules:` and `house:`), or one of the built-in homes `a`, `b`, `c`. Each day
    of each TRACE (CSV with time, pv_w, load_w) is lived under these rules, under no diversion, under what others do,
    and beside the perfect-foresight plan: the best that anybody could have done who knew the day. The share is the part
    of that plan's saving that was reached.
    """
    from loadctl.errors import LoadctlError
    from loadctl.lab.days import days
    from loadctl.lab.homes import HOMES
    from loadctl.lab.scenario_file import read_scenario

    try:
        from loadctl.lab.contest import contests
    except ModuleNotFoundError as error:
        raise LoadctlError(f"scoring needs {error.name}: pip install 'loadctl[lab]'") from error
    path = Path(rules)
    if not path.exists() and rules.lower() in HOMES:
        path = HOMES[rules.lower()]
    home: Scenario = read_scenario(path)
    found = [day for trace in traces for day in days(trace, home.zone)]
    done: list[Day] = []
    for day in contests([(home, trace) for trace in found], jobs, limit_s=search):
        done.append(day)
        if not as_json:
            click.echo("\n".join(told(day)))
    if as_json:
        click.echo(json.dumps({"days": [plain(day) for day in done], "total": total(done)}, indent=2))
    elif len(done) > 1:
        click.echo("\n".join(summed(done)))


def told(day: Day) -> Iterator[str]:
    """Yield the lines on one day: a table of policies, and where the rest was lost."""
    yield f"{day.trace}, home {day.home}"
    yield f"  {'':28}{'paid':>8}{'saved':>8}{'share':>8}{'starts':>8}  unmet"
    for one in (day.none, *day.others.values(), day.ours):
        numbers = f"{one.money:8.2f}{day.saved(one):8.2f}{_share(day, one):>8}{one.all_starts:8}"
        yield f"  {one.policy:28}{numbers}  {_unmet(one)}".rstrip()
    if day.plan is None:
        yield f"  no perfect plan: {day.why}"
        return
    plan = day.plan
    starts = sum(plan.starts.values())
    yield (
        f"  {'perfect foresight':28}{plan.money:8.2f}{day.possible or 0:8.2f}{'1.00':>8}{starts:8}"
        f"  a better plan saves {plan.gap:.2f} more at most, on a grid of {plan.step_s} s"
    )
    lost = sorted(((money, cause) for cause, money in day.losses.items() if abs(money) >= 0.005), reverse=True)
    if lost:
        yield "  lost: " + ", ".join(f"{money:.2f} {cause}" for money, cause in lost)


def summed(days: Sequence[Day]) -> Iterator[str]:
    """Yield the lines on all days together."""
    everything = total(days)
    yield f"{len(days)} days together"
    for name, entry in everything["policies"].items():
        shared = "" if entry["share"] is None else f"{entry['share']:.3f}"
        yield f"  {name:28}{entry['money']:8.2f}{entry['saved']:8.2f}{shared:>8}{entry['starts']:8}"
    lost = ", ".join(f"{money:.2f} {cause}" for cause, money in everything["losses"].items() if abs(money) >= 0.005)
    if lost:
        yield f"  lost: {lost}"


def total(days: Sequence[Day]) -> dict[str, Any]:
    """Return the sums over the days; a share is the ratio of sums over the days that have a plan."""
    from loadctl.lab.contest import share

    possible = [day.possible for day in days]
    policies = {}
    for name in (days[0].none.policy, *days[0].others, days[0].ours.policy):
        scores = [_of(day, name) for day in days]
        saved = [day.saved(one) for day, one in zip(days, scores, strict=True)]
        policies[name] = {
            "money": round(sum(one.money for one in scores), 4),
            "saved": round(sum(saved), 4),
            "share": share(saved, possible),
            "starts": sum(one.all_starts for one in scores),
            "unmet_kwh": round(sum(one.unmet_wh for one in scores) / 1000, 3),
            "broken_minimum_times": sum(len(one.broken) for one in scores),
        }
    causes = sorted({cause for day in days for cause in day.losses})
    losses = {cause: round(sum(day.losses.get(cause, 0.0) for day in days), 4) for cause in causes}
    return {"policies": policies, "losses": losses}


def plain(day: Day) -> dict[str, Any]:
    """Return a day as plain values."""
    plan = day.plan
    return {
        "home": day.home,
        "trace": day.trace,
        "policies": {
            one.policy: {
                "money": round(one.money, 4),
                "saved": round(day.saved(one), 4),
                "share": None if not day.possible else round(day.saved(one) / day.possible, 4),
                "import_kwh": round(one.import_wh / 1000, 3),
                "export_kwh": round(one.export_wh / 1000, 3),
                "starts": dict(one.starts),
                "unmet": [
                    {"load": lack.load, "by": lack.due, "kwh": round(lack.energy_wh / 1000, 3)} for lack in one.unmet
                ],
                "broken_minimum_times": len(one.broken),
            }
            for one in (day.none, *day.others.values(), day.ours)
        },
        "foresight": None
        if plan is None
        else {
            "money": round(plan.money, 4),
            "saved": round(day.possible or 0.0, 4),
            "gap": round(plan.gap, 4),
            "step_s": plan.step_s,
            "starts": dict(plan.starts),
        },
        "no_foresight": day.why or None,
        "losses": {cause: round(money, 4) for cause, money in day.losses.items()},
    }


def _of(day: Day, name: str) -> Score:
    return next(one for one in (day.none, *day.others.values(), day.ours) if one.policy == name)


def _share(day: Day, one: Score) -> str:
    return f"{day.saved(one) / day.possible:.2f}" if day.possible else ""


def _unmet(one: Score) -> str:
    lacks = [f"{lack.load} {lack.energy_wh / 1000:.1f} kWh" for lack in one.unmet if lack.energy_wh >= 50]
    if one.broken:
        lacks.append(f"{len(one.broken)} minimum times broken")
    return ", ".join(lacks)
