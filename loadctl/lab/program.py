"""A mixed-integer program that is gathered variable by variable and row by row, and solved by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from loadctl.errors import LoadctlError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(slots=True)
class Model:
    """Variables and rows of the program, gathered one by one."""

    cost: list[float] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    row_of: list[int] = field(default_factory=list)
    column_of: list[int] = field(default_factory=list)
    factor: list[float] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    constant: float = 0.0

    def add(self, count: int, upper: float = np.inf, *, cost: float = 0.0, whole: bool = False) -> range:
        """Add variables from 0 to `upper`; return their places."""
        first = len(self.cost)
        self.cost += [cost] * count
        self.lower += [0.0] * count
        self.upper += [upper] * count
        self.whole += [int(whole)] * count
        return range(first, first + count)

    def row(self, terms: Sequence[tuple[int, float]], least: float = -np.inf, most: float = np.inf) -> None:
        """Ask that least <= sum of factor · variable <= most."""
        here = len(self.least)
        for column, factor in terms:
            self.row_of.append(here)
            self.column_of.append(column)
            self.factor.append(factor)
        self.least.append(least)
        self.most.append(most)

    def solve(self, gap: float, limit_s: float) -> tuple[NDArray[np.float64], float, float]:
        """Return the values, the cost and its bound. Raises LoadctlError when no plan was found in time."""
        shape = (len(self.least), len(self.cost))
        matrix = coo_array((self.factor, (self.row_of, self.column_of)), shape=shape).tocsr()
        found = milp(
            np.array(self.cost),
            constraints=LinearConstraint(matrix, np.array(self.least), np.array(self.most)),
            integrality=np.array(self.whole),
            bounds=Bounds(np.array(self.lower), np.array(self.upper)),
            options={"mip_rel_gap": gap, "time_limit": limit_s},
        )
        if found.x is None:
            raise LoadctlError(f"no perfect-foresight plan was found: {found.message}")
        bound = found.fun if found.mip_dual_bound is None else found.mip_dual_bound
        return found.x, float(found.fun) + self.constant, float(bound) + self.constant
