"""A PNG that is written row by row: Pillow needs the whole image for it.

The format is that of the PNG specification, third edition, https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE = 0, 2, 3
"""Colour types."""
NONE, SUB = 0, 1
"""Filters of a row: the values themselves, or their differences from the pixel to the left."""
PHOTOGRAPH = 1
"""Level of zlib for photographs, which hardly shrink: 6, the default, takes four times as long for 13 % fewer bytes."""


class PngRows:
    """Write rows from the top, then leave the context: only then the height is known.

    palette: colours of an image of ids; without them the rows decide between grey of 8 or 16 bits and RGB.
    """

    def __init__(self, path: Path, palette: Sequence[Sequence[int]] | None = None) -> None:
        self.palette, self.height, self.width = palette, 0, 0
        self.file, self.packed = path.open("wb"), zlib.compressobj()
        self.kind, self.bytes = GREY, 1  # of a value

    def __enter__(self) -> PngRows:
        return self

    def add(self, rows: np.ndarray) -> None:
        """Add rows (R, W) uint8 or uint16, or (R, W, 3) uint8, of the same kind and width each time."""
        if not rows.size:
            return
        if not self.height:
            self._begin(rows)
        self.height += len(rows)
        data = rows.astype(rows.dtype.newbyteorder(">")).reshape(len(rows), -1).view(np.uint8)
        way = NONE if self.kind == PALETTE else SUB
        if way == SUB:
            pixel = self.bytes * (3 if self.kind == RGB else 1)
            data[:, pixel:] -= data[:, :-pixel].copy()  # modulo 256
        self._chunk(b"IDAT", self.packed.compress(np.insert(data, 0, way, axis=1).tobytes()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            if error is None:
                self._chunk(b"IDAT", self.packed.flush())
                self._chunk(b"IEND", b"")
                self.file.seek(len(SIGNATURE))
                self._header()

    def _begin(self, rows: np.ndarray) -> None:
        self.kind = RGB if rows.ndim == 3 else GREY if self.palette is None else PALETTE
        self.width, self.bytes = rows.shape[1], rows.dtype.itemsize
        if self.kind == RGB:
            self.packed = zlib.compressobj(PHOTOGRAPH)
        self.file.write(SIGNATURE)
        self._header()
        if self.palette is not None:
            self._chunk(b"PLTE", bytes(value for colour in self.palette for value in colour))

    def _header(self) -> None:
        self._chunk(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 8 * self.bytes, self.kind, 0, 0, 0))

    def _chunk(self, name: bytes, data: bytes) -> None:
        if data or name != b"IDAT":
            self.file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
