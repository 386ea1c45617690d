"""Shelly relays and plugs, Gen1 to Gen4, over the house's own network."""

from loadctl.actuators.shelly.driver import Shelly
from loadctl.actuators.shelly.options import ShellyOptions

__all__ = ["Shelly", "ShellyOptions"]
