"""Loader workers where no further thread can start, as at the limit of processes of a user."""

from __future__ import annotations

import errno
import sys
import threading

import pytest
import torch

from densepred.errors import UserError
from densepred.loader.parallel_map import parallel_map


def test_a_worker_that_can_start_no_thread_names_the_limit_of_processes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading, "_start_new_thread", refuse)  # as EAGAIN does; the workers inherit it
    with pytest.raises(UserError, match=r"^the limit of processes: .* raise it .*, or set data.workers=0"):
        list(parallel_map(str, range(3), 1))
    assert "Traceback" not in capfd.readouterr().err


def starved(item: int) -> int:
    """Fail as the thread of multiprocessing that hands tensors to the parent."""
    sys.excepthook(OSError, OSError(errno.EMFILE, "Too many open files"), None)
    return item


def test_a_worker_that_can_open_no_file_names_the_limit(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match=r"^the limit of open files: .* raise it \(ulimit -n\), or lower data.workers"):
        list(parallel_map(starved, range(3), 1))
    assert "Too many" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("unable to open shared memory object </torch_1> in read-write mode: Too many open files (24)", "the limit of"),
        ("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)", "/dev/shm: the sh"),
        ("something else", "a loader worker was killed"),
    ],
)
def test_a_batch_that_cannot_be_handed_over_names_the_limit_at_once(
    text: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError(text)

    monkeypatch.setattr(torch.UntypedStorage, "_share_fd_cpu_", refuse)  # the workers inherit it
    with pytest.raises(UserError, match=f"^{sentence}"):
        list(parallel_map(torch.zeros, range(3), 1))
    assert ("Traceback" in capfd.readouterr().err) == (text == "something else")
