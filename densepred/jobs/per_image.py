"""Scores of each image of an evaluation, and the confusion matrix of all, as files."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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
Row = tuple[str, dict[str, float | None], list[list[int]]]


class PerImage:
    """Collects scores per image during an evaluation, as `Seen` of `engine.evaluate`.

    With class maps these are mean IoU and pixel accuracy of the image's own confusion matrix. For other tasks they are
    the task's own metrics of the image alone, if they need no probabilities; their means are not those of the dataset.
    """

    def __init__(self, task: Task, pictures: int = 0) -> None:
        self.gallery = Gallery(task, pictures)
        self.task, self.classes = task, task.info.classes
        self.rows: list[Row] = []
        metrics = task.new_metrics()
        self.options = [name for name, metric in metrics.items() if not metric.probabilities]

    def __call__(self, batch: Batch, found: list[Annotation], outputs: Outputs) -> None:
        for index, (name, prediction, truth) in enumerate(zip(_names(batch), found, batch.truths, strict=True)):
            if prediction.semantic is not None and truth.semantic is not None:
                labels = truth.semantic.to(prediction.semantic.device)
                counts = confusion(prediction.semantic, labels, len(self.classes)).cpu()
                iou, accuracy = per_class(counts)["iou"].nanmean(), pixel_accuracy(counts)
                scores = {"miou": _number(iou), "pixel_accuracy": _number(accuracy)}
                self.rows.append((name, scores, _entries(counts)))
            else:
                self.rows.append((name, self._alone(prediction, truth), []))
            if batch.owners is None:  # crops show one instance each
                self.gallery.add(name, self.rows[-1][1], batch.image[index], prediction, truth)

    def _alone(self, prediction: Annotation, truth: Annotation) -> dict[str, float | None]:
        """Return the scores of one image that are not of single classes or thresholds."""
        made: dict[str, Metric] = self.task.new_metrics()
        scores: dict[str, float | None] = {}
        for option in self.options:
            made[option].update([prediction], [truth])
            scores |= {name: value for name, value in made[option].compute().items() if "/" not in name}
        return scores

    def write(self, folder: Path) -> list[Path]:
        """Write the files from the images of all processes; return their paths. Only the first process writes.

        Every process calls this. Images are in the order of their names.
        """
        rows = _unique(sorted((row for part in distributed.gather(self.rows) for row in part), key=lambda row: row[0]))
        if not distributed.is_main() or not rows:
            return []
        columns = list(dict.fromkeys(name for _, scores, _ in rows for name in scores))
        body = [
            [name, *("" if scores.get(one) is None else scores[one] for one in columns)] for name, scores, _ in rows
        ]
        written = [_write_csv(folder / SCORES, [["image", *columns], *body])]
        if any(entries for _, _, entries in rows):
            held = {"classes": list(self.classes), "images": {name: entries for name, _, entries in rows}}
            atomic.replace(folder / MATRICES, lambda path: path.write_text(json.dumps(held), encoding="utf-8"))
            total = torch.zeros(len(self.classes), len(self.classes) + 1, dtype=torch.int64)
            for _, _, entries in rows:
                for truth, guess, count in entries:
                    total[truth, guess] += count
            head = ["truth", *self.classes, VOID]
            lines = [[name, *line] for name, line in zip(self.classes, total.tolist(), strict=True)]
            written += [_write_csv(folder / MATRIX, [head, *lines]), folder / MATRICES]
            picture = matrix.of_labels(total, self.classes, VOID)
            atomic.replace(folder / PICTURE, lambda path: picture.save(path, format="PNG"))
            written.append(folder / PICTURE)
        return written


def _names(batch: Batch) -> list[str]:
    """Return the name of each image; of crops, the first one of each image has it."""
    if batch.owners is None:
        return [frame.id for frame in batch.frames]
    found = {owner: frame.id for owner, frame in reversed(list(zip(batch.owners, batch.frames, strict=True)))}
    return [found.get(index, f"without instances, {index}") for index in range(len(batch.truths))]


def _unique(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with a number behind names that images share."""
    seen: Counter[str] = Counter()
    found = []
    for name, scores, entries in rows:
        seen[name] += 1
        found.append((name if seen[name] == 1 else f"{name} ({seen[name]})", scores, entries))
    return found


def _entries(matrix: Tensor) -> list[list[int]]:
    """Return the counts above 0 as [truth, prediction, count]."""
    places = matrix.nonzero()
    return [[*place, count] for place, count in zip(places.tolist(), matrix[tuple(places.T)].tolist(), strict=True)]


def _number(value: Tensor) -> float | None:
    number = value.item()
    return None if math.isnan(number) else number


def _write_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    atomic.replace(path, lambda temporary: temporary.write_text(text.getvalue(), encoding="utf-8"))
    return path
