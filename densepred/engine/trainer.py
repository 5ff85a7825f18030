"""The training loop. It names no task, model, dataset or loss: the parts of a run are its arguments."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from densepred import distributed
from densepred.engine import foreach, sharding
from densepred.engine.amp import Precision
from densepred.engine.validator import Validator
from densepred.loader.loaders import TrainingLoader
from densepred.loader.prefetch import prefetch
from densepred.loader.seeds import random_generator
from densepred.process.stop import StopFlag, Stopped
from densepred.rundir import pruning
from densepred.rundir.console import number
from densepred.rundir.folder import Run
from densepred.rundir.progress import Progress
from densepred.rundir.progress_bar import ProgressBar
from densepred.rundir.state import TrainState
from densepred.scheduler import Scheduler
from densepred.settings import TrainerSettings
from densepred.task import Task
from densepred.types import Batch


class NonFinite(Exception):  # noqa: N818 - it is no error of the program
    """Too many steps in a row had a loss or gradient that is not finite."""


class Wishes(NamedTuple):
    """Wishes of a process between two steps; all processes do what any one wishes."""

    stop: bool = False  # by a signal
    save: bool = False  # because the last checkpoint is old
    finish: bool = False  # because its time is used up, or a search prunes the run


class Trainer:
    """Train until the steps, the epochs, the minutes or the patience run out."""

    def __init__(
        self,
        state: TrainState,
        task: Task,
        scheduler: Scheduler,
        settings: TrainerSettings,
        run: Run,
        validator: Validator,
        stop: StopFlag,
    ) -> None:
        assert state.optimizer is not None
        self.state, self.task, self.scheduler, self.settings = state, task, scheduler, settings
        self.run, self.validator, self.stop = run, validator, stop
        self.model, self.optimizer, self.device = state.model, state.optimizer, state.device
        self.progress, self.meter, self.log = state.progress, state.meter, run.log
        self.precision = Precision(settings.precision, state.device, state.scaler)
        self.rates = [group["lr"] for group in state.optimizer.param_groups]
        self.rate = float(state.optimizer.defaults.get("lr", self.rates[0]))  # groups have factors of it
        self.parallel = state.model
        if not sharding.divided(state.model):
            self.parallel = distributed.parallel(state.model, task.info.channels, state.device)
        self.total: int | None = None
        self.after_first: Callable[[], object] = lambda: None  # called after the first step of a run

    def fit(self, train: TrainingLoader, resume: bool = False) -> Progress:
        """Train to the end. Raises Stopped after a signal, NonFinite where training diverged."""
        settings, progress = self.settings, self.progress
        self.total, self.valid_steps = self.lengths(len(train))
        if resume:
            self.run.restore(self.state, settings.allow)
            self._place(len(train))
        self.started = self.saved = time.monotonic()
        self.before, self.first = progress.seconds, progress.step
        self.agreed = Wishes(finish=distributed.anywhere(self._out_of_time(), self.device))
        self.state.train_mode()
        with self.stop.deferred():
            self._fit(train, resume)
        return progress

    def _fit(self, train: TrainingLoader, resume: bool) -> None:
        """Train with signals deferred: they are polled at every step."""
        progress = self.progress
        if progress.due:
            self._validate()
        if resume and self._finished():
            self.log.say(
                f"the run is complete at step {progress.step}: to go on, type a larger length, "
                "such as trainer.epochs=60 'trainer.allow=[trainer.epochs]'"
            )
        with ProgressBar(
            "training", self.total, "step", progress.step, distributed.is_main(), self._seconds_left
        ) as bar:
            while not self._finished():
                self._epoch(train, bar)
        if progress.validated != progress.step:
            self._save(due=True)
            self._validate()
        if pruning.asked(self.run.folder):
            self.log.say(
                f"ended at step {progress.step}: the search pruned this trial, see {pruning.FILE} in its folder"
            )

    def lengths(self, batches: int) -> tuple[int | None, int]:
        """Return the steps of the run, None if time alone ends it, and those between validations."""
        settings = self.settings
        per_epoch = math.ceil(batches / settings.accumulate)
        total = settings.max_steps or (settings.epochs * per_epoch if settings.epochs else None)
        return total, max(1, round(settings.valid_every * per_epoch))

    def _place(self, batches: int) -> None:
        """Place a resumed run in its epoch, and count the steps that its epochs still take.

        Both change only with settings that change the number of batches.
        """
        progress, settings = self.progress, self.settings
        if progress.batch >= batches:
            progress.epoch, progress.batch = progress.epoch + 1, 0
        if settings.epochs and not settings.max_steps:
            per_epoch = math.ceil(batches / settings.accumulate)
            left = (settings.epochs - progress.epoch) * per_epoch - progress.batch // settings.accumulate
            self.total = max(progress.step + left, 1)

    def _epoch(self, train: TrainingLoader, bar: ProgressBar) -> None:
        """Train through the rest of the current epoch."""
        progress = self.progress
        for batches in self._batches(train):
            self._step(batches)
            progress.batch += len(batches)
            if progress.batch >= len(train):
                progress.epoch, progress.batch = progress.epoch + 1, 0
            self._report(bar)
            if progress.step == 1:
                with self.meter.pause():
                    self.after_first()
            due = progress.step % self.valid_steps == 0 or progress.step == self.total
            agreed = self._agreed()
            if due or agreed.stop or agreed.save:
                self._save(due)
            if agreed.stop:
                raise Stopped
            if due:
                self._validate()
            if self._finished():
                return

    def _batches(self, train: TrainingLoader) -> Iterator[list[Batch]]:
        """Yield the batches of the rest of the epoch, step by step.

        A signal that comes while a process alone waits for one saves and raises Stopped. Several processes finish the
        step together.
        """
        source = train.epoch(self.progress.epoch, self.progress.batch)
        if self.settings.accumulate == 1:  # else a whole group of batches would lie on the device
            source = prefetch(source, self.device)
        batches = iter(lambda: list(islice(source, self.settings.accumulate)), [])
        if distributed.world() > 1:
            yield from batches
            return
        try:
            yield from self.stop.waiting(batches)
        except Stopped:
            if self.progress.step > self.first:
                self._save(due=False)
            raise

    def _step(self, batches: Sequence[Batch]) -> None:
        """Take one optimizer step on the mean loss of `batches`; if it is not finite, only the counters change."""
        step = self.progress.step
        # Dropout follows from the step alone, so that a resumed run draws the same numbers.
        torch.manual_seed(random_generator("step", self.state.seed, step, distributed.rank()).initial_seed())
        factor = self.scheduler(step, self.total)
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        buffers = list(self.model.buffers())
        before = [torch.empty_like(buffer) for buffer in buffers]
        foreach.copy(before, buffers)
        terms = self._backward(batches)
        norm = self.precision.gradient_norm(self.optimizer, self.model, self.settings.clip)
        # The one synchronisation of a step. It comes before clipped gradients can carry a NaN into every weight.
        finite = torch.stack([norm + terms["total"], terms["total"]]).isfinite()
        bad, loss_bad, *wishes = distributed.anywhere_each(~finite, self._wishes())
        self.agreed = Wishes(*wishes)
        calibrating = bad and not loss_bad and self.precision.can_lower_scale()
        self.precision.step(self.optimizer, apply=not bad)
        self.optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        if bad:
            foreach.copy(buffers, before)
            self._skip(batches, calibrating)
            return
        self.progress.skipped_in_row = 0
        self.meter.add(terms, sum(len(batch.image) for batch in batches) * distributed.world())
        if self.state.average is not None:
            self.state.average.update_parameters(self.model)

    def _backward(self, batches: Sequence[Batch]) -> dict[str, Tensor]:
        """Add the gradients of the mean loss of the batches; return the mean of each term, 0-d, by name."""
        sums: dict[str, Tensor] = {}
        for index, raw in enumerate(batches if len(batches) == 1 else prefetch(batches, self.device)):
            if isinstance(self.parallel, DistributedDataParallel):
                self.parallel.require_backward_grad_sync = index == len(batches) - 1
            batch = raw.to(self.device)
            image = batch.image.contiguous(memory_format=self._layout())
            with self.precision.autocast():
                outputs = self.parallel(image)
            terms = self.task.loss(outputs, batch.targets, self.model.align_corners, every_rank=True)
            self.precision.backward(terms["total"] / len(batches))
            foreach.count_batches(self.model)  # of all norms at once
            for name, value in terms.items():
                sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach() / len(batches)
        return sums

    def _skip(self, batches: Sequence[Batch], calibrating: bool) -> None:
        """Count a step without an update; one that lowers the scale of fp16 is no sign of divergence."""
        progress = self.progress
        progress.skipped += 1
        ids = ", ".join(frame.id for batch in batches for frame in batch.frames)
        if calibrating:
            self.log.note(f"step {progress.step}: gradient too large for fp16, scale lowered, step skipped")
            return
        progress.skipped_in_row += 1
        self.log.note(f"step {progress.step}: loss or gradient not finite, step skipped; samples: {ids}")
        if progress.skipped_in_row > self.settings.max_skipped:
            raise NonFinite(
                f"{progress.skipped_in_row} steps in a row had a loss or gradient that is not finite (samples in "
                f"{self.log.folder / 'train.log'}); lower optimizer.lr, or set trainer.clip=1 or trainer.precision=fp32"
            )

    def _report(self, bar: ProgressBar) -> None:
        progress = self.progress
        if progress.step % self.settings.log_every and progress.step != self.total:
            if bar.due():  # slow steps: the last entry is old, or there is none
                _show(bar, *self.meter.means())
            bar.update()
            return
        losses, speed = self.meter.read()
        values: dict[str, float | None] = {f"loss/{name}": value for name, value in losses.items()}
        values["lr"] = self.rate * self.scheduler(progress.step - 1, self.total)
        if progress.skipped:
            values["skipped"] = float(progress.skipped)
        self.log.scalars("train", values, progress.step, progress.epoch)
        self.log.timing({"images_per_second": speed, "seconds": self._seconds()}, progress.step, progress.epoch)
        _show(bar, losses, speed)
        bar.update()

    def _validate(self) -> None:
        with self.meter.pause():
            self.progress.seconds = self._seconds()
            self.validator()
            self.state.train_mode()

    def _save(self, due: bool) -> None:
        with self.meter.pause():
            self.progress.due, self.progress.seconds = due, self._seconds()
            self.run.save(self.state)
            self.saved = time.monotonic()

    def _wishes(self) -> Wishes:
        late = time.monotonic() - self.saved >= 60 * self.settings.save_every
        return Wishes(self.stop.raised, late, self._out_of_time() or pruning.asked(self.run.folder))

    def _agreed(self) -> Wishes:
        """Return the wishes of any process; several have exchanged them in the last step."""
        return self._wishes() if distributed.world() == 1 else self.agreed

    def _finished(self) -> bool:
        progress, settings = self.progress, self.settings
        if self.total is not None and progress.step >= self.total:
            return True
        if settings.patience is not None and progress.since_best >= settings.patience:
            return True
        return self._agreed().finish

    def _out_of_time(self) -> bool:
        minutes = self.settings.max_minutes
        return minutes is not None and self._seconds() >= 60 * minutes

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _layout(self) -> torch.memory_format:
        return torch.channels_last if self.settings.channels_last else torch.contiguous_format

    def _seconds_left(self) -> float | None:
        minutes = self.settings.max_minutes
        return None if minutes is None else 60 * minutes - self._seconds()


def _show(bar: ProgressBar, losses: Mapping[str, float], speed: float) -> None:
    if "total" in losses:  # else every step since the last entry was skipped
        bar.note(f"loss {number(losses['total'])}  {speed:.1f} images/s")
