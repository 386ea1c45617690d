"""my-PV AC ELWA 2, AC ELWA-E, AC•THOR and AC•THOR 9s: heating rods and controllers that take a power in watts."""

from loadctl.actuators.mypv.driver import MyPv
from loadctl.actuators.mypv.options import MyPvOptions

__all__ = ["MyPv", "MyPvOptions"]
