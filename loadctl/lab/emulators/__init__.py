"""Emulated devices: objects with state and faults that speak the real wire format, one file per device family."""
