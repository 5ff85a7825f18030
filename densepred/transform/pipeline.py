"""Transforms in order, with one resampling per run of warps and one pass per run of colour maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor

from densepred.contracts import Transform
from densepred.ops.geometry.annotation import apply
from densepred.ops.geometry.overlay import Another
from densepred.ops.geometry.recolour import compose_colours, mean_colour, recolour
from densepred.ops.geometry.warp import IDENTITY, Warp, compose, unmirrored
from densepred.types import Annotation, Sample, UserError

REMEDY = "list it in transform.train alone"


@runtime_checkable
class Geometry(Protocol):
    """A transform that only moves pixels."""

    def params(self, size: tuple[int, int], generator: Generator) -> Warp: ...


@runtime_checkable
class Framing(Protocol):
    """A transform that moves pixels so that the instance of a sample fills the crop."""

    def instance_params(self, truth: Annotation, generator: Generator, lower: Sequence[int]) -> Warp:
        """Draw the warp; `lower` are the keypoints of the lower body, if the dataset names them."""
        ...


@runtime_checkable
class LinearColour(Protocol):
    """A transform that only maps colours linearly."""

    def colour(self, mean: Tensor, generator: Generator) -> Tensor: ...


@runtime_checkable
class Mixing(Protocol):
    """A transform that combines a training sample with another one."""

    def mix(self, sample: Sample, another: Another, generator: Generator) -> Sample:
        """Return the mixture; `another` has passed through the transforms before this one."""
        ...


class Pipeline:
    """A chain of transforms.

    mirrored: pairs of keypoints to swap in a mirror image, from `Info.mirrored`. None: no image with keypoints is
        mirrored, because their partners are unknown.
    lower: keypoints of the lower body, for transforms that crop one half of it.
    """

    def __init__(
        self,
        transforms: Sequence[Transform | Geometry | Framing | LinearColour | Mixing],
        mirrored: Sequence[tuple[int, int]] | None = (),
        lower: Sequence[int] = (),
    ) -> None:
        self.transforms = list(transforms)
        self.lower = tuple(lower)
        self.mirrors = mirrored is not None
        self.mirrored = tuple((left, right) for left, right in mirrored or ())

    def __call__(self, sample: Sample, generator: Generator, another: Another | None = None) -> Sample:
        """Transform a sample; transforms that mix it with a further one get that from `another`."""
        start = 0
        while start < len(self.transforms):
            first = self.transforms[start]
            if isinstance(first, Geometry | Framing):
                sample, start = self._move(sample, start, generator)
            elif isinstance(first, LinearColour):
                sample, start = self._recolour(sample, start, generator)
            elif isinstance(first, Mixing):
                sample, start = first.mix(sample, self._before(start, another), generator), start + 1
            else:
                sample, start = _returned(first, first(sample, generator)), start + 1
        return sample

    def _before(self, index: int, another: Another | None) -> Another:
        """Return a reader of samples that have passed the transforms before `index`, except those that mix."""
        if another is None:
            raise UserError(f"transform: {type(self.transforms[index]).__name__} mixes training samples; {REMEDY}")
        steps = [step for step in self.transforms[:index] if not isinstance(step, Mixing)]
        inner = Pipeline(steps, self.mirrored if self.mirrors else None, self.lower)
        return lambda generator: inner(another(generator), generator)

    def refuse_mixing(self, name: str) -> None:
        """Raise UserError if a transform mixes samples, of which only a training has several."""
        if mixing := [type(step).__name__ for step in self.transforms if isinstance(step, Mixing)]:
            raise UserError(f"transform.{name}: {' and '.join(mixing)} mixes training samples; {REMEDY}")

    def require_framing(self, name: str) -> None:
        """Raise UserError if no transform crops single instances."""
        if not any(isinstance(transform, Framing) for transform in self.transforms):
            raise UserError(
                f"transform.{name}: the task takes one instance at a time, and no transform crops instances; "
                "set transform=pose, or list densepred.transform.instance_crop.InstanceCrop"
            )

    def _move(self, sample: Sample, start: int, generator: Generator) -> tuple[Sample, int]:
        """Compose warps up to the first with a flow, which no matrix can be composed with; apply the result."""
        total = Warp(IDENTITY, sample.truth.size)
        for index in range(start, len(self.transforms)):
            transform = self.transforms[index]
            if isinstance(transform, Framing) and index == start:  # it reads the sample before any warp
                step = transform.instance_params(sample.truth, generator, self.lower)
            elif isinstance(transform, Geometry) and total.flow is None:
                step = transform.params(total.size, generator)
            else:
                return apply(sample, total, self.mirrored), index
            if not self.mirrors and sample.truth.keypoints is not None:
                step = unmirrored(step)
            total = Warp(compose(total.matrix, step.matrix), step.size, step.flow)
        return apply(sample, total, self.mirrored), len(self.transforms)

    def _recolour(self, sample: Sample, start: int, generator: Generator) -> tuple[Sample, int]:
        mean = mean_colour(sample.image)
        total, index = None, start
        for index in range(start, len(self.transforms) + 1):
            transform = self.transforms[index] if index < len(self.transforms) else None
            if not isinstance(transform, LinearColour):
                break
            step = transform.colour(mean, generator)
            mean = step[:, :-1] @ mean + step[:, -1]
            total = step if total is None else compose_colours(step, total)
        assert total is not None
        return Sample(recolour(sample.image, total), sample.truth, sample.frame), index


def _returned(transform: Transform, sample: object) -> Sample:
    """Return what a transform returned. Raises UserError if that is no sample."""
    if not isinstance(sample, Sample):
        raise UserError(
            f"transform: {type(transform).__name__} returned a {type(sample).__name__}; return the changed Sample"
        )
    return sample
