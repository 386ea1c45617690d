"""Envoys that are not there: one of any firmware with live values, one that plays a recording, and Enphase's cloud."""

from loadctl.lab.emulators.envoy.emulated import EmulatedEnvoy, Fault
from loadctl.lab.emulators.envoy.enlighten import EmulatedEnlighten, make_token
from loadctl.lab.emulators.envoy.recorded import RecordedEnvoy

__all__ = ["EmulatedEnlighten", "EmulatedEnvoy", "Fault", "RecordedEnvoy", "make_token"]
