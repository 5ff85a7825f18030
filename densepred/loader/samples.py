"""Samples in the loader: read, transformed, with targets, stacked.

Every random number of an augmentation is a pure function of (seed, epoch, index).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from densepred.contracts import Codec, Dataset
from densepred.errors import MachineError
from densepred.loader.balance import ClassBalance, labels_in
from densepred.loader.deferral import DeferredImage, DeferredSample, stack_images
from densepred.loader.seeds import random_generator
from densepred.types import VOID, Annotation, Batch, Frame, Sample, UserError

SLACK = 1e-3
"""By how much floats of a dataset may leave 0 to 1."""

ATTEMPTS = 20
"""Draws of a crop before one without the object or class that was asked for is taken."""

Augment = Callable[[Sample, torch.Generator], Sample]
TrainingAugment = Callable[[Sample, torch.Generator, Callable[[torch.Generator], Sample]], Sample]
"""Also takes a function that reads another training sample, by random numbers of the generator."""

DeferringAugment = Callable[[Sample, torch.Generator, Callable[[torch.Generator], Sample]], DeferredSample]
"""Leaves the image, in its last transforms, to the device."""


@dataclass(slots=True)
class Item:
    """A sample in the loader. An error is kept as its message, which has to reach the user in one line."""

    image: Tensor | DeferredImage | None = None
    targets: dict[str, Tensor] | None = None
    frame: Frame | None = None
    truth: Annotation | None = None
    skipped: Sequence[str] = ()
    missed: bool = False
    error: str | None = None
    machine: bool = False  # the error is one of the machine, not of a file

    def require(self) -> None:
        """Raise the error, if there is one, as UserError or MachineError."""
        if self.error:
            raise (MachineError if self.machine else UserError)(self.error)


def failed(error: UserError) -> Item:
    """Return an item that stands for an error."""
    return Item(error=str(error), machine=isinstance(error, MachineError))


Augmented = TypeVar("Augmented", Sample, DeferredSample)


class Drawn(NamedTuple, Generic[Augmented]):
    """An augmented sample, the errors of images that others replaced, and whether it lacks what it should hold."""

    sample: Augmented
    skipped: list[str]
    missed: bool
    generator: torch.Generator


class TrainingSamples(TorchDataset[Item]):
    """Augmented samples with their targets, by (epoch, index)."""

    def __init__(
        self,
        dataset: Dataset,
        augment: TrainingAugment,
        codec: Codec,
        seed: int,
        skip_bad: bool,
        foreground: float = 0.0,
        balance: ClassBalance | None = None,
        defer: DeferringAugment | None = None,
    ) -> None:
        """Take the parts of samples; with `defer` in place of `augment` their images are computed on a device."""
        self.dataset, self.augment, self.codec, self.seed, self.skip_bad = dataset, augment, codec, seed, skip_bad
        self.foreground, self.balance, self.defer = foreground, balance, defer

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: tuple[int, int]) -> Item:
        try:
            drawn: Drawn[Sample] | Drawn[DeferredSample]
            image: Tensor | DeferredImage
            if self.defer is None:
                drawn = self.augmented(index)
                image = drawn.sample.image
            else:
                drawn = self._drawn(index, self.defer)
                image = drawn.sample.image()
            truth, frame = drawn.sample.truth, drawn.sample.frame
            return Item(image, self.codec.encode(truth), frame, skipped=drawn.skipped, missed=drawn.missed)
        except UserError as error:
            return failed(error)

    def augmented(self, key: tuple[int, int]) -> Drawn[Sample]:
        """Return the input of the network with its ground truth."""
        drawn = self._drawn(key, self.augment)
        sample = with_image(drawn.sample, self.codec)
        return drawn._replace(sample=replace(sample, image=self.codec.corrupt(sample.image, drawn.generator)))

    def _drawn(self, key: tuple[int, int], augment: Callable[..., Augmented]) -> Drawn[Augmented]:
        epoch, index = key
        image, label = (index, None) if self.balance is None else self.balance.draw(epoch, index)
        generator = random_generator("augment", self.seed, epoch, index)
        found, skipped = self._read(image)
        object_wanted = self._wants_object(found, key)
        label = label if label is not None and self._holds(found.truth, label) else None

        def good(truth: Annotation) -> bool:
            return (not object_wanted or has_object(truth)) and (label is None or self._holds(truth, label))

        reasons = [skipped] if skipped else []
        another = partial(self._another, image, reasons)
        moved = augment(found, generator, another)
        for attempt in range(0 if good(moved.truth) else ATTEMPTS):
            generator = random_generator("augment", self.seed, epoch, index, attempt)
            moved = augment(found, generator, another)
            if good(moved.truth):
                break
        return Drawn(moved, reasons, not good(moved.truth), generator)

    def _another(self, image: int, reasons: list[str], generator: torch.Generator) -> Sample:
        """Return an image of the dataset other than `image`, if it has more than one; add why it is a further one."""
        offset = int(torch.randint(1, max(2, len(self.dataset)), (), generator=generator))
        found, reason = self._read((image + offset) % len(self.dataset))
        reasons += [reason] if reason else []
        return found

    def _holds(self, truth: Annotation, label: int) -> bool:
        return bool((labels_in(truth, self.dataset.info) == label).any())

    def _wants_object(self, sample: Sample, key: tuple[int, int]) -> bool:
        """Choose the share `foreground` of the samples, among images with an object."""
        if not self.foreground:
            return False
        chosen = torch.rand((), generator=random_generator("foreground", self.seed, *key)).item()
        return chosen < self.foreground and has_object(sample.truth)

    def _read(self, index: int) -> tuple[Sample, str | None]:
        """Return the sample; if it is unreadable and may be skipped, the next readable one and the reason."""
        reason = None
        for offset in range(len(self.dataset)):
            try:
                return checked(self.dataset[(index + offset) % len(self.dataset)]), reason
            except UserError as error:
                if not self.skip_bad or isinstance(error, MachineError):
                    raise
                reason = reason or str(error)
        raise UserError(f"dataset.root: no sample of the dataset can be read; correct the first error: {reason}")


def has_object(truth: Annotation) -> bool:
    """Look for a labelled object: an instance that is no crowd, or a pixel of a class other than the first and void."""
    if truth.instances is not None:
        crowd = torch.zeros(truth.count, dtype=torch.bool) if truth.crowd is None else truth.crowd
        return bool(torch.cat((torch.zeros(1, dtype=torch.bool), ~crowd))[truth.instances.long()].any())
    if truth.boxes is not None:
        return len(truth.boxes) > 0 if truth.crowd is None else bool((~truth.crowd).any())
    if truth.semantic is not None:
        return bool(((truth.semantic > 0) & (truth.semantic != VOID)).any())
    return True


class EvaluationSamples(TorchDataset[Item]):
    """Samples with the transform of evaluation, their targets and the untransformed ground truth."""

    def __init__(self, dataset: Dataset, transform: Augment, codec: Codec) -> None:
        self.dataset, self.transform, self.codec = dataset, transform, codec

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Item:
        try:
            sample, generator = checked(self.dataset[index]), random_generator("evaluate", index)
            moved = with_image(self.transform(sample, generator), self.codec)
            truth = with_image(sample, self.codec).sourced()
            return Item(self.codec.corrupt(moved.image, generator), self.codec.encode(moved.truth), moved.frame, truth)
        except UserError as error:
            return failed(error)

    def batches(self, size: int) -> list[list[int]]:
        """Indices of samples, at most `size` to a batch."""
        indices = list(range(len(self)))
        return [indices[i : i + size] for i in range(0, len(indices), size)]

    def inputs(self, indices: Sequence[int]) -> int:
        """Return the number of network inputs of these samples."""
        return len(indices)

    def collate(self, items: Sequence[Item]) -> list[Batch]:
        return stack_equal(items)


def with_image(sample: Sample, codec: Codec) -> Sample:
    """Put the image into the ground truth if the codec needs it and the dataset gave none."""
    if "image" not in codec.required or sample.truth.image is not None:
        return sample
    return replace(sample, truth=replace(sample.truth, image=sample.image))


def checked(sample: Sample) -> Sample:
    """Return the sample. Raises UserError if its image is neither uint8 nor floats in 0 to 1, up to rounding."""
    if not isinstance(sample, Sample):
        raise UserError(
            f"dataset: __getitem__ returned a {type(sample).__name__}; return densepred.types.Sample(image, truth, "
            "frame)"
        )
    image = sample.image
    if not isinstance(image, Tensor) or image.ndim != 3:
        raise UserError(
            f"{sample.frame.id}: the dataset returned an image of type {type(image).__name__}, shape "
            f"{tuple(getattr(image, 'shape', ()))}; return a tensor (channels, height, width)"
        )
    if image.dtype == torch.uint8:
        return sample
    if not image.is_floating_point():
        raise UserError(
            f"{sample.frame.id}: the dataset returned an image of {image.dtype}; return uint8, or floats in 0 to 1"
        )
    low, high = (value.item() for value in image.aminmax())
    if not (low >= -SLACK and high <= 1 + SLACK):
        raise UserError(
            f"{sample.frame.id}: the dataset returned floats from {low:g} to {high:g}; scale them to lie in 0 to 1, "
            "or return uint8"
        )
    return sample


def stack(items: Sequence[Item]) -> Batch:
    """Stack items of one shape to a batch. Raises UserError if the shapes differ."""
    for item in items:
        item.require()
    images = [item.image for item in items if item.image is not None]
    if len({image.shape for image in images}) > 1:
        shapes = sorted({f"{tuple(image.shape[-2:])}" for image in images})
        raise UserError(
            f"the images of a batch have sizes {' and '.join(shapes[:3])}; "
            "set 'data.crop=[H,W]' or data.batch_size=1, or resize in transform.train"
        )
    targets = [item.targets for item in items if item.targets is not None]
    return Batch(
        stack_images(images),
        stack_targets(targets),
        [item.frame for item in items if item.frame is not None],
        [item.truth for item in items if item.truth is not None],
        [reason for item in items for reason in item.skipped],
        missed=sum(item.missed for item in items),
    )


def stack_targets(targets: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Stack the targets of images of one size. Lists of different lengths are padded by rows of zeros."""
    return {name: _stacked_lists([one[name] for one in targets]) for name in targets[0]}


def _stacked_lists(values: Sequence[Tensor]) -> Tensor:
    longest = max(map(len, values))
    if all(len(one) == longest for one in values):
        return torch.stack(list(values))
    return torch.stack([F.pad(one, (0, 0) * (one.ndim - 1) + (0, longest - len(one))) for one in values])


def stack_equal(items: Sequence[Item]) -> list[Batch]:
    """Stack items to one batch per shape, in the order in which the shapes appear."""
    groups: dict[torch.Size, list[Item]] = defaultdict(list)
    for item in items:
        item.require()
        assert item.image is not None
        groups[item.image.shape].append(item)
    return [stack(group) for group in groups.values()]
