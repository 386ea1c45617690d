"""Numbers as devices write them: what cannot be meant (a word, null, NaN, absurdly large) is None."""

from __future__ import annotations


def number(value: object, most: float = 1e12) -> float | None:
    """Return a number of less than `most`, negative ones too."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and -most < value < most
    return float(value) if known else None  # type: ignore[arg-type]


def written(value: object) -> float | None:
    """Return a number that may be written as text, as OCPP and some firmware do it."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return number(value, 1e9)
