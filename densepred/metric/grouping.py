"""Scores of the grouping of joints into people."""

from __future__ import annotations

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.types import Annotation, Info, UserError


class Grouping(Metric):
    """Precision, recall and F1 of the joints of matched people over the dataset.

    A joint is hit if its error is at most `tolerance` times the longer side of the box around the person's labelled
    joints. Predicted people are matched to labelled people one to one, most hits first.

    - `joint_recall`: hits / labelled joints.
    - `joint_precision`: hits / predicted joints. Joints of unmatched people are wrong; unlabelled joints of matched
      people are left out.
    - `joint_f1`: the harmonic mean of both.
    - `whole`: the fraction of people of whom one prediction hits every labelled joint.

    Crowds and people with fewer than `min_keypoints` labelled joints are left out, as are predictions matched to them.
    Unmatched predictions are left out if at least half of their joints lie in `ignore`.
    """

    requires = ("keypoints",)
    mode = {"joint_recall": "max", "joint_precision": "max", "joint_f1": "max", "whole": "max"}

    def __init__(self, info: Info, tolerance: float = 0.1, min_keypoints: int = 3) -> None:
        if not tolerance > 0:
            raise UserError(
                f"metric.grouping.tolerance: {tolerance}; give a fraction of the person's size, more than 0"
            )
        if min_keypoints < 1:
            raise UserError(f"metric.grouping.min_keypoints: {min_keypoints}; give 1 or more")
        self.tolerance, self.least = tolerance, min_keypoints
        # Hits, labelled joints, predicted joints, whole people, people.
        self.counts = torch.zeros(5, dtype=torch.int64)

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        self.counts += self._image(prediction.need("keypoints").cpu(), truth)

    def _image(self, predicted: Tensor, truth: Annotation) -> Tensor:
        keypoints = truth.need("keypoints")
        labelled = keypoints[..., 2] > 0
        people = labelled.any(1)
        keypoints, labelled = keypoints[people], labelled[people]
        crowd = torch.zeros(len(people), dtype=torch.bool) if truth.crowd is None else truth.crowd
        counted = (labelled.sum(1) >= self.least) & ~crowd[people]
        hit = hits(predicted, keypoints, labelled, self.tolerance)
        mate = match(hit.sum(-1))
        found = torch.zeros(len(counted), dtype=torch.int64)
        guessed = 0
        for i, person in enumerate(mate.tolist()):
            if person < 0:
                guessed += 0 if ignored(predicted[i], truth.ignore) else int((predicted[i, :, 2] > 0).sum())
            elif counted[person]:
                found[person] = hit[i, person].sum()
                guessed += int(((predicted[i, :, 2] > 0) & labelled[person]).sum())
        joints = labelled.sum(1)
        whole = (found == joints)[counted].sum()
        return torch.tensor([found[counted].sum(), joints[counted].sum(), guessed, whole, counted.sum()])

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Grouping)
        self.counts += other.counts

    def compute(self) -> dict[str, float | None]:
        hit, labelled, guessed, whole, people = self.counts.tolist()
        return {
            "joint_recall": hit / labelled if labelled else None,
            "joint_precision": hit / guessed if guessed else None,
            "joint_f1": 2 * hit / (labelled + guessed) if labelled + guessed else None,
            "whole": whole / people if people else None,
        }


def hits(predicted: Tensor, keypoints: Tensor, labelled: Tensor, tolerance: float) -> Tensor:
    """Mark the joints of predicted people (P, K, 3) that hit those of labelled people (T, K, 3): (P, T, K) bool."""
    x, y = keypoints[..., :2].unbind(-1)
    spans = [
        torch.where(labelled, axis, -torch.inf).amax(1) - torch.where(labelled, axis, torch.inf).amin(1)
        for axis in (x, y)
    ]
    size = torch.maximum(*spans) + 1  # a single joint is a pixel wide
    distance = (predicted[:, None, :, :2] - keypoints[None, :, :, :2]).norm(dim=-1)
    near = distance <= tolerance * size[None, :, None]
    return near & labelled & (predicted[:, None, :, 2] > 0)


def match(common: Tensor) -> Tensor:
    """Match predictions to labelled people by their hits (P, T), most hits first: (P,) indices, -1 where unmatched."""
    common, mate = common.clone(), torch.full((len(common),), -1)
    for _ in range(min(common.shape)):
        best = int(common.argmax())
        row, column = divmod(best, common.shape[1])
        if common[row, column] <= 0:
            break
        mate[row] = column
        common[row], common[:, column] = 0, 0
    return mate


def ignored(person: Tensor, ignore: Tensor | None) -> bool:
    """Return True if at least half of the joints of a person (K, 3) lie in ignore regions."""
    if ignore is None:
        return False
    x, y = (person[person[:, 2] > 0, :2] + 0.5).floor().long().unbind(1)
    inside = (x >= 0) & (x < ignore.shape[1]) & (y >= 0) & (y < ignore.shape[0])
    covered = ignore[y.clamp(0, ignore.shape[0] - 1), x.clamp(0, ignore.shape[1] - 1)] & inside
    return bool(2 * covered.sum() >= len(x))
