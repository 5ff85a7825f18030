"""Exported files of both formats: their description, their outputs, and the images they take."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from densepred.errors import UserError
from densepred.weights import header

FACTS, LEAST = "densepred_parity", "least_side"
"""Key of the parity table in the metadata of a file, and there of the least side that the file takes."""
FORM = "exported"
OUTPUTS, SIZE, TEMPERATURE = "outputs", "size", "temperature"
"""Key of the description; there names of outputs, [height, width] or None, and the temperature per head of classes."""


class Exported(ABC):
    """An exported file that computes outputs by name.

    metadata: texts by key, as densepred-export wrote them
    names: of the outputs
    """

    path: Path
    metadata: Mapping[str, str]
    names: Sequence[str]

    @property
    @abstractmethod
    def sides(self) -> Sequence[Any]:
        """Height and width of images: numbers, or anything else where they are free."""

    @abstractmethod
    def compute(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name for images (B, C, H, W) of a size that the file takes."""

    @property
    def least(self) -> int:
        """Least side of images; 1 for files without the fact, and of another form."""
        try:
            return int(json.loads(self.metadata[FACTS])[LEAST])
        except (KeyError, TypeError, ValueError):
            return 1

    def described(self) -> dict[str, Any]:
        """Return the description of model, task and data that densepred-export stored in the file."""
        text = self.metadata.get(header.KEY)
        if text is None:
            raise UserError(f"{self.path}: holds no description of its model; give a file that densepred-export wrote")
        return header.checked(header.parse(text, self.path), self.path)

    @staticmethod
    def form(described: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what a description tells of the file itself; {} of older files."""
        found = described.get(FORM)
        return found if isinstance(found, Mapping) else {}

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name for images (B, C, H, W) float32 in [0, 1], on their device."""
        self._require_size((int(image.shape[-2]), int(image.shape[-1])))
        return self.compute(image)

    def _require_size(self, size: tuple[int, int]) -> None:
        given = "x".join(map(str, size))
        if any(isinstance(side, int) and side != here for side, here in zip(self.sides, size, strict=True)):
            wanted = "x".join(map(str, self.sides))
            tiles = f", or type tile={self.sides[0]} for windows of this size" if len({*self.sides}) == 1 else ""
            raise UserError(
                f"{self.path}: made for images of {wanted}, there is one of {given}; export without size={tiles}"
            )
        if min(size) < self.least:
            raise UserError(
                f"{self.path}: takes sides of {self.least} pixels and more, there is an image of {given}; predict it "
                "with the run"
            )
