"""Files of latents: the codes into which autoencoders and PCA turn images.

`latents/<image>.npy`: float32, (k, h, w) with one vector per location or patch, or (k,) with one per image
`latents.csv`: one row per image: its size, the shape of its latent, and the values if every image has one vector
`latent_basis.npz`: the linear maps of PCA and of the linear autoencoder, by which others can encode and decode
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from densepred import atomic
from densepred.results.files import write_array

FOLDER, TABLE, BASIS = "latents", "latents.csv", "latent_basis.npz"
HEADER = ("image", "file", "height", "width", "channels", "rows", "columns")

Row = tuple[str, str, int, int, int, int, int]


class Latents:
    """Latents below a folder of results. Call `add` for each image, then `join`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[Row] = []
        self.vectors: list[list[float]] | None = []  # None if an image has several

    def add(self, place: Path, file_name: str, size: tuple[int, int], latent: Tensor) -> None:
        """Write the latent (k,) or (k, h, w) of an image of this size; `place` is its path without suffix."""
        path = self.folder / FOLDER / place.parent / f"{place.name}.npy"
        write_array(path, latent.float().cpu().numpy())
        rows, columns = (1, 1) if latent.ndim == 1 else (int(latent.shape[1]), int(latent.shape[2]))
        name = path.relative_to(self.folder).as_posix()
        self.rows.append((file_name, name, *size, len(latent), rows, columns))
        if rows * columns > 1:
            self.vectors = None
        if self.vectors is not None:
            self.vectors.append(latent.flatten().tolist())

    def taken(self) -> tuple[list[Row], list[list[float]] | None]:
        """Return rows and vectors so far and forget them: for `merge` in another process."""
        found, self.rows, self.vectors = (self.rows, self.vectors), [], []
        return found

    def merge(self, rows: list[Row], vectors: list[list[float]] | None) -> None:
        """Add what `taken` gave."""
        self.rows += rows
        self.vectors = None if self.vectors is None or vectors is None else self.vectors + vectors

    def join(self, basis: Mapping[str, Tensor] | None) -> list[str]:
        """Write the table, and the basis if there is one; return the names of all files and folders."""
        atomic.replace(self.folder / TABLE, self._table)
        names = [f"{FOLDER}/", TABLE]
        if basis is not None:
            arrays = {name: value.cpu().numpy() for name, value in basis.items()}
            atomic.replace(self.folder / BASIS, lambda temporary: _savez(temporary, arrays))
            names.append(BASIS)
        return names

    def _table(self, path: Path) -> None:
        vectors = self.vectors or [[]] * len(self.rows)
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            out = csv.writer(file)
            out.writerow([*HEADER, *(f"z{i + 1}" for i in range(max(map(len, vectors), default=0)))])
            for row, vector in zip(self.rows, vectors, strict=True):
                out.writerow([*row, *(f"{value:.9g}" for value in vector)])


def _savez(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
