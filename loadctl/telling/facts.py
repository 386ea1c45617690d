"""What the sayings are made of: a load's case in its surroundings, and its parts in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from loadctl.core import needs
from loadctl.core.appliance import own_w, tallied, used_share
from loadctl.core.calendar import midnight
from loadctl.core.follow import LEFT_SHARE, in_force
from loadctl.core.judge import PATIENCE, pace
from loadctl.core.row import row_of
from loadctl.core.rules import Load, Site
from loadctl.core.values import OFF, ON, Mark, Outcome, Standing, Tick
from loadctl.core.walk import Case
from loadctl.units import span, spell, watts


def price(money: float) -> str:
    """Spell a price: `0.12/kWh`."""
    return spell(round(money, 3), "/kWh")


def phases(count: int) -> str:
    """Spell a number of phases."""
    return f"{count} phase{'s' if count > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Facts:
    """A case in its surroundings. In `case` things may be lifted, `after` is what the tick has left of the load."""

    site: Site
    outcome: Outcome
    tick: Tick
    index: int
    case: Case

    @property
    def load(self) -> Load:
        return self.site.loads[self.index]

    @property
    def after(self) -> Standing:
        return self.outcome.state.standings[self.index]

    @property
    def before(self) -> list[int]:
        """Who is served before it, by their places in order of priority."""
        row = list(row_of(self.outcome.state.plans) or range(len(self.site.loads)))
        return sorted(row[: row.index(self.index)])

    @property
    def on(self) -> bool:
        """As far as is known."""
        return self.after.phase is not OFF and self.after.was_on is not False

    @property
    def free(self) -> str:
        spare_w = self.case.power.spare_w
        return "an unknown power" if spare_w is None else watts(max(0.0, spare_w))

    @property
    def draws(self) -> str:
        return watts(own_w(self.load, self.case.standing))

    @property
    def imports(self) -> str:
        import_w = self.case.power.import_w
        return f"{watts(import_w)} from the grid" if import_w >= 0 else f"{watts(-import_w)} left to sell"

    @property
    def patience(self) -> float:
        """How many times its time to start it waits."""
        return PATIENCE if self.case.look.sated else 1.0

    @property
    def hold_left_s(self) -> float:
        held_s = self.case.standing.held_s
        if self.case.standing.phase is OFF:
            return max(0.0, self.load.start_for_s - held_s) * self.patience
        over_w = self.case.power.import_w - self.case.asks.stop_import_w
        passes = 1.0 if self.case.look.squeezed else pace(self.load, over_w)
        return max(0.0, self.load.stop_for_s - held_s) / passes

    @property
    def rest_left_s(self) -> float:
        least_s = self.load.min_off_s if self.case.standing.phase is OFF else self.load.min_on_s
        return self.left_s(least_s, self.case.standing.switched_at)

    @property
    def day_left_s(self) -> float:
        return midnight(self.tick.wall) - self.tick.wall.timestamp()

    @property
    def runs(self) -> str:
        """What a load does that is on, or is being switched on."""
        standing = self.after
        if self.load.follow is None or standing.target_w is None or standing.phase is OFF:
            return "runs" if standing.phase is ON else "starts"
        one, set_w, draws_w = in_force(self.load, standing), standing.target_w, own_w(self.load, standing)
        takes = ""
        if standing.shown_at is None and draws_w < set_w - LEFT_SHARE * one.step_w:
            takes = f", takes {watts(draws_w)}"
        if not one.phases or not one.volts:
            return f"runs at {watts(set_w)}{takes}"
        amps = set_w / used_share(standing) / (one.volts * one.phases)
        return f"charges with {amps:.3g} A on {phases(one.phases)} ({watts(set_w)}{takes})"

    def left_s(self, for_s: float, since: float | None) -> float:
        """Return what is left of a time that began at `since`."""
        return 0.0 if since is None else max(0.0, for_s - (self.tick.at - since))

    def still_s(self, mark: Mark) -> float:
        """Return for how long the load must still run for a need."""
        return needs.left_s(self.load, self.case.standing, mark, self.tick.at, self.tick.inputs)

    def clock(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self.tick.wall.tzinfo)

    def until(self, left_s: float, word: str = "until") -> str:
        """`until 14:32`; the day with it if it is not today, and how long that is if it is not long."""
        then = self.clock(self.tick.wall.timestamp() + left_s)
        days = then.toordinal() - self.tick.wall.toordinal()
        words = then.strftime("%H:%M" if days < 1 else "%a %H:%M" if days < 7 else "%d %b %H:%M")
        return f"{word} {words}" + (f" ({span(left_s)})" if left_s < 3600 else "")

    def others(self, chosen: Iterable[int], otherwise: str) -> str:
        return " and ".join(self.site.loads[index].name for index in chosen) or otherwise

    def need(self, mark: Mark) -> str:
        """`needs 2 h 10 min more by Tue 18:00`."""
        standing, tick, need = self.case.standing, self.tick, mark.need
        by = "at any time" if need.always else f"by {self.clock(mark.due):%a %H:%M}"
        if need.level is not None:
            value = needs.level(need, tick.inputs, tick.at)
            now = "not known now" if value is None else f"{value:g} now"
            return f"needs {need.level.input} at {need.level.target:g} {by} ({now})"
        if need.full:
            return f"needs to be full {by}"
        if need.energy_wh is None:
            return f"needs {span(self.still_s(mark))} more {by}"
        had_wh = tallied(self.load, standing, tick.at).energy_wh - mark.tally.energy_wh
        left_wh = need.energy_wh - had_wh if standing.need_left_wh is None else standing.need_left_wh
        return f"needs {spell(max(0.0, round(left_wh, -1)), 'Wh')} more {by}"
