"""The data that rooms pass to one another: annotations of images, named tensors of networks.

Lengths are in pixels, x points right and y down, the center of the top-left pixel is (0, 0); sizes are (height, width).
Shape letters: B images, C channels, K classes or keypoints, N instances, H x W an image, h x w a coarser map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

from densepred.errors import UserError as UserError

VOID = 255
"""The label of pixels of unknown class; a class map holds classes 0 to 254."""

MAX_CLASSES = 255

ORIENTATIONS = ("auto", "stored", "upright")
"""Orientation of labels: of the stored pixels, or of the image as viewers turn it by EXIF; auto compares sizes."""

WHITE = 65535
"""White in integers of 16 bits, unless a smaller value is known: `Info.max_value`."""


def unit_scale(image: Tensor) -> Tensor:
    """Convert an image, uint8 0..255 or float 0..1, to float32 in [0, 1]: the one place where a type is a scale."""
    return image.float().div_(255) if image.dtype == torch.uint8 else image.float()


Outputs = Mapping[str, list[Tensor]]
"""Predictions of a model: per head its stages, each (B, C, h, w); the last one counts."""

Targets = Mapping[str, Tensor]
"""Regression and classification targets of a codec: `<head>`, and optionally `<head>_weight` (H, W).

A head of classes may have `<head>_distance` (K, H, W): pixels to the boundary of each class, negative inside it."""


ChannelAxes = dict[str, dict[int, tuple[str | int, ...]]]
"""Per tensor of a state dict and dimension, what the dimension holds in order: a head's channels, or so many others.

