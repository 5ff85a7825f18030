"""Pictures of the images with the worst scores of an evaluation, the worst first."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

from PIL import Image
from torch import Tensor

from densepred import atomic, distributed
from densepred.draw import maps
from densepred.draw.comparison import compare
from densepred.errors import Notice
from densepred.ops.resize import resample
from densepred.reporting.pictures import FOLDER, INDEX
from densepred.settings import EvalSettings
from densepred.task import Task
from densepred.types import Annotation

Parts = tuple[Tensor, Annotation, Annotation]
"""Image, prediction and ground truth."""


class Gallery:
    """Keeps the `count` images of this process with the worst first score that `PerImage` has."""

    def __init__(self, task: Task, count: int) -> None:
        self.task, self.count = task, count
        if task.codec.top_down and count not in (0, EvalSettings.pictures):
            text = f"pictures={count}: has no effect: this model sees crops of one instance each, not images"
            warnings.warn(text, Notice, stacklevel=2)
        self.modes = {"miou": "max", "pixel_accuracy": "max"}  # of class maps, whatever the metrics are
        for metric in task.new_metrics().values():
            self.modes |= metric.mode
        self.kept: list[tuple[float, str, str, float, Parts]] = []

    def add(
        self, name: str, scores: Mapping[str, float | None], image: Tensor, found: Annotation, truth: Annotation
    ) -> None:
        """Add an image (C, H, W) as the network gets it; images without a score are left out."""
        score = next((one for one in scores if one in self.modes), None)
        value = None if score is None else scores[score]
        if not self.count or score is None or value is None:
            return
        rank = value if self.modes[score] == "max" else -value
        # Of equal scores the names decide: the images come in another order on several processes
        if len(self.kept) == self.count and (rank, name) >= self.kept[-1][:2]:
            return
        self.kept.append((rank, name, score, value, (image.cpu(), found, truth)))
        self.kept.sort(key=lambda one: one[:2])
        del self.kept[self.count :]

    def write(self, folder: Path) -> list[Path]:
        """Write `pictures/001_NAME.png`, ..., and their list; every process calls this. Only the first one writes."""
        drawn = [
            (rank, name, metric, value, self._png(f"{name}  {metric} {value:.4f}", *parts))
            for rank, name, metric, value, parts in self.kept
        ]
        worst = sorted((one for part in distributed.gather(drawn) for one in part), key=lambda one: one[:2])
        worst = worst[: self.count]
        if not distributed.is_main():
            return []
        _remove(folder / FOLDER)
        if not worst:
            return []
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        index = []
        for number, (_, name, metric, value, png) in enumerate(worst, 1):
            file = f"{number:03d}_{re.sub(r'[^A-Za-z0-9.-]+', '_', name)[-80:]}.png"
            atomic.replace(folder / FOLDER / file, lambda path, png=png: path.write_bytes(png))
            index.append({"file": file, "image": name, "metric": metric, "score": value})
        text = json.dumps(index, indent=1)
        atomic.replace(folder / FOLDER / INDEX, lambda path: path.write_text(text, encoding="utf-8"))
        return [folder / FOLDER]

    def _png(self, title: str, image: Tensor, found: Annotation, truth: Annotation) -> bytes:
        picture = maps.rgb(image)
        if picture.shape[-2:] != truth.size:
            picture = maps.rgb(resample.resize(picture[None] / 255, truth.size, align_corners=False)[0])
        panel = compare(picture, found, truth, self.task.info, title=title)
        file = io.BytesIO()
        Image.fromarray(panel.permute(1, 2, 0).contiguous().numpy()).save(file, "PNG")
        return file.getvalue()


def _remove(pictures: Path) -> None:
    """Remove the pictures of a former evaluation in the same folder: they would pass for those of this one."""
    for former in [*pictures.glob("[0-9][0-9][0-9]_*.png"), pictures / INDEX]:
        former.unlink(missing_ok=True)
