"""Read an image and its mask to a sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from densepred.dataset.image import Stored, read_image, read_stored
from densepred.dataset.intensity import Channels, White
from densepred.dataset.labels import Labels
from densepred.dataset.mask import read_mask_void
from densepred.dataset.pairs import Pair
from densepred.dataset.unseen import hide
from densepred.errors import Misfit
from densepred.nn import ceil_div
from densepred.types import ORIENTATIONS, VOID, Annotation, Frame, Sample, UserError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, slots=True)
class Reader:
    """`exif` is the orientation of the masks: "stored" as the pixels of the image file, "upright" as viewers show it.

    "auto" compares sizes, and raises UserError if both orientations fit. Without a mask it means upright.
    `max_value` is white in images of integers above 8 bits, or a window, see `read_image`. `kept` are ids of masks that
    are labels also where a mask names one of them as no data.
    """

    labels: Labels | None
    channels: Channels
    max_pixels: int
    exif: str = "auto"
    max_value: White = None
    kept: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if self.exif not in ORIENTATIONS:
            raise UserError(f"dataset.exif: {self.exif!r}; choose one of {', '.join(ORIENTATIONS)}")

    def __call__(self, pair: Pair) -> Sample:
        if pair.mask is None or self.labels is None:
            image = read_image(pair.image, self.channels, self.max_pixels, self.exif != "stored", self.max_value)
            size = (image.shape[1], image.shape[2])
            return Sample(image, Annotation(size), Frame(pair.id, size))
        mask, palette, holes = read_mask_void(pair.mask, self.max_pixels, self.kept)
        if palette is not None:
            self.labels.check_palette(mask, palette, pair.mask)
        labels = self.labels.encode(mask, pair.mask, holes)
        size = (labels.shape[0], labels.shape[1])
        image, _, void = self._stored(pair.image, size, f"the mask {pair.mask}")
        if void is not None:
            labels[void] = VOID
        return Sample(image, Annotation(size, semantic=labels), Frame(pair.id, size))

    def image(self, path: Path, truth: Annotation, partner: str) -> Tensor:
        """Return the image, (C, H, W), in the orientation that fits `truth`; `partner` names the source of its size.

        Pixels without data become void and `ignore` in `truth`, see `unseen.hide`.
        """
        image, _, void = self._stored(path, truth.size, partner)
        if void is not None:
            hide(truth, void)
        return image

    def _stored(self, path: Path, size: tuple[int, int], partner: str) -> Stored:
        stored = self._turned(path, size)
        found = (stored.image.shape[1], stored.image.shape[2])
        if found != size:
            hint = "one of them is turned by 90 degrees" if found == size[::-1] else _factor(found, size)
            raise Misfit(
                f"{path}: the image is {found[0]}x{found[1]} but {partner} is "
                f"{size[0]}x{size[1]} (height x width); {hint}",
                "sizes_differ",
            )
        return stored

    def _turned(self, path: Path, size: tuple[int, int]) -> Stored:
        stored = read_stored(path, self.channels, self.max_pixels, self.max_value)
        if self.exif == "stored":
            return stored
        upright = stored.upright()
        if self.exif == "upright":
            return upright
        if stored.orientation != 1 and stored.image.shape[1:] == upright.image.shape[1:] == size:
            raise Misfit(
                f"{path}: has EXIF orientation {stored.orientation} and its mask fits both orientations; set "
                "dataset.exif=upright if masks were drawn on images as viewers show them, else dataset.exif=stored",
                "orientation",
            )
        return upright if upright.image.shape[1:] == size else stored


def _factor(image: tuple[int, int], labels: tuple[int, int]) -> str:
    """Return the remedy for labels of another size, with the factor if there is one."""
    factor = image[0] / labels[0]
    if factor > 1 and all(ceil_div(side, round(factor)) == part for side, part in zip(image, labels, strict=True)):
        return (
            f"the labels are 1/{round(factor)} of the image: enlarge them {round(factor)} times with the nearest "
            "neighbour, or shrink the images"
        )
    return "make them equal"


def statistics(
    pairs: Sequence[Pair], channels: int | Sequence[int], max_pixels: int, max_value: White = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and std per channel: ImageNet's for RGB, else measured in an evenly spread sample of images.

    Named bands are measured, three of them too: they need not be red, green and blue. Values are those of images in
    [0, 1]. Raises UserError if no pixel holds data.
    """
    if channels == 3:
        return IMAGENET
    step = max(1, len(pairs) // 32)
    count = len(channels) if isinstance(channels, Sequence) else channels
    sums = torch.zeros(3, count, dtype=torch.float64)
    for pair in pairs[::step]:
        image, _, void = read_stored(pair.image, channels, max_pixels, max_value)
        values = (image.flatten(1) if void is None else image[:, ~void]).double() / (
            255 if image.dtype == torch.uint8 else 1
        )
        sums += torch.stack((torch.full((count,), values.shape[1]), values.sum(1), values.square().sum(1)))
    if pairs and not sums[0].all():
        fact = "it and the other images that were measured have no pixel with data (nodata)"
        raise UserError(f"{pairs[0].image}: {fact}; correct them, or set dataset.mean and dataset.std")
    mean = sums[1] / sums[0]
    std = (sums[2] / sums[0] - mean.square()).clamp_min(0).sqrt().clamp_min(1e-3)
    return tuple(round(v, 4) for v in mean.tolist()), tuple(round(v, 4) for v in std.tolist())
