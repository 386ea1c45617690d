"""What is given away on the walk down the loads, so that no watt has two takers: power that a more important load
starts on, waits for or could still use is not offered to a less important one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from loadctl.core.appliance import least_w, own_w, rested, spared_w
from loadctl.core.asked import Asked
from loadctl.core.calendar import is_open
from loadctl.core.follow import Allowance, Setting, appetite_w, fair_w, in_force, usable
from loadctl.core.judge import Look, blocked, refuses_off
from loadctl.core.rules import Load, Site
from loadctl.core.surplus import Stock
from loadctl.core.values import FAULT, OFF, ON, STARTING, Holder, Standing, Tick, Verdict

WAITS = frozenset({Verdict.WAIT_ON, Verdict.ROOM, Verdict.HELD_OFF})  # for power that nobody less important gets


class Power(NamedTuple):
    """What a reading means for one load; `spare_w`: what it could start on, or has left while on.

    `import_w`: what the house draws because of it, were it at its least. `over_w`: what it should draw less, and
    `headroom_w`: what the fuse lets it draw more.
    """

    free_w: float = 0.0
    room_w: float = 0.0
    below_w: float = 0.0
    leaving_w: float = 0.0
    import_w: float = 0.0
    over_w: float = 0.0
    headroom_w: float = inf
    spare_w: float | None = None


@dataclass(slots=True)
class Ledger:
    """What was given away so far of `stock` (None: there is no reading). `standings`: as far as the walk has come.

    `taken_w`: promised to more important loads. `hunger_w`: they could use so much more. `rise_w`: the house will draw
    so much more by what was decided in this tick; `relief_w`: so much less. By the loads' places, `yields`, `caps_w`:
    who is to stop, and who to draw no more than so much, to make room; `shed`, `fused`: for the fuse.
    """

    site: Site
    standings: list[Standing]
    stock: Stock | None
    taken_w: float = 0.0
    hunger_w: float = 0.0
    rise_w: float = 0.0
    relief_w: float = 0.0
    yields: set[int] = field(default_factory=set)
    caps_w: dict[int, float] = field(default_factory=dict)
    shed: set[int] = field(default_factory=set)
    fused: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, site: Site, standings: list[Standing], stock: Stock | None, tick: Tick, asked: Asked) -> Ledger:
        """Open the ledger: first the house must fit its fuse, then loads of one rank share what there is."""
        ledger = cls(site, standings, stock)
        if stock is not None:
            ledger._fit_the_fuse(stock)
            ledger._share(stock, tick, asked)
        return ledger

    def power(self, index: int) -> Power:
        """Return what the reading means for the load at `index`, with what was given away above it."""
        stock, load, standing = self.stock, self.site.loads[index], self.standings[index]
        if stock is None:
            return Power()
        place = stock.places[index]
        free_w = stock.spare_w - self.taken_w + place.bonus_w
        over_w = stock.drawn_w - stock.leaving_w - place.bonus_w
        draws_w = own_w(load, standing) if standing.phase is ON and standing.settled_at is None else 0.0
        headroom_w = inf
        if self.site.max_import_w is not None:
            # What the battery gives while power flows out will flow no longer when that is used here.
            grid_w = stock.grid_w if stock.grid_w >= 0 else min(0.0, stock.drawn_w)
            headroom_w = self.site.max_import_w - grid_w - stock.pending_w - self.rise_w
        room_w, missing_w = place.room_w, load.start_w - free_w - place.room_w
        if not place.needs and missing_w - stock.leaving_w > 0.0 and missing_w <= place.firm_w:
            room_w += place.firm_w  # a full sun is theirs that stand above, or who has no need might never have any
        return Power(
            free_w,
            room_w,
            place.below_w,
            stock.leaving_w,
            import_w=over_w - place.below_w - spared_w(load, draws_w),
            over_w=over_w + self.site.reserve_w - place.spared_w - self.relief_w,
            headroom_w=headroom_w,
            spare_w=free_w if standing.phase is OFF else draws_w - over_w + place.below_w,
        )

    def overtaken_w(self, index: int) -> float:
        """Return what less important loads draw that stand before the one at `index`."""
        if self.stock is None:
            return 0.0
        row = self.stock.row
        ahead = (other for other in range(index) if row[other] > row[index] and self.standings[other].phase is ON)
        return sum(own_w(self.site.loads[other], self.standings[other]) for other in ahead)

    def reserve(self, index: int, verdict: Verdict, look: Look, power: Power, at: float) -> None:
        """Keep the power that a load waits for from less important ones, and have them make room for it."""
        load, standing, stock = self.site.loads[index], self.standings[index], self.stock
        if stock is None:
            return
        if verdict is Verdict.NEED_AT_RISK and look.crowded:
            over_w = least_w(load) - power.headroom_w - power.leaving_w
            place = stock.places[index]
            if over_w <= place.room_w + place.firm_w and not blocked(load, standing, at):
                self._make_room(index, over_w, stock, firm=True)
                self.rise_w += load.power_w  # nobody less important starts on what the fuse has left
        if verdict in WAITS and look.enough():
            if verdict is Verdict.ROOM:
                firm = power.room_w > stock.places[index].room_w
                self._make_room(index, look.start_w - power.free_w - power.leaving_w, stock, firm=firm)
            # who only waits for its minimum time off has it if that ends before its hold time could pass
            if verdict is not Verdict.HELD_OFF or rested(load, standing, at + load.start_for_s):
                self.taken_w += load.power_w

    def begin(self, load: Load, setting: Setting) -> None:
        """Give a load the power that it starts on."""
        self.taken_w += load.power_w
        self.rise_w += setting.watts

    def allowance(self, index: int, stock: Stock, power: Power, *, all_in: bool) -> Allowance:
        """Return what a running load that follows the sun may draw."""
        load, standing = self.site.loads[index], self.standings[index]
        draws_w = own_w(load, standing)
        cap_w = min(self._cap_w(index), min(draws_w, _set_w(load, standing)) + power.headroom_w + stock.gone_w)
        return Allowance(power.free_w, power.over_w, stock.grid_w, cap_w, all_in)

    def followed(self, index: int, standing: Standing, setting: Setting | None, may: Allowance, at: float) -> None:
        """Note for those below what a load that follows the sun takes, leaves and could still use."""
        load = self.site.loads[index]
        now_w = _set_w(load, standing)
        change_w = 0.0 if setting is None else setting.watts - now_w
        wants_w = min(appetite_w(load, standing, at), max(0.0, self._cap_w(index) - now_w))
        self.rise_w += max(0.0, change_w)
        self.relief_w += max(0.0, -change_w)
        if not may.all_in:  # who buys what the sun does not give waits for nobody to make room
            self.hunger_w += max(0.0, wants_w - max(0.0, may.rise_w))
        self.taken_w += max(change_w, wants_w)

    def _fit_the_fuse(self, stock: Stock) -> None:
        """Choose who draws less or goes off at once, from the least important up, until the house fits its fuse."""
        if self.site.max_import_w is None:
            return
        over_w = stock.grid_w - stock.gone_w - self.site.max_import_w
        for index in sorted(range(len(self.standings)), key=stock.row.__getitem__, reverse=True):
            if over_w <= 0:
                return
            load, standing = self.site.loads[index], self.standings[index]
            if refuses_off(standing):
                continue  # it is told again in its time; no relief to count on
            if standing.phase is ON:
                draws_w = own_w(load, standing)
                if load.follow is not None and over_w <= draws_w - in_force(load, standing).least_w:
                    self.caps_w[index] = draws_w - over_w
                    self.fused.add(index)
                else:
                    self.shed.add(index)
                over_w -= draws_w
            elif standing.phase is STARTING or (standing.phase is FAULT and standing.was_on is not False):
                self.shed.add(index)  # it may not draw anything yet: no relief to count on

    def _share(self, stock: Stock, tick: Tick, asked: Asked) -> None:
        """Divide what loads of one rank draw and could draw among them, by capping each at its part."""
        for members in _groups(self.site, self.standings, tick, asked).values():
            pairs = [(index, self.site.loads[index], self.standings[index]) for index in members]
            running = [pair for pair in pairs if pair[2].phase is ON]
            total_w = sum(own_w(load, standing) for _, load, standing in running)
            total_w += max(0.0, stock.spare_w + stock.leaving_w)
            if total_w < sum(load.start_w for _, load, _ in pairs):
                pairs = running  # not enough for one more
            if len(pairs) < 2:
                continue
            parts = fair_w([usable(load, standing) for _, load, standing in pairs], total_w)
            for (index, _, standing), fair in zip(pairs, parts, strict=True):
                if standing.modest_until is None:
                    self.caps_w[index] = min(self._cap_w(index), fair)

    def _cap_w(self, index: int) -> float:
        return self.caps_w.get(index, inf)

    def _make_room(self, index: int, short_w: float, stock: Stock, *, firm: bool) -> None:
        """Ask as few less important loads to stop as it takes, the least important first; who can, draws less.

        `firm`: then also those that keep their place otherwise.
        """
        for lower in sorted(range(len(self.standings) - 1, index, -1), key=lambda lower: stock.places[lower].firm):
            if short_w <= 0:
                return
            load, standing, place = self.site.loads[lower], self.standings[lower], stock.places[lower]
            yields = place.yields or (place.firm and firm)
            if lower in self.yields or (place.gives_w <= 0 and not yields):
                continue
            draws_w = own_w(load, standing)
            spared = spared_w(load, draws_w)
            if short_w <= spared or not yields:
                self.caps_w[lower] = min(self._cap_w(lower), draws_w - min(short_w, spared))
                short_w -= spared
            else:
                self.yields.add(lower)
                short_w -= draws_w


def _set_w(load: Load, standing: Standing) -> float:
    """Return what a running load was last set to."""
    return own_w(load, standing) if standing.target_w is None else standing.target_w


def _groups(site: Site, standings: list[Standing], tick: Tick, asked: Asked) -> Mapping[int, list[int]]:
    """Return the loads, by rank, that share power and draw some, or could."""
    groups: dict[int, list[int]] = {}
    for index, load in enumerate(site.loads):
        if load.share is not None and load.follow is not None and _takes_part(load, standings[index], tick, asked):
            groups.setdefault(load.share, []).append(index)
    return groups


def _takes_part(load: Load, standing: Standing, tick: Tick, asked: Asked) -> bool:
    if standing.phase is ON:
        return True
    could = standing.phase is OFF and standing.was_on is False and standing.available and not standing.satisfied
    free = standing.holder is not Holder.HAND and is_open(load.windows, tick.wall, tick.outlook.daylight)
    return could and free and not asked.off(load.name) and rested(load, standing, tick.at)
