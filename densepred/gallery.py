"""Pictures of the same validation samples, every time."""

from __future__ import annotations

from collections.abc import Sequence

from densepred import draw
from densepred.log import Log
from densepred.ops import resample
from densepred.types import Annotation, Batch, Info


class Gallery:
    """Puts `count` samples, spread evenly over this process's `total`, into TensorBoard at each validation."""

    def __init__(self, log: Log, info: Info, count: int, total: int) -> None:
        self.log, self.info = log, info
        count = min(count, total)
        self.wanted = [round((i + 0.5) * total / count - 0.5) for i in range(count)]
        self.open(0)

    def open(self, step: int) -> None:
        """Begin a validation pass."""
        self.step, self.position = step, 0

    def show(self, batch: Batch, found: Sequence[Annotation]) -> None:
        """Look at the next batch of the pass."""
        for index, (image, prediction, truth) in enumerate(zip(batch.image, found, batch.truths, strict=True)):
            if self.position in self.wanted:
                number = self.wanted.index(self.position)
                shown = draw.rgb(image)
                if shown.shape[-2:] != truth.size:
                    shown = draw.rgb(resample.resize(shown[None] / 255, truth.size, align_corners=False)[0])
                maps = draw.weights({name: value[index] for name, value in batch.targets.items()}, truth.size)
                panel = draw.panel(shown, prediction, truth, self.info, maps)
                self.log.picture(f"valid/sample_{number}", panel, self.step)
            self.position += 1
