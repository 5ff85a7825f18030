"""The ends by which names of images and masks differ, such as `_mask`, and how many pairs these explain."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from itertools import takewhile
from pathlib import PurePosixPath
from typing import NamedTuple

ENDS = ("_cp_masks", "_masks", "_mask", "-mask", ".mask", "_labels", "_label", "_segmentation", "_seg", "_gt", "_L")
MOST = 0.8
"""Share of the images and of the masks that an end has to explain; a few may lack their partner."""
STARTS = 5
"""Names that are compared with the other folder's: the partner of the first may be missing."""


class Ends(NamedTuple):
    """The ends of image and mask names."""

    image: str = ""
    mask: str = ""


def stems(names: Collection[str]) -> set[str]:
    """Return names without their extension; folders in them stay."""
    return {PurePosixPath(name).with_suffix("").as_posix() for name in names}


def stripped(names: Collection[str], end: str) -> set[str]:
    """Return the names with an end, without it."""
    return {name[: len(name) - len(end)] for name in names if name.endswith(end)}


def between(images: set[str], masks: set[str]) -> Ends | None:
    """Return the ends of the stems in two folders that pair them; None if nothing does.

    Equal stems of most images or masks go before any end.
    """
    if 2 * len(images & masks) > min(len(images), len(masks)):
        return Ends()
    return next((ends for ends in _candidates(sorted(images), sorted(masks)) if _fit(ends, images, masks)), None)


def _candidates(images: Sequence[str], masks: Sequence[str]) -> Iterator[Ends]:
    """Yield the ends of images and the masks that begin most alike, from the shortest ends on."""
    found = list[tuple[int, Ends]]()
    for image in images[:STARTS]:
        mask = max(masks, key=lambda name: len(_start(image, name)), default="")
        common = _start(image, mask)
        for length in range(len(common), 0, -1):
            shorter = length - (length > 1 and common[length - 1] in "_-.")
            for order, cut in enumerate((shorter, length)):
                found.append((2 * (len(common) - length) + order, Ends(image[cut:], mask[cut:])))
    yield from dict.fromkeys(ends for _, ends in sorted(found, key=lambda one: one[0]))


def _fit(ends: Ends, images: Collection[str], masks: Collection[str]) -> bool:
    """Accept ends of nearly all names; ends without a letter, such as `_0000`, only if all names have them."""
    first, second = stripped(images, ends.image), stripped(masks, ends.mask)
    pairs = first & second - {""}
    if not re.search(r"[^\W\d_]", ends.image + ends.mask) and (len(first), len(second)) != (len(images), len(masks)):
        return False
    return bool(pairs) and len(pairs) >= MOST * max(len(images), len(masks))


def within(names: Collection[str]) -> Iterator[Ends]:
    """Yield the ends of image and mask names in one folder."""
    found = _known(names) or _only_end(stems(names))
    if found is not None:
        yield found
        return
    kinds = sorted({PurePosixPath(name).suffix for name in names})
    if len(kinds) == 2 and ".png" in kinds:
        image = next(kind for kind in kinds if kind != ".png")
        first, second = stripped(names, image), stripped(names, ".png")
        if len(first & second) >= MOST * max(len(first), len(second)):
            yield Ends(image, ".png")


def _known(names: Collection[str]) -> Ends | None:
    """Return the usual end of masks, with the end of their images."""
    found = stems(names)
    for end in ENDS:
        masks, rest = stripped(found, end), {name for name in found if not name.endswith(end)}
        if masks and len(masks & rest) >= MOST * len(masks):
            return Ends("", end)
        for start in sorted(masks)[:STARTS]:
            ends = sorted({name[len(start) :] for name in rest if name.startswith(start)} - {""}, key=len)
            image = next((one for one in ends if _fit(Ends(one, ""), rest, masks)), None)
            if image is not None:
                return Ends(image, end)
    return None


def _only_end(names: Collection[str]) -> Ends | None:
    """Return the end with a letter, such as `_ids`, which every second name has more than another one."""
    for start in sorted(names)[:STARTS]:
        for end in sorted({name[len(start) :] for name in names if name.startswith(start)}):
            masks = stripped(names, end) if re.search("[A-Za-z]", end) else set[str]()
            rest = {name for name in names if not name.endswith(end)}
            if masks and len(masks & rest) >= MOST * max(len(masks), len(rest)):
                return Ends("", end)
    return None


def _start(one: str, other: str) -> str:
    """Return the characters with which both names begin."""
    return "".join(a for a, _ in takewhile(lambda both: both[0] == both[1], zip(one, other, strict=False)))
