"""Chargers that speak OCPP 1.6J. They call us: loadctl is their central system."""

from loadctl.actuators.ocpp.driver import Ocpp
from loadctl.actuators.ocpp.options import OcppOptions

__all__ = ["Ocpp", "OcppOptions"]
