"""Validation during a run: evaluate, log, draw images, keep the best weights, write the summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext

from densepred import distributed
from densepred.engine import sharding
from densepred.engine.amp import Precision
from densepred.engine.evaluate import evaluate, share_buffers
from densepred.loader.loaders import EvaluationLoader
from densepred.process.stop import StopFlag, Stopped
from densepred.rundir.folder import Run
from densepred.rundir.log import finite
from densepred.rundir.state import TrainState
from densepred.rundir.validation_images import ValidationImages
from densepred.settings import TrainerSettings
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs


class Validator:
    """Validate the same samples each time it is called."""

    def __init__(
        self,
        state: TrainState,
        task: Task,
        loader: EvaluationLoader,
        settings: TrainerSettings,
        run: Run,
        stop: StopFlag,
    ) -> None:
        self.state, self.task, self.loader, self.run, self.stop = state, task, loader, run, stop
        self.precision = Precision(settings.precision, state.device)
        self.images = ValidationImages(run.log, task, settings.pictures, loader.count)

    def __call__(self) -> None:
        """Validate at the current step; the seconds it takes count as seconds of the run. Raises Stopped."""
        state, progress, begun = self.state, self.state.progress, time.monotonic()
        share_buffers(state.eval_model)
        self.images.open(progress.step)
        # The checkpoint is written: nothing is lost. Several processes leave the pass at a batch, see `_seen`.
        alone = distributed.world() == 1
        with self.stop.interruptible() if alone else nullcontext(), sharding.gathered(state.eval_model):
            found = evaluate(state.eval_model, self.task, self.loader, state.device, self.precision, self._seen)
        values = {name: finite(value) for name, value in found.items()}
        if bad := [name for name, value in found.items() if value is not None and values[name] is None]:
            self.run.log.warn(f"step {progress.step}: not finite in validation, written as null: {', '.join(bad)}")
        self.run.log.scalars("valid", values, progress.step, progress.epoch)
        progress.seconds += time.monotonic() - begun
        if progress.update(values):
            self.run.publish("best", state)
        else:
            self.run.settle_best(state)
        self.run.summarise(state)
        self.run.log.say(progress.line(values, state.meter.loss()))

    def _seen(self, batch: Batch, found: Sequence[Annotation], outputs: Outputs) -> None:
        if distributed.anyone("stop", self.stop.raised):
            raise Stopped
        self.images.show(batch, found, outputs)
