"""The whole design on one page: the interface of each kind of component. Components never import one another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor, nn

from densepred.types import Annotation, ChannelAxes, Frame, HeadSpec, Info, Pyramid, Sample, UserError


class Encoder(nn.Module, ABC):
    """From image to feature pyramid. Built as `factory(in_channels=...)`."""

    channels: tuple[int, ...]  # of each level, shallow to deep
    strides: tuple[int, ...]  # level i of an H x W image has ceil(H / stride) or floor(H / stride) rows
    pooled: tuple[int | None, ...]  # channels of the indices that lead to level i, None where it was not max-pooled
    mean: tuple[float, ...] | None = None  # statistics that pretrained weights expect of images in [0, 1]
    std: tuple[float, ...] | None = None

    @abstractmethod
    def forward(self, image: Tensor) -> Pyramid: ...


class Upsample(nn.Module, ABC):
    """Built as `factory(in_channels, out_channels, pooled_channels, factor=2)`."""

    @abstractmethod
    def forward(self, x: Tensor, size: tuple[int, int], indices: Tensor | None) -> Tensor:
        """Upsample x (B, in_channels, h, w) to `size` (H, W); `indices`: argmax of an inverted max pooling."""


class Decoder(nn.Module, ABC):
    """From feature pyramid to maps. Built as `factory(encoder, upsample=...)`."""

    channels: tuple[int, ...]  # of each returned map, coarse to fine
    strides: tuple[int, ...]
    wanted: Collection[int] | None = None  # indices of the maps in use; others may be empty. None: all

    @abstractmethod
    def forward(self, pyramid: Pyramid) -> list[Tensor]: ...


class Model(nn.Module, ABC):
    """Built as `factory(heads=..., channels=..., mean=..., std=...)`; the last three come from Info."""

    align_corners: bool = False  # how coarse predictions are upsampled
    bounds: bool = False  # whether heads with `HeadSpec.positive` are kept above 0

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        """Predict from images (B, C, H, W) in [0, 1]: per head its stages, each (B, channels, h, w) at its stride.

        Only the last stage counts. Earlier ones have a loss in training and may be absent in evaluation mode.
        """

    def channel_axes(self) -> ChannelAxes:
        """Return the dimensions of tensors that run over channels of heads, such as one row per class.

        Weights of other or reordered classes are matched along them by name. Heads not named here have a fixed order.
        """
        return {}

    def skip_stages(self, stages: int) -> None:
        """Predict by an earlier stage in evaluation mode, without the layers of the last `stages` ones."""
        if stages:
            raise UserError(f"skip_stages={stages}: this model has no earlier stages; set 0")


class Codec(ABC):
    """Conversion between annotations and tensors, in both directions. Built as `factory(info=...)`."""

    heads: dict[str, HeadSpec]
    required: tuple[str, ...]  # fields of Annotation that `encode` reads: of Info.provides, or "image" of any dataset
    predicts: tuple[str, ...] = ()  # fields of Annotation that `decode` and `merge_instances` fill; (): not declared
    top_down: bool = False  # whether the network input is a crop of one instance
    pixelwise: bool = False  # whether rows of a class map are decoded from the predictions of these rows alone
    windowed: bool = False  # whether predictions are boxes, which can be decoded per window of an image and merged

    def unused(self, settings: Mapping[str, Any]) -> dict[str, str]:
        """Return which of all settings `decode` does not use, with the reason; commands tell if one is typed."""
        return {}

    @abstractmethod
    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        """Convert an annotation, of one instance for a top-down codec, to targets without a batch dimension."""

    def expand(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute, on the device, the targets of a batch that follow from what `encode` returns; by default none."""
        return dict(targets)

    def corrupt(self, image: Tensor, generator: Generator) -> Tensor:
        """Corrupt a transformed image (C, H, W) for training and evaluation; prediction uses clean images."""
        return image

    @abstractmethod
    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        """Convert the predictions of each head (B, C, h, w), float32, to annotations of the original images."""

    @abstractmethod
    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs of a perfect model for a batch of targets; `decode` converts them to ground truth."""

    def merge_instances(self, found: Sequence[Annotation], frames: Sequence[Frame], given: Annotation) -> Annotation:
        """Merge the predictions of a top-down codec in the crops of one image.

        given: boxes of crops, row `frames[i].instance` of crop i; without scores they are ground truth, one row each
        """
        return found[0]

    def with_distance_maps(self, head: str) -> None:
        """Let `encode` also return `<head>_distance`, which a loss of this head needs."""
        raise UserError(f"task.losses.{head}: this task has no distances to boundaries; choose another loss")

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Flip predictions of a mirrored input back, for averaging. Heads on several levels come level by level."""
        return {name: value.flip(-1) for name, value in outputs.items()}

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        """Divide predicted lengths by `factor`, the scale of the input, for averaging."""
        if values := [name for name, spec in self.heads.items() if spec.kind != "classes"]:
            raise UserError(f"scales: head {values[0]} cannot be averaged over sizes of the image; leave scales out")
        return dict(outputs)


