"""The cheapest watts that are left for what must be done: needs planned together over what is expected of the time
ahead.

Each stretch of the time until a deadline offers the load energy at a cost: its own surplus at the price it would have
been sold for, the rest at the price it is bought for. The cheapest offers that suffice are taken; the dearest of them
is what the load should pay at most, now as well. So it takes full sun first, partial sun as the sun or the time runs
out, cheap hours of the tariff before dear ones, and of equal offers the latest: a later one may still turn out better.

None of it has to be right. A plan only makes a load easier to please, and `needs` forces it on at the last moment
anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import cos, inf, pi

from loadctl.core.appliance import full_w, had_today, least_w
from loadctl.core.asked import Asked
from loadctl.core.calendar import midnight, openings, zone_of
from loadctl.core.learn import usual_wh_of
from loadctl.core.needs import MARGIN_S, MARGIN_SHARE, counts, done, left_s
from loadctl.core.rules import Load, Site
from loadctl.core.terms import price_of
from loadctl.core.values import OFF, ON, Daylight, Mark, Plan, Slot, Standing, Tick

EVERY_S = 300.0
CAUTION = 1.05  # what is expected is rarely all there
STINT_S = 900.0  # what runs may have so much more, so that it does not give back what it has just won
LEAKS_S = 6 * 3600.0  # warmth is not bought longer before it is needed, or twice as long as it takes
EVERYDAY_SHARE = 0.25  # of the fuse is what a house draws for long
WORTH_A_MOVE = 0.1  # of what lies between buying and selling
FIRM_SHARE = 0.5  # of sun: who accepts so little will have to buy the rest whatever comes
THRIFTY_SHARE = (0.8, 0.95)  # the sun that who may be bought for later asks for: on a poor day, on a good one
REACH_SHARE = 0.95  # of the most that the sun leaves, while that is less
LEAST_SHARE = 0.6
HURRY = (0.35, 0.6)  # parts of the light that is left: who needs less can choose its sun, who needs more cannot


# Cost per kWh; start (POSIX), negative, so that of equal costs the latest sorts first; slot; energy and its sun (Wh).
_Offer = tuple[float, float, int, float, float]
_Hours = list[tuple[float, float]]  # POSIX, from when to when
_Starts = list[tuple[float, float]]  # POSIX, by when a need must be met and when it must start for that


@dataclass(slots=True)
class _Ahead:
    """The stretches from now on, and the sun that nobody took yet of those that were asked for, from the first on."""

    now: float
    slots: Sequence[Slot]
    reach_w: float  # the most that the sun may still leave today; inf: nobody knows
    sun_wh: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, tick: Tick) -> _Ahead:
        now, end = tick.wall.timestamp(), midnight(tick.wall)
        slots = _coming(tick.outlook.slots, now)
        best_w = max((slot.surplus_w or 0.0 for slot in slots if slot.start < end), default=0.0)
        lately_w = tick.outlook.lately_w
        return cls(now, slots, inf if lately_w is None else max(lately_w, CAUTION * best_w))

    @property
    def end(self) -> float:
        """When nobody sees any further."""
        return self.slots[-1].start + self.slots[-1].length_s if self.slots else inf

    def sun(self, index: int) -> float:
        """Return the sun that is left of a stretch (Wh)."""
        if index == len(self.sun_wh):
            slot = self.slots[index]
            left_s = slot.start + slot.length_s - max(slot.start, self.now)
            self.sun_wh.append(max(0.0, slot.surplus_w or 0.0) * left_s / 3600)
        return self.sun_wh[index]


@dataclass(frozen=True, slots=True)
class _Wants:
    """What one load can draw beside the house, and what it still lacks.

    `left`: for how long it must still run for each need of a time of its own. `always`: one that has no deadline.
    `usual_wh`: of what it usually uses in a day, if that is what it goes by. `off`: nobody wants it to run.
    """

    load: Load
    standing: Standing
    whole_w: float
    left: tuple[tuple[Mark, float], ...]
    always: bool
    usual_wh: float
    off: bool

    @classmethod
    def of(cls, site: Site, load: Load, standing: Standing, tick: Tick, asked: Asked, base_w: float) -> _Wants:
        whole_w, off = _whole_w(site, load, standing, base_w), asked.off(load.name)
        fused = Plan(full_w=whole_w)
        marks = [mark for mark in standing.marks if counts(mark, away=asked.away) and not off]
        left = [(mark, left_s(load, standing, mark, tick.at, tick.inputs, fused)) for mark in marks]
        lacking = [(mark, still_s) for mark, still_s in left if still_s > 0]
        usual_wh = usual_wh_of(load, standing) - had_today(load, standing, tick.at).energy_wh if load.thrifty else inf
        dated = sorted(
            ((mark, still_s) for mark, still_s in lacking if not mark.need.always), key=lambda one: one[0].due
        )
        return cls(load, standing, whole_w, tuple(dated), len(dated) < len(lacking), usual_wh, off)

    def must_run(self, ahead: _Ahead) -> bool:
        """Tell whether the load could run for a need whose deadline is in sight."""
        could = self.standing.available and not done(self.load, self.standing)
        return could and any(mark.due <= ahead.end for mark, _ in self.left)

    def lacks_wh(self, ahead: _Ahead) -> float:
        """Return what it lacks for its needs that are in sight, or of what it usually uses in a day."""
        lacks_s = max((still_s for mark, still_s in self.left if mark.due <= ahead.end), default=0.0)
        usual_wh = 0.0 if self.off or not self.load.thrifty else self.usual_wh
        return max(lacks_s * self.whole_w / 3600, usual_wh)


def plan(site: Site, standings: Sequence[Standing], tick: Tick, asked: Asked, base_w: float) -> tuple[Plan, ...]:
    """Return what each load should pay at most now, and when it must start. `base_w`: the house without our loads."""
    pairs = zip(site.loads, standings, strict=True)
    all_wants = [_Wants.of(site, load, standing, tick, asked, base_w) for load, standing in pairs]
    ahead = _Ahead.of(tick)
    if any(wants.must_run(ahead) for wants in all_wants):
        ahead.reach_w = inf  # who need not run leaves a poor sun to who must
    wanted_wh = sum(wants.lacks_wh(ahead) for wants in all_wants)
    plans = []
    for wants, starts in zip(all_wants, _latest(site, all_wants, base_w), strict=True):
        load, standing, whole_w = wants.load, wants.standing, wants.whole_w
        price: float | None = None
        buy, needs = False, wants.always
        for mark, still_s in wants.left:
            if _too_early(mark, still_s, ahead):
                continue
            needs = True
            wanted_s = still_s * CAUTION + (STINT_S if standing.phase is ON else 0.0)
            found = _price(load, whole_w, ahead, wanted_s * whole_w / 3600, mark.due, tick)
            if found is None:
                continue
            cost, now = found
            if not now:
                cost = min(cost, _price_of(LEAST_SHARE * _choosy(wanted_wh / whole_w * 3600, mark.due, tick), tick))
            price = cost if price is None else max(price, cost)
            buy |= now
        if load.thrifty and price is None and not wants.off:
            price = _habit(load, standing, wants.usual_wh, whole_w, ahead, tick)
        firm = needs and price is not None and price >= _price_of(FIRM_SHARE, tick)
        plans.append(Plan(price, buy, tuple(starts), whole_w, needs, firm, sated=not needs and wants.usual_wh <= 0))
    return tuple(plans)


def _coming(slots: Sequence[Slot], now: float) -> Sequence[Slot]:
    """Return the stretches that are not over."""
    return slots[next((index for index, slot in enumerate(slots) if slot.start + slot.length_s > now), len(slots)) :]


def lasts_s(standings: Sequence[Standing], tick: Tick) -> float:
    """Return how long a plan holds: as long as prices and what is expected are those of now, a little while only if
    there is some sun, something runs or somebody asks for something.
    """
    outlook, now = tick.outlook, tick.wall.timestamp()
    slots = _coming(outlook.slots, now)
    if not slots:
        return EVERY_S
    here = slots[0]
    dark = here.surplus_w == 0.0 and outlook.lately_w is not None and outlook.lately_w <= 0.0
    left_s = here.start + here.length_s - now
    still = not tick.wishes and all(standing.phase is OFF for standing in standings)
    return left_s if dark and still else min(EVERY_S, left_s)


def _choosy(wanted_s: float, due: float, tick: Tick) -> float:
    """Return how far a load can choose its sun, 1 to 0: all loads together would take `wanted_s` at its power.

    What is expected are means of a quarter of an hour; a broken sky hides its bursts in them, and before noon the best
    is yet to come. Who has the time waits for them.
    """
    now = tick.wall.timestamp()
    light_s = sum(_light_s(sun, now, due) for sun in tick.outlook.daylight.values())
    little, much = HURRY
    return min(max((much * light_s - wanted_s) / ((much - little) * light_s), 0.0), 1.0) if light_s > 0 else 0.0


def _light_s(sun: Daylight, since: float, until: float) -> float:
    """Return how long it is light between two moments, noon counting more and the edges of the day little.

    The light of a day is a half wave: a whole day counts as long as it is.
    """
    length_s = sun.set - sun.rise
    if length_s <= 0:
        return 0.0
    begins, ends = (pi * min(max((moment - sun.rise) / length_s, 0.0), 1.0) for moment in (since, until))
    return length_s / 2 * (cos(begins) - cos(ends))


def _too_early(mark: Mark, still_s: float, ahead: _Ahead) -> bool:
    """Tell whether only full sun is worth taking yet: the deadline is further ahead than anybody sees, or it would
    leak.
    """
    if mark.due > ahead.end:
        return True
    leaks = mark.need.level is not None and mark.need.level.leaks
    return leaks and mark.due - ahead.now > max(LEAKS_S, 2 * still_s)


def _price(
    load: Load, whole_w: float, ahead: _Ahead, wanted_wh: float, due: float, tick: Tick
) -> tuple[float, bool] | None:
    """Return the cost of the dearest offer that is needed, and whether to buy now; None: nothing is known.

    What is taken is taken off the sun ahead. Where this stretch is not among it, what comes now must be a good deal
    cheaper.
    """
    dearest: _Offer | None = None
    now = False
    for offer in sorted(_offers(load, whole_w, ahead, due, tick)):
        if wanted_wh <= 0:
            break
        _, _, slot, energy_wh, sun_wh = dearest = offer
        wanted_wh -= energy_wh
        ahead.sun_wh[slot] = max(0.0, ahead.sun_wh[slot] - sun_wh)
        now |= slot == 0
    if dearest is None:
        return None
    cost, start, *_ = dearest
    # A stretch counts with the sun that is expected of it, but what is bought now is bought for its full price.
    buy = now and (wanted_wh > 0 or (tick.outlook.import_price, -ahead.now) <= (cost, start))
    return (cost if buy else min(cost, _cheaper(tick))), buy


def _habit(load: Load, standing: Standing, usual_wh: float, whole_w: float, ahead: _Ahead, tick: Tick) -> float | None:
    """Return what a load should pay for what is left of what it usually uses in a day, `usual_wh`: it would be bought
    later, but never now.

    It may not be used at all, and clouds come sooner than a mean of fifteen minutes tells: so it never pays much, and
    for more than is usual next to nothing. While the sun does not leave that much it makes do with what it leaves.
    """
    if done(load, standing):
        return None
    poor, good = THRIFTY_SHARE
    most = _price_of(min(max(REACH_SHARE * ahead.reach_w / whole_w, LEAST_SHARE), poor), tick)
    least = _price_of(good, tick)
    if usual_wh <= 0:
        return least
    wanted_wh = usual_wh + (STINT_S * whole_w / 3600 if standing.phase is ON else 0.0)
    found = _price(load, whole_w, ahead, wanted_wh, midnight(tick.wall), tick)
    return None if found is None else min(max(found[0], least), most)


def _price_of(share: float, tick: Tick) -> float:
    return price_of(share, tick.outlook.import_price, tick.outlook.export_price)


def _cheaper(tick: Tick) -> float:
    """Return a price that is a good deal below what is bought now."""
    prices = tick.outlook
    return prices.import_price - WORTH_A_MOVE * abs(prices.import_price - prices.export_price)


def _offers(load: Load, whole_w: float, ahead: _Ahead, due: float, tick: Tick) -> Iterator[_Offer]:
    hours = _hours(load, min(due, ahead.end), tick) if load.windows else None
    dear: float | None = None
    for index, slot in enumerate(ahead.slots):
        start, end = max(slot.start, ahead.now), min(slot.start + slot.length_s, due)
        if start >= due:
            return
        sun_wh = ahead.sun(index)
        if hours is not None and not any(opens <= (start + end) / 2 < closes for opens, closes in hours):
            continue
        import_price = slot.import_price
        if slot.surplus_w is None:
            dear = max(slot.import_price for slot in ahead.slots) if dear is None else dear
            if import_price >= dear:
                continue  # what nobody knows is no offer, but for the hours that are cheap without any sun
        for_h = (end - start) / 3600
        whole_wh = whole_w * for_h
        sun = min(sun_wh, whole_wh)
        first_wh = whole_wh if load.follow is None else min(max(sun, least_w(load) * for_h), whole_wh)
        cost = (sun * slot.export_price + (first_wh - sun) * import_price) / first_wh
        yield round(cost, 6), -start, index, first_wh, sun
        if whole_wh > first_wh:
            yield import_price, -start, index, whole_wh - first_wh, 0.0


def _hours(load: Load, end: float, tick: Tick) -> _Hours:
    """Return when the load's windows are open until `end`."""
    zone = zone_of(tick.wall)
    days = range(tick.wall.toordinal() - 1, datetime.fromtimestamp(end, zone).toordinal() + 1)
    return openings(load.windows, days, zone, tick.outlook.daylight)


