"""Scores of each image of an evaluation, and the confusion matrix of all, as files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from densepred import atomic, distributed
from densepred.contracts import Metric
from densepred.draw import matrix
from densepred.jobs.gallery import Gallery
from densepred.ops.score.confusion import confusion, per_class, pixel_accuracy
from densepred.task import Task
from densepred.types import Annotation, Batch, Outputs

MATRIX, PICTURE = "confusion.csv", "confusion.png"
MATRICES, SCORES = "per_image_confusion.json", "per_image.csv"
VOID = "void"


@dataclass(frozen=True, slots=True)
class Row:
    """The part of an image that is kept: its scores and its confusion matrix, as the counts above 0.

    counts: (2, N) int64, the index of a pair of classes in the flat matrix (K, K + 1), and its pixels; None without
        class maps
    """

    name: str
    scores: dict[str, float | None]
    counts: np.ndarray | None = None

    def entries(self, columns: int) -> list[list[int]]:
        """Return the counts as [truth, prediction, count], from a matrix of `columns` columns."""
        if self.counts is None:
            return []
        place, count = self.counts
        return np.stack((place // columns, place % columns, count), 1).tolist()


class PerImage:
    """Collects scores per image during an evaluation, as `Seen` of `engine.evaluate`.

    Of class maps these are mean IoU and pixel accuracy of the image's own confusion matrix. With instances, and for
    other tasks, the task's own metrics of the image alone come first, the monitored one before the others. Metrics
    that need probabilities are left out. Means over images are not the scores of the dataset.
    """

    def __init__(self, task: Task, pictures: int = 0) -> None:
        self.gallery = Gallery(task, pictures)
        self.task, self.classes = task, task.info.classes
        self.rows: list[Row] = []
        metrics = task.new_metrics()
        self.options = [name for name, metric in metrics.items() if not metric.probabilities]

    def __call__(self, batch: Batch, found: list[Annotation], outputs: Outputs) -> None:
        for index, (name, prediction, truth) in enumerate(zip(_names(batch), found, batch.truths, strict=True)):
            mapped = prediction.semantic is not None and truth.semantic is not None
            objects = prediction.instances is not None and truth.instances is not None
            own = self._alone(prediction, truth) if objects or not mapped else {}
            self.rows.append(self._with_map(name, own, prediction, truth) if mapped else Row(name, own))
            if batch.owners is None:  # crops show one instance each
                self.gallery.add(name, self.rows[-1].scores, batch.image[index], prediction, truth)

    def _with_map(self, name: str, own: dict[str, float | None], prediction: Annotation, truth: Annotation) -> Row:
        found = prediction.need("semantic")
        counts = confusion(found, truth.need("semantic").to(found.device), len(self.classes)).cpu()
        iou, accuracy = per_class(counts)["iou"].nanmean(), pixel_accuracy(counts)
        return Row(name, own | {"miou": _number(iou), "pixel_accuracy": _number(accuracy)}, _above_zero(counts))

    def _alone(self, prediction: Annotation, truth: Annotation) -> dict[str, float | None]:
        """Return the scores of one image that are not of single classes or thresholds, the monitor first."""
        made: dict[str, Metric] = self.task.new_metrics()
        scores: dict[str, float | None] = {}
        for option in self.options:
            made[option].update([prediction], [truth])
            scores |= {name: value for name, value in made[option].compute().items() if "/" not in name}
        return dict(sorted(scores.items(), key=lambda score: score[0] != self.task.monitor))

    def write(self, folder: Path) -> list[Path]:
        """Write the files from the images of all processes; return their paths. Only the first process writes.

        Every process calls this. Images are in the order of their names.
        """
        rows = _unique(
            sorted((row for part in distributed.gather(self.rows) for row in part), key=lambda row: row.name)
        )
        if not distributed.is_main():
            return []
        for name in (SCORES, MATRIX, MATRICES, PICTURE):  # a report would take those of a former evaluation for these
            (folder / name).unlink(missing_ok=True)
        if not rows:
            return []
        columns = list(dict.fromkeys(name for row in rows for name in row.scores))
        cells = ([row.scores.get(one) for one in columns] for row in rows)
        body = (
            [row.name, *("" if cell is None else cell for cell in line)] for row, line in zip(rows, cells, strict=True)
        )
        written = [_write_csv(folder / SCORES, [["image", *columns], *body])]
        counted = any(row.counts is not None and row.counts.size for row in rows)
        return [*written, *self._write_matrices(folder, rows)] if counted else written

    def _write_matrices(self, folder: Path, rows: Sequence[Row]) -> list[Path]:
        """Write the matrix of each image, and that of all as numbers and as a picture."""
        total = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)
        for row in rows:
            if row.counts is not None:
                np.add.at(total.reshape(-1), row.counts[0], row.counts[1])
        head = ["truth", *self.classes, VOID]
        lines = [[name, *line] for name, line in zip(self.classes, total.tolist(), strict=True)]
        written = [_write_csv(folder / MATRIX, [head, *lines]), folder / MATRICES, folder / PICTURE]
        _write_text(folder / MATRICES, _matrices(rows, self.classes))
        picture = matrix.of_labels(torch.from_numpy(total), self.classes, VOID)
        atomic.replace(folder / PICTURE, lambda path: picture.save(path, format="PNG"))
        return written


def _matrices(rows: Sequence[Row], classes: Sequence[str]) -> Iterator[str]:
    """Yield the pieces of a JSON object with the classes, and per image its counts as [truth, prediction, count]."""
    yield f'{{"classes": {json.dumps(list(classes))}, "images": {{'
    for number, row in enumerate(rows):
        yield f"{', ' if number else ''}{json.dumps(row.name)}: {json.dumps(row.entries(len(classes) + 1))}"
    yield "}}"


def _names(batch: Batch) -> list[str]:
    """Return the name of each image; of crops by the ground truth, as an image without instances has no crop."""
    if batch.owners is None:
        return [frame.id for frame in batch.frames]
    return [truth.source[1] for truth in batch.truths if truth.source is not None]


def _unique(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with a number behind names that images share."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        seen[row.name] += 1
        found.append(row if seen[row.name] == 1 else replace(row, name=f"{row.name} ({seen[row.name]})"))
    return found


def _above_zero(matrix: Tensor) -> np.ndarray:
    """Return the flat indices and the values of the counts above 0: (2, N) int64."""
    flat = matrix.flatten()
    places = flat.nonzero()[:, 0]
    return torch.stack((places, flat[places])).numpy()


def _number(value: Tensor) -> float | None:
    number = value.item()
    return None if math.isnan(number) else number


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return _write_text(path, [text.getvalue()])


def _write_text(path: Path, pieces: Iterable[str]) -> Path:
    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.writelines(pieces)

    atomic.replace(path, write)
    return path
