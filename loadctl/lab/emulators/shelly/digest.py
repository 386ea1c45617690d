"""The digest login of Gen2+ devices: RFC 7616 with SHA-256, user `admin`, the device's id as realm.

Facts: shelly-api-docs.shelly.cloud/gen2/General/Authentication. Firmware before 2.0 takes each nonce once, later ones
take it again with a rising count.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|([^\s,]+))')
_FRAME_REQUEST = "dummy_method:dummy_uri"  # what stands for verb and path inside a WebSocket frame


class Digest:
    """Challenges and checks logins. `reusable`: a nonce may come again with a higher count."""

    def __init__(self, realm: str, *, reusable: bool) -> None:
        self.realm, self.reusable = realm, reusable
        self._counts: dict[str, int] = {}

    def header(self) -> str:
        """Return the value of `WWW-Authenticate`."""
        return f'Digest qop="auth", realm="{self.realm}", nonce="{self._nonce()}", algorithm=SHA-256'

    def message(self) -> str:
        """Return the challenge of a frame: JSON in a string."""
        challenge = {"auth_type": "digest", "nonce": int(self._nonce()), "nc": 1, "realm": self.realm}
        return json.dumps(challenge | {"algorithm": "SHA-256"})

    def knows(self, header: str, verb: str, target: str, password: str) -> bool:
        """Whether an `Authorization` header is right for this very request."""
        if not header.startswith("Digest "):
            return False
        fields = {name: quoted or bare for name, quoted, bare in _FIELD.findall(header)}
        return fields.get("uri") == target and self._right(fields, 16, f"{verb}:{target}", password)

    def knows_frame(self, auth: object, password: str) -> bool:
        """Whether the `auth` object of a frame is right."""
        return isinstance(auth, dict) and self._right(auth, 10, _FRAME_REQUEST, password)

    def _right(self, fields: Mapping[str, Any], base: int, request: str, password: str) -> bool:
        nonce, nc = str(fields.get("nonce")), str(fields.get("nc"))
        try:
            count = int(nc, base)
        except ValueError:
            return False
        last = self._counts.get(nonce)
        if last is None or count <= last:
            return False
        if self.reusable:
            self._counts[nonce] = count
        else:
            del self._counts[nonce]
        secret = _hash(f"admin:{self.realm}:{password}")
        cnonce = fields.get("cnonce")
        expected = _hash(f"{secret}:{nonce}:{nc}:{cnonce}:auth:{_hash(request)}")
        named = fields.get("username") == "admin" and fields.get("realm") == self.realm
        return named and hmac.compare_digest(expected, str(fields.get("response")))

    def _nonce(self) -> str:
        nonce = str(secrets.randbelow(1 << 31))
        self._counts[nonce] = 0
        return nonce


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
