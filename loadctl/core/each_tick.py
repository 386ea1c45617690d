"""How to make a class of which a new value is made each tick.

`@each_tick(frozen=True, slots=True)` is a frozen dataclass to the type checker, and nobody may change one. At run time
it is not frozen: a value of it is then made in a third of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

__all__ = ["each_tick"]

if TYPE_CHECKING:
    from dataclasses import dataclass as each_tick
else:

    def each_tick(*, frozen: bool, slots: bool) -> Any:
        """Return what makes a dataclass."""
        return dataclass(slots=slots, unsafe_hash=frozen)
