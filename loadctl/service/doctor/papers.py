"""The rules as they are written: accepted risks, and secrets in clear."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import yaml

from loadctl.config import House
from loadctl.config.house import Web
from loadctl.drivers import Finding, Level

SECRETS = frozenset({"token", "password", "secret", "api_key"})


def judge_rules(house: House) -> tuple[Finding, ...]:
    """List what the owner has accepted or left out."""
    found = [
        Finding(
            f"failsafe.{load.name}",
            Level.NOTE,
            f"{load.name} holds no lease: nothing outside this machine switches it off (`failsafe: none`, accepted)",
            "its own thermostat or timer must be the last guard",
        )
        for load in house.site.loads
        if load.lease_s is None
    ]
    if not found:
        found.append(Finding("failsafe", Level.OK, "every load holds a lease: it goes off by itself if loadctl dies"))
    found += [
        Finding(f"note_{number}", Level.NOTE, f"{note.path}: {note.message}" if note.path else note.message)
        for number, note in enumerate(house.notes, 1)
    ]
    if house.site.max_import_w is None:
        message = "the main fuse is not told: loads may start together until it blows"
        found.append(Finding("fuse", Level.NOTE, message, "write `site: {max_import: 6 kW}`"))
    if house.zone.key in {"UTC", "Etc/UTC"}:
        message = "times of day are UTC"
        advice = "if the house stands elsewhere write `site: {timezone: Europe/Amsterdam}`"
        found.append(Finding("timezone", Level.NOTE, message, advice))
    else:
        found.append(Finding("timezone", Level.OK, f"times of day are those of {house.zone.key}"))
    found.append(_page(house.web))
    return tuple(found)


def secrets_in_clear(text: str) -> bool:
    """Tell whether a rule file holds a token or a password itself, not as `${NAME}` or `!secret name`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return False
    return root is not None and any(_clear(key, value) for key, value in _pairs(root))


def secret_files(house: House) -> tuple[Path, ...]:
    """Return the files beside the rules, and named in them, that hold secrets; they need not be there."""
    named = [
        value
        for device in (house.meter, *house.actuators.values())
        for name in getattr(device.options, "__dataclass_fields__", ())
        if isinstance(value := getattr(device.options, name), Path)
    ]
    folder = house.path.parent
    return (folder / "secrets.yaml", folder / "secrets.env", *named)


def _page(web: Web) -> Finding:
    if _is_loopback(web.host):
        return Finding("page", Level.OK, "the page is shown to this machine only")
    if web.private:
        return Finding("page", Level.OK, "the page is shown to who has its password or token")
    message = f"everybody in your network can look at the page (`web: {{host: {web.host}}}`); only switching is locked"
    return Finding("page", Level.NOTE, message, "it tells when nobody is at home; `private: true` locks all of it")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pairs(node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Give all keys with their values, however deep."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key, value
            yield from _pairs(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _pairs(item)


def _clear(key: yaml.Node, value: yaml.Node) -> bool:
    if not isinstance(value, yaml.ScalarNode) or key.value not in SECRETS:
        return False
    return bool(value.value) and value.tag != "!secret" and "${" not in value.value