def _whole_w(site: Site, load: Load, standing: Standing, base_w: float) -> float:
    """Return what the load can draw beside the house; a kettle that is on just now does not count in full."""
    if site.max_import_w is None:
        return full_w(load, standing)
    house_w = min(max(base_w, 0.0), EVERYDAY_SHARE * site.max_import_w)
    return max(min(full_w(load, standing), site.max_import_w - house_w), min(least_w(load), full_w(load, standing)))


def _latest(site: Site, all_wants: Sequence[_Wants], base_w: float) -> list[_Starts]:
    """Return for each load, by deadline, when it must start so that all needs are met under the fuse.

    Each run is put as late as it goes before those that it cannot run beside, the last deadline first (POSIX).
    """
    latest: list[_Starts] = [[] for _ in all_wants]
    runs = [
        (mark.due, -index, still_s * (1 + MARGIN_SHARE) + MARGIN_S)
        for index, wants in enumerate(all_wants)
        for mark, still_s in wants.left
    ]
    placed: list[tuple[float, float, int]] = []
    for due, minus_index, length_s in sorted(runs, reverse=True):
        index, end = -minus_index, due
        power_w = all_wants[index].whole_w
        for start, stop, other in sorted(placed, reverse=True):
            beside_w = full_w(all_wants[other].load, all_wants[other].standing)
            too_much = site.max_import_w is not None and base_w + power_w + beside_w > site.max_import_w
            if too_much and other != index and start < end and stop > end - length_s:
                end = start
        placed.append((end - length_s, end, index))
        latest[index].append((due, end - length_s))
    return latest
