"""A verdict in a sentence with its numbers, and when it could change. Made on request, not on every tick."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from loadctl.core.conditions import sentence as condition_sentence
from loadctl.core.needs import left_s
from loadctl.core.surplus import own_w
from loadctl.core.terms import Terms, terms
from loadctl.core.values import OFF, Load, Outcome, Plan, Site, Standing, Tick, Verdict, Wish

_BY_TIME = frozenset(
    {
        Verdict.REST,
        Verdict.WAIT_ON,
        Verdict.HELD_OFF,
        Verdict.RUN,
        Verdict.IDLE,
        Verdict.WAIT_OFF,
        Verdict.HELD_ON,
    }
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """`sentence`: for a person; `next_change_s`: seconds until the load could change by its rules, None: unknown."""

    sentence: str
    next_change_s: float | None


def watts(power_w: float) -> str:
    """Spell a power: `1 210 W`."""
    return f"{round(power_w):,} W".replace(",", " ")


def span(seconds: float) -> str:
    """Spell a duration: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    left = max(0, round(seconds))
    if left < 120:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min" + (f" {left % 60} s" if left % 60 else "")
    return f"{left // 3600} h {left % 3600 // 60:02d} min"


def explain(site: Site, outcome: Outcome, tick: Tick, index: int) -> Explanation:
    """Explain the verdict on the load at `index` of `site.loads`."""
    load, standing, verdict = site.loads[index], outcome.state.standings[index], outcome.verdicts[index]
    spare_w = outcome.spare_w[index] if outcome.spare_w else None
    facts = _Facts(site, load, standing, outcome, tick, spare_w)
    return Explanation(_sentence(verdict, facts), facts.next_change_s(verdict))


@dataclass(frozen=True, slots=True)
class _Facts:
    site: Site
    load: Load
    standing: Standing
    outcome: Outcome
    tick: Tick
    spare_w: float | None

    @property
    def terms(self) -> Terms:
        index = self.site.loads.index(self.load)
        plans = self.outcome.state.plans
        return terms(self.load, plans[index] if plans else Plan(), self.tick.outlook)

    @property
    def free(self) -> str:
        return "an unknown power" if self.spare_w is None else watts(max(0.0, self.spare_w))

    @property
    def on(self) -> bool:
        """As far as is known."""
        return self.standing.phase is not OFF and self.standing.was_on is not False

    @property
    def hold_left_s(self) -> float:
        for_s = self.load.stop_for_s if self.on else self.load.start_for_s
        return max(0.0, for_s - self.standing.held_s)

    @property
    def rest_left_s(self) -> float:
        least_s = self.load.min_on_s if self.on else self.load.min_off_s
        if self.standing.switched_at is None:
            return 0.0
        return max(0.0, least_s - (self.tick.at - self.standing.switched_at))

    @property
    def retry_left_s(self) -> float:
        return max(0.0, (self.standing.retry_at or self.tick.at) - self.tick.at)

    @property
    def hand_left_s(self) -> float | None:
        wishes = (wish for wish in self.tick.wishes if isinstance(wish, Wish))
        wish = next((wish for wish in wishes if wish.load == self.load.name), None)
        until = wish.until if wish else self.standing.hand_until
        return None if until is None else max(0.0, until - self.tick.at)

    @property
    def blind_left_s(self) -> float:
        since = self.outcome.state.blind_since
        return self.site.hold_s if since is None else max(0.0, self.site.hold_s - (self.tick.at - since))

    @property
    def import_w(self) -> float:
        return own_w(self.load, self.standing) - (self.spare_w or 0.0)

    def condition(self) -> str:
        return condition_sentence(self.load.when, self.tick.inputs, self.tick.at) if self.load.when else ""

    def clock(self, ahead_s: float) -> str:
        return (self.tick.wall + timedelta(seconds=ahead_s)).strftime("%H:%M")

    def then(self, state: str) -> str:
        return f"; minimum time {state} ends {self.clock(self.rest_left_s)}" if self.rest_left_s else ""

    def needs(self) -> str:
        for mark in sorted(self.standing.marks, key=lambda mark: mark.due):
            still_s = left_s(self.load, self.standing, mark, self.tick.at, self.tick.inputs)
            if still_s > 0:
                by = datetime.fromtimestamp(mark.due, self.tick.wall.tzinfo)
                return f"needs {span(still_s)} more by {by:%a %H:%M}"
        return "has what it needs"

    def next_change_s(self, verdict: Verdict) -> float | None:
        """Return the earliest moment at which this load could switch by its rules, in seconds from now."""
        if verdict in _BY_TIME:
            return max(self.hold_left_s, self.rest_left_s)
        if verdict is Verdict.SETTLING:
            return max(self.load.stop_for_s, self.rest_left_s)
        if verdict is Verdict.HAND:
            return self.hand_left_s
        if verdict is Verdict.BLIND:
            return self.blind_left_s if self.on else None
        if verdict is Verdict.FAULT:
            return self.retry_left_s
        if verdict is Verdict.SPENT:
            return _to_midnight_s(self.tick.wall)
        if verdict is Verdict.BUSY:
            return max(0.0, self.site.answer_s - (self.tick.at - self.standing.asked_at))
        return None


