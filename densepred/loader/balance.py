"""`data.balance=classes`: class-balanced sampling, as with q = 0 in Kang et al. (arXiv 1910.09217).

Every sample draws a class, uniformly among those that occur, then an image that holds it, uniformly too. Its crop is
drawn again until it holds the class. All of it is a pure function of (seed, epoch, index).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Dataset
from densepred.errors import MachineError, UserError
from densepred.loader.seeds import random_generator
from densepred.output import many
from densepred.types import VOID, Annotation, Info

CLASSES = "classes"
"""The value of `data.balance`."""

NAMED = 12
"""Classes in the line that describes the balance, the rarest first."""


class ClassBalance:
    """The images of each class of a training set, and the draws among them."""

    def __init__(self, presence: Tensor, seed: int, names: Sequence[str], errors: Sequence[str] = ()) -> None:
        """Take the classes of each image, `presence` (N, K) bool, and the names of the K classes.

        errors: those of images that cannot be read, which have no class

        Raises UserError if no image has a class.
        """
        if not presence.any():
            raise UserError("data.balance=classes: no training image holds a class; remove it, or label images")
        self.seed, self.names, self.count, self.errors = seed, tuple(names), len(presence), tuple(errors)
        self.classes = presence.any(0).nonzero()[:, 0].tolist()
        self.images = {label: presence[:, label].nonzero()[:, 0] for label in self.classes}

    def draw(self, epoch: int, index: int) -> tuple[int, int]:
        """Return the image and the class of sample `index` of an epoch."""
        generator = random_generator("balance", self.seed, epoch, index)
        label = self.classes[int(torch.randint(len(self.classes), (), generator=generator))]
        images = self.images[label]
        return int(images[torch.randint(len(images), (), generator=generator)]), label

    def describe(self) -> str:
        """Return one line: what is drawn, in how many images each class occurs, and what is never drawn."""
        rare = sorted(self.classes, key=lambda label: len(self.images[label]))
        shown = ", ".join(f"{self.names[label]} {len(self.images[label])}" for label in rare[:NAMED])
        more = f" and {len(rare) - NAMED} more" if len(rare) > NAMED else ""
        never = [name for label, name in enumerate(self.names) if label not in self.images]
        lacking = f"; never drawn, because no image holds them: {', '.join(never)}" if never else ""
        empty = self.count - len(torch.cat(list(self.images.values())).unique()) - len(self.errors)
        absent = [f"{many(empty, 'image')} without a class"] * (empty > 0)
        absent += [f"{len(self.errors)} that cannot be read"] * bool(self.errors)
        missed = f"; never drawn: {' and '.join(absent)}" if absent else ""
        return (
            f"data.balance=classes: each sample draws one of {len(rare)} classes, then an image with it; of "
            f"{self.count} images have {shown}{more}{lacking}{missed}"
        )


def class_presence(dataset: Dataset, skip_bad: bool) -> tuple[Tensor, list[str]]:
    """Return the classes of each image, (N, K) bool, and the errors of unreadable ones; it reads the dataset once.

    skip_bad: give unreadable images no class, so that they are not drawn, instead of raising their error

    Raises UserError if the dataset has neither class maps nor classes of objects.
    """
    found, errors = torch.zeros(len(dataset), len(dataset.info.classes), dtype=torch.bool), list[str]()
    for index in range(len(dataset)):
        try:
            sample = dataset[index]
        except UserError as error:
            if not skip_bad or isinstance(error, MachineError):
                raise
            errors.append(str(error))
            continue
        labels = labels_in(sample.truth, dataset.info)
        if len(labels) and labels[-1] >= found.shape[1]:
            raise UserError(
                f"{sample.frame.id}: label {int(labels[-1])} is none of the {found.shape[1]} classes; name its class "
                "in the dataset's info"
            )
        found[index, labels] = True
    return found, errors


def labels_in(truth: Annotation, info: Info) -> Tensor:
    """Return the classes of an annotation, sorted, int64: those of its pixels, of its objects if it has no class map.

    Crowds are no objects: tasks of objects leave them out.

    Raises UserError if it has neither.
    """
    if truth.semantic is not None:
        labels = truth.semantic[truth.semantic != VOID].unique()
    elif truth.rows() or truth.instances is not None:
        labels = truth.class_ids(info)
        labels = (labels if truth.crowd is None else labels[~truth.crowd]).unique()
    else:
        raise UserError(
            "data.balance=classes: the dataset has neither class maps nor objects; remove it, or choose another one"
        )
    return labels.long()
