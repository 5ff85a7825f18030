"""A folder has one holder at a time, and none after it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from densepred.rundir import folder_lock


def test_a_folder_is_held_until_the_descriptor_is_closed(tmp_path: Path) -> None:
    first = folder_lock.take(tmp_path)
    assert first is not None
    assert folder_lock.take(tmp_path) is None
    os.close(first)
    second = folder_lock.take(tmp_path)
    assert second is not None
    os.close(second)
    assert not list(tmp_path.iterdir())


def test_file_systems_without_locks_hold_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(handle: int, what: int) -> None:
        raise OSError("no locks")

    monkeypatch.setattr(fcntl, "flock", none)
    handles = [folder_lock.take(tmp_path), folder_lock.take(tmp_path)]
    for handle in handles:
        assert handle is not None
        os.close(handle)
