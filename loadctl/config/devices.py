"""Meters, actuators and inputs as the rule file names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from loadctl.config.findings import Findings, Path, nearest
from loadctl.config.house import Device
from loadctl.config.validate import checked
from loadctl.drivers import Noted, driver_class


def device(value: object, path: Path, registry: Mapping[str, str], kind: str, findings: Findings) -> Device | None:
    """Return the device behind `{driver: …, …}`; None when it cannot be one, and why goes to `findings`."""
    if not isinstance(value, dict):
        findings.fault(path, f"a group of keys is meant here, such as `{{driver: {min(registry)}, …}}`")
        return None
    name = value.get("driver")
    if not isinstance(name, str) or name not in registry:
        place = (*path, "driver") if "driver" in value else path
        hint = nearest(name[:40], registry) if isinstance(name, str) else "known here: " + ", ".join(sorted(registry))
        findings.fault(place, f"there is no such {kind} driver; {hint}" if name else f"`driver` is missing; {hint}")
        return None
    host = value.get("host")
    if isinstance(host, str) and "@" in host:
        findings.fault((*path, "host"), "a login stands in the address; give user and password as keys of their own")
        return None
    cls = driver_class(registry, name)
    options = checked(cls.Options, {key: item for key, item in value.items() if key != "driver"}, path, findings)
    if isinstance(options, Noted):
        for key, said in options.notes():
            findings.note((*path, key), said)
    return Device(name, options, lambda shared: cls(options, shared)) if options is not None else None


def no_network(**_: Any) -> httpx.AsyncClient:
    """Make the client of devices that are only built to be asked what they can do."""
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
