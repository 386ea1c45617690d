"""install.sh, run for real into a scratch folder: what it leaves there, twice, and what it takes away again."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from loadctl.config import load
from loadctl.errors import ConfigError
from tests.deploy.conftest import DEPLOY, output_of, program

SCRIPT = DEPLOY / "install.sh"
VENV = Path("opt/loadctl/venv")
SYSTEM_FOLDERS = ("etc/systemd/system", "opt", "usr/local/bin", "var/lib")


@pytest.fixture
def root(tmp_path):
    """A machine's folders as they are before loadctl comes."""
    for folder in SYSTEM_FOLDERS:
        (tmp_path / "root" / folder).mkdir(parents=True)
    return tmp_path / "root"


def install(root: Path, *options: str) -> str:
    code, text = output_of([SCRIPT, "--root", root, "--python", sys.executable, *options])
    assert code == 0, text
    return text


def tree(root: Path) -> dict[str, tuple[str, str]]:
    """Return path -> (mode, content or target) for all that is there, the environment's inside aside."""
    return {
        str(path.relative_to(root)): (stat.filemode(path.lstat().st_mode), content(path))
        for path in sorted(root.rglob("*"))
        if VENV not in path.relative_to(root).parents
    }


def content(path: Path) -> str:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_text() if path.is_file() else ""


def test_what_is_installed(root):
    install(root, "--skip-pip")
    modes = {path: mode for path, (mode, _) in tree(root).items()}
    assert modes["etc/loadctl"] == "drwxr-x---"
    assert modes["etc/loadctl/home.yaml"] == "-rw-r-----"
    assert modes["etc/loadctl/secrets.env"] == "-rw-r-----"
    assert modes["etc/systemd/system/loadctl.service"] == "-rw-r--r--"
    assert modes["usr/local/bin/loadctl"] == modes["opt/loadctl/loadctl"] == "-rwxr-xr-x"
    assert (root / "opt/loadctl/README.md").read_text() == (DEPLOY / "README.md").read_text()


def test_twice_is_like_once(root):
    install(root, "--skip-pip")
    once = tree(root)
    install(root, "--skip-pip")
    assert tree(root) == once


def test_what_the_owner_wrote_stays(root):
    install(root, "--skip-pip")
    (root / "etc/loadctl/home.yaml").write_text("version: 1  # mine\n")
    (root / "etc/loadctl/secrets.env").write_text("ENVOY_TOKEN=mine\n")
    (root / "etc/loadctl/secrets.env").chmod(0o666)
    install(root, "--skip-pip")
    assert (root / "etc/loadctl/home.yaml").read_text() == "version: 1  # mine\n"
    assert (root / "etc/loadctl/secrets.env").read_text() == "ENVOY_TOKEN=mine\n"
    assert tree(root)["etc/loadctl/secrets.env"][0] == "-rw-r-----"


def test_uninstalling_keeps_rules_and_history(root):
    install(root, "--skip-pip")
    (root / "var/lib/loadctl").mkdir()
    (root / "var/lib/loadctl/history.db").write_text("years of it")
    install(root, "--uninstall")
    left = {path for path in tree(root) if (root / path).is_file()}
    assert left == {"etc/loadctl/home.yaml", "etc/loadctl/secrets.env", "var/lib/loadctl/history.db"}


def test_purging_leaves_nothing_of_ours(root):
    before = tree(root)
    install(root, "--skip-pip")
    (root / "var/lib/loadctl").mkdir()
    install(root, "--uninstall", "--purge")
    assert tree(root) == before
    install(root, "--uninstall", "--purge")
    assert tree(root) == before


def test_a_foreign_program_of_that_name_is_left_alone(root):
    (root / "usr/local/bin/loadctl").write_text("#!/bin/sh\n")
    assert "not ours" in install(root, "--skip-pip")
    install(root, "--uninstall", "--purge")
    assert (root / "usr/local/bin/loadctl").read_text() == "#!/bin/sh\n"


def test_a_dry_run_does_nothing_and_says_everything(root):
    before = tree(root)
    text = install(root, "--dry-run")
    assert tree(root) == before
    for word in ("-m venv", "pip install", "home.yaml", "secrets.env", "loadctl.service", "usr/local/bin/loadctl"):
        assert word in text
    install(root, "--skip-pip")
    installed = tree(root)
    assert "rm -rf" in install(root, "--uninstall", "--purge", "--dry-run")
    assert tree(root) == installed


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--colour"], "unknown option --colour"),
        (["--purge"], "--purge goes with --uninstall"),
        (["--root"], "--root needs a value"),
        (["--root", "/tmp", "--python", "/nowhere/python3", "--dry-run"], "no /nowhere/python3 here"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(options, sentence):
    code, text = output_of([SCRIPT, *options])
    assert code == 1
    assert sentence in text
    assert len(text.splitlines()) == 1


def test_an_old_python_is_refused(root, tmp_path):
    old = tmp_path / "python3"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2 && exit\nexit 1\n')
    old.chmod(0o755)
    code, text = output_of([SCRIPT, "--root", root, "--python", old])
    assert code == 1
    assert "Python 3.9.2 is too old, 3.11 or newer" in text
    assert tree(root).keys() == {"etc", "etc/systemd", *SYSTEM_FOLDERS, "usr", "usr/local", "var"}


@pytest.mark.slow
def test_the_installed_program_runs(root):
    install(root)
    loadctl = root / VENV / "bin/loadctl"
    assert output_of([loadctl, "--version"], cwd="/")[1].startswith("loadctl ")
    install(root)
    assert output_of([loadctl, "--version"], cwd="/")[1].startswith("loadctl ")
    install(root, "--uninstall")
    assert not loadctl.exists()


@pytest.mark.parametrize("script", [SCRIPT, DEPLOY / "systemd" / "loadctl.sh"], ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script):
    assert output_of([program("shellcheck", "shellcheck"), script]) == (0, "")


def test_the_example_home_needs_its_secret():
    example = DEPLOY / "home.example.yaml"
    with pytest.raises(ConfigError, match="ENVOY_TOKEN"):
        load(example, env={})
    assert [rule.name for rule in load(example, env={"ENVOY_TOKEN": "eyJ"}).site.loads] == ["boiler"]
