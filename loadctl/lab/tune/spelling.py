"""How a change is written in a rule file: in the owner's form where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadctl.config import words
from loadctl.config.findings import Path
from loadctl.core.rules import Load
from loadctl.lab.tune.subject import Edit
from loadctl.units import spell


def least(load: Load) -> float:
    """Return the least power with which a load runs, in W."""
    return load.follow.ranges[0].least_w if load.follow is not None else load.power_w


def start(place: Path, written: Any, load: Load, share: float | None, for_s: float | None) -> Iterator[Edit]:
    """Yield the edits of `start`; None: that part stays as it is."""
    what = None if share is None else _threshold(written, share, least(load))
    if isinstance(written, Mapping):
        if what is not None:
            yield Edit((*place, "start", "share" if "share" in written else "surplus"), what)
        if for_s is not None:
            yield Edit((*place, "start", "for"), spell(for_s, "s"))
        return
    parts = words.start(written) if isinstance(written, str) else {}
    what = what or str(parts.get("share") or parts.get("surplus"))
    held = spell(for_s, "s") if for_s is not None else parts.get("for")
    yield Edit((*place, "start"), f"{what} for {held}" if held else what)


def stop(
    place: Path, written: Any, load: Load, share: float | None, slack: float | None, for_s: float | None
) -> Iterator[Edit]:
    """Yield the edits of `stop`, which keeps its distance to `start` unless that (`slack`) is what changes."""
    least_w = least(load)
    start_w = load.start_w if share is None else share * least_w
    slack_w = load.start_w + load.stop_import_w - least_w if slack is None else slack * least_w
    stop_w = round((least_w - start_w + slack_w) / 10) * 10.0
    key, other = ("import", "export") if stop_w >= 0 else ("export", "import")
    same = share is None and slack is None
    if isinstance(written, Mapping):
        if other in written:  # it stays in the owner's words: to feed in 0 W is to draw 0 W
            key, stop_w = other, 0.0
        if not same:
            yield Edit((*place, "stop", key), spell(abs(stop_w), "W"))
        if for_s is not None:
            yield Edit((*place, "stop", "for"), spell(for_s, "s"))
        return
    parts = words.stop(written) if isinstance(written, str) else {}
    held = spell(for_s, "s") if for_s is not None else parts.get("for")
    if same and parts:
        key = "import" if "import" in parts else "export"
        yield Edit((*place, "stop"), f"{key} {parts[key]} for {held}")
        return
    yield Edit((*place, "stop"), _stop(key, stop_w, held))


def priorities(order: Sequence[str], keys: Mapping[str, Mapping[str, Any]]) -> Iterator[Edit]:
    """Yield the fewest priorities that put the loads (with `keys`, in the order of the file) into an order."""
    names = list(keys)
    ranked = len(order)
    for first in range(len(order) + 1):
        rest = order[first:]
        if list(rest) == [name for name in names if name in rest] and not any(
            keys[name].get("priority") for name in rest
        ):
            ranked = first
            break
    for rank, name in enumerate(order[:ranked], 1):
        if keys[name].get("priority") != rank:
            yield Edit(("loads", name, "priority"), rank)


def _threshold(written: Any, share: float, least_w: float) -> str:
    """Write a threshold in watts where the owner thinks in watts, else as a share."""
    in_watts = "surplus" in written if isinstance(written, Mapping) else isinstance(written, str) and "%" not in written
    return spell(max(10.0, round(share * least_w / 10) * 10.0), "W") if in_watts else f"{share * 100:.0f} %"


def _stop(key: str, stop_w: float, held: Any) -> str:
    what = f"{key} {spell(abs(stop_w), 'W')}"
    return f"{what} for {held}" if held else what
