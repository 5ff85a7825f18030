"""TensorBoard: charts and images in `tensorboard/` of the run, for `tensorboard --logdir runs`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


class TensorBoard:
    """Opens a file of events at the first entry."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder / FOLDER
        self._writer: SummaryWriter | None = None

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        for name, value in values.items():
            self._open().add_scalar(name, value, step)

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        self._open().add_image(name, image, step)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("events.*"))

    def flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            self._writer = SummaryWriter(str(self.folder))
        return self._writer
