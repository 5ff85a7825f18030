"""Files of lines that grow with the steps, on a disk that may be full for a while."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from densepred.errors import UserError


class Lines:
    """Append lines to a file. Those that the disk refuses wait in memory, and are written before the next ones.

    The file holds whole lines only: what a full disk took of a line is cut off again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.waiting: list[str] = []
        self._alone = threading.RLock()  # the thread that writes checkpoints warns too

    def add(self, line: str) -> OSError | None:
        """Append a line; return the error if it has to wait."""
        with self._alone:
            self.waiting.append(line + "\n")
            return self.flush()

    def flush(self) -> OSError | None:
        """Write the lines that wait; return the error if they go on waiting. Raises UserError if the folder is gone."""
        with self._alone:
            return self._flush()

    def _flush(self) -> OSError | None:
        if not self.waiting:
            return None
        try:
            self._append("".join(self.waiting).encode())
        except OSError as error:
            if not self.path.parent.is_dir():
                folder = self.path.parent
                raise UserError(
                    f"{folder}: the folder was deleted or moved while the run wrote to it; start again"
                ) from error
            return error
        self.waiting.clear()
        return None

    def _append(self, data: bytes) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size, rest = os.fstat(handle).st_size, memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(handle, rest) :]
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
