"""Samples of one instance each, for top-down networks: people cropped by their boxes.

Training goes over (image, instance) pairs, evaluation over images. All crops of an image are in one batch:
their predictions can be merged and compared with the ground truth of the whole image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch.utils.data import Dataset as TorchDataset

from densepred.contracts import Codec, Dataset
from densepred.loader.samples import Augment, Item, checked, failed, stack
from densepred.loader.seeds import random_generator
from densepred.types import Annotation, Batch, Sample, UserError


def focus(truth: Annotation, instance: int) -> Annotation:
    """Return one instance of an annotation, without the fields that are as large as the image."""
    return Annotation(truth.size, **truth.rows()).select(torch.tensor([instance]))


def cut_out(sample: Sample, given: Annotation, instance: int) -> Sample:
    """Return the sample with one row of `given` as its annotation; the transform crops the image."""
    return replace(sample, truth=focus(given, instance), frame=replace(sample.frame, instance=instance))


class Instances(Dataset):
    """The labelled instances of another dataset as samples, image by image."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.info = dataset, dataset.info
        pairs = [(image, instance) for image in range(len(dataset)) for instance in dataset.labelled(image)]
        # A tensor is shared by the processes of a loader; millions of tuples would be copied.
        self.pairs = torch.tensor(pairs, dtype=torch.int64).view(-1, 2)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        image, instance = self.pairs[index].tolist()
        sample = self.dataset[image]
        return cut_out(sample, sample.truth, instance)

    def labelled(self, index: int) -> list[int]:
        return [0]


@dataclass(slots=True)
class Cut:
    """The crops of one image of an evaluation, with its ground truth and its boxes."""

    crops: list[Item] = field(default_factory=list)
    truth: Annotation | None = None
    given: Annotation | None = None
    error: Item | None = None


class Crops(TorchDataset[Cut]):
    """The crops of each image: its labelled instances, or `boxes` that were detected in it, one entry per image.

    Crops of detected boxes have no targets, because they belong to no labelled instance.
    """

    def __init__(
        self, dataset: Dataset, transform: Augment, codec: Codec, boxes: Sequence[Annotation] | None = None
    ) -> None:
        self.dataset, self.transform, self.codec, self.boxes = dataset, transform, codec, boxes
        self.counts = [len(self._rows(index)) for index in range(len(dataset))]

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Cut:
        try:
            sample = checked(self.dataset[index])
            given = sample.truth if self.boxes is None else replace(self.boxes[index], size=sample.truth.size)
            return Cut([self._crop(sample, given, row, index) for row in self._rows(index)], sample.sourced(), given)
        except UserError as error:
            return Cut(error=failed(error))

    def _rows(self, index: int) -> Sequence[int]:
        """Return the rows of an image's boxes that become crops."""
        if self.boxes is None:
            return self.dataset.labelled(index)
        boxes = self.boxes[index].boxes
        return range(0 if boxes is None else len(boxes))

    def _crop(self, sample: Sample, given: Annotation, row: int, index: int) -> Item:
        generator = random_generator("evaluate", index, row)
        moved = self.transform(cut_out(sample, given, row), generator)
        targets = self.codec.encode(moved.truth) if self.boxes is None else {}
        return Item(self.codec.corrupt(moved.image, generator), targets, moved.frame)

    def batches(self, size: int) -> list[list[int]]:
        """Group neighbouring images: at most `size` images and `size` crops per batch, at least one image."""
        found: list[list[int]] = []
        room = 0
        for index, count in enumerate(self.counts):
            if not found or count > room or len(found[-1]) == size:
                found.append([])
                room = size
            found[-1].append(index)
            room -= count
        return found

    def inputs(self, indices: Sequence[int]) -> int:
        return sum(self.counts[index] for index in indices)

    def collate(self, items: Sequence[Cut]) -> list[Batch]:
        """All crops of these images as one batch."""
        for item in items:
            if item.error is not None:
                item.error.require()
        crops = [crop for item in items for crop in item.crops]
        batch = stack(crops) if crops else Batch(torch.zeros(0))
        owners = [number for number, item in enumerate(items) for _ in item.crops]
        truths, givens = ([getattr(item, name) for item in items] for name in ("truth", "given"))
        return [replace(batch, owners=owners, truths=truths, given=givens)]


def merge_instances(codec: Codec, found: Sequence[Annotation], batch: Batch) -> list[Annotation]:
    """Merge the predictions of a batch of crops: one annotation per image."""
    assert batch.owners is not None
    merged = []
    for number, given in enumerate(batch.given):
        mine = [i for i, owner in enumerate(batch.owners) if owner == number]
        merged.append(codec.merge_instances([found[i] for i in mine], [batch.frames[i] for i in mine], given))
    return merged


def whole(size: tuple[int, int]) -> Annotation:
    """Return the image as the box of one instance."""
    return Annotation(size, boxes=torch.tensor([[-0.5, -0.5, size[1] - 0.5, size[0] - 0.5]]))
