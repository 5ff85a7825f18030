"""How well people are put together from joints."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.ops.score.requires import require
from densepred.types import Annotation, Info, UserError


class Grouping(Metric):
    """Joints of matched people, over the dataset.

    A joint is hit where it is within `tolerance` of its place, a share of the longer side of the box of its person's
    labelled joints. Predicted people are matched to true ones one to one, most hits first. `joint_recall` is hits over
    labelled joints; `joint_precision` hits over predicted joints, those of unmatched people being wrong and those
    nobody labelled on a matched person left out; `joint_f1` is of both. `whole` is the share of people all of
    whose labelled joints are hit in one predicted person.

    Crowds and people with fewer than `min_keypoints` labelled joints are not judged, nor is who matches them, nor
    who has half of his joints or more where the truth says `ignore`.
    """

    mode = {"joint_recall": "max", "joint_precision": "max", "joint_f1": "max", "whole": "max"}

    def __init__(self, info: Info, tolerance: float = 0.1, min_keypoints: int = 3) -> None:
        if not tolerance > 0:
            raise UserError(f"metric.grouping.tolerance: {tolerance}; give a share of the person's size, more than 0")
        self.tolerance, self.least = tolerance, min_keypoints
        # Hits, labelled joints, predicted joints, whole people, people.
        self.counts = torch.zeros(5, dtype=torch.int64)

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("grouping", prediction, truth, "keypoints")
            assert prediction.keypoints is not None
            assert truth.keypoints is not None
            self.counts += self._image(prediction.keypoints.cpu(), truth)

    def _image(self, predicted: Tensor, truth: Annotation) -> Tensor:
        assert truth.keypoints is not None
        labelled = truth.keypoints[..., 2] > 0
        people = labelled.any(1)
        keypoints, labelled = truth.keypoints[people], labelled[people]
        crowd = torch.zeros(len(people), dtype=torch.bool) if truth.crowd is None else truth.crowd
        judged = (labelled.sum(1) >= self.least) & ~crowd[people]
        hit = hits(predicted, keypoints, labelled, self.tolerance)
        mate = match(hit.sum(-1))
        found = torch.zeros(len(judged), dtype=torch.int64)
        guessed = 0
        for i, person in enumerate(mate.tolist()):
            if person < 0:
                guessed += 0 if ignored(predicted[i], truth.ignore) else int((predicted[i, :, 2] > 0).sum())
            elif judged[person]:
                found[person] = hit[i, person].sum()
                guessed += int(((predicted[i, :, 2] > 0) & labelled[person]).sum())
        wanted = labelled.sum(1)
        whole = (found == wanted)[judged].sum()
        return torch.tensor([found[judged].sum(), wanted[judged].sum(), guessed, whole, judged.sum()])

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
    """(P, K, 3) predicted and (T, K, 3) true people -> (P, T, K) bool, which joints are where they should be."""
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
    """(P, T) hits that two people have in common -> (P,) the mate of each prediction, -1 where there is none."""
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
    """Whether half the joints of (K, 3) or more lie where nothing is judged."""
    if ignore is None:
        return False
    x, y = (person[person[:, 2] > 0, :2] + 0.5).floor().long().unbind(1)
    inside = (x >= 0) & (x < ignore.shape[1]) & (y >= 0) & (y < ignore.shape[0])
    covered = ignore[y.clamp(0, ignore.shape[0] - 1), x.clamp(0, ignore.shape[1] - 1)] & inside
    return bool(2 * covered.sum() >= len(x))
