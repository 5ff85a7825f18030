"""Fitting a model in closed form: one pass over the training batches, then an equation.

It stands in for the trainer, and names no model either; see `contracts.ClosedForm`.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import cast

import torch

from densepred import distributed
from densepred.contracts import ClosedForm
from densepred.engine.evaluate import share_buffers
from densepred.engine.validator import Validator
from densepred.loader.loaders import TrainingLoader
from densepred.process.stop import StopFlag, Stopped
from densepred.rundir.folder import Run
from densepred.rundir.progress import Progress
from densepred.rundir.progress_bar import ProgressBar
from densepred.rundir.state import TrainState
from densepred.settings import TrainerSettings


class ClosedFormFit:
    """One pass of at most `trainer.max_steps` batches and `trainer.max_minutes`; a step is a batch."""

    def __init__(
        self, state: TrainState, settings: TrainerSettings, run: Run, validator: Validator, stop: StopFlag
    ) -> None:
        self.state, self.settings, self.run, self.validator, self.stop = state, settings, run, validator, stop

    def fit(self, train: TrainingLoader, resume: bool = False) -> Progress:
        """Accumulate the batches, solve, validate. Raises Stopped after a signal.

        Sums of an unfinished pass are not stored, so a resumed run starts over.
        """
        state, progress, log = self.state, self.state.progress, self.run.log
        if resume:
            log.say("a model in closed form stores nothing of an unfinished pass; starting over")
            log.rewind({})
        begun, model = time.monotonic(), cast(ClosedForm, state.model)
        with torch.no_grad():
            self._pass(train, model, begun)
            values = model.solve()
        progress.epoch, progress.batch = (1, 0) if progress.step == len(train) else (0, progress.step)
        progress.seconds = time.monotonic() - begun
        share_buffers(state.model)
        log.scalars("train", dict(values), progress.step, progress.epoch)
        _, speed = state.meter.read()
        log.timing({"images_per_second": speed, "seconds": progress.seconds}, progress.step, progress.epoch)
        self.run.publish("last", state)
        self.validator()
        return progress

    def _pass(self, train: TrainingLoader, model: ClosedForm, begun: float) -> None:
        device, minutes = self.state.device, self.settings.max_minutes
        total = min(len(train), self.settings.max_steps or len(train))
        with ProgressBar("training", total, "batch", enabled=distributed.is_main()) as bar:
            for batch in islice(train.epoch(0), total):
                model.accumulate(batch.to(device).image)
                self.state.progress.step += 1
                self.state.meter.add({}, len(batch.image) * distributed.world())
                bar.update()
                if distributed.anywhere(self.stop.raised, device):
                    raise Stopped
                late = minutes is not None and time.monotonic() - begun >= 60 * minutes
                if minutes is not None and distributed.anywhere(late, device):
                    return
