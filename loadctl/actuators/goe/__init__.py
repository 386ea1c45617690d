"""go-e wallboxes (HOME+, HOMEfix, Gemini, PRO) over the house's own network, HTTP API v2 and v1."""

from loadctl.actuators.goe.driver import GoE
from loadctl.actuators.goe.options import GoEOptions

__all__ = ["GoE", "GoEOptions"]
