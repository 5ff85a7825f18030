"""Files of a run are written in a thread, from copies of the tensors: training goes on meanwhile.

One job is written after another, in their order, and the next waits for the one before. So at most one copy of the
state is in memory, and the files are those that a run without the thread would write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from densepred import distributed


class Writer:
    """A thread that runs one job at a time, in the order in which they came."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "run-writer")
        self._pending: Future[None] | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Wait for the job before, then run this one in the thread. Raises what the job before raised."""
        self.wait()
        self._pending = self._thread.submit(job)

    def wait(self) -> None:
        """Wait for the job that runs; raise what it raised. A signal that raises here leaves the job running."""
        if self._pending is None:
            return
        error = self._pending.exception()
        self._pending = None
        if error is not None:
            raise error

    def close(self) -> None:
        """Wait for the job that runs, and end the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()


class Copies:
    """Copies of tensors on the CPU, which later steps do not change; one that has several names is copied once.

    Tensors that are divided over processes are gathered one by one. All processes ask for the same ones, and the main
    one alone gets copies; the others get the whole tensors of the moment, which they drop.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], Tensor] = {}

    def of(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return copies by name; an empty mapping in all but the main process."""
        made: dict[str, Tensor] = {}
        for name, value in tensors.items():
            part = value.detach()
            whole = distributed.whole(part)
            if distributed.is_main():
                made[name] = self._copy(part) if whole is part else whole.to("cpu")
        return made

    def _copy(self, value: Tensor) -> Tensor:
        place = (value.device, value.data_ptr(), value.dtype, value.shape, value.stride())
        if place not in self._made:
            self._made[place] = value.to("cpu", copy=True)
        return self._made[place]
