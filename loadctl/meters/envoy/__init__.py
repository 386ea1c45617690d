"""The Enphase Envoy (IQ Gateway), firmware 3.x to 8.x, read over the LAN."""

from loadctl.meters.envoy.driver import Envoy
from loadctl.meters.envoy.options import EnvoyOptions

__all__ = ["Envoy", "EnvoyOptions"]
