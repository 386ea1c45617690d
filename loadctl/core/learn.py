"""What time and the meter teach of a load: that its switching shows, what it draws, what it uses in a day."""

from __future__ import annotations

from loadctl.core.absorb import change
from loadctl.core.appliance import draws_nothing, had_today, tallied
from loadctl.core.rules import Load, Site
from loadctl.core.values import ON, Sample, Standing, Tally
from loadctl.each_tick import replace

SLOWLY = 0.3
GUESS_S = 1.5 * 3600.0  # a day at full power


def settle(site: Site, standings: list[Standing], sample: Sample) -> None:
    """End the settling of loads that this reading is sure to show, and learn from the step what they draw.

    A step on the meter does not end it early: a kettle makes one too, and then the same watts were given away twice.
    """
    for index, standing in enumerate(standings):
        if standing.command_id is not None and standing.phase is ON:
            continue  # it is not done yet
        if standing.shown_at is not None and sample.read_at >= standing.shown_at:
            standings[index] = change(
                site.loads[index], standing, sample.read_at, shown_at=None, change_w=0.0, grid_before_w=None
            )
    unsettled = [index for index, standing in enumerate(standings) if standing.settled_at is not None]
    for index in unsettled:
        load, standing = site.loads[index], standings[index]
        if standing.settled_at is None or sample.read_at < standing.settled_at:
            continue
        learned_w = standing.learned_w
        before_w = standing.grid_before_w
        alone = len(unsettled) == 1 and not any(other.shown_at is not None for other in standings)
        onoff = standing.phase is ON and load.follow is None
        if alone and onoff and before_w is not None and sample.grid_w is not None:
            learned_w = _learned(load, learned_w, sample.grid_w - before_w)
        standings[index] = change(
            load, standing, sample.read_at, settled_at=None, leaving_w=0.0, grid_before_w=None, learned_w=learned_w
        )


def _learned(load: Load, known_w: float | None, step_w: float) -> float:
    """Return what the load is believed to draw after a step on the meter. Clouds and kettles make steps too.

    So one step says little: it takes two missing ones in a row to believe that the thermostat is open.
    """
    half_w = load.power_w / 2
    if draws_nothing(load, step_w):
        return 0.0 if known_w is not None and known_w <= half_w else half_w
    step_w = min(max(step_w, half_w), 1.3 * load.power_w)
    return step_w if not known_w else known_w + SLOWLY * (step_w - known_w)


def usual_wh_of(load: Load, standing: Standing) -> float:
    """Return what a load usually uses in a day, a guess until that is known."""
    return GUESS_S * load.power_w / 3600 if standing.usual_wh is None else standing.usual_wh


def new_day_of(load: Load, standing: Standing, at: float) -> Standing:
    """Return the standing at the beginning of a day, having learned what the load used in the last one."""
    used_wh, usual_wh = had_today(load, standing, at).energy_wh, standing.usual_wh
    if standing.today != Tally():  # the first day was not seen whole
        before_wh = usual_wh_of(load, standing)
        # On a dull day it got less than it could have used.
        usual_wh = before_wh + (SLOWLY if used_wh > before_wh else SLOWLY / 6) * (used_wh - before_wh)
    takes_w = standing.takes_w if standing.takes_today_w is None else standing.takes_today_w
    today = tallied(load, standing, at)
    return replace(standing, today=today, phase_changes=0, usual_wh=usual_wh, takes_w=takes_w, takes_today_w=None)
