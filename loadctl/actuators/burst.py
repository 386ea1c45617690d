"""Burst firing as arithmetic: a share of the mains' cycles, spread as evenly as a shortest pulse allows.

A zero-cross solid-state relay conducts whole half waves, from the zero crossing after its input rises to the one after
it falls. Pulses of whole cycles hold as many positive as negative half waves: no direct current. Time is cut into
pulses of equal length, and each is on or off by error diffusion (a first-order sigma-delta): what is owed to the heater
grows by the share, and once a whole pulse is owed it is given. So the average over any time is within one pulse of the
share, and a share in whole percent comes out exactly every hundred pulses.

Pure: no pin, no thread, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

FULL = 100  # shares are whole percent: sums of integers, so that 0 % and 100 % are exact for ever
LATE_SHARE = 0.05  # of the pulses: a computer that wakes us late more often than that is worth a word

_MEMORY = 1 / 64  # how much of the average lateness is the last pulse


def diffuse(owed: int, percent: int) -> tuple[bool, int]:
    """Return whether the next pulse is on, and what is owed after it (0 to 99 hundredths of a pulse)."""
    pulses, owed = divmod(owed + percent, FULL)
    return pulses == 1, owed


def percent_of(watts: float, rated_w: float) -> int:
    """Return the share for `watts` of a heater with `rated_w`: never more than asked, and 0 only for nothing."""
    if watts <= 0:
        return 0
    return min(FULL, max(1, int(watts / rated_w * FULL + 1e-6)))


def ripple_w(rated_w: float, pulse_s: float, over_s: float) -> float:
    """Return by how much the average over `over_s` may be off: the energy of one pulse, in W."""
    return rated_w * min(1.0, pulse_s / over_s)


@dataclass(slots=True)
class Schedule:
    """What the relay does when. `turn` is asked at the end of each pulse, with the time it really is.

    The next pulse begins then, not when it should have begun: it is never shorter than `pulse_s`, and pulses that were
    overslept are gone, not made up for. If nobody has said `renew` or `set` for `lease_s`, it is off until the next
    `set`: that is the dead-man's handle of an event loop that hangs.

    `late`: pulses that ended later than `tolerance_s`, of all `pulses`; `worst_s`: by how much at most; `lag`: their
    share lately. All times are of one monotonic clock.
    """

    pulse_s: float
    tolerance_s: float
    lease_s: float
    percent: int = 0
    on: bool = False
    ends_at: float = inf  # of the present pulse; inf: none runs, it is simply off
    expired: bool = False
    renewed_at: float = -inf
    pulses: int = 0
    late: int = 0
    worst_s: float = 0.0
    lag: float = 0.0
    _owed: int = FULL - 1  # the very first pulse is on: a relay that does not follow is seen at once
    _rests_until: float = -inf  # a pulse off is never too short either

    def set(self, percent: int, now: float) -> None:
        """Ask for another share, from the next pulse on; nothing at all holds from the next `turn`."""
        self.percent, self.renewed_at, self.expired = percent, now, False

    def renew(self, now: float) -> None:
        if not self.expired:
            self.renewed_at = now

    def turn(self, now: float) -> None:
        """Decide what the relay does from `now` to `ends_at`. Asked too early it changes nothing but a stop."""
        if self.percent and now - self.renewed_at >= self.lease_s:
            self.percent, self.expired = 0, True
        if not self.percent:
            if self.ends_at < inf:
                self._rests_until = now + self.pulse_s if self.on else self.ends_at
            self.on, self.ends_at = False, inf
            return
        if self.ends_at == inf:
            self.ends_at = max(now, self._rests_until)
        if now < self.ends_at:
            return
        self._count(now - self.ends_at)
        self.on, self._owed = diffuse(self._owed, self.percent)
        self.ends_at = now + self.pulse_s

    def _count(self, late_s: float) -> None:
        late = late_s >= self.tolerance_s
        self.pulses += 1
        self.late += late
        self.worst_s = max(self.worst_s, late_s)
        self.lag += (late - self.lag) * _MEMORY
