"""The meter against the rules that live on it: measured, not believed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from loadctl.core.rules import Load, Site
from loadctl.core.values import Sample
from loadctl.drivers import Clock, Finding, Level, Meter
from loadctl.errors import DeviceError
from loadctl.units import spell

OK, NOTE, WARNING, DANGER = Level.OK, Level.NOTE, Level.WARNING, Level.DANGER

_ENOUGH = 3  # readings that tell something of noise
_MOST = 100


@dataclass(frozen=True, slots=True)
class Watched:
    """What the meter gave while it was watched; `every_s` is how often it was asked in the end."""

    samples: tuple[Sample, ...] = ()
    errors: tuple[DeviceError, ...] = ()
    every_s: float = 0.0

    @property
    def intervals_s(self) -> tuple[float, ...]:
        """Times between readings that were fresh: one that was repeated is no reading."""
        times = sorted({sample.read_at for sample in self.samples})
        return tuple(later - earlier for earlier, later in pairwise(times))

    @property
    def noise_w(self) -> float | None:
        """By how much one reading differs from the next, typically: one kettle does not spoil it."""
        fresh = {sample.read_at: sample.grid_w for sample in self.samples if sample.grid_w is not None}
        if len(fresh) < _ENOUGH:
            return None
        return median(abs(after - before) for before, after in pairwise(fresh.values()))


async def watch(meter: Meter, clock: Clock, measure_s: float) -> Watched:
    """Read at the meter's own pace for `measure_s`, twice at least; one that fails at once is left alone."""
    samples: list[Sample] = []
    errors: list[DeviceError] = []
    until = clock.now() + measure_s
    while True:
        asked_at, pause_s = clock.now(), 0.0
        try:
            samples.append(await meter.read())
        except DeviceError as error:
            errors.append(error)
            pause_s = error.retry_after_s
        pause_s = max(pause_s, meter.every_s - (clock.now() - asked_at))
        tried = len(samples) + len(errors)
        enough = tried >= _MOST or (tried >= 2 and clock.now() + pause_s > until)
        if not samples or enough:
            return Watched(tuple(samples), tuple(errors), meter.every_s)
        await clock.sleep(pause_s)


def judge_readings(site: Site, watched: Watched) -> tuple[Finding, ...]:
    """Judge how often the meter speaks, how steadily, and whether the rules can live with it."""
    if not watched.samples:
        error = watched.errors[-1]
        return (Finding("reading", Level.UNSEEN, str(error.args[0]), error.hint),)
    found = [_grid(watched)]
    if watched.errors:
        tried = len(watched.samples) + len(watched.errors)
        message = f"{len(watched.errors)} of {tried} readings failed: {watched.errors[-1].args[0]}"
        found.append(Finding("failures", WARNING, message, watched.errors[-1].hint))
    if watched.intervals_s:
        found += [_pace(watched), _age(watched), *_patience(site, median(watched.intervals_s))]
    else:
        message = "gave no second fresh reading"
        found.append(Finding("pace", WARNING, message, "watch it longer, such as `--measure 2min`"))
    if watched.noise_w is not None:
        found += _noise(site, watched.noise_w)
    return tuple(found)


def _grid(watched: Watched) -> Finding:
    known = [sample.grid_w for sample in watched.samples if sample.grid_w is not None]
    source = watched.samples[-1].source
    if not known:
        message = f"says nothing about the grid ({source}): nothing will be switched"
        return Finding("reading", DANGER, message, "the lines below tell why")
    if len(known) < len(watched.samples):
        message = f"only {len(known)} of {len(watched.samples)} readings told the grid's power"
        return Finding("reading", WARNING, message, "loadctl is blind in between")
    direction = "exported" if known[-1] < 0 else "drawn from the grid"
    return Finding("reading", OK, f"{spell(abs(round(known[-1])), 'W')} {direction} right now ({source})")


def _pace(watched: Watched) -> Finding:
    real_s, asked_s = median(watched.intervals_s), watched.every_s
    told = f"a fresh reading every {_s(real_s)}"
    if real_s > 1.5 * asked_s + 1:
        advice = f"write `every: {_s(max(real_s, 1.0))}` or find out what else keeps it busy"
        return Finding("pace", WARNING, f"{told}, though it is asked every {_s(asked_s)}", advice)
    return Finding("pace", OK, f"{told}, as wanted")


def _age(watched: Watched) -> Finding:
    worst_s, most_s = max(watched.intervals_s), watched.samples[-1].max_age_s
    told = f"readings came up to {_s(worst_s)} apart and count for {_s(most_s)} (`max_age`)"
    if worst_s > most_s:
        return Finding("max_age", DANGER, f"{told}: blind in between", f"write `max_age: {_s(3 * worst_s)}`")
    if 2 * worst_s > most_s:
        advice = f"write `max_age: {_s(3 * worst_s)}` or read more often"
        return Finding("max_age", WARNING, f"{told}: a single lost one makes loadctl blind", advice)
    return Finding("max_age", OK, told)


def _patience(site: Site, interval_s: float) -> tuple[Finding, ...]:
    found = []
    for load in site.loads:
        for key, for_s in (("start", load.start_for_s), ("stop", load.stop_for_s)):
            if for_s < 2 * interval_s:
                message = f"{load.name}: `{key} … for {spell(for_s, 's')}` is decided by a single reading"
                advice = f"write `for {_s(2 * interval_s)}` or longer"
                found.append(Finding(f"{key}_for.{load.name}", WARNING, message, advice))
        if load.lease_s is not None and load.lease_s < 3 * interval_s:
            message = f"{load.name}: its lease of {spell(load.lease_s, 's')} is over before three readings have come"
            advice = f"write `lease: {_s(3 * interval_s)}` or longer"
            found.append(Finding(f"lease.{load.name}", WARNING, message, advice))
    return tuple(found) or (Finding("patience", OK, "no rule and no lease is quicker than the meter"),)


def _noise(site: Site, noise_w: float) -> tuple[Finding, ...]:
    noise = spell(round(noise_w), "W")
    narrow = [(load, _margin_w(site, load)) for load in site.loads if _margin_w(site, load) < 2 * noise_w]
    if not narrow:
        return (Finding("noise", OK, f"one reading differs from the next by {noise}, less than what any rule bears"),)
    return tuple(
        Finding(
            f"noise.{load.name}",
            WARNING if margin_w < noise_w else NOTE,
            f"{load.name}: {spell(round(margin_w), 'W')} lie between its start and its stop, and one reading differs "
            f"from the next by {noise}",
            f"start at {spell(round(load.start_w + 2 * noise_w - margin_w, -1), 'W')} or let it stop that much later",
        )
        for load, margin_w in narrow
    )


def _margin_w(site: Site, load: Load) -> float:
    """By how much the house may err before a load that has just started would stop again."""
    return load.start_w + load.stop_import_w - load.power_w + site.reserve_w


def _s(seconds: float) -> str:
    """Seconds as a person says them: one digit below ten."""
    return spell(round(seconds, 1) if seconds < 10 else round(seconds), "s")
