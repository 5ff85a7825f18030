"""Copy-paste (arXiv 2012.07177): objects of another training image are pasted onto an image, with all annotations."""

from __future__ import annotations

import torch
from torch import Generator

from densepred.ops.boxes import from_ids
from densepred.ops.geometry.overlay import HIDDEN, Another, fitted, overlay
from densepred.types import Annotation, Sample, UserError


class CopyPaste:
    """Paste each object of another image with probability `share`, at least one, onto a share `p` of the images.

    The other image passes through the transforms before this one, with random numbers of its own. Objects keep their
    place in it. Crowds are not pasted. Objects that are hidden are dropped, those hidden in part get the box and the
    area of what is left; their keypoints under a pasted object stay labelled with visibility 1.
    """

    def __init__(self, p: float = 0.5, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise UserError(f"copy_paste: share {share}; give 0 < share <= 1")
        self.p, self.share = p, share

    def mix(self, sample: Sample, another: Another, generator: Generator) -> Sample:
        if sample.truth.instances is None:
            raise UserError(
                "transform: copy_paste needs a map of instance ids, and this dataset has none; remove it, or choose a "
                "dataset with masks of objects"
            )
        if torch.rand((), generator=generator, dtype=torch.float64).item() >= self.p:
            return sample
        over = fitted(another(generator), sample.truth.size)
        over = Sample(over.image, self._chosen(over.truth, generator), over.frame)
        return overlay(sample, over, over.truth.need("instances") > 0, covered=HIDDEN)

    def _chosen(self, truth: Annotation, generator: Generator) -> Annotation:
        """Return the annotation with a random choice of its visible objects."""
        draws = torch.rand(truth.count, generator=generator, dtype=torch.float64)
        objects = from_ids.areas(truth.need("instances"), truth.count) > 0
        if truth.crowd is not None:
            objects &= ~truth.crowd
        draws[~objects] = torch.inf
        chosen = draws < self.share
        if objects.any() and not chosen.any():
            chosen[draws.argmin()] = True
        return truth.select(chosen)