def _to_midnight_s(wall: datetime) -> float:
    midnight = datetime.combine(wall.date() + timedelta(days=1), datetime.min.time(), tzinfo=wall.tzinfo)
    return midnight.timestamp() - wall.timestamp()


def _busy(facts: _Facts) -> str:
    if facts.standing.command_id is None:
        return "waits to hear from its switch"
    return f"is being switched {'on' if facts.standing.wants_on else 'off'}"


def _blind(facts: _Facts) -> str:
    if facts.on and facts.blind_left_s > 0:
        return f"runs on for {span(facts.blind_left_s)}: no reading to trust"
    return f"{'on' if facts.load.safe_on else 'off'}, its safe state: no reading to trust"


def _hand(facts: _Facts) -> str:
    state = "on" if facts.on else "off"
    left_s_ = facts.hand_left_s
    return f"held {state} by hand" + ("" if left_s_ is None else f" until {facts.clock(left_s_)}")


def _fault(facts: _Facts) -> str:
    detail = facts.standing.detail or "its switch does not do what it is told"
    return f"fault: {detail}; next try in {span(facts.retry_left_s)}"


def _sentence(verdict: Verdict, f: _Facts) -> str:
    load, site = f.load, f.site
    starts_at, max_import = watts(max(0.0, f.terms.start_w)), watts(site.max_import_w or 0.0)
    match verdict:
        case Verdict.REST:
            return f"rests: {f.free} free, needs {starts_at} for {span(load.start_for_s)}"
        case Verdict.WAIT_ON:
            return f"waits: {f.free} free, needs {starts_at} for {span(f.hold_left_s)} more" + f.then("off")
        case Verdict.HELD_OFF:
            return f"waits: {f.free} free; minimum time off ends {f.clock(f.rest_left_s)}, in {span(f.rest_left_s)}"
        case Verdict.ROOM:
            return f"waits for less important loads to stop: {f.free} free, needs {starts_at}"
        case Verdict.SPENT:
            return f"stays off: its {load.max_starts} starts of today are used up"
        case Verdict.WINDOW:
            return "outside its hours"
        case Verdict.UNMET:
            return f"stays off: {f.condition()}"
        case Verdict.ENOUGH:
            return "stays off: it had its daily maximum"
        case Verdict.CHEAP:
            return f"runs: {f.free} for it, the rest is bought: cheaper now than later"
        case Verdict.MODE:
            return f"{'on' if f.on else 'off'}: its mode says so"
        case Verdict.CROWDED:
            return f"stays off: with it the house would draw more than {max_import} from the grid"
        case Verdict.AWAY:
            return f"cannot run now: {f.standing.detail or 'its device says so'}"
        case Verdict.WELDED:
            return f"alarm: it draws {watts(f.standing.measured_w or 0.0)} although its switch is off; is it welded?"
        case Verdict.START:
            return f"starts: {f.free} free for {span(load.start_for_s)}"
        case Verdict.STOP:
            return f"stops: {watts(f.import_w)} from the grid for {span(load.stop_for_s)}"
        case Verdict.YIELD:
            return "stops: a more important load takes its power"
        case Verdict.SHED:
            return f"off at once: the house draws more than {max_import}"
        case Verdict.RUN:
            return f"runs: {f.free} for it"
        case Verdict.IDLE:
            return "on, but draws nothing: its thermostat is open or its breaker is off; the power goes to others"
        case Verdict.WAIT_OFF:
            return f"runs: {watts(f.import_w)} from the grid, stops after {span(f.hold_left_s)} more" + f.then("on")
        case Verdict.HELD_ON:
            return f"runs: minimum time on ends {f.clock(f.rest_left_s)}, in {span(f.rest_left_s)}"
        case Verdict.NEED:
            return f"runs whatever the sun: {f.needs()}"
        case Verdict.NEED_AT_RISK:
            return f"{f.needs()}, but may not run now: minimum time off, starts of today or the fuse"
        case Verdict.BUSY:
            return _busy(f)
        case Verdict.SETTLING:
            return "switched on just now, the meter has yet to show it"
        case Verdict.HAND:
            return _hand(f)
        case Verdict.BLIND:
            return _blind(f)
        case Verdict.OUTAGE:
            return "in its safe state: the grid is gone or has yet to prove steady"
        case Verdict.SHUTDOWN:
            return "in its safe state: loadctl stops"
        case Verdict.FAULT:
            return _fault(f)
