"""The log of a run: numbers in metrics.jsonl and TensorBoard, text in train.log and on the terminal."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from densepred import output

METRICS, TIMING, TEXT, BOARD = "metrics.jsonl", "timing.jsonl", "train.log", "tensorboard"


def finite(value: float | None) -> float | None:
    """Return the value, None if it is infinite or no number: JSON has neither."""
    return value if value is not None and math.isfinite(value) else None


class Log:
    """The log of one run folder. Only the main process writes; on the others every method does nothing.

    metrics.jsonl holds nothing that depends on the clock, so equal runs write equal files; timing.jsonl has the rest.
    """

    def __init__(self, folder: Path, enabled: bool = True) -> None:
        self.folder, self.enabled = folder, enabled
        self._board: SummaryWriter | None = None

    def say(self, text: str) -> None:
        """Write a message to the terminal and to train.log."""
        if self.enabled:
            print(output.clean(text), flush=True)
            self.note(text)

    def warn(self, text: str) -> None:
        """Write a warning to standard error and to train.log."""
        if self.enabled:
            text = f"warning: {output.clean(text, output.MESSAGE)}"
            print(text, file=sys.stderr, flush=True)
            self.note(text)

    def note(self, text: str) -> None:
        """Write a message to train.log alone."""
        if self.enabled:
            self._append(TEXT, output.clean(text))

    def scalars(self, prefix: str, values: Mapping[str, float | None], step: int, epoch: int) -> None:
        """Write values under `prefix/name`; null in the file and nothing in TensorBoard if undefined or not finite."""
        if not self.enabled:
            return
        named = {f"{prefix}/{name}": finite(value) for name, value in values.items()}
        self._append(METRICS, json.dumps({"step": step, "epoch": epoch, **named}, allow_nan=False))
        for name, value in named.items():
            if value is not None:
                self.board.add_scalar(name, value, step)

    def timing(self, values: Mapping[str, float], step: int) -> None:
        """Write values that depend on the clock to timing.jsonl and TensorBoard."""
        if not self.enabled:
            return
        known = {name: finite(value) for name, value in values.items()}
        self._append(TIMING, json.dumps({"step": step, **known}, allow_nan=False))
        for name, value in known.items():
            if value is not None:
                self.board.add_scalar(f"time/{name}", value, step)

    def picture(self, name: str, image: Tensor, step: int) -> None:
        """Write an image (3, H, W) uint8 to TensorBoard."""
        if self.enabled:
            self.board.add_image(name, image.cpu().numpy(), step)

    @property
    def board(self) -> SummaryWriter:
        if self._board is None:
            self._board = SummaryWriter(str(self.folder / BOARD))
        return self._board

    def position(self) -> dict[str, int]:
        """Return the length in bytes of every file that grows with the steps, for `rewind`."""
        if self._board is not None:
            self._board.flush()
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in self._growing()}

    def rewind(self, position: Mapping[str, int]) -> None:
        """Truncate the files to `position`: the steps that follow are taken, and logged, again."""
        assert self._board is None, "rewind comes before the first entry"
        if not self.enabled:
            return
        for path in self._growing():
            length = position.get(str(path.relative_to(self.folder)), 0)
            if length == 0:
                path.unlink()
            elif length < path.stat().st_size:
                with path.open("r+b") as file:
                    file.truncate(length)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _append(self, name: str, line: str) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _growing(self) -> list[Path]:
        files = [self.folder / METRICS, self.folder / TIMING, *sorted((self.folder / BOARD).glob("events.*"))]
        return [path for path in files if path.exists()]
