"""What is known of one charger, whether it is connected or not. No I/O."""

from __future__ import annotations

import asyncio
import hmac
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadctl.actuators.ocpp.profiles import Abilities, Json, Measured, rests

if TYPE_CHECKING:
    from loadctl.actuators.ocpp.charge_point import Dialogue

SOCKETS = 16


@dataclass(slots=True)
class Connector:
    """One socket of a box. Moments are of `shared.clock`; `transaction` None: none that we know of.

    `permanent`: the profile that must hold whatever else does, installed anew each time the box comes back.
    """

    status: str = ""
    error: str = ""
    info: str = ""
    status_at: float = -math.inf  # when it came to be this
    told_at: float = -math.inf  # when it was told last
    transaction: int | None = None
    stopped_by: str = ""  # why the last transaction ended, in the box's own word
    meter: Measured = field(default_factory=Measured)
    measured_at: float = -math.inf
    permanent: Json | None = None

    @property
    def stopped_by_hand(self) -> bool:
        return self.stopped_by == "Local"

    @property
    def draws(self) -> bool:
        """Whether power flowed at the last measurement, and nothing that was told since speaks against it."""
        return self.meter.draws and not (rests(self.status) and self.status_at >= self.measured_at)


@dataclass(slots=True)
class Box:
    """One charge point. `boots`, `visits`: how often it has booted and connected since we know it.

    `turned_away`: why its last attempt to connect failed; `skew_s`: how far its clock is ahead of ours.
    """

    id: str
    passwords: list[str] = field(default_factory=list)
    users: int = 0
    dialogue: Dialogue | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    serial: str | None = None
    model: str = ""
    firmware: str = ""
    boots: int = 0
    visits: int = 0
    abilities: Abilities = field(default_factory=Abilities)
    skew_s: float = 0.0
    turned_away: str = ""
    connectors: dict[int, Connector] = field(default_factory=dict)

    def connector(self, number: object) -> Connector:
        """Return the socket with this number. Raises ValueError for one that no charger has."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= SOCKETS:
            raise ValueError("no such connector")
        return self.connectors.setdefault(number, Connector())

    def opens_to(self, password: str | None) -> bool:
        """Tell whether a box with this password gets in; one without is let in only if the rule file has none."""
        if not self.passwords:
            return True
        said = (password or "").encode()
        return any(hmac.compare_digest(said, known.encode()) for known in self.passwords)
