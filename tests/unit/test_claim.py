"""One loadctl to a state directory."""

from __future__ import annotations

import stat

import pytest

from loadctl.errors import LoadctlError
from loadctl.service.claim import claim


def test_one_daemon_to_a_directory(tmp_path):
    folder = tmp_path / "new" / "state"
    with claim(folder), pytest.raises(LoadctlError, match="another loadctl runs with"), claim(folder):
        pass
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with claim(folder):
        pass


def test_a_directory_that_cannot_be_stops_no_control(tmp_path, caplog):
    (tmp_path / "file").touch()
    went_on = False
    with claim(tmp_path / "file"):
        went_on = True
    assert went_on
    assert "loads are controlled all the same" in caplog.text
