"""Comparisons of runs: seeds of one setting, the Pareto front, and paired tests of significance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from densepred.output import many
from densepred.reporting.runs import Evaluation, Run

RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Group:
    """Runs of one setting with several seeds. `spread` is the sample standard deviation; None of one run."""

    setting: tuple[str, ...]
    runs: tuple[Run, ...]
    mean: float | None
    spread: float | None


@dataclass(frozen=True, slots=True)
class Test:
    """A paired comparison of two runs on the same images: `difference` is second minus first.

    low, high: the 95 % interval of the difference. p: two-sided, from the share of resamples on either side of zero.
    """

    first: str
    second: str
    images: int
    left_out: int
    difference: float
    low: float
    high: float
    p: float

    @property
    def significant(self) -> bool:
        return self.low > 0 or self.high < 0

    def sentence(self) -> str:
        """Describe the result in words."""
        low, high = (self.low, self.high) if self.low > 0 or not self.significant else (-self.high, -self.low)
        sign = "" if self.significant else "+"
        interval = f"95 % interval {low:{sign}.4f} to {high:{sign}.4f}, p = {self.p:.3f}, {many(self.images, 'image')}"
        rest = f", {many(self.left_out, 'image')} left out, of one run alone or without labels" if self.left_out else ""
        if not self.significant:
            return f"{self.first} and {self.second}: no significant difference ({interval}{rest})"
        better, worse = (self.second, self.first) if self.difference > 0 else (self.first, self.second)
        return f"{better} is better than {worse} by {abs(self.difference):.4f} mIoU ({interval}{rest})"


def groups(runs: Sequence[Run]) -> list[Group]:
    """Group runs that differ in the seed alone, best mean of each metric first; those without a score come last."""
    by: dict[tuple[tuple[str, ...], str], list[Run]] = {}
    for run in runs:
        by.setdefault((run.setting(), run.monitor), []).append(run)
    found = []
    for (setting, _), members in by.items():
        scores = [run.score for run in members if run.score is not None]
        spread = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
        found.append(Group(setting, tuple(members), float(np.mean(scores)) if scores else None, spread))
    return sorted(found, key=_rank)


def _rank(group: Group) -> tuple[bool, str, float]:
    """Return a key that sorts by metric, and by score within each."""
    sign = -1 if group.runs[0].mode == "max" else 1
    return group.mean is None, group.runs[0].monitor, sign * (group.mean or 0.0)


def unlike(group: Group) -> list[str]:
    """Return the settings in which runs of a group differ though they were typed alike: those of config files.

    Settings that some of the runs lack, as runs of another version of densepred do, are marked as such.
    """
    known = [run.config for run in group.runs if run.config]
    keys = sorted({key for config in known for key in config} - {"seed"})
    lacking = {key for key in keys if any(key not in config for config in known)}
    differ = [key for key in keys if key in lacking or any(config[key] != known[0][key] for config in known)]
    return [f"{key} (not in all)" if key in lacking else key for key in differ]


def repeated_seeds(group: Group) -> int:
    """Return the number of runs of a group with the seed of another of them."""
    seeds = [str(run.config["seed"]) for run in group.runs if "seed" in run.config]
    return len(seeds) - len(set(seeds))


def pareto(points: Mapping[str, tuple[float, float]], mode: str = "max") -> set[str]:
    """Return the names of points (speed, score) that no other beats in one without losing in the other."""
    sign = 1 if mode == "max" else -1

    def beaten(name: str) -> bool:
        speed, score = points[name]
        return any(
            other[0] >= speed and sign * other[1] >= sign * score and other != (speed, score)
            for key, other in points.items()
            if key != name
        )

    return {name for name in points if not beaten(name)}


def miou(matrices: np.ndarray) -> np.ndarray:
    """Compute the mean IoU of confusion matrices (..., K, K + 1); classes without pixels do not count."""
    hit = np.einsum("...ii->...i", matrices[..., :-1]).astype(float)
    union = matrices.sum(-1) + matrices[..., :-1].sum(-2) - hit
    counted = union > 0
    iou = np.where(counted, hit / np.where(counted, union, 1), 0.0)
    classes = counted.sum(-1)
    return np.where(classes > 0, iou.sum(-1) / np.maximum(classes, 1), math.nan)


def paired(first: str, one: Evaluation, second: str, other: Evaluation, seed: int = 0) -> Test | None:
    """Test the difference in mIoU of two evaluations by a paired bootstrap over images (Efron and Tibshirani 1993).

    Each resample draws the common images with replacement, the same for both, and sums their confusion matrices. Images
    without a labelled pixel are left out. None if the classes, splits, checkpoints, settings or labels of an image
    differ, or fewer than two images are common.
    """
    common = one.matrices.keys() & other.matrices.keys()
    names = sorted(name for name in common if one.matrices[name].any() or other.matrices[name].any())
    if one.classes != other.classes or not one.alike(other) or len(names) < 2:
        return None
    stacks = [np.stack([run.matrices[name] for name in names]) for run in (one, other)]
    if not np.array_equal(stacks[0].sum(-1), stacks[1].sum(-1)):
        return None
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), [1 / len(names)] * len(names), size=RESAMPLES)
    scores = [miou(np.tensordot(counts, stack, 1)) for stack in stacks]
    moves = scores[1] - scores[0]
    low, high = np.quantile(moves, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    share = min((moves <= 0).mean(), (moves >= 0).mean())
    whole = miou(stacks[1].sum(0)) - miou(stacks[0].sum(0))
    left = len(one.matrices.keys() | other.matrices.keys()) - len(names)
    p = min(1.0, 2 * max(float(share), 1 / RESAMPLES))
    return Test(first, second, len(names), left, float(whole), float(low), float(high), p)


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return, per run, the overrides that not all runs share; the seed counts."""
    shared = set.intersection(*(set(run.overrides) for run in runs)) if runs else set()
    return {run.name: [word for word in run.overrides if word not in shared] for run in runs}


def class_scores(run: Run, numbers: Mapping[str, float | None] | None = None) -> tuple[str, dict[str, float | None]]:
    """Return the score per class that belongs to the monitored metric, such as "iou", and its values."""
    best = run.best if numbers is None else numbers
    kinds = dict.fromkeys(name.partition("/")[0] for name in best if "/" in name)
    kinds = [kind for kind in kinds if kind not in ("loss", "probe")]
    fitting = [kind for kind in kinds if run.monitor in (kind, f"m{kind}", f"mean_{kind}")]
    kind = (fitting or kinds or [""])[0]
    return kind, {name.partition("/")[2]: value for name, value in best.items() if kind and name.startswith(f"{kind}/")}