class Loss(nn.Module, ABC):
    """A scalar mean over pixels with weight > 0 and without VOID. Without such pixels 0, with finite gradients."""

    target: str  # "classes": class maps (B, H, W) uint8; "values": (B, C, H, W) floats
    distance: bool = False  # whether `forward` and `statistics` take the codec's `<head>_distance` after the weight

    @abstractmethod
    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compute the loss.

        pred: (B, C, H, W) on the grid of the target
        weight: (B, H, W), or broadcastable to the target
        """

    def split(self) -> list[tuple[float, Loss]]:
        """Return the weighted terms of this loss; each is computed separately, in bands or at once."""
        return [(1.0, self)]


class Band(Protocol):
    """Some rows of a prediction, for a loss that is summed band by band."""

    def sums(self) -> Tensor:
        """Return the `statistics` of these rows, (B, S)."""
        ...

    def gradient(self, grad: Tensor) -> Tensor:
        """Return the gradient of (sums * grad).sum() by the prediction. Called last and once: it may overwrite data."""
        ...


class SummedLoss(Loss):
    """A loss that is a formula of sums over pixels.

    Its sums can be computed band by band, from logits coarser than the target, and over all processes of a run.
    Optional, and faster than autograd: `band(exponentials, target, weight) -> Band` for a softmax. Its argument is
    exp(pred) of two or more channels, up to one positive factor per pixel, and may be overwritten.
    `logit_band(logits, target, weight) -> Band | None` does so for sigmoids, from upsampled logits.
    """

    linear: bool = False  # only the first sum depends on the prediction: its gradient is known after one pass

    @abstractmethod
    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Compute sums per image, (B, S), in float32 or more. Images without counted pixels have a row of zeros."""

    def value(self, sums: Tensor) -> Tensor:
        """Compute the loss from sums (B, S): by default the ratio of the first two; rows of zeros change nothing."""
        part, whole = sums[:, 0].sum(), sums[:, 1].sum()
        return part / torch.where(whole > 0, whole, torch.ones_like(whole))

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.value(self.statistics(pred, target, weight))


class Metric(ABC):
    """An exact score over a dataset and any number of processes. Built as `factory(info=...)`."""

    requires: tuple[str | tuple[str, ...], ...] = ()  # fields of Annotation that it reads; of several in (), one
    probabilities: bool = False  # whether `add` reads the probabilities of predictions
    mode: Mapping[str, str]  # "max" or "min" per name that can select the best checkpoint

    def check(self, info: Info, predicts: Collection[str] = ()) -> None:
        """Raise UserError, before anything runs, if the dataset or the codec's `predicts` lacks a required field."""
        self._require({*info.provides, "image"}, "this dataset does not label")
        if predicts:
            self._require(predicts, "this task does not predict")

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        """Take in a batch of images. Raises UserError if an annotation lacks a required field."""
        for prediction, truth in zip(predictions, truths, strict=True):
            self._require(prediction.filled(), "this task does not predict")
            self._require(truth.filled(), "this dataset does not label")
            self.add(prediction, truth)

    @abstractmethod
    def add(self, prediction: Annotation, truth: Annotation) -> None:
        """Take in one image. Both annotations hold the required fields."""

    @abstractmethod
    def merge(self, other: Metric) -> None:
        """Take in everything that a metric of another process has taken in."""

    @abstractmethod
    def compute(self) -> dict[str, float | None]:
        """Return name to value; None where it is undefined."""

    def __getstate__(self) -> dict[str, object]:
        """Move tensors to the CPU on their way to another process, which has another device."""
        return {name: x.cpu() if isinstance(x, Tensor) else x for name, x in self.__dict__.items()}

    def _require(self, present: Collection[str], missing: str) -> None:
        for names in ((each,) if isinstance(each, str) else each for each in self.requires):
            if not {*names} & {*present}:
                metric = type(self).__module__.rpartition(".")[2]
                raise UserError(f"metric={metric} needs {names[0]}, which {missing}; choose another metric")


class Dataset(ABC):
    """Samples read from files, without transforms. Built as `factory(split=...)`."""

    info: Info

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample: ...

    def images_line(self) -> str:
        """Describe channels, depth and sizes of the images in one line, for the opening block of a run."""
        return self[0].describe()

    def labelled(self, index: int) -> list[int]:
        """List the instances of a sample that a top-down model is trained and evaluated on.

        They have a labelled keypoint and a box with an area, and are no crowds. Training calls this for every sample
        before it starts: override it if the result is known without reading the image.
        """
        return self[index].truth.labelled_rows()

    def files(self) -> Sequence[Path] | None:
        """Return the image file of each sample, to find images that stand in two splits; None if there are no files."""
        return None

    def identity(self, index: int) -> tuple[int | str | None, str]:
        """Return the ids of a sample in files of results: its id in a COCO file, if any, and its frame's id."""
        return None, self[index].frame.id


class Transform(Protocol):
    """A change of a sample's geometry or colours; all randomness comes from the generator."""

    def __call__(self, sample: Sample, generator: Generator) -> Sample: ...


@runtime_checkable
class Unpadded(Protocol):
    """A model that can also predict without padding, for pixels with their full receptive field in the input."""

    margin: int  # pixels at each edge of an input without prediction
    step: int  # windows at multiples of this agree where they overlap

    def fit(self, length: int) -> int:
        """Return the largest valid side of an input up to `length`; undefined below 2 margin + 1."""
        ...

    def valid(self, image: Tensor) -> dict[str, list[Tensor]]:
        """Predict from (B, C, h + 2 margin, w + 2 margin): per head its stages, each (B, channels, h, w)."""
        ...


@runtime_checkable
class ClosedForm(Protocol):
    """A model with a closed-form solution: one pass over the training batches, then one equation."""

    def accumulate(self, image: Tensor) -> None:
        """Add a batch of images (B, C, H, W) in [0, 1]."""

    def solve(self) -> Mapping[str, float]:
        """Set the weights from the images of all processes. Returns scalars for the log."""
        ...


UpsampleFactory = Callable[..., Upsample]
EncoderFactory = Callable[..., Encoder]
DecoderFactory = Callable[..., Decoder]