`{"heads.semantic.weight": {0: ("semantic",)}}`: one row per channel of the head `semantic`."""


@dataclass(frozen=True, slots=True)
class Info:
    """Description of a dataset: classes, keypoints, channels. Every checkpoint holds it as JSON."""

    classes: tuple[str, ...] = ()
    things: tuple[int, ...] = ()  # classes that come in instances
    palette: tuple[tuple[int, int, int], ...] = ()  # one RGB colour per class
    keypoints: tuple[str, ...] = ()
    limbs: tuple[tuple[int, int], ...] = ()  # pairs of keypoints, in the order of the part affinity fields
    mirrored: tuple[tuple[int, int], ...] | None = ()  # pairs of keypoints that swap in a flip; None: do not mirror
    sigmas: tuple[float, ...] = ()  # one per keypoint, for OKS
    channels: int = 3
    bands: tuple[int, ...] = ()  # of the files that are the channels, counted from 1; (): channels is a number alone
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of images in [0, 1], one per channel
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    provides: tuple[str, ...] = ("semantic",)  # the fields of Annotation that its ground truth fills
    window: tuple[Any, ...] | None = None  # center and width of values that are no bytes, or those of each channel
    max_value: int | None = None  # white in images of integers above 8 bits; None if training saw no such image
    exif: str = "auto"  # orientation of the labels: stored, upright; auto (unknown) is read as upright

    def __post_init__(self) -> None:
        if len(self.classes) > MAX_CLASSES and "semantic" in self.provides:
            raise UserError(f"dataset.classes: {len(self.classes)}, and {MAX_CLASSES} fit a class map; merge some")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UserError(
                f"info.mean is {len(self.mean)} long, info.std {len(self.std)}, but images have {self.channels} "
                "channels; give one value per channel"
            )
        if min(self.std, default=1.0) <= 0:
            raise UserError(f"info.std holds {min(self.std)}; give positive values")

    @property
    def reads(self) -> int | tuple[int, ...]:
        """The bands of a file that images are made of, or the number of channels that they are converted to."""
        return self.bands or self.channels

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Info:
        """Invert `to_json`. Raises UserError if a key is unknown or a value has the wrong form."""

        def tuples(value: Any) -> Any:
            return tuple(tuples(v) for v in value) if isinstance(value, list | tuple) else value

        try:
            return cls(**{str(key): tuples(value) for key, value in data.items()})
        except TypeError as error:
            raise UserError(f"info: its description is damaged: {error}; use another checkpoint") from error


ROW = {"row": True}
"""Metadata of a field with one row per instance."""

TensorField = Literal[
    "semantic",
    "instances",
    "categories",
    "scores",
    "keypoints",
    "boxes",
    "areas",
    "head_boxes",
    "crowd",
    "ignore",
    "probabilities",
    "image",
]


@dataclass(slots=True)
class Annotation:
    """Ground truth or prediction of one image. Every field except the size is optional."""

    size: tuple[int, int]
    semantic: Tensor | None = None  # (H, W) uint8, VOID where unknown
    instances: Tensor | None = None  # (H, W) int32, 0 = none, i + 1 = the i-th instance
    categories: Tensor | None = field(default=None, metadata=ROW)  # (N,) int64, the class of each instance
    scores: Tensor | None = field(default=None, metadata=ROW)  # (N,) float32
    keypoints: Tensor | None = field(default=None, metadata=ROW)  # (N, K, 3) float32: x, y, visibility or confidence
    boxes: Tensor | None = field(default=None, metadata=ROW)  # (N, 4) float32: x0, y0, x1, y1
    areas: Tensor | None = field(default=None, metadata=ROW)  # (N,) float64, of predictions float32
    head_boxes: Tensor | None = field(default=None, metadata=ROW)  # (N, 4) float32, for PCKh; NaN where unknown
    crowd: Tensor | None = field(default=None, metadata=ROW)  # (N,) bool
    masks: list[Any] | None = field(default=None, metadata=ROW)  # N run-length masks, where they overlap
    ignore: Tensor | None = None  # (H, W) bool, pixels that are left out of the evaluation
    probabilities: Tensor | None = None  # (C, H, W) float32, only on request
    image: Tensor | None = None  # (C, H, W), an autoencoder's target
    source: tuple[int | str | None, str] | None = None  # id in a COCO file, if any, and the frame's id; in evaluation

    @property
    def count(self) -> int:
        """Number of instances: the rows of any field that has them, else the largest id of the map."""
        rows = next(iter(self.rows().values()), None)
        if rows is not None:
            return len(rows)
        return int(self.instances.max()) if self.instances is not None and self.instances.numel() else 0

    def rows(self) -> dict[str, Any]:
        """Return the fields that have one row per instance, without those that are None."""
        return {name: value for name in ROWS if (value := getattr(self, name)) is not None}

    def filled(self) -> set[str]:
        """Return the names of the fields that are not None."""
        return {entry.name for entry in fields(self) if getattr(self, entry.name) is not None}

    def need(self, name: TensorField) -> Tensor:
        """Return a field that the caller cannot do without. Raises UserError if it is None."""
        value = getattr(self, name)
        if value is None:
            raise UserError(
                f"{name}: this annotation does not hold it; list it in the codec's `required` or in the metric's "
                "`requires`, which are checked before it is read"
            )
        return value

    def labelled_rows(self) -> list[int]:
        """List the rows with a labelled keypoint and a box with an area that are no crowds."""
        if self.keypoints is None or self.boxes is None:
            return []
        good = (self.keypoints[..., 2] > 0).any(1) & (self.boxes[:, 2:] > self.boxes[:, :2]).all(1)
        good = good if self.crowd is None else good & ~self.crowd
        return good.nonzero()[:, 0].tolist()

    def select(self, rows: Tensor) -> Annotation:
        """Keep some instances, in the given order: in every field that has rows, and renumbered in the map of ids.

        rows: (N,) bool, or (M,) int64 indices without repetition.
        """
        order = rows.nonzero()[:, 0] if rows.dtype == torch.bool else rows
        kept: dict[str, Any] = {
            name: value[order.to(value.device)] if isinstance(value, Tensor) else [value[i] for i in order.tolist()]
            for name, value in self.rows().items()
        }
        if self.instances is not None:
            ids = self.instances
            numbers = torch.zeros(self.count + 1, dtype=ids.dtype, device=ids.device)
            numbers[order.to(ids.device) + 1] = torch.arange(1, len(order) + 1, dtype=ids.dtype, device=ids.device)
            kept["instances"] = numbers[ids.long()]
        return replace(self, **kept)

    def class_ids(self, info: Info) -> Tensor:
        """Return the class of each instance, (N,) int64; without `categories`, the first class of things."""
        if self.categories is not None:
            return self.categories
        return torch.full((self.count,), info.things[0] if info.things else 0)


ROWS = tuple(entry.name for entry in fields(Annotation) if entry.metadata.get("row"))
"""The fields of Annotation that have one row per instance."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Position of a network input in its image. `matrix` maps (x, y, 1) of the input to (x, y) of the image."""

    id: str
    size: tuple[int, int]  # of the original image
    matrix: tuple[tuple[float, float, float], tuple[float, float, float]] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    instance: int | None = None
    input_size: tuple[int, int] | None = None  # None: the size of the image
    number: int | str | None = None  # of the image, in a COCO file

    @property
    def input(self) -> tuple[int, int]:
        """Size of the network input."""
        return self.input_size or self.size

    @property
    def resized(self) -> bool:
        """True if the input is the whole image, at its own or another size: then corners map to corners."""
        (sx, ry, tx), (rx, sy, ty) = self.matrix
        return abs(ry) + abs(rx) + abs(tx - (sx - 1) / 2) + abs(ty - (sy - 1) / 2) < 1e-6


