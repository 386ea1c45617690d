"""How an owner names a device in the house's network, and how devices write who they are."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address

import httpx

_LONGEST_LABEL = 63  # RFC 1035, 2.3.4; Python's resolver raises UnicodeError for more


def base_url(host: str) -> httpx.URL:
    """Make the device's address of a name, an IP address or a URL. Raises ValueError with a sentence for the owner."""
    try:
        host = f"[{IPv6Address(host)}]"
    except AddressValueError:
        host = host.strip()
    try:
        url = httpx.URL(host if "://" in host else f"http://{host}")
    except httpx.InvalidURL as error:
        raise ValueError("`host` is no address; it reads like `192.168.1.40` or `boiler.local`") from error
    if url.userinfo:
        raise ValueError("`host` holds a login; write `username` and `password` as keys of their own")
    labels = url.raw_host.removesuffix(b".").split(b".")
    named = all(0 < len(label) <= _LONGEST_LABEL for label in labels)
    if url.scheme not in {"http", "https"} or not named or " " in host or url.raw_path != b"/":
        raise ValueError("`host` is no address; it reads like `192.168.1.40` or `boiler.local`")
    return url


def plain_mac(value: object) -> str:
    """Write a hardware address as the devices do: `AABBCCDDEEFF`; empty where it is none."""
    digits = str(value or "").upper().replace(":", "").replace("-", "")
    return digits if len(digits) == 12 and all(digit in "0123456789ABCDEF" for digit in digits) else ""
