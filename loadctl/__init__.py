"""loadctl: use at home the power that your solar panels would export.

For other programs: `from loadctl import Controller, Sample, LoadState`, see `loadctl.controller`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadctl.controller import Controller, LoadState, Sample

__version__ = "0.1.0"
__all__ = ["Controller", "LoadState", "Sample", "__version__"]


def __getattr__(name: str) -> object:
    """Import the controller only for those who ask for it: the command line stays quick."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module("loadctl.controller"), name)
    return found
