"""The log of a run: numbers in metrics.jsonl and the chosen loggers, text in train.log and on the terminal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
from torch import Tensor

from densepred import atomic, output
from densepred.errors import UserError, exhausted
from densepred.rundir.lines import Lines

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
"""Ends of a run, which loggers show beside it."""
METRICS, TIMING, TEXT = "metrics.jsonl", "timing.jsonl", "train.log"


class Logger(Protocol):
    """Where numbers and images go beside metrics.jsonl; made with the folder of the run and its settings."""

    def scalars(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        """Write finite values by name."""

    def image(self, name: str, image: np.ndarray, step: int) -> None:
        """Write an image (3, H, W) uint8."""

    def files(self) -> list[Path]:
        """Return the files that grow with the steps, which a resumed run cuts to the length at its checkpoint."""
        ...

    def flush(self) -> None:
        """Write what is still in memory."""

    def close(self, ended: str) -> None:
        """End the record of a run that is FINISHED, STOPPED by a signal, so that it can go on, or FAILED."""


def finite(value: float | None) -> float | None:
    """Return the value, None if it is infinite or no number: JSON has neither."""
    return value if value is not None and math.isfinite(value) else None


def tell(text: str, stream: TextIO) -> None:
    """Print a line. A stream that takes no more text is a warning alone: train.log has the text too."""
    print(text, file=stream, flush=True)
    if stream is sys.stdout and isinstance(stream, output.Screen) and (error := stream.taken_error()) is not None:
        fact = (error.strerror or str(error)).lower()
        print(f"warning: standard output: {fact}; further lines stand in train.log alone", file=sys.stderr, flush=True)


class Log:
    """The log of one run folder. Only the main process writes; on the others every method does nothing.

    metrics.jsonl holds nothing that depends on the clock, so equal runs write equal files; timing.jsonl has the rest.
    """

    def __init__(self, folder: Path, enabled: bool = True) -> None:
        self.folder, self.enabled = folder, enabled
        self.loggers: Sequence[Logger] = ()
        self._ended: list[Logger] = []  # those that could not write
        self._former: Mapping[str, int] = {}
        self._written, self._told = False, False
        self._lines = {name: Lines(folder / name) for name in (METRICS, TIMING, TEXT)}
        self._hashed: dict[str, tuple[int, Any]] = {}

    def say(self, text: str) -> None:
        """Write a message to the terminal and to train.log."""
        if self.enabled:
            tell(output.clean(text), sys.stdout)
            self.note(text)

    def warn(self, text: str) -> None:
        """Write a warning to standard error and to train.log."""
        if self.enabled:
            text = f"warning: {output.clean(text, output.MESSAGE)}"
            tell(text, sys.stderr)
            self.note(text)

    def note(self, text: str) -> None:
        """Write a message to train.log alone."""
        if self.enabled:
            self._append(TEXT, output.clean(text))

    def scalars(self, prefix: str, values: Mapping[str, float | None], step: int, epoch: int) -> None:
        """Write values under `prefix/name`; null in the file, and not to the loggers, if undefined or not finite."""
        if not self.enabled:
            return
        named = {f"{prefix}/{name}": finite(value) for name, value in values.items()}
        self._append(METRICS, json.dumps({"step": step, "epoch": epoch, **named}, allow_nan=False))
        self._log(named, step, epoch)

    def timing(self, values: Mapping[str, float], step: int, epoch: int) -> None:
        """Write values that depend on the clock to timing.jsonl and the loggers."""
        if not self.enabled:
            return
        known = {name: finite(value) for name, value in values.items()}
        self._append(TIMING, json.dumps({"step": step, **known}, allow_nan=False))
        self._log({f"time/{name}": value for name, value in known.items()}, step, epoch)

    def picture(self, name: str, image: Tensor, step: int) -> None:
        """Write an image (3, H, W) uint8 to the loggers."""
        if self.enabled and self.loggers:
            pixels = image.cpu().numpy()
            self._each(lambda logger: logger.image(name, pixels, step))

    def waiting(self) -> list[str]:
        """Return the files with lines that the disk has refused so far."""
        return [name for name, lines in self._lines.items() if name != TEXT and lines.flush() is not None]

    def position(self) -> dict[str, int]:
        """Return the length in bytes of each file that grows with the steps. See `sync`.

        Files of a logger that is off keep the length of the checkpoint that the run went on from.
        Raises OSError if lines wait: a run that is resumed from such a checkpoint would lack them.
        """
        self._each(lambda logger: logger.flush())
        for name in (METRICS, TIMING):
            if (error := self._lines[name].flush()) is not None:
                raise error
        text = [self.folder / TEXT] if (self.folder / TEXT).exists() else []
        former = {name: length for name, length in self._former.items() if (self.folder / name).is_file()}
        return former | {str(path.relative_to(self.folder)): path.stat().st_size for path in [*self._growing(), *text]}

    def sync(self, position: Mapping[str, int]) -> None:
        """Wait until the files of a position have reached the disk."""
        for name in position:
            if (self.folder / name).exists():
                atomic.sync(self.folder / name)

    def digests(self, position: Mapping[str, int]) -> dict[str, str]:
        """Return the SHA-256 of metrics.jsonl, timing.jsonl and train.log up to their length in `position`."""
        return {name: self._prefix(name, position[name]) for name in (METRICS, TIMING, TEXT) if name in position}

    def check(self, position: Mapping[str, int], digests: Mapping[str, str]) -> None:
        """Raise UserError if metrics.jsonl is shorter than `position` records, or differs from its digest.

        timing.jsonl and train.log, which nothing depends on, are a warning.
        """
        for name in (METRICS, TIMING, TEXT):
            path, length = self.folder / name, position.get(name, 0)
            size = path.stat().st_size if path.is_file() else 0
            if size < length:
                fact = f"{path}: {size} bytes, where {length} were recorded: its end is lost"
            elif name in digests and self._prefix(name, length) != digests[name]:
                fact = f"{path}: its lines differ from those that were recorded"
            else:
                continue
            if name == METRICS:
                raise UserError(f"{fact}; put the file back from a copy")
            self.warn(fact)

    def _prefix(self, name: str, length: int) -> str:
        """Return the digest of the first `length` bytes; each byte is read once, however often this is called."""
        done, sha = self._hashed.get(name, (0, hashlib.sha256()))
        if done > length:
            done, sha = 0, hashlib.sha256()
        with (self.folder / name).open("rb") as file:
            file.seek(done)
            sha.update(file.read(length - done))
        self._hashed[name] = length, sha
        return sha.hexdigest()

    def rewind(self, position: Mapping[str, int]) -> None:
        """Truncate the files to `position`: the steps that follow are taken, and logged, again."""
        assert not self._written, "rewind comes before the first entry"
        if not self.enabled:
            return
        self._former = position
        for path in self._growing():
            name = str(path.relative_to(self.folder))
            length = position.get(name, 0)
            if length == 0:
                if position and name not in (METRICS, TIMING):
                    self.warn(f"{path}: the checkpoint records nothing of it, so it begins anew")
                path.unlink()
            elif length < path.stat().st_size:
                with path.open("r+b") as file:
                    file.truncate(length)

    def speeds(self) -> list[float]:
        """Return the images per second that timing.jsonl holds; lines that cannot be read are left out."""
        path, found = self.folder / TIMING, []
        for line in path.read_bytes().splitlines() if path.is_file() else ():
            with contextlib.suppress(ValueError, AttributeError):
                value = json.loads(line).get("images_per_second")
                if isinstance(value, float | int) and math.isfinite(value):
                    found.append(float(value))
        return found

    def close(self, ended: str = FINISHED) -> None:
        self._each(lambda logger: logger.close(ended))

    def _log(self, values: Mapping[str, float | None], step: int, epoch: int) -> None:
        self._written = True
        known = {name: value for name, value in values.items() if value is not None}
        self._each(lambda logger: logger.scalars(known, step, epoch))

    def _each(self, act: Callable[[Logger], object]) -> None:
        """Call every logger. One that fails is left out from then on, with a warning.

        Packages of other programs raise errors of their own, and only the main process has loggers: the others would
        wait for it.
        """
        for logger in list(self.loggers):
            try:
                act(logger)
            except Exception as error:
                if exhausted(error) is not None:
                    raise
                self._leave_out(logger, error)

    def _leave_out(self, logger: Logger, error: Exception) -> None:
        self.loggers = [other for other in self.loggers if other is not logger]
        self._ended.append(logger)
        if isinstance(error, OSError):
            fact = (error.strerror or str(error)).lower()
        else:
            self.note("".join(traceback.format_exception(error)).rstrip())
            fact = f"{type(error).__name__}: {' '.join(str(error).split())} (its traceback is in {self.folder / TEXT})"
        self.warn(f"{type(logger).__name__}: {fact}; its records end here, metrics.jsonl goes on")

    def _append(self, name: str, line: str) -> None:
        error = self._lines[name].add(line)
        if error is not None and not self._told:
            self._told = True  # train.log may be one of the files, so the terminal alone
            fact = (error.strerror or str(error)).lower()
            text = f"warning: {self.folder / name}: {fact}; lines wait in memory until they can be written"
            tell(text, sys.stderr)
        self._told = error is not None

    def _growing(self) -> list[Path]:
        own = [self.folder / METRICS, self.folder / TIMING]
        files = [*own, *(path for logger in [*self.loggers, *self._ended] for path in logger.files())]
        return [path for path in files if path.exists()]
