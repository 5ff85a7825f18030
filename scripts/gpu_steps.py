"""Steps of real runs for `bench_gpu.py`: built as `densepred-train` builds them, ended as soon as they are timed.

One batch per task is drawn, in this process, and every step takes it again. So no loader starts, and a row costs little
more than its steps: neither drawing nor loading is part of a step's time, as `data.workers=auto` aims at.
"""

from __future__ import annotations

import contextlib
import io
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from densepred.cli import command
from densepred.cli.compose import complete, settings
from densepred.engine.trainer import Trainer
from densepred.jobs import training
from densepred.loader.loaders import TrainingLoader
from densepred.rundir import provenance
from densepred.types import Batch

WARM, PROFILED = 4, 6
"""Steps before the first that counts, and the one that is profiled instead of timed."""

_drawn: dict[str, Batch] = {}  # a batch by the task and sizes that it is for


class Timed(BaseException):
    """All steps of a row are timed: the run ends without a validation and without a checkpoint."""


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak() -> float:
    """Return the most memory of the device that tensors had since the last reset, in GB."""
    return torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0.0


def settings_of(*words: str) -> Any:
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        cfg = compose("train", overrides=list(words))
    complete(cfg, words)
    return cfg


class Steps:
    """The first steps of a run: milliseconds of each, host waits and kernels of one."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.milliseconds: list[float] = []
        self.waits, self.kernels = 0, 0

    @contextlib.contextmanager
    def measured(self, key: str) -> Iterator[None]:
        """Time the steps of the run inside the block, on the batch that was drawn under `key`, and end it."""
        step, epoch = Trainer._step, TrainingLoader.epoch

        def repeated(loader: TrainingLoader, number: int, start: int = 0) -> Iterator[Batch]:
            if key not in _drawn:
                _drawn[key] = next(epoch(loader, 0))
            for _ in range(len(loader) - start):
                yield _drawn[key]

        def timed(trainer: Trainer, batches: list[Batch]) -> None:
            wait()
            begun = time.perf_counter()
            if len(self.milliseconds) == PROFILED:
                self._profiled(lambda: step(trainer, batches))
            else:
                step(trainer, batches)
            wait()
            self.milliseconds.append(1e3 * (time.perf_counter() - begun))
            if len(self.milliseconds) == self.count:
                raise Timed

        Trainer._step, TrainingLoader.epoch = timed, repeated  # pyright: ignore[reportAttributeAccessIssue]
        try:
            with contextlib.suppress(Timed):
                yield
        finally:
            Trainer._step, TrainingLoader.epoch = step, epoch

    def _profiled(self, step: Callable[[], None]) -> None:
        """Count kernels and waits of one step, which is then no measure of time."""
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_sync_debug_mode("warn")
        with warnings.catch_warnings(record=True) as seen, torch.profiler.profile() as profile:
            warnings.simplefilter("always")
            step()
        if cuda:
            torch.cuda.set_sync_debug_mode("default")
        self.waits = sum("synchroniz" in str(one.message) for one in seen)
        self.kernels = sum(one.count for one in profile.key_averages() if "LaunchKernel" in one.key)

    @property
    def median(self) -> float:
        rest = [ms for i, ms in enumerate(self.milliseconds) if i >= WARM and i != PROFILED] or self.milliseconds
        return statistics.median(rest)


def row(words: Sequence[str], batch: int, size: Sequence[int], steps: int) -> str:
    """Return a row on a model: images per second, milliseconds, kernels, waits, peak memory in GB."""
    data = (f"data.batch_size={batch}", f"dataset.size={list(size)}".replace(" ", ""), "data.workers=0")
    counts = f"dataset.counts={{train: {batch * (steps + 1)}, valid: 2, test: 2}}"
    length = ("trainer.epochs=null", f"trainer.max_steps={steps + 1}", "trainer.pictures=0")
    cfg = settings_of(*words, *data, counts, *length)
    other = any(word.startswith("task=") for word in words)  # its targets depend on the model; class maps do not
    key = " ".join(word for word in (*(words if other else ()), *data) if not word.startswith("trainer"))
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    taken = Steps(steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        chosen = {"task": "", "model": "", "dataset": ""}
        job = training.TrainingJob(settings(cfg), provenance.as_written(cfg), Path(folder), chosen, set(), [])
        try:
            with taken.measured(key):
                training.work(job)
        except Exception as error:  # a model that fails must not hide the others
            return f"{type(error).__name__}: {str(error)[:60]} | | | |"
    speed = 1e3 * cfg.data.batch_size / taken.median
    return f"{speed:.0f} | {taken.median:.1f} | {taken.kernels} | {taken.waits} | {peak():.1f}"
