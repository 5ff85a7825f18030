"""The words that every part of densepred speaks: annotations for people, named tensors for networks.

Lengths are in pixels, x points right and y down, the centre of the top-left pixel is (0, 0); sizes are (height, width).
Shape letters: B images, C channels, K classes or keypoints, N instances, H x W an image, h x w a coarser map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from densepred.errors import UserError as UserError

VOID = 255
"""The label of pixels that nobody knows; a class map holds classes 0 to 254."""

MAX_CLASSES = 255

Outputs = Mapping[str, list[Tensor]]
"""What a model returns: for each head its stages, the last of which is the answer, each (B, C, h, w)."""

Targets = Mapping[str, Tensor]
"""What a codec makes of an annotation: `<head>`, and optionally `<head>_weight` (H, W) and, for a head of classes,
`<head>_distance` (K, H, W): how many pixels the boundary of each class is away, negative inside the class."""


@dataclass(frozen=True, slots=True)
class Info:
    """What the labels of a dataset mean. It travels in every checkpoint as JSON."""

    classes: tuple[str, ...] = ()
    things: tuple[int, ...] = ()  # classes that come in instances
    palette: tuple[tuple[int, int, int], ...] = ()  # one RGB colour a class
    keypoints: tuple[str, ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()  # pairs of keypoints, in the order of the part affinity fields
    mirrored: tuple[tuple[int, int], ...] = ()  # pairs of keypoints that trade places in a flip
    sigmas: tuple[float, ...] = ()  # one a keypoint, for OKS
    channels: int = 3
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of images in [0, 1], one a channel
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    provides: tuple[str, ...] = ("semantic",)  # the fields of Annotation that its truth fills

    def __post_init__(self) -> None:
        if len(self.classes) > MAX_CLASSES:
            raise UserError(f"{len(self.classes)} classes: at most {MAX_CLASSES} fit a class map; merge some of them")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UserError(
                f"images have {self.channels} channels but mean has {len(self.mean)} values and std {len(self.std)}; "
                "give one value a channel"
            )
        if min(self.std, default=1.0) <= 0:
            raise UserError(f"std holds {min(self.std)}; give positive values")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Info:
        """The inverse of `to_json`. Raises UserError where a key is unknown or a value has the wrong form."""

        def tuples(value: Any) -> Any:
            return tuple(tuples(v) for v in value) if isinstance(value, list | tuple) else value

        try:
            return cls(**{str(key): tuples(value) for key, value in data.items()})
        except TypeError as error:
            raise UserError(f"the description of the dataset is damaged: {error}; use another checkpoint") from error


@dataclass(slots=True)
class Annotation:
    """What is in an image: ground truth and prediction alike. Every field but the size is optional."""

    size: tuple[int, int]
    semantic: Tensor | None = None  # (H, W) uint8, VOID where unknown
    instances: Tensor | None = None  # (H, W) int32, 0 = none, i + 1 = the i-th instance
    categories: Tensor | None = None  # (N,) int64, the class of each instance
    scores: Tensor | None = None  # (N,) float32
    keypoints: Tensor | None = None  # (N, K, 3) float32: x, y, visibility (0, 1, 2) or confidence
    boxes: Tensor | None = None  # (N, 4) float32: x0, y0, x1, y1
    areas: Tensor | None = None  # (N,) float32
    head_boxes: Tensor | None = None  # (N, 4) float32, as PCKh measures by them; NaN where unknown
    crowd: Tensor | None = None  # (N,) bool
    masks: list[Any] | None = None  # N run-length masks, where they overlap
    ignore: Tensor | None = None  # (H, W) bool, where nothing is judged
    probabilities: Tensor | None = None  # (C, H, W) float32, only when asked for
    image: Tensor | None = None  # (C, H, W), an autoencoder's target


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a network input comes from. `matrix` takes (x, y, 1) of the input to (x, y) of the image."""

    id: str
    size: tuple[int, int]  # of the original image
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    instance: int | None = None
    shown: tuple[int, int] | None = None  # size of the input; None: that of the image

    @property
    def input(self) -> tuple[int, int]:
        """The size of what the network is shown."""
        return self.shown or self.size

    @property
    def resized(self) -> bool:
        """Whether the input is the whole image, perhaps at another size: then corners map to corners."""
        (sx, ry, tx), (rx, sy, ty) = self.matrix
        return abs(ry) + abs(rx) + abs(tx - (sx - 1) / 2) + abs(ty - (sy - 1) / 2) < 1e-6


@dataclass(slots=True)
class Sample:
    """One item of a dataset, before and after transforms. The image is uint8 0..255 or float32 0..1, (C, H, W)."""

    image: Tensor
    truth: Annotation
    frame: Frame


@dataclass(slots=True)
class Batch:
    """What the loader hands to the trainer. Images stay as they were read until they are on the device.

    In the evaluation of single instances `image` and `frames` are crops, while `truths` and `given` have an entry for
    each image; an image without instances has no crop.
    """

    image: Tensor  # (B, C, H, W) uint8 or float32
    targets: dict[str, Tensor] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    truths: list[Annotation] = field(default_factory=list)  # untransformed; only in evaluation
    skipped: list[str] = field(default_factory=list)  # what could not be read and was replaced by another sample
    owners: list[int] | None = None  # of crops: which of `truths` each belongs to
    given: list[Annotation] = field(default_factory=list)  # of crops: boxes per image, see `Codec.merge_instances`

    def pin_memory(self) -> Batch:
        targets = {name: value.pin_memory() for name, value in self.targets.items()}
        return replace(self, image=self.image.pin_memory(), targets=targets)

    def to(self, device: torch.device) -> Batch:
        """The same batch on `device`, its images as float32 in [0, 1]."""
        image = self.image.to(device, non_blocking=True)
        image = image.float().div_(255) if image.dtype == torch.uint8 else image
        targets = {name: value.to(device, non_blocking=True) for name, value in self.targets.items()}
        return replace(self, image=image, targets=targets)


@dataclass(slots=True)
class Pyramid:
    """What an encoder sees at each of its levels, shallow to deep."""

    features: list[Tensor]  # (B, C_i, h_i, w_i)
    indices: list[Tensor | None]  # where level i was max-pooled from: the argmax as nn.MaxPool2d gives it
    size: tuple[int, int] | None = None  # of the image, where decoders that climb beyond the first level are to end


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """What a codec wants of a head: `kind` "classes" for logits of a softmax, "values" for numbers to regress.

    A head on several levels has several strides. At stride s a map has ceil(size / s) cells.
    Of numbers, `prior` says that they are logits of sigmoids, and the probability to begin with, and `positive` that
    they are lengths: the model sees to it that none is negative.
    """

    channels: int
    strides: tuple[int, ...] = (1,)
    kind: str = "values"
    prior: float | None = None
    positive: bool = False
    names: tuple[str, ...] = ()  # of the channels, for pictures
