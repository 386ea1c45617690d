"""What people ask for at one moment."""

from __future__ import annotations

from collections.abc import Mapping

from loadctl.core.rules import Mode, Site
from loadctl.core.values import Away, Boost, ModeWish, Tick, Wish
from loadctl.each_tick import each_tick


@each_tick(frozen=True, slots=True)
class Asked:
    """`wishes` on or off and `modes` by load, more needs, and whether nobody is at home.

    `kept`: the loads that a person wants to run; True: in full, False: at their least at any time.
    """

    wishes: Mapping[str, bool]
    modes: Mapping[str, Mode]
    boosts: Mapping[str, tuple[Boost, ...]]
    kept: Mapping[str, bool]
    away: bool = False

    @classmethod
    def of(cls, site: Site, tick: Tick) -> Asked:
        """Sort what was asked for; what has run out is left out."""
        wishes: dict[str, bool] = {}
        modes: dict[str, Mode] = {load.name: load.mode for load in site.loads if load.mode is not Mode.SOLAR}
        boosts: dict[str, tuple[Boost, ...]] = {}
        away = False
        for wish in tick.wishes:
            if wish.until is not None and tick.at >= wish.until:
                continue
            match wish:
                case Wish():
                    wishes[wish.load] = wish.on
                case ModeWish():
                    modes[wish.load] = wish.mode
                case Boost():
                    boosts[wish.load] = (*boosts.get(wish.load, ()), wish)
                case Away():
                    away = True
        kept = {name: mode is Mode.FAST for name, mode in modes.items() if mode in (Mode.FAST, Mode.SOLAR_MIN)}
        return cls(wishes, modes, boosts, kept | dict.fromkeys(wishes, True), away)

    def off(self, name: str) -> bool:
        """Tell whether a person wants the load to be off, or its rules say so."""
        return self.wishes.get(name) is False or self.modes.get(name) is Mode.OFF