@dataclass(slots=True)
class Sample:
    """One item of a dataset, before and after transforms. The image is uint8 0..255 or float32 0..1, (C, H, W)."""

    image: Tensor
    truth: Annotation
    frame: Frame

    def sourced(self) -> Annotation:
        """Return the ground truth with the names of its image, by which metrics rank predictions of equal score."""
        return replace(self.truth, source=(self.frame.number, self.frame.id))

    def describe(self) -> str:
        """Describe channels, depth and size of the image in one line."""
        channels, height, width = self.image.shape
        depth = "8 bits" if self.image.dtype == torch.uint8 else "floats"
        return f"{channels} channel{'s' if channels > 1 else ''} of {depth}, {height}x{width} (the first sample)"


@dataclass(slots=True)
class Batch:
    """Input of one step of training or evaluation. Images keep the type they were read with; `to` converts them.

    When single instances are evaluated, `image` and `frames` are crops, while `truths` and `given` have one entry per
    image. An image without instances has no crop.
    """

    image: Tensor  # (B, C, H, W) uint8 or float32
    targets: dict[str, Tensor] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    truths: list[Annotation] = field(default_factory=list)  # untransformed; only in evaluation
    skipped: list[str] = field(default_factory=list)  # samples that could not be read and were replaced by others
    missed: int = 0  # samples that hold no object although data.foreground asked for one
    owners: list[int] | None = None  # of crops: the index in `truths` of each
    given: list[Annotation] = field(default_factory=list)  # of crops: boxes per image, see `Codec.merge_instances`

    def pin_memory(self) -> Batch:
        targets = {name: value.pin_memory() for name, value in self.targets.items()}
        return replace(self, image=self.image.pin_memory(), targets=targets)

    def to(self, device: torch.device) -> Batch:
        """Copy the batch to `device`, with its images as float32 in [0, 1]."""
        image = unit_scale(self.image.to(device, non_blocking=True))
        targets = {name: value.to(device, non_blocking=True) for name, value in self.targets.items()}
        return replace(self, image=image, targets=targets)


@dataclass(slots=True)
class Pyramid:
    """Features of an encoder per level, shallow to deep."""

    features: list[Tensor]  # (B, C_i, h_i, w_i)
    indices: list[Tensor | None]  # of the max pooling that leads to level i: the argmax of nn.MaxPool2d
    size: tuple[int, int] | None = None  # of the image: the output size of decoders that go beyond the first level


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """Specification of a head. `kind` is "classes" for logits of a softmax, "values" for regression targets.

    A head on several levels has several strides. At stride s a map has ceil(size / s) locations per axis.
    Two settings apply to values only. With `prior` they are logits of sigmoids, initialised to this probability. With
    `positive` they are lengths, and the model makes them non-negative.
    """

    channels: int
    strides: tuple[int, ...] = (1,)
    kind: str = "values"
    prior: float | None = None
    positive: bool = False
    names: tuple[str, ...] = ()  # of the channels, for drawing and for weights of other classes or keypoints

    def channel_names(self) -> tuple[str, ...]:
        """Return one name per channel: its number where the head has no names."""
        return self.names or tuple(map(str, range(self.channels)))
