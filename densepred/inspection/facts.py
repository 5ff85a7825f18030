"""Facts of one sample that remain once it has been read: a few numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

STRIDES = (2, 4, 8, 16, 32)
"""Strides at which class maps are read again."""
Counts = tuple[tuple[int, int], ...]
"""Pixels of intersection and union per class."""


@dataclass(slots=True)
class Objects:
    """Numbers of objects of one image, crowds left out; `count` is None if its ground truth has no objects at all."""

    count: int | None = None
    empty: int = 0  # boxes without an area, or ids without a visible pixel
    bare: int = 0  # boxes without a mask among objects with masks
    tiny: int = 0
    outside: int = 0  # boxes that reach more than one pixel beyond the image
    hidden: int = 0  # objects of which more than HIDDEN lies under others
    twice: int = 0  # objects of the class and nearly of the box of an earlier one
    stray: int = 0  # instances with a labelled keypoint more than one pixel outside of their box
    classes: tuple[int, ...] = ()  # objects of each class
    keypoints: tuple[int, ...] = ()  # instances in which each keypoint is labelled
    visible: tuple[int, ...] = ()  # instances in which each keypoint is not hidden
    posed: int = 0  # instances with a labelled keypoint


@dataclass(slots=True)
class Facts:
    """Facts of one sample. One that cannot be used has its id, `error`, `cause` and `labels` only."""

    id: str
    error: str | None = None
    cause: str = ""
    labels: tuple[int, ...] = ()  # of no class
    depth: str = ""  # of the file: "8 bits"
    turned: bool = False  # by EXIF
    size: tuple[int, int] = (0, 0)
    channels: int = 0
    mean: tuple[float, ...] = ()  # per channel, of the image in [0, 1]
    square: tuple[float, ...] = ()  # mean of the squares per channel
    hash: int | None = None  # 64 bits: perceptual hash of the brightness; None for a flat image
    pixels: tuple[int, ...] = ()  # of each class
    void: int | None = None  # pixels; None without a class map
    coarse: tuple[Counts, ...] = ()  # of the class map and itself at each of STRIDES; () if it is not compared
    lost: dict[str, int] = field(default_factory=dict)  # objects without a location of their own, per task
    objects: Objects = field(default_factory=Objects)
    thumbnail: bytes | None = None  # JPEG
