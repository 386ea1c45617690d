"""When to wake a car that sleeps: it is plugged in, it may charge, and it takes nothing.

Some cars fall asleep while they wait for the sun. One that began to charge and stopped by itself has had enough, and is
left alone like one that says so.
"""

from __future__ import annotations

from loadctl.core.values import Report

PATIENCE_S = (120.0, 600.0)  # since it may charge, for the first attempt of a plug-in and the second
DRAWS_W = 100.0


class Sleep:
    """What is known of the car at one charger."""

    def __init__(self) -> None:
        self._since: float | None = None  # it may charge and takes nothing
        self._drew = False  # since it may charge
        self._wakes = 0  # of this plug-in

    def note(self, report: Report) -> None:
        """Take in what the charger says. What it does not say changes nothing."""
        if report.error is not None:
            return
        if report.connected is False:
            self._wakes = 0
        if not report.on or not report.connected or not report.available:
            self._since, self._drew = None, False
        elif report.satisfied or (report.watts is not None and report.watts >= DRAWS_W):
            self._since, self._drew = None, True
        elif self._since is None and not self._drew and report.watts is not None:
            self._since = report.read_at

    def over(self, now: float) -> bool:
        """Tell whether it is time to wake the car; whoever is told so does it."""
        if self._since is None or self._wakes >= len(PATIENCE_S):
            return False
        if now - self._since < PATIENCE_S[self._wakes]:
            return False
        self._wakes += 1
        return True
