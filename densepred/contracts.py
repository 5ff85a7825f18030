"""The whole design on one page: what each kind of component must be.

Components never import one another: a decoder gets its upsampler, a model its encoder and decoder, a task its codec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor, nn

from densepred.types import Annotation, Frame, HeadSpec, Info, Pyramid, Sample, UserError


class Encoder(nn.Module, ABC):
    """Image to feature pyramid. Built as `factory(in_channels=...)`."""

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
        """x (B, in_channels, h, w) -> (B, out_channels, *size); `indices` is the argmax of the pooling to undo."""


class Decoder(nn.Module, ABC):
    """Feature pyramid to maps. Built as `factory(encoder, upsample=...)`."""

    channels: tuple[int, ...]  # of each map it returns, coarse to fine
    strides: tuple[int, ...]
    wanted: Collection[int] | None = None  # which maps are asked for; others may be left empty. None: all

    @abstractmethod
    def forward(self, pyramid: Pyramid) -> list[Tensor]: ...


class Model(nn.Module, ABC):
    """Built as `factory(heads=..., channels=..., mean=..., std=...)`; the last three come from Info."""

    align_corners: bool = False  # how its coarse predictions are to be enlarged

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, list[Tensor]]:
        """Images (B, C, H, W) in [0, 1] -> for each head its stages, each (B, channels, h, w) at the model's stride.

        Stages before the answer only teach: in evaluation mode a model need not give them.
        """

    def skip_stages(self, stages: int) -> None:
        """Answer by an earlier stage in evaluation mode, without what only the last `stages` of them need."""
        if stages:
            raise UserError(f"skip_stages={stages}: this model has no earlier stages to answer by; set 0")


class Codec(ABC):
    """The only translator between annotations and tensors. Built as `factory(info=...)`."""

    heads: dict[str, HeadSpec]
    required: tuple[
        str, ...
    ]  # the fields of Annotation that `encode` reads: within Info.provides, or "image", the input's
    top_down: bool = False  # whether the network sees one instance at a time, cut out by its box

    @abstractmethod
    def encode(self, truth: Annotation) -> dict[str, Tensor]:
        """One annotation to its targets, without a batch dimension; of one instance for a per-instance codec."""

    def corrupt(self, image: Tensor, generator: Generator) -> Tensor:
        """What the network is shown of a transformed image (C, H, W), in training and evaluation, not in prediction."""
        return image

    @abstractmethod
    def decode(
        self, outputs: Mapping[str, Tensor], frames: Sequence[Frame], align_corners: bool, probabilities: bool = False
    ) -> list[Annotation]:
        """Each head's answer (B, C, h, w), in float32, to annotations of the original images."""

    @abstractmethod
    def perfect_outputs(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Outputs that a perfect model would give for a batch of targets; `decode` turns them into the truth."""

    def merge_instances(self, found: Sequence[Annotation], frames: Sequence[Frame], given: Annotation) -> Annotation:
        """What a per-instance codec found in the crops of one image, put together.

        `given` holds the boxes of the crops: crop i is of its row `frames[i].instance`. With scores they were detected;
        without, they are the truth's, and the answer has a row for each of them. Whole images are put together already.
        """
        (one,) = found
        return one

    def with_distance_maps(self, head: str) -> None:
        """Let `encode` also give `<head>_distance`, which a loss of this head asks for."""
        raise UserError(f"task.losses.{head}: no distances to boundaries come with this task; choose another loss")

    def unflip(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Undo a left-right flip of the input, for averaging. Of a head on several levels one level comes at a time."""
        return {name: value.flip(-1) for name, value in outputs.items()}

    def unscale(self, outputs: Mapping[str, Tensor], factor: float) -> dict[str, Tensor]:
        """Undo in numbers that the input was `factor` times as large, for averaging: lengths are `factor` too long."""
        if values := [name for name, spec in self.heads.items() if spec.kind != "classes"]:
            raise UserError(f"scales: numbers such as {values[0]} cannot be averaged over sizes; leave scales out")
        return dict(outputs)


class Loss(nn.Module, ABC):
    """A scalar mean over what counts: weight > 0 and not VOID. Exactly 0, gradients finite, where nothing counts."""

    target: str  # "classes": class maps (B, H, W) uint8; "values": (B, C, H, W) floats
    distance: bool = False  # whether `forward` and `statistics` take the codec's `<head>_distance` after the weight

    @abstractmethod
    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """pred (B, C, H, W) on the grid of the target; weight (B, H, W) or broadcastable to the target."""

    def split(self) -> list[tuple[float, Loss]]:
        """Weights and losses whose sum this is, each to be taken on its own way: in bands or in one piece."""
        return [(1.0, self)]


class Band(Protocol):
    """Some rows of a prediction under a loss."""

    def sums(self) -> Tensor:
        """`statistics` of these rows, (B, S)."""
        ...

    def gradient(self, grad: Tensor) -> Tensor:
        """The gradient of (sums * grad).sum() by the prediction. Asked last and once: it may use up the band."""
        ...


class SummedLoss(Loss):
    """A loss that is a formula of sums over pixels.

    So its sums can be taken band by band, from logits coarser than the target, and over every process of a run.
    Optional: `band(exponentials, target, weight) -> Band` for a softmax, faster than autograd. It gets exp(pred), up to
    one positive factor for all channels of a pixel, of two channels or more, and may overwrite it.
    `logit_band(logits, target, weight) -> Band | None` is the same for sigmoids; it gets enlarged logits to overwrite.
    """

    linear: bool = False  # only the first sum depends on the prediction: its gradient is known after one pass

    @abstractmethod
    def statistics(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """The sums of each image, (B, S), in at least float32. An image where nothing counts gives a row of zeros."""

    @abstractmethod
    def value(self, sums: Tensor) -> Tensor:
        """(B, S) -> scalar. Rows of zeros change nothing."""

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        return self.value(self.statistics(pred, target, weight))


class Metric(ABC):
    """Exact over a dataset and any number of processes. Built as `factory(info=...)`."""

    requires: tuple[str | tuple[str, ...], ...] = ()  # fields of Annotation that it reads; of several in (), one
    probabilities: bool = False  # whether `add` reads the probabilities of predictions
    mode: Mapping[str, str]  # "max" or "min" per name that can select the best checkpoint

    def check(self, info: Info) -> None:
        """Raise UserError, before anything runs, if the dataset lacks a required field."""
        self._require({*info.provides, "image"}, "this dataset does not label")

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
        for names in self.requires:
            names = (names,) if isinstance(names, str) else names
            if not {*names} & {*present}:
                metric = type(self).__module__.rpartition(".")[2]
                raise UserError(f"metric={metric} needs {names[0]}, which {missing}; choose another metric")


class Dataset(ABC):
    """Reads files, nothing else. Built as `factory(split=...)`."""

    info: Info

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Sample: ...

    def labelled(self, index: int) -> list[int]:
        """Which instances of a sample a network for single instances can learn from and be judged on.

        Those with a labelled keypoint and a box that has an area, crowds apart. Override where the answer is known
        without reading the image: training asks it of every sample before it starts.
        """
        truth = self[index].truth
        if truth.keypoints is None or truth.boxes is None:
            return []
        good = (truth.keypoints[..., 2] > 0).any(1) & (truth.boxes[:, 2:] > truth.boxes[:, :2]).all(1)
        good = good if truth.crowd is None else good & ~truth.crowd
        return good.nonzero()[:, 0].tolist()

    def identity(self, index: int) -> tuple[int | str | None, str]:
        """By which files of results know a sample: the id that a COCO file gives it, if any, and its frame's id."""
        return None, self[index].frame.id


class Transform(Protocol):
    """Moves or recolours a sample; all its randomness comes from the generator."""

    def __call__(self, sample: Sample, generator: Generator) -> Sample: ...


@runtime_checkable
class Unpadded(Protocol):
    """A model that can also answer without padding, for the pixels whose whole surroundings it is shown."""

    margin: int  # pixels at each edge of an input that get no answer
    step: int  # windows that start a multiple of this apart agree where they overlap

    def fit(self, length: int) -> int:
        """The largest side of an input that is at most `length`; without an answer below 2 margin + 1."""
        ...

    def valid(self, image: Tensor) -> dict[str, list[Tensor]]:
        """(B, C, h + 2 margin, w + 2 margin) -> for each head its stages, (B, channels, h, w)."""
        ...


@runtime_checkable
class ClosedForm(Protocol):
    """A model that is solved, not descended: one pass over the training batches, then an equation."""

    def accumulate(self, image: Tensor) -> None:
        """Take in a batch of images (B, C, H, W) in [0, 1]."""
        ...

    def solve(self) -> Mapping[str, float]:
        """Set the weights from what all processes took in; numbers that are worth writing down."""
        ...


UpsampleFactory = Callable[..., Upsample]
EncoderFactory = Callable[..., Encoder]
DecoderFactory = Callable[..., Decoder]
