"""The page's own files: small over the wire, nothing from elsewhere, nothing that its security policy would stop."""

from __future__ import annotations

import gzip
import json
import re
from importlib import resources
from pathlib import Path

STATIC = Path(str(resources.files("loadctl.web").joinpath("static")))
FILES = [path for path in STATIC.rglob("*") if path.is_file()]
OURS = [
    path
    for path in FILES
    if "vendor" not in path.parts and path.suffix in {".html", ".js", ".css", ".svg", ".webmanifest"}
]
MOST_BYTES = 150_000


def wire(path: Path) -> int:
    content = path.read_bytes()
    return len(content) if path.suffix == ".png" else len(gzip.compress(content, 9))


def test_all_of_it_together_is_small():
    total = sum(wire(path) for path in FILES)
    assert total < MOST_BYTES, {path.name: wire(path) for path in FILES}


def test_nothing_comes_from_elsewhere():
    for path in OURS:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|[\"'(]//\w|@import", text), path


def test_no_address_begins_at_the_root():
    """Behind a proxy the page may live under any path."""
    for path in OURS:
        assert not re.search(
            r"(?:src|href|url)\s*[=(:]\s*[\"']?/|[\"'`]/(?:api|static)", path.read_text(encoding="utf-8")
        ), path


def test_markup_never_comes_from_data():
    for path in OURS:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text), (
            path
        )


def test_nothing_inline():
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_whatever_is_named_is_there():
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text(encoding="utf-8"))
    named = re.findall(r"(?:src|href)=\"(static/[^\"]+)\"", page) + [icon["src"] for icon in manifest["icons"]]
    assert len(named) > 10
    for name in named:
        assert (STATIC / name.removeprefix("static/")).is_file(), name


def test_what_works_offline_is_all_of_the_page():
    worker = (STATIC / "sw.js").read_text(encoding="utf-8")
    listed = re.search(r"\[(\"api\".*?)\]", worker)
    assert listed is not None
    assert {f"{name}.js" for name in json.loads(f"[{listed[1]}]")} == {path.name for path in (STATIC / "js").iterdir()}


def test_the_charts_library_comes_with_its_licence():
    folder = STATIC / "vendor" / "uplot"
    assert "MIT License" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert re.match(r"uPlot \d+\.\d+\.\d+,", (folder / "VERSION").read_text(encoding="utf-8"))
