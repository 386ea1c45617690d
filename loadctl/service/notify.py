"""Telling systemd how we are (sd_notify(3)): datagrams of `KEY=value` lines to the socket in `NOTIFY_SOCKET`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


class Notifier:
    """Says READY with the first tick and feeds the watchdog with every further one; outside systemd it does nothing.

    Only the control loop calls it, and only when it really ticked: a loop that hangs goes hungry and is killed.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._ready = False

    def ticked(self, status: str) -> None:
        """Feed the watchdog; `status` is what `systemctl status` shows."""
        lines = ["WATCHDOG=1", f"STATUS={status}"]
        if not self._ready:
            lines.insert(0, "READY=1")
            self._ready = True
        self._send("\n".join(lines))

    def stopping(self) -> None:
        """Say that the loads are being put in their safe state; the watchdog is fed no more."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the zero byte of an abstract address
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            try:
                line.sendto(message.encode(), address)
            except OSError:
                return  # systemd is busy or gone: the next tick says it again
