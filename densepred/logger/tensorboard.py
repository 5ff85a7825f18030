"""TensorBoard: charts and images in `tensorboard/` of the run, for `tensorboard --logdir runs`."""

from __future__ import annotations

import io
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # imported at the first entry: a run that begins does not wait for it
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
FAST = 2
"""Level of PNG's compression: in TensorBoard's own, 6, a picture takes three times as long and is a sixth smaller."""
TITLES = {"iou": "IoU", "dice": "Dice", "ap": "AP", "pck": "PCK", "pq": "PQ", "sq": "SQ", "rq": "RQ"}
"""Titles of charts by kind of score; other kinds are their own titles."""
SETTINGS = re.compile(r"seed|(data|trainer|optimizer|scheduler)\..*|(model|encoder|decoder|loss)\._target_")
"""Settings of the page "HPARAMS"."""


class TensorBoard:
    """Opens a file of events at the first entry."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder, self.config = folder / FOLDER, config
        self._writer: SummaryWriter | None = None
        self._arranged = False

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        if not self._arranged and any(name.startswith("valid/") for name in values):
            self._open().add_custom_scalars(charts(values))
            self._arranged = True
        for name, value in values.items():
            self._open().add_scalar(name, value, step)

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        from torch.utils.tensorboard.summary import Summary

        file = io.BytesIO()
        Image.fromarray(np.moveaxis(image, 0, -1)).save(file, "PNG", compress_level=FAST)
        depth, height, width = image.shape
        drawn = Summary.Image(height=height, width=width, colorspace=depth, encoded_image_string=file.getvalue())
        self._add(self._open(), Summary(value=[Summary.Value(tag=name, image=drawn)]), step)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("events.*"))

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self, ended: str) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = _direct(self.folder)
            self._hyperparameters(self._writer)
        return self._writer

    def _hyperparameters(self, writer: SummaryWriter) -> None:
        """Describe the run for the table HPARAMS; `SummaryWriter.add_hparams` would make a folder of its own for it."""
        from torch.utils.tensorboard.summary import hparams

        monitor = self.config.get("trainer.monitor") or self.config.get("task.monitor")
        values = {key: value for key, value in self.config.items() if SETTINGS.fullmatch(key) and _plain(value)}
        scores = {f"valid/{name}": 0.0 for name in (monitor, "loss/total") if name}
        for summary in hparams(values, scores):
            self._add(writer, summary)

    def _add(self, writer: SummaryWriter, summary: object, step: int | None = None) -> None:
        writer._get_file_writer().add_summary(summary, step)  # pyrefly: ignore[missing-attribute], it is open


def charts(names: Iterable[str]) -> dict[str, dict[str, list[Any]]]:
    """Return the charts of the page "custom scalars": both losses in one, and all classes in one per score.

    names: of the values of a validation, such as "valid/iou/car".
    """
    kinds = Counter(name.split("/")[1] for name in names if name.startswith("valid/") and name.count("/") == 2)
    del kinds["loss"]
    classes = {TITLES.get(kind, kind): ["Multiline", [f"valid/{re.escape(kind)}/"]] for kind in kinds}
    both = {"loss": {"training and validation": ["Multiline", ["(train|valid)/loss/total$"]]}}
    return {**both, "classes": classes} if classes else both


def _plain(value: object) -> bool:
    return isinstance(value, str | int | float | bool)


class _Direct:
    """The writer of a file of events in place of TensorBoard's thread, which prints a traceback if the disk is full.

    A record that was cut ends what TensorBoard reads of a file, so nothing is written behind it.
    """

    def __init__(self, writer: Any) -> None:
        self.writer, self.broken = writer, False

    def write(self, data: bytes) -> None:
        self._unless_broken(lambda: self.writer.write(data))

    def flush(self) -> None:
        self._unless_broken(self.writer.flush)

    def close(self) -> None:
        self._unless_broken(self.writer.close)

    def _unless_broken(self, act: Callable[[], object]) -> None:
        if self.broken:
            return
        try:
            act()
        except OSError:
            self.broken = True
            raise


def _direct(folder: Path) -> SummaryWriter:
    """Return a writer that raises OSError where a record cannot be written."""
    from torch.utils.tensorboard import SummaryWriter

    shown, threading.excepthook = threading.excepthook, lambda arguments: None
    try:
        writer = SummaryWriter(str(folder))
        assert writer.file_writer is not None
        events = writer.file_writer.event_writer
        thread = events._async_writer
        thread.flush()
        thread._worker.stop()
        events._async_writer = _Direct(thread._writer)  # pyright: ignore[reportAttributeAccessIssue]
    finally:
        threading.excepthook = shown
    return writer
