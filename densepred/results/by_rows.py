"""The files of one large image, those of `Results.add`, written strip by strip: memory does not grow with its height.

For codecs that decode pixels one by one: class maps, their overlays, probabilities and uncertainty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from densepred import atomic
from densepred.dataset.image_rows import Rows
from densepred.draw import panel
from densepred.draw.comparison import class_legend, draw
from densepred.results.files import Results, entropy_map
from densepred.results.png_rows import PngRows
from densepred.types import Annotation

KINDS = {"overlays": ".png", "uncertainty": ".png", "probabilities": ".npy", "labels": ".png"}
"""In the order in which `Results.add` writes them."""


def write(results: Results, place: Path, image: Rows, strips: Iterator[tuple[int, Annotation]]) -> None:
    """Write the strips of an image, which begin at the rows beside them, from the top to the bottom.

    image: at least `panel.SIDE` pixels in one direction; overlays of smaller ones are enlarged, see `Results.add`
    """
    results.current.clear()
    options, info = results.overlays, results.info
    wanted = {"labels": True, "overlays": options.overlay}
    wanted |= {"uncertainty": options.uncertainty, "probabilities": options.probabilities}
    paths = {kind: results.path(kind, place, suffix) for kind, suffix in KINDS.items() if wanted[kind]}
    with ExitStack() as stack:
        # Left in reverse order: the labels get their name last, because it marks the image as done
        files = {kind: stack.enter_context(atomic.replacing(paths[kind])) for kind in reversed(paths)}
        labels = stack.enter_context(PngRows(files["labels"], info.palette))
        overlay = stack.enter_context(PngRows(files["overlays"])) if "overlays" in files else None
        entropy = stack.enter_context(PngRows(files["uncertainty"])) if "uncertainty" in files else None
        shares = _array(files["probabilities"], len(info.classes), image.size) if "probabilities" in files else None
        present: set[int] = set()
        for top, found in strips:
            ids = found.need("semantic").cpu()
            stop = top + len(ids)
            present |= set(ids.unique().tolist())
            labels.add(ids.numpy())
            if overlay is not None:
                overlay.add(_pixels(draw(image.read(top, stop), found, info)))
            if entropy is not None:
                entropy.add(entropy_map(found.need("probabilities")).cpu().numpy())
            if shares is not None:
                shares[:, top:stop] = found.need("probabilities").half().cpu().numpy()
        if overlay is not None:
            classes = torch.tensor([sorted(present)], dtype=torch.uint8)
            legend = class_legend(Annotation((1, len(present)), semantic=classes), info)
            overlay.add(_pixels(panel.drawn(legend, image.size[1])))
        if shares is not None:
            shares.flush()
    results.names()


def _pixels(picture: Tensor) -> np.ndarray:
    return picture.permute(1, 2, 0).contiguous().numpy()


def _array(path: Path, classes: int, size: tuple[int, int]) -> np.memmap:
    """Return an array (classes, H, W) float16 on the disk."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(classes, *size))
