"""Transforms in order, with one resampling per run of warps and one pass per run of colour maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from torch import Generator, Tensor

from densepred.contracts import Transform
from densepred.ops.geometry.annotation import apply, apply_beside_image, moves_nothing
from densepred.ops.geometry.bilinear import Sources
from densepred.ops.geometry.deferral import EXACT, deferred, mean_after
from densepred.ops.geometry.deferred import DeferredImage
from densepred.ops.geometry.overlay import Another
from densepred.ops.geometry.recolour import compose_colours, mean_colour, recolour
from densepred.ops.geometry.warp import IDENTITY, Warp, compose, locate, unmirrored, warp_image
from densepred.types import Annotation, Frame, Sample, UserError, unit_scale

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
            sample, start = self._step(sample, start, generator, another)
        return sample

    def _step(self, sample: Sample, start: int, generator: Generator, another: Another | None) -> tuple[Sample, int]:
        """Apply the transform at `start`, with those after it that are fused with it; return the index of the next."""
        first = self.transforms[start]
        if isinstance(first, Geometry | Framing):
            warp, after = self._fused(sample, start, generator)
            return apply(sample, warp, self.mirrored), after
        if isinstance(first, LinearColour):
            steps = self._colours(start)
            matrix = _composed(mean_colour(sample.image), steps, generator)
            return Sample(recolour(sample.image, matrix), sample.truth, sample.frame), start + len(steps)
        if isinstance(first, Mixing):
            return first.mix(sample, self._before(start, another), generator), start + 1
        return _returned(first, first(sample, generator)), start + 1

    def deferrable(self) -> list[Transform | Geometry | Framing | LinearColour | Mixing]:
        """Return the last transforms, warps and then maps of colours, of which `defer` leaves the image to a device."""
        return self.transforms[self._last()[0] :]

    def defer(self, sample: Sample, generator: Generator, another: Another | None = None) -> DeferredSample:
        """Transform a sample as a call does, but do not compute its image after the last warp.

        Of several warps at the end, where one has a flow, only the last one is deferred.
        """
        warps, colours = self._last()
        start, warp, sources = 0, None, None
        while start < colours:
            if start < warps:
                sample, start = self._step(sample, start, generator, another)
                continue
            last, start = self._fused(sample, start, generator)
            if start < colours:
                sample = apply(sample, last, self.mirrored)
            elif not moves_nothing(last, sample.truth.size):
                warp, sources = last, locate(last, sample.truth.size)
                sample = apply_beside_image(sample, last, self.mirrored, sources)
        return DeferredSample(sample, warp, sources, self._colours(start), generator)

    def _last(self) -> tuple[int, int]:
        """Return the index of the first of the last warps, and of the first of the maps of colours after them."""
        colours = len(self.transforms)
        while colours and _only_maps_colours(self.transforms[colours - 1]):
            colours -= 1
        warps = colours
        while warps and isinstance(self.transforms[warps - 1], Geometry | Framing):
            warps -= 1
        return warps, colours

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

    def _fused(self, sample: Sample, start: int, generator: Generator) -> tuple[Warp, int]:
        """Compose warps up to the first with a flow, which no matrix can be composed with."""
        total = Warp(IDENTITY, sample.truth.size)
        for index in range(start, len(self.transforms)):
            transform = self.transforms[index]
            if isinstance(transform, Framing) and index == start:  # it reads the sample before any warp
                step = transform.instance_params(sample.truth, generator, self.lower)
            elif isinstance(transform, Geometry) and total.flow is None:
                step = transform.params(total.size, generator)
            else:
                return total, index
            if not self.mirrors and sample.truth.keypoints is not None:
                step = unmirrored(step)
            total = Warp(compose(total.matrix, step.matrix), step.size, step.flow)
        return total, len(self.transforms)

    def _colours(self, start: int) -> list[LinearColour]:
        """Return the maps of colours from `start` on, up to another transform."""
        found: list[LinearColour] = []
        for step in self.transforms[start:]:
            if not isinstance(step, LinearColour):
                break
            found.append(step)
        return found


@dataclass(frozen=True, slots=True)
class DeferredSample:
    """A transformed sample without its image: that of `sample` is the one before the last warp."""

    sample: Sample
    warp: Warp | None
    sources: Sources | None
    colours: Sequence[LinearColour]
    generator: Generator

    @property
    def truth(self) -> Annotation:
        return self.sample.truth

    @property
    def frame(self) -> Frame:
        return self.sample.frame

    def image(self) -> DeferredImage:
        """Draw the colours, and return what a device needs for the image; called once, for a sample that is used."""
        image = self.sample.image
        if image.dtype not in EXACT:
            image = image if self.warp is None else warp_image(image, self.warp, sources=self.sources)
            if self.colours:
                image = recolour(image, _composed(mean_colour(image), self.colours, self.generator))
            return deferred(unit_scale(image), None)
        found = deferred(image, self.warp, self.sources)
        if not self.colours:
            return found
        return replace(found, colours=_composed(mean_after(found), self.colours, self.generator))


def _only_maps_colours(transform: object) -> bool:
    return isinstance(transform, LinearColour) and not isinstance(transform, Geometry | Framing)


def _composed(mean: Tensor, steps: Sequence[LinearColour], generator: Generator) -> Tensor:
    """Draw the map of each step and return all as one; `mean` is the colour before the first."""
    total = None
    for step in steps:
        matrix = step.colour(mean, generator)
        mean = matrix[:, :-1] @ mean + matrix[:, -1]
        total = matrix if total is None else compose_colours(matrix, total)
    assert total is not None
    return total


def _returned(transform: Transform, sample: object) -> Sample:
    """Return what a transform returned. Raises UserError if that is no sample."""
    if not isinstance(sample, Sample):
        raise UserError(
            f"transform: {type(transform).__name__} returned a {type(sample).__name__}; return the changed Sample"
        )
    return sample
