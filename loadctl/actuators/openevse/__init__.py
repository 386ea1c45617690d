"""The OpenEVSE wallbox with its ESP32 Wi-Fi gateway, firmware 4.2 and later."""

from loadctl.actuators.openevse.driver import OpenEvse
from loadctl.actuators.openevse.options import OpenEvseOptions

__all__ = ["OpenEvse", "OpenEvseOptions"]
