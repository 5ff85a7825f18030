"""A worker that is halted while it hands a batch over holds up a run no longer than data.timeout_s."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing import resource_sharer

import pytest

from densepred.errors import UserError
from tests.conftest import PATIENCE
from tests.loader.test_loaders import loader


def test_a_worker_that_is_halted_before_it_hands_a_batch_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own timeout ends with the word that a batch is ready; its tensors come by a socket of the worker."""
    detach = resource_sharer.DupFd.detach

    def signalled(number: int) -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, number)

    def halted(self: resource_sharer.DupFd) -> int:
        signalled(signal.SIGSTOP)
        return detach(self)

    monkeypatch.setattr(resource_sharer.DupFd, "detach", halted)
    one = loader(1, "data.timeout_s=1")
    rescue = threading.Timer(PATIENCE / 3, signalled, (signal.SIGKILL,))
    rescue.start()
    try:
        with pytest.raises(UserError, match=r"no batch came within data\.timeout_s; is the disk slow, or a loader"):
            list(one.epoch(0))
    finally:
        rescue.cancel()
        one.close()
