"""Fitting a model that is solved, not descended: one pass over the training batches, then an equation.

It stands where the trainer stands, and names no model either; see `contracts.ClosedForm`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from itertools import islice
from typing import cast

import torch
from tqdm import tqdm

from densepred import distributed
from densepred.contracts import ClosedForm, Model
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate, share_buffers
from densepred.engine.signals import StopFlag, Stopped
from densepred.loader.loaders import EvaluationLoader, TrainingLoader
from densepred.rundir.folder import Run
from densepred.rundir.images import Gallery
from densepred.rundir.log import Log
from densepred.rundir.progress import Meter, Progress
from densepred.settings import Trainer as Settings
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs


class Solver:
    """One pass, of `trainer.max_steps` batches or `trainer.max_minutes` at most; a step is a batch."""

    def __init__(
        self, model: Model, task: Task, settings: Settings, device: torch.device, run: Run, log: Log, stop: StopFlag
    ) -> None:
        self.model, self.task, self.settings, self.device = model, task, settings, device
        self.run, self.log, self.stop = run, log, stop
        self.precision = Precision(settings.precision, device)
        self.progress = Progress(settings.monitor or task.monitor, task.direction(settings.monitor))
        self.meter = Meter()

    @property
    def eval_model(self) -> Model:
        """The model that is validated and published."""
        return self.model

    def fit(self, train: TrainingLoader, valid: EvaluationLoader, resume: bool = False) -> Progress:
        """Take in the batches, solve, validate. Raises Stopped after a signal.

        Sums of an unfinished pass are not kept, so a resumed run starts over.
        """
        if resume:
            self.log.say("a model in closed form keeps nothing of an unfinished pass; starting over")
            self.log.rewind({})
        begun, closed = time.monotonic(), cast(ClosedForm, self.model)
        with torch.no_grad():
            self._pass(train, closed, begun)
            numbers = closed.solve()
        progress = self.progress
        progress.epoch, progress.batch = (1, 0) if progress.step == len(train) else (0, progress.step)
        progress.seconds = time.monotonic() - begun
        share_buffers(self.model)
        self.log.scalars("train", dict(numbers), progress.step, progress.epoch)
        _, speed = self.meter.read()
        self.log.timing({"images_per_second": speed, "seconds": progress.seconds}, progress.step)
        self.run.publish("last", self)
        self._validate(valid)
        return progress

    def _pass(self, train: TrainingLoader, closed: ClosedForm, begun: float) -> None:
        total = min(len(train), self.settings.max_steps or len(train))
        quiet = not (distributed.is_main() and sys.stderr.isatty())
        with tqdm(total=total, unit="batch", disable=quiet, leave=False) as bar:
            for batch in islice(train.epoch(0), total):
                closed.accumulate(batch.to(self.device).image)
                self.progress.step += 1
                self.meter.add({}, len(batch.image) * distributed.world())
                bar.update()
                if distributed.anywhere(self.stop.raised, self.device):
                    raise Stopped
                minutes = self.settings.max_minutes
                late = minutes is not None and time.monotonic() - begun >= 60 * minutes
                if minutes is not None and distributed.anywhere(late, self.device):
                    return

    def _validate(self, valid: EvaluationLoader) -> None:
        gallery = Gallery(self.log, self.task, self.settings.pictures, valid.count)
        gallery.open(self.progress.step)

        def seen(batch: Batch, found: Sequence[Annotation], outputs: Outputs) -> None:
            # Several processes must finish a pass together.
            if self.stop.raised and distributed.world() == 1:
                raise Stopped
            gallery.show(batch, found, outputs)

        values = evaluate(self.model, self.task, valid, self.device, self.precision, seen)
        self.log.scalars("valid", values, self.progress.step, self.progress.epoch)
        if self.progress.update(values):
            self.run.publish("best", self)
        self.run.summarise(self)
        self.log.say(self.progress.line(values))
