"""Images of the same samples in TensorBoard at every validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from densepred.draw import heads, maps
from densepred.draw.comparison import compare
from densepred.loader.crops import focus
from densepred.ops.geometry.annotation import apply_to_annotation
from densepred.ops.geometry.warp import Warp
from densepred.ops.resize import resample
from densepred.rundir.log import Log
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs


class ValidationImages:
    """Draw `count` samples, spread evenly over the `total` of this process.

    `valid/sample_<i>` has image, ground truth and prediction; `heads/sample_<i>/<head>` the network's output maps
    and their targets.
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
                self._sample(number, batch, index, prediction, truth)
                self._heads(number, batch, index, outputs)
            self.position += 1

    def _sample(self, number: int, batch: Batch, index: int, prediction: Annotation, truth: Annotation) -> None:
        image = maps.rgb(batch.image[index])
        if image.shape[-2:] != truth.size:
            image = maps.rgb(resample.resize(image[None] / 255, truth.size, align_corners=False)[0])
        flat = [name for name, spec in self.task.heads.items() if len(spec.strides) == 1]
        weights = {name: value[index] for name, value in batch.targets.items() if name.removesuffix("_weight") in flat}
        tiles = maps.weights(weights, truth.size)
        self.log.picture(f"valid/sample_{number}", compare(image, prediction, truth, self.task.info, tiles), self.step)

    def _heads(self, number: int, batch: Batch, index: int, outputs: Outputs) -> None:
        predicted = {name: outputs[name][-1][index] for name in self.task.heads}
        targets = {name: value[index] for name, value in batch.targets.items()}
        pictures = heads.pictures(batch.image[index], predicted, targets, self.task.heads, self.task.info)
        for name, picture in pictures:
            self.log.picture(f"heads/sample_{number}/{name}", picture, self.step)


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
