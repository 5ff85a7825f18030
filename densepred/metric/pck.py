"""How many joints are found near enough, and how far off they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.nn import choose
from densepred.ops.pose.errors import between, errors, nearest, span
from densepred.ops.score.requires import provided, require
from densepred.types import Annotation, Info, UserError

REFERENCES = ("box", "torso", "head", "pixels")
PCKH, PDJ = 0.5, 0.2
HEAD = 0.6  # of the diagonal of a head's box is the length of a head, by the MPII benchmark
UNCOUNTED = ("pelvis", "thorax")  # which MPII leaves out of PCKh

TORSO = (("leftshoulder", "righthip"), ("rightshoulder", "lefthip"))
NECK = (("headtop", "upperneck"), ("headtop", "neck"), ("tophead", "neck"))
"""Pairs of joints whose distance measures a person, the better first."""


class Pck(Metric):
    """Shares of labelled joints that are found (PCK), and the mean error of those that are (EPE, in pixels).

    A joint is found where it is at most `alpha` times a length of its person off. `reference` chooses the length:
    "box", the longer side of the person's box; "torso", left shoulder to right hip, or the other diagonal where one of
    them is not labelled; "head", 0.6 of the diagonal of the head's box, or from its top to the neck; "pixels", 1. Who
    has no such length is left out of that score. `auc` is the mean of PCK over all shares from 0 to `alpha`. `pckh`
    is of 0.5 heads, without pelvis and thorax (Andriluka et al., CVPR 2014); `pdj` of 0.2 torsos (Toshev and Szegedy,
    CVPR 2014).

    Predictions that stand in the boxes of the truth, as those of top-down pose do, belong to its people in order, one
    row for every one of them. Others belong to the nearest, see `ops/joint_errors.py`. A joint that was not found, by a
    confidence of 0 or because nobody matches its person, is wrong in every share and left out of `epe`. Crowds and
    people without a labelled joint are not judged; people that nobody labelled are no mistakes.
    """

    def __init__(self, info: Info, alpha: float = 0.2, reference: str = "box") -> None:
        provided("pck", info, "keypoints")
        choose("metric.pck.reference", reference, REFERENCES)
        if not alpha > 0:
            raise UserError(f"metric.pck.alpha: {alpha}; give a share of the length, or pixels, more than 0")
        self.joints, self.alpha, self.reference = info.keypoints, alpha, reference
        plain = ["".join(filter(str.isalpha, name.lower())) for name in info.keypoints]
        self.torso, self.neck = (
            [(plain.index(a), plain.index(b)) for a, b in pairs if a in plain and b in plain] for pairs in (TORSO, NECK)
        )
        self.counted = np.array([name not in UNCOUNTED for name in plain], bool)
        if reference == "torso" and not self.torso:
            raise UserError(f"metric.pck.reference=torso: no shoulders and hips among {', '.join(plain)}; choose box")
        shares = dict.fromkeys(["pck", "auc", "pckh", "pdj", *(f"pck/{name}" for name in info.keypoints)], "max")
        self.mode = shares | dict.fromkeys(["epe", *(f"epe/{name}" for name in info.keypoints)], "min")
        # Of each image the errors (T, K), see `errors`, and lengths (T, 3): box, torso, head, NaN where unknown.
        self.people: list[tuple[np.ndarray, np.ndarray]] = []

    def update(self, predictions: Sequence[Annotation], truths: Sequence[Annotation]) -> None:
        for prediction, truth in zip(predictions, truths, strict=True):
            require("pck", prediction, truth, "keypoints")
            assert prediction.keypoints is not None
            assert truth.keypoints is not None
            people = truth.keypoints.cpu()
            judged = (people[..., 2] > 0).any(1)
            if truth.crowd is not None:
                judged &= ~truth.crowd.cpu()
            found = prediction.keypoints.detach().cpu()
            rows = judged.nonzero()[:, 0] if _same_boxes(prediction, truth) else nearest(found, people[judged])
            off = errors(found, people[judged], rows)
            self.people.append((off.numpy(), self._lengths(truth, people)[judged].numpy()))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Pck)
        self.people = self.people + other.people

    def compute(self) -> dict[str, float | None]:
        off = np.concatenate([np.zeros((0, len(self.joints))), *(errors for errors, _ in self.people)])
        box, torso, head = np.concatenate([np.zeros((0, 3)), *(lengths for _, lengths in self.people)]).T
        length = {"box": box, "torso": torso, "head": head, "pixels": np.ones(len(off))}[self.reference]
        total, each = _shares(off, self.alpha * length)
        errors = [_mean(column[np.isfinite(column)]) for column in off.T]
        return {
            "pck": total,
            "auc": _area(off, self.alpha * length),
            "pckh": _shares(off[:, self.counted], PCKH * head)[0],
            "pdj": _shares(off, PDJ * torso)[0],
            "epe": _mean(off[np.isfinite(off)]),
            **{f"pck/{name}": share for name, share in zip(self.joints, each, strict=True)},
            **{f"epe/{name}": error for name, error in zip(self.joints, errors, strict=True)},
        }

    def _lengths(self, truth: Annotation, people: Tensor) -> Tensor:
        """Box, torso and head of each one, (T, 3) float64."""
        box = span(people) + 1  # a single joint is a pixel wide
        if truth.boxes is not None:
            box = (truth.boxes.cpu()[:, 2:] - truth.boxes.cpu()[:, :2]).double().amax(1)
        box = _first([box], box)
        torso, head = (_first([between(people, *pair) for pair in pairs], box) for pairs in (self.torso, self.neck))
        if truth.head_boxes is not None:
            boxes = truth.head_boxes.cpu().double()
            head = _first([HEAD * (boxes[:, 2:] - boxes[:, :2]).norm(dim=1), head], box)
        if self.reference == "head" and truth.head_boxes is None and not self.neck:
            raise UserError("metric.pck.reference=head: the dataset has neither boxes of heads nor necks; choose box")
        return torch.stack((box, torso, head), 1)


def _same_boxes(prediction: Annotation, truth: Annotation) -> bool:
    """Whether the prediction has a row for each row of the truth: it was told their boxes."""
    if prediction.boxes is None or truth.boxes is None or prediction.keypoints is None:
        return False
    boxes = prediction.boxes.detach().cpu()
    return len(prediction.keypoints) == len(boxes) and torch.equal(boxes, truth.boxes.cpu())


def _first(lengths: Sequence[Tensor], like: Tensor) -> Tensor:
    """Of several lengths of each one the first that is known and measures something, else NaN."""
    result = torch.full_like(like, torch.nan)
    for length in reversed(lengths):
        result = torch.where(length > 0, length, result)
    return result


def _shares(off: np.ndarray, limits: np.ndarray) -> tuple[float | None, list[float | None]]:
    """The share of labelled joints (T, K) within the limit of their person (T,), of all and of each kind."""
    judged = ~np.isnan(off) & ~np.isnan(limits)[:, None]
    hit = judged & (off <= limits[:, None])
    each = zip(hit.sum(0).tolist(), judged.sum(0).tolist(), strict=True)
    return hit.sum().item() / judged.sum().item() if judged.any() else None, [h / n if n else None for h, n in each]


def _area(off: np.ndarray, limits: np.ndarray) -> float | None:
    """The mean of the share over all limits up to this: a joint counts by how much of its limit it leaves."""
    judged = ~np.isnan(off) & ~np.isnan(limits)[:, None]
    limit = np.broadcast_to(limits[:, None], off.shape)[judged]
    return _mean((1 - off[judged] / limit).clip(0))


def _mean(values: np.ndarray) -> float | None:
    """Exactly rounded, so that order does not matter."""
    return math.fsum(values.tolist()) / len(values) if len(values) else None
