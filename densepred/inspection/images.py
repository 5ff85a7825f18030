"""Faults of the images themselves: unreadable, of several sizes; their statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.inspection.scan import statistics

MULTIPLE = 32
"""Suggested crops are multiples of the largest stride of usual encoders."""


def findings(split: str, found: Sequence[Facts], skip: bool, cropped: bool) -> Iterator[Finding]:
    """Yield unreadable samples, and sizes that do not fit into one batch.

    skip: data.on_bad=skip is set; cropped: data.crop is set
    """
    bad = [one for one in found if one.error is not None]
    if bad:
        yield Finding(
            "note" if skip and len(bad) < len(found) and split == "train" else "error",
            "unreadable",
            f"{split}: {len(bad)} of {len(found)} samples cannot be read; the first: {bad[0].error}",
            "replace or remove these files"
            + ("; data.on_bad=skip trains without them" if split == "train" and not skip else ""),
            tuple(one.id for one in bad),
        )
    sizes = Counter(one.size for one in found if one.error is None)
    if split == "train" and len(sizes) > 1 and not cropped:
        height, width = crop(found)
        yield Finding(
            "error",
            "sizes",
            f"train: images have {len(sizes)} sizes, from {_size(min(sizes))} to {_size(max(sizes))}, and do not fit "
            "into one batch",
            f"'data.crop=[{height},{width}]'",
            tuple(one.id for one in found if one.error is None and one.size != sizes.most_common(1)[0][0]),
        )


def crop(found: Sequence[Facts]) -> tuple[int, int]:
    """Return the largest crop, of at most 512 pixels per side, that fits into nine of ten images."""
    sides = []
    for axis in (0, 1):
        lengths = sorted(one.size[axis] for one in found if one.error is None)
        side = min(512, lengths[len(lengths) // 10])
        sides.append(max(MULTIPLE, side // MULTIPLE * MULTIPLE))
    return sides[0], sides[1]


def summary(found: Sequence[Facts]) -> dict[str, Any]:
    """Return the statistics of one split: numbers of images, sizes, channels, mean and std in [0, 1]."""
    read = [one for one in found if one.error is None]
    mean, std = statistics(read)
    return {
        "images": len(found),
        "unreadable": len(found) - len(read),
        "sizes": {_size(size): count for size, count in Counter(one.size for one in read).most_common(5)},
        "channels": sorted({one.channels for one in read}),
        "mean": mean,
        "std": std,
        "crop": list(crop(read)) if read else None,
        "objects": sum(one.objects.count or 0 for one in read),
    }


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
