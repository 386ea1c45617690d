"""Emulated Shelly relays and dimmers: state, timers, faults and a memory of what happened at their wires."""

from loadctl.lab.emulators.shelly.gen1 import EmulatedShellyGen1
from loadctl.lab.emulators.shelly.gen2 import EmulatedShellyGen2
from loadctl.lab.emulators.shelly.light import EmulatedLight
from loadctl.lab.emulators.shelly.relay import EmulatedRelay, Switching
from loadctl.lab.emulators.shelly.wire import Asked, Fault

__all__ = ["Asked", "EmulatedLight", "EmulatedRelay", "EmulatedShellyGen1", "EmulatedShellyGen2", "Fault", "Switching"]
