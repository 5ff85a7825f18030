"""Files that are whole or absent."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from densepred import atomic


def test_a_device_a_pipe_and_a_folder_are_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        with pytest.raises(OSError, match="is no regular file"):
            atomic.write_json(place, {"a": 1})
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe"]


def test_a_file_is_replaced_and_a_link_to_one_too(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to("old.json")
    for name in ("old.json", "link.json", "new.json"):
        atomic.write_json(tmp_path / name, {"a": 1})
        assert '"a": 1' in (tmp_path / name).read_text()
