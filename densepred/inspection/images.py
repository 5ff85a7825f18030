"""Faults of the images themselves, and their statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from densepred.inspection import coarse
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.inspection.override import typed
from densepred.inspection.scan import statistics

MULTIPLE = 32
"""Suggested crops are multiples of the largest stride of usual encoders."""


def findings(split: str, found: Sequence[Facts], cropped: bool, poses: bool = False) -> Iterator[Finding]:
    """Yield training images of sizes that do not fit into one batch.

    cropped: data.crop is set
    poses: the dataset has keypoints; task=pose crops single instances, so images of any size fit
    """
    sizes = Counter(one.size for one in found if one.error is None)
    if split == "train" and len(sizes) > 1 and not cropped:
        yield Finding(
            "note" if poses else "error",
            "sizes",
            f"train: images have {len(sizes)} sizes, from {_size(min(sizes))} to {_size(max(sizes))}, and do not fit "
            "into one batch",
            "task=pose crops single instances; for other tasks train on crops" if poses else "train on crops",
            tuple(one.id for one in found if one.error is None and one.size != sizes.most_common(1)[0][0]),
            typed("data.crop", list(crop(found))),
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
    objects = [one.objects.count for one in read if one.objects.count is not None]
    strides = coarse.mean_ious(one.coarse for one in read if one.coarse)
    return {
        "images": len(found),
        "unreadable": len(found) - len(read),
        "sizes": {_size(size): count for size, count in Counter(one.size for one in read).most_common(5)},
        "channels": sorted({one.channels for one in read}),
        "depths": dict(Counter(one.depth for one in read).most_common()),
        "turned": sum(one.turned for one in read),
        "mean": mean,
        "std": std,
        "stride": coarse.stride(strides),
        "strides": strides,
        "crop": list(crop(read)) if read else None,
        "objects": sum(objects) if objects else None,  # None: the ground truth is no objects
    }


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
