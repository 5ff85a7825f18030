"""One pass over the samples of a split: each is decoded once, in workers, and reduced to a few numbers."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import imagehash
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred.contracts import Codec, Dataset
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.image_header import read_header
from densepred.errors import Misfit, Notice, UserError
from densepred.inspection import coarse, heads, objects
from densepred.inspection.facts import Facts
from densepred.loader.parallel_map import parallel_map
from densepred.loader.samples import checked
from densepred.rundir.progress_bar import ProgressBar
from densepred.types import VOID, Annotation, Sample, unit_scale

R = TypeVar("R")

THUMBNAIL = 128
"""Longest side of a thumbnail in pixels."""
FLAT = 0.01
"""Standard deviation of an image in [0, 1] below which it shows nothing that a hash could tell apart."""


def map_with_progress(function: Callable[[Any], R], items: Sequence[Any], title: str, workers: int) -> list[R]:
    """Apply a function to each item, in `workers` processes, and show the progress on standard error."""
    found = parallel_map(function, items, min(workers, len(items)))
    return list(ProgressBar(title, len(items), "image", to=sys.stderr).over(found))


class Scan:
    """From the index of a sample to its facts; `codecs`, by task, are compared with the objects.

    compared: the number of class maps that are compared with themselves at coarse strides
    """

    def __init__(
        self, data: Dataset, max_pixels: int, thumbnails: bool, codecs: Mapping[str, Codec], compared: int = 0
    ) -> None:
        self.data, self.max_pixels, self.thumbnails, self.codecs = data, max_pixels, thumbnails, codecs
        self.files = data.files()
        number = min(compared, len(data))
        self.compared = {place * len(data) // number for place in range(number)}
        self.beyond = data.index.beyond if isinstance(data, CocoInstances | CocoKeypoints) else {}

    def __call__(self, index: int) -> Facts:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Notice)  # facts of single files become findings of the whole set
            try:
                sample = checked(self.data[index])
            except UserError as error:
                labels = error.values if isinstance(error, Misfit) else ()
                cause = error.cause if isinstance(error, Misfit) else "unreadable"
                return Facts(self._name(index), str(error), cause, labels)
        image = unit_scale(sample.image)
        grey = Image.fromarray((image[:3].mean(0) * 255).byte().numpy())
        facts = Facts(
            sample.frame.id,
            size=(image.shape[1], image.shape[2]),
            channels=len(image),
            mean=tuple(image.mean((1, 2)).tolist()),
            square=tuple(image.square().mean((1, 2)).tolist()),
            hash=perceptual_hash(grey) if float(image.std()) >= FLAT else None,
            objects=objects.measure(sample.truth, len(self.data.info.classes)),
            lost=heads.count(self.codecs, sample.truth),
            thumbnail=jpeg(image) if self.thumbnails else None,
        )
        facts.objects.outside += self.beyond.get(sample.frame.id, 0)  # boxes that the dataset has clipped or left out
        facts.depth, facts.turned = self._header(index, sample)
        _count_classes(facts, sample.truth, len(self.data.info.classes))
        if index in self.compared and sample.truth.semantic is not None:
            facts.coarse = coarse.counts(sample.truth.semantic, len(self.data.info.classes))
        return facts

    def _name(self, index: int) -> str:
        return str(index) if self.files is None else str(self.files[index])

    def _header(self, index: int, sample: Sample) -> tuple[str, bool]:
        """Return the depth of an image file, and True if EXIF turns it; without a file, the depth of the sample."""
        try:
            header = None if self.files is None else read_header(self.files[index], self.max_pixels)
        except UserError:  # a file that only its own dataset can read
            header = None
        if header is None:
            return "8 bits" if sample.image.dtype == torch.uint8 else "floats", False
        return header.depth, header.orientation != 1


def _count_classes(facts: Facts, truth: Annotation, classes: int) -> None:
    if truth.semantic is None:
        return
    labels = truth.semantic
    facts.void = int((labels == VOID).sum())
    facts.pixels = tuple(torch.bincount(labels[labels != VOID].flatten().long(), minlength=classes).tolist())


def perceptual_hash(grey: Image.Image) -> int:
    """Return the 64 bits of the DCT hash of ImageHash (`phash`)."""
    return int("".join("1" if bit else "0" for bit in imagehash.phash(grey).hash.flatten()), 2)


def jpeg(image: Tensor) -> bytes:
    """Return a thumbnail of an image (C, H, W) in [0, 1]; the first three channels, or the first alone."""
    shown = image[:3] if len(image) >= 3 else image[:1].expand(3, -1, -1)
    picture = Image.fromarray((shown.clamp(0, 1) * 255).byte().permute(1, 2, 0).contiguous().numpy())
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()


def statistics(found: list[Facts]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel over all pixels of the readable images of most channels."""
    channels = max((one.channels for one in found), default=0)
    alike = [one for one in found if one.channels == channels and one.error is None]
    if not alike:
        return [], []
    weights = np.array([one.size[0] * one.size[1] for one in alike], dtype=np.float64)
    mean = np.average([one.mean for one in alike], axis=0, weights=weights)
    square = np.average([one.square for one in alike], axis=0, weights=weights)
    return mean.round(4).tolist(), np.sqrt(np.maximum(square - mean**2, 0)).round(4).tolist()
