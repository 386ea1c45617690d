"""loadctl: use at home the power that your solar panels would export.

For other programs: `from loadctl import Controller, Sample, LoadState`, see `loadctl.controller`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadctl.controller import Controller, Decision, LoadState, Sample
    from loadctl.core.values import Away, Command, ModeWish, Verdict, Wish

__version__ = "0.1.0"
__all__ = [
    "Away",
    "Command",
    "Controller",
    "Decision",
    "LoadState",
    "ModeWish",
    "Sample",
    "Verdict",
    "Wish",
    "__version__",
]
_VALUES = ("Away", "Command", "ModeWish", "Verdict", "Wish")


def __getattr__(name: str) -> object:
    """Import the controller only for those who ask for it: the command line stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "loadctl.core.values" if name in _VALUES else "loadctl.controller"
    found: object = getattr(importlib.import_module(module), name)
    return found
