"""The rule file: read, checked with file:line:column, turned into the core's values."""

from loadctl.config.house import Device, House, Web
from loadctl.config.reading import Drivers, load, parse

__all__ = ["Device", "Drivers", "House", "Web", "load", "parse"]
