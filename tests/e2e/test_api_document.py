"""openapi.json and what is really served: the same addresses, and nothing that a machine asks gets an untrue answer."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from loadctl.web.api.routes import ROWS, Access
from loadctl.web.lock import TOKEN_FILE
from tests.e2e.street import loadctl_run, open_street
from tests.e2e.until import until

LEFT_OUT = ("/events", "/rules/replay", "/login", "/logout")  # without an end, slow, few attempts: tested elsewhere
DOCUMENT = json.loads(resources.files("loadctl.web.api").joinpath("openapi.json").read_text(encoding="utf-8"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "response_headers_conformance",
)


def test_it_names_every_address_and_no_other():
    named = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert named == {(row.method, row.path) for row in ROWS}


def test_it_says_who_may():
    for row in ROWS:
        needed = DOCUMENT["paths"][row.path][row.method.lower()]["security"]
        assert ({} in needed) is (row.access in {Access.ANYBODY, Access.LOOK}), row.path
        assert any("csrf" in each for each in needed) is (row.access is Access.CHANGE), row.path


def test_every_schema_is_one():
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.anyio
async def test_machines_find_nothing_untrue(tmp_path):
    pytest.importorskip("schemathesis")
    async with open_street(tmp_path) as street, loadctl_run(street):
        await until(lambda: street.said("→ run"))
        token = (street.state_dir / TOKEN_FILE).read_text(encoding="ascii").strip()
        url = f"http://127.0.0.1:{street.port}/api/v1"
        command = ("run", f"{url}/openapi.json", "--url", url, "--header", f"Authorization: Bearer {token}")
        bounds = ("--max-examples", "12", "--seed", "1", "--phases", "examples,coverage,fuzzing", "--workers", "1")
        left_out = [word for path in LEFT_OUT for word in ("--exclude-path", path)]
        schemathesis = (
            sys.executable,
            "-m",
            "schemathesis.cli",
            *command,
            *bounds,
            *left_out,
            "--checks",
            ",".join(CHECKS),
        )
        done = await asyncio.to_thread(
            subprocess.run, schemathesis, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert not [line for line in street.lines if "Traceback" in line]
