"""The YAML keys of `meter: {driver: envoy, …}`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from loadctl.units import Unit, spell

SourceName = Literal["auto", "readings", "production", "v1", "page", "inverters", "stream", "livedata"]

_HOST = re.compile(r"(?:(https?)://)?(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?/?")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Login:
    """The owner's account at Enphase."""

    email: str = Field(description="E-mail address of the owner's Enlighten account.")
    password: str = Field(repr=False, description="Its password; better `${ENLIGHTEN_PASSWORD}` than in clear.")


@dataclass(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class EnvoyOptions:
    """An Enphase Envoy or IQ Gateway on the LAN. Only `host` is needed below firmware 7; from 7 on also a token."""

    host: str = Field(
        default="envoy.local",
        description="Name or address of the Envoy, such as `envoy.local` or `192.168.1.20`. "
        "With `http://` or `https://` only exactly that is tried.",
    )
    token: str | None = Field(
        default=None,
        repr=False,
        description="Access token for firmware 7 and later, made at entrez.enphaseenergy.com; good for a year.",
    )
    token_file: Path | None = Field(
        default=None,
        description="File with the token, read again when it changes; with `login` a fetched token is kept in it.",
    )
    login: Login | None = Field(
        default=None,
        description="Owner's Enlighten account, to fetch the token and renew it 30 days ahead (no two-factor login).",
    )
    login_url: str = Field(
        default="https://enlighten.enphaseenergy.com/login/login.json", description="Where the account logs in."
    )
    token_url: str = Field(
        default="https://entrez.enphaseenergy.com/tokens",
        description="Where the token is fetched.",
    )
    username: Literal["envoy", "installer"] = Field(
        default="envoy", description="User of the Envoy's own pages below firmware 7; the meter's need none."
    )
    password: str | None = Field(
        default=None,
        repr=False,
        description="That user's password; for `envoy` it is the last six characters of the serial unless changed.",
    )
    source: SourceName = Field(
        default="auto",
        description="Which page to read: `readings` (CTs, fast), `production` (production.json, slower), `livedata` "
        "(7+), `stream` (needs installer rights), or, without CTs and of no use for switching, `v1`, `inverters`, "
        "`page`. `auto` takes the best the Envoy has.",
    )
    every: Annotated[float, Unit("s", least=1.0, most=3600.0)] | None = Field(
        default=None, description="How often to read; by default what the page can bear (`5 s` for readings)."
    )
    max_age: Annotated[float, Unit("s", least=2.0, most=86400.0)] | None = Field(
        default=None, description="After how long a reading is no reading any more (`20 s` for readings)."
    )
    pv_source: Literal["auto", "eim", "inverters"] = Field(
        default="auto",
        description="Whose word counts for the production: the CT's (`eim`) or, where it sees only part of the panels, "
        "the minutes-old reports of the `inverters`.",
    )
    untyped_meter: Literal["net", "total"] | None = Field(
        default=None,
        description="What the consumption CT measures, `net` (the grid) or `total` (the loads): 4.2 is silent.",
    )
    live_data: bool = Field(
        default=False,
        description="Allow loadctl to switch live data on (firmware 7+); that starts a stream to Enphase, too.",
    )
    fingerprint: str | None = Field(
        default=None,
        description="SHA-256 of the Envoy's certificate, to refuse any other. It changes at least once a year.",
    )

    def __post_init__(self) -> None:
        match = _HOST.fullmatch(self.host)
        if not match or int(match[3] or 0) > 65535:
            raise ValueError(f"`host` is not a name or address: `{self.host[:60]}`; write it like `envoy.local`")
        if self.fingerprint is not None and not _FINGERPRINT.fullmatch(plain_fingerprint(self.fingerprint)):
            raise ValueError("`fingerprint` is not a SHA-256: 64 hexadecimal digits, with or without colons")
        if self.username == "installer" and not self.password:
            raise ValueError("`username: installer` needs a `password`")
        if self.token is not None and self.token_file is not None:
            raise ValueError("`token` and `token_file` are both given; keep the one that is right")
        if self.every is not None and self.max_age is not None and self.max_age <= self.every:
            raise ValueError(
                f"`max_age: {spell(self.max_age, 's')}` makes each reading too old before the next one comes, after "
                f"`every: {spell(self.every, 's')}`; write at least `max_age: {spell(2 * self.every, 's')}`"
            )
        if self.source == "livedata" and self.pv_source == "inverters":
            raise ValueError("`pv_source: inverters` needs `source: production`")

    def addresses(self) -> tuple[str, ...]:
        """Return the base URLs to try, best first: below firmware 7 there is no HTTPS, late 8.x closed plain HTTP."""
        match = _HOST.fullmatch(self.host)
        scheme, name, port = match.groups() if match else (None, self.host, None)
        place = f"{name}:{port}" if port else name
        return (f"{scheme}://{place}",) if scheme else (f"https://{place}", f"http://{place}")


def plain_fingerprint(text: str) -> str:
    """Return the digits of a fingerprint alone, in lower case."""
    return text.lower().removeprefix("sha256:").replace(":", "").replace(" ", "")
