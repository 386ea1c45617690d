"""Shelly relays, plugs and dimmers, Gen1 to Gen4, over the house's own network."""

from loadctl.actuators.shelly.driver import Shelly, ShellyDimmer
from loadctl.actuators.shelly.options import ShellyDimmerOptions, ShellyOptions

__all__ = ["Shelly", "ShellyDimmer", "ShellyDimmerOptions", "ShellyOptions"]
