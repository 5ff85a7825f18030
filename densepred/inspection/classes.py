"""Faults of class maps: void, classes that a split lacks, shares that differ between splits, rare classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from densepred.errors import in_shell
from densepred.inspection.chart import pixels
from densepred.inspection.facts import Facts
from densepred.inspection.finding import Finding
from densepred.inspection.override import typed
from densepred.jobs.class_weights import median_frequency
from densepred.output import many

NEARLY = 0.9
"""Share of void above which an image is nearly void."""
SHIFT = 0.1
"""Total variation distance of the class shares of two splits above which they differ."""
RARE = 0.05
"""Share of the most frequent class's pixels below which the classes are imbalanced."""

SPLITS = "'dataset.splits={train: 0.8, valid: 0.2}'"
"""Divides one folder or file of annotations at random, by names."""


def findings(names: Sequence[str], splits: Mapping[str, Sequence[Facts]], node: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield the faults of the class maps of all splits.

    node: of the dataset
    """
    division = divided(node)
    tables = {split: pixels(found, len(names)) for split, found in splits.items()}
    tables = {split: table for split, table in tables.items() if len(table)}
    for split in tables:
        yield from void(split, splits[split], "label_map" in node)
        bare = any(one.objects.bare for one in splits[split])
        yield from missing(split, names, tables[split], division, bare)
    if "train" in tables:
        for other in [split for split in tables if split != "train"]:
            yield from shift(other, names, tables["train"], tables[other], division)
        yield from imbalance(names, tables["train"])


def divided(node: Mapping[str, Any]) -> tuple[str, str]:
    """Return how to divide the images at random in words, and the override; none if splits have files of their own."""
    if any(isinstance(share, float) for share in (node.get("splits") or {}).values()):
        return "divide the folder with another seed", typed("dataset.seed", int(node.get("seed") or 0) + 1)
    return f"gather all images in one folder, or one file of annotations, and type {SPLITS}", ""


def void(split: str, found: Sequence[Facts], mapped: bool = False) -> Iterator[Finding]:
    """Yield the images with nearly all pixels void.

    mapped: settings of the dataset give ids of masks their classes
    """
    shares = [(one.void / (one.size[0] * one.size[1]), one.id) for one in found if one.void is not None]
    bad = sorted((pair for pair in shares if pair[0] > NEARLY), reverse=True)
    if bad:
        named = "; if their ids are classes, name them: dataset.classes, dataset.label_map"
        yield Finding(
            "error" if len(bad) == len(shares) and bad[-1][0] == 1 and split == "train" else "warning",
            "void",
            f"{split}: more than {NEARLY:.0%} of the pixels are void in {len(bad)} of {len(shares)} images",
            f"remove these images{named * mapped}",
            tuple(name for _, name in bad),
        )


def missing(
    split: str, names: Sequence[str], table: torch.Tensor, division: tuple[str, str], bare: bool = False
) -> Iterator[Finding]:
    """Yield the classes without a pixel in a split; `bare`: it has boxes without a mask, which are no pixels."""
    absent = [name for name, total in zip(names, table.sum(0).tolist(), strict=True) if not total]
    if absent:
        effect = "are never learnt" if split == "train" else "have no score"
        effect += " by tasks of masks (boxes without a mask are no pixels)" if bare else ""
        yield Finding(
            "warning",
            "missing_classes",
            f"{split}: {len(absent)} of {len(names)} classes never occur and {effect}: {', '.join(absent)}",
            f"move images with them to this split, or leave the classes out; or {division[0]}",
            override=division[1],
        )


def shift(
    other: str,
    names: Sequence[str],
    train: torch.Tensor,
    table: torch.Tensor,
    division: tuple[str, str],
) -> Iterator[Finding]:
    """Yield one finding if the shares of the classes differ from those of training.

    The measure is the total variation distance: half the sum of the absolute differences.
    """
    first, second = (one.sum(0).double() / one.sum().clamp(min=1) for one in (train, table))
    distance = float((first - second).abs().sum() / 2)
    if distance > SHIFT:
        order = (first - second).abs().argsort(descending=True)[:3].tolist()
        most = ", ".join(f"{names[i]} {first[i]:.1%} -> {second[i]:.1%}" for i in order)
        yield Finding(
            "warning",
            "class_shift",
            f"{other}: {distance:.0%} of the pixels have another class than in train ({most})",
            f"if the splits are yours to choose, {division[0]}",
            override=division[1],
        )


def imbalance(names: Sequence[str], table: torch.Tensor) -> Iterator[Finding]:
    """Yield one finding with weights if some classes are rare."""
    totals = table.sum(0)
    rare = [i for i, n in enumerate(totals.tolist()) if 0 < n < RARE * int(totals.max())]
    if rare:
        weights = ",".join(f"{value:.3g}" for value in median_frequency(table).tolist())
        counted = many(len(rare), "class", "classes")
        shares = ", ".join(f"{names[i]} {totals[i] / totals.sum():.2%}" for i in rare)
        yield Finding(
            "note",
            "rare_classes",
            f"train: {counted} with under {RARE:.0%} of the pixels of the most frequent one: {shares}",
            "weight the classes in the loss, by median frequency balancing",
            override=f"task=semantic loss=ce {in_shell(f'loss.class_weights=[{weights}]')}",
        )
