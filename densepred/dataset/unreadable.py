"""Files that `data.on_bad=skip` leaves out of what a dataset reads before the first step: classes and statistics."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from densepred.dataset.image import read_stored
from densepred.dataset.mask import read_mask
from densepred.dataset.pairs import Pair
from densepred.errors import MachineError, Notice, UserError, shown

ANY = (0.5, 1.0)
"""A window, so that no value is out of range."""


def without(pairs: Sequence[Pair], count: int, max_pixels: int) -> list[Pair]:
    """Return the pairs without those of an evenly spread sample that cannot be read, with a notice that counts them.

    count: as many pairs are sampled at least, and fewer than twice as many. Samples of the pairs that are returned hold
    readable files alone. If none can be read, all are returned, and reading them raises the error.
    """
    kept, bad, known = [*pairs], list[Pair](), set[str]()
    while lost := [pair for pair in kept[:: max(1, len(kept) // count)] if not _readable(pair, known, max_pixels)]:
        bad += lost
        names = {pair.id for pair in lost}
        kept = [pair for pair in kept if pair.id not in names]
    if not bad or not kept:
        return [*pairs]
    fact = f"data.on_bad=skip: {len(bad)} of {len(pairs)} training samples cannot be read, such as {shown(bad[0].id)}"
    warnings.warn(f"{fact}; classes, mean and std are measured without them", Notice, stacklevel=4)
    return kept


def _readable(pair: Pair, known: set[str], max_pixels: int) -> bool:
    """Decode an image and its mask; `known` gets the names of those that could be."""
    if pair.id in known:
        return True
    try:
        read_stored(pair.image, None, max_pixels, ANY)
        if pair.mask is not None:
            read_mask(pair.mask, max_pixels)
    except MachineError:
        raise
    except UserError:
        return False
    known.add(pair.id)
    return True
