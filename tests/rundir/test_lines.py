"""Lines on a disk that is full for a while, and a log that survives it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from densepred.errors import UserError
from densepred.logger.tensorboard import TensorBoard
from densepred.rundir.lines import Lines
from densepred.rundir.log import Log


def test_lines_that_a_full_disk_refuses_are_written_later(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "metrics.jsonl")
    assert lines.add("one") is None
    lines.path.rename(tmp_path / "kept")
    lines.path.symlink_to("/dev/full")
    error = lines.add("two")
    assert error is not None
    assert error.errno == errno.ENOSPC
    assert lines.add("three") is not None
    lines.path.unlink()
    (tmp_path / "kept").rename(lines.path)
    assert lines.add("four") is None
    assert lines.path.read_text() == "one\ntwo\nthree\nfour\n"


def test_a_line_that_fits_in_part_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines, write, room = Lines(tmp_path / "log"), os.write, [5]

    def little(handle: int, data: memoryview) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = write(handle, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", little)
    assert lines.add("ab") is None
    assert lines.add("cdefgh") is not None
    assert lines.path.read_text() == "ab\n"
    room[0] = 100
    assert lines.flush() is None
    assert lines.path.read_text() == "ab\ncdefgh\n"


def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run: the folder was deleted or moved"):
        Lines(tmp_path / "run" / "log").add("x")


def test_a_log_on_a_full_disk_warns_once_and_knows_what_waits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("metrics.jsonl", "train.log"):
        (tmp_path / name).symlink_to("/dev/full")
    (tmp_path / "tensorboard").write_text("a file in place of the folder")
    log = Log(tmp_path)
    log.loggers = [TensorBoard(tmp_path, {})]
    for step in range(3):
        log.scalars("train", {"loss": 1.0}, step, 0)
        log.picture("x", torch.zeros(3, 2, 2, dtype=torch.uint8), step)
    log.close()
    err = capsys.readouterr().err
    assert err.count("lines wait in memory until they can be written") == 1
    assert err.count("TensorBoard: file exists; its records end here") == 1
    assert log.waiting() == ["metrics.jsonl"]
    with pytest.raises(OSError, match="No space left"):
        log.position()
    (tmp_path / "metrics.jsonl").unlink()
    assert log.waiting() == []
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3
