"""The page's own files, as they lie in `static/`: few and small, so they are read once and kept."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
WORTH_PACKING = 1000  # bytes


@dataclass(frozen=True, slots=True)
class File:
    """One file; `packed` with gzip where that saves something."""

    kind: str
    plain: bytes
    packed: bytes | None
    etag: str


class Files:
    """All files by their path. What is not in here cannot be asked for, whatever an address looks like."""

    def __init__(self) -> None:
        self._files: Mapping[str, File] = dict(_found(resources.files("loadctl.web").joinpath("static"), ""))

    def answer(self, request: Request, path: str) -> Response:
        """Return the file at `path`. Raises HTTPException 404."""
        file = self._files.get(path)
        if file is None:
            raise HTTPException(404)
        headers = {"etag": file.etag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        content = file.plain
        if file.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = file.packed, "gzip"
        return Response(content, headers=headers | {"content-type": file.kind})


def _found(folder: Traversable, prefix: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    if not folder.is_dir():
        return found
    for entry in folder.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            found += _found(entry, f"{path}/")
            continue
        kind = TYPES.get(path[path.rfind(".") :])
        if kind is not None:
            found.append((path, _read(entry, kind)))
    return found


def _read(entry: Traversable, kind: str) -> File:
    plain = entry.read_bytes()
    packed = gzip.compress(plain, 9, mtime=0) if len(plain) > WORTH_PACKING and not kind.endswith("png") else None
    if packed is not None and len(packed) > 0.9 * len(plain):
        packed = None
    return File(kind, plain, packed, f'"{hashlib.sha256(plain).hexdigest()[:20]}"')
