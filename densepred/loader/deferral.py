"""Images of a batch, as tensors or deferred: computed on the device from what a worker has prepared.

`densepred/ops/geometry` holds what is deferred. Here it is only known by what a loader does with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from densepred.types import Annotation, Frame, unit_scale


@runtime_checkable
class DeferredImage(Protocol):
    """An image (C, H, W) that is not computed yet."""

    @property
    def shape(self) -> torch.Size: ...

    def stacked(self, images: Sequence[Any]) -> object:
        """Stack images, of which this is one: an object that stands for the tensor of a batch until its `to`."""
        ...


class DeferredSample(Protocol):
    """An augmented sample without its image."""

    @property
    def truth(self) -> Annotation: ...

    @property
    def frame(self) -> Frame: ...

    def image(self) -> DeferredImage:
        """Return what the device needs; called once, for a sample that is used."""
        ...


def stack_images(images: Sequence[Tensor | DeferredImage]) -> Tensor:
    """Stack images; bytes stay bytes if all are, because torch would mix 0..255 and 0..1 in one tensor of floats.

    What stands for deferred images passes for their tensor: `Batch.to` makes one of it.
    """
    tensors = [image for image in images if isinstance(image, Tensor)]
    if len(tensors) < len(images):
        first = images[0]
        assert isinstance(first, DeferredImage), "all images of a loader are deferred, or none"
        return cast(Tensor, first.stacked(images))
    alike = len({image.dtype for image in tensors}) == 1
    return torch.stack(tensors if alike else [unit_scale(image) for image in tensors])
