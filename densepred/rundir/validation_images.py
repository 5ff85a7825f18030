"""Images in TensorBoard: training samples at the start, the same validation samples at every validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from densepred.draw import heads, maps
from densepred.draw.comparison import LEGIBLE, class_legend, compare, draw
from densepred.draw.panel import panel
from densepred.loader.crops import focus
from densepred.ops.geometry.annotation import apply_to_annotation
from densepred.ops.geometry.warp import Warp
from densepred.ops.resize import resample
from densepred.rundir.log import Log
from densepred.task import Task
from densepred.types import Annotation, Batch, Info, Outputs, Sample, Targets


class ValidationImages:
    """Draw `count` samples, spread evenly over the `total` of this process.

    `valid/<i>_<id>` has image, ground truth and prediction; `heads/<i>_<id>/<head>` the network's output maps and their
    targets.
    """

    def __init__(self, log: Log, task: Task, count: int, total: int) -> None:
        self.log, self.task = log, task
        count = min(count, total)
        self.positions = [round((i + 0.5) * total / count - 0.5) for i in range(count)]
        self.open(0)

    def open(self, step: int) -> None:
        """Begin a validation pass."""
        self.step, self.position = step, 0

    def show(self, batch: Batch, found: Sequence[Annotation], outputs: Outputs) -> None:
        """Draw the chosen samples of the next batch of the pass."""
        for index in range(len(batch.image)):
            if self.position in self.positions and self.log.enabled:
                number = self.positions.index(self.position)
                prediction, truth = _pair(batch, found, index)
                name = f"{number}_{batch.frames[index].id}"
                targets = self._targets(batch, index)
                self._sample(name, batch, index, prediction, truth, targets)
                self._heads(name, batch, index, outputs, targets)
            self.position += 1

    def _sample(
        self, name: str, batch: Batch, index: int, prediction: Annotation, truth: Annotation, targets: Targets
    ) -> None:
        image = maps.rgb(batch.image[index])
        if image.shape[-2:] != truth.size:
            image = maps.rgb(resample.resize(image[None] / 255, truth.size, align_corners=False)[0])
        flat = [head for head, spec in self.task.heads.items() if len(spec.strides) == 1]
        weights = {key: value for key, value in targets.items() if key.removesuffix("_weight") in flat}
        tiles = maps.weights(weights, truth.size)
        picture = compare(image, prediction, truth, self.task.info, tiles, batch.frames[index].id)
        self.log.picture(f"valid/{name}", picture, self.step)

    def _targets(self, batch: Batch, index: int) -> Targets:
        one = {key: value[index, None] for key, value in batch.targets.items()}
        return {key: value[0] for key, value in self.task.codec.expand(one).items()}

    def _heads(self, name: str, batch: Batch, index: int, outputs: Outputs, targets: Targets) -> None:
        predicted = {head: outputs[head][-1][index] for head in self.task.heads}
        pictures = heads.pictures(batch.image[index], predicted, targets, self.task.heads, self.task.info)
        for head, picture in pictures:
            self.log.picture(f"heads/{name}/{head}", picture, self.step)


def show_training(log: Log, info: Info, samples: Sequence[Sample]) -> None:
    """Draw training samples as the network gets them, beside their ground truth: `train/<i>_<id>` at step 0.

    Wrong labels and augmentation that goes too far are seen here first.
    """
    for number, sample in enumerate(samples):
        drawn = draw(sample.image, sample.truth, info, largest=LEGIBLE)
        tiles = [("image as the network gets it", maps.rgb(sample.image)), ("ground truth", drawn)]
        picture = panel(tiles, class_legend(sample.truth, info), sample.frame.id)
        log.picture(f"train/{number}_{sample.frame.id}", picture, 0)


def _pair(batch: Batch, found: Sequence[Annotation], index: int) -> tuple[Annotation, Annotation]:
    """Return prediction and ground truth of an input; for a crop those of its instance, in the crop's pixels."""
    if batch.owners is None:
        return found[index], batch.truths[index]
    frame, owner = batch.frames[index], batch.owners[index]
    assert frame.instance is not None
    warp = Warp(frame.matrix, (int(batch.image.shape[-2]), int(batch.image.shape[-1])))
    both = [replace(focus(one, frame.instance), boxes=None) for one in (found[owner], batch.truths[owner])]
    prediction, truth = (apply_to_annotation(one, warp) for one in both)
    return prediction, truth
