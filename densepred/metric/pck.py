"""PCK and the mean error of joints."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from densepred.contracts import Metric
from densepred.nn import choose
from densepred.ops.pose.keypoint_distances import between, distances, match_people, span
from densepred.types import Annotation, Info, UserError

REFERENCES = ("box", "torso", "head", "pixels")
PCKH, PDJ = 0.5, 0.2
HEAD = 0.6  # length of a head / diagonal of its box, in the MPII benchmark
UNCOUNTED = ("pelvis", "thorax")  # left out of PCKh by MPII

TORSO = (("leftshoulder", "righthip"), ("rightshoulder", "lefthip"))
NECK = (("headtop", "upperneck"), ("headtop", "neck"), ("tophead", "neck"))
"""Pairs of joints that give the length of a person, the preferred pair first."""


class Pck(Metric):
    """Fraction of labelled joints that are found (PCK), and the mean error of predicted joints (EPE, in pixels).

    A joint is found if its error is at most `alpha` times a length of its person. `reference` selects the length:

    - "box": the longer side of the person's box.
    - "torso": left shoulder to right hip, or the other diagonal if one of them is not labelled.
    - "head": 0.6 times the diagonal of the head's box, or top of the head to neck.
    - "pixels": 1.

    People without such a length are left out of that score. `auc` is the mean of PCK over all factors from 0 to
    `alpha`. `pckh` uses 0.5 heads, without pelvis and thorax (Andriluka et al., CVPR 2014); `pdj` uses 0.2 torsos
    (Toshev and Szegedy, CVPR 2014).

    Predictions from ground-truth boxes (top-down pose) have one row per labelled person, in the same order. Others are
    matched to the nearest person, see `ops/pose/keypoint_distances.py`. Joints with a confidence of 0 and joints of
    unmatched people are wrong at every factor and left out of `epe`. Crowds and people without a labelled joint are
    not evaluated; predicted people without a match are no errors.
    """

    requires = ("keypoints",)

    def __init__(self, info: Info, alpha: float = 0.2, reference: str = "box") -> None:
        choose("metric.pck.reference", reference, REFERENCES)
        if not alpha > 0:
            raise UserError(f"metric.pck.alpha: {alpha}; give a fraction of the length, or pixels, more than 0")
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
        # Per image the errors (T, K), see `distances`, and lengths (T, 3): box, torso, head, NaN where unknown.
        self.people: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, prediction: Annotation, truth: Annotation) -> None:
        people = truth.need("keypoints").cpu()
        counted = (people[..., 2] > 0).any(1)
        if truth.crowd is not None:
            counted &= ~truth.crowd.cpu()
        found = prediction.need("keypoints").detach().cpu()
        rows = counted.nonzero()[:, 0] if _same_boxes(prediction, truth) else match_people(found, people[counted])
        off = distances(found, people[counted], rows)
        self.people.append((off.numpy(), self._lengths(truth, people)[counted].numpy()))

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
        """Lengths of box, torso and head per person, (T, 3) float64."""
        box = span(people) + 1  # a single joint is one pixel wide
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
    """Return True if the prediction has the boxes of the ground truth, and so one row per labelled person."""
    if prediction.boxes is None or truth.boxes is None or prediction.keypoints is None:
        return False
    boxes = prediction.boxes.detach().cpu()
    return len(prediction.keypoints) == len(boxes) and torch.equal(boxes, truth.boxes.cpu())


def _first(lengths: Sequence[Tensor], like: Tensor) -> Tensor:
    """Return the first length that is known and positive per person, else NaN."""
    result = torch.full_like(like, torch.nan)
    for length in reversed(lengths):
        result = torch.where(length > 0, length, result)
    return result


def _shares(off: np.ndarray, limits: np.ndarray) -> tuple[float | None, list[float | None]]:
    """Fraction of labelled joints with an error (T, K) within their person's limit (T,): of all, and per joint."""
    known = ~np.isnan(off) & ~np.isnan(limits)[:, None]
    hit = known & (off <= limits[:, None])
    each = zip(hit.sum(0).tolist(), known.sum(0).tolist(), strict=True)
    return hit.sum().item() / known.sum().item() if known.any() else None, [h / n if n else None for h, n in each]


def _area(off: np.ndarray, limits: np.ndarray) -> float | None:
    """Mean of the fraction over all limits up to this one: the mean of max(0, 1 - error / limit)."""
    known = ~np.isnan(off) & ~np.isnan(limits)[:, None]
    limit = np.broadcast_to(limits[:, None], off.shape)[known]
    return _mean((1 - off[known] / limit).clip(0))


def _mean(values: np.ndarray) -> float | None:
    """Exactly rounded, so that order does not matter."""
    return math.fsum(values.tolist()) / len(values) if len(values) else None
