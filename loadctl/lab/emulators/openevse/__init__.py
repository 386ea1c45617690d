"""An emulated OpenEVSE wallbox."""

from loadctl.lab.emulators.openevse.box import EmulatedOpenEvse
from loadctl.lab.emulators.openevse.claims import Claim

__all__ = ["Claim", "EmulatedOpenEvse"]
