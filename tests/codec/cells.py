"""Scenes of instances, and whether they were found again."""

from __future__ import annotations

import numpy as np
import torch

from densepred.types import Annotation, Info

CELLS = Info(classes=("ground", "cell"), things=(1,), provides=("semantic", "instances"))
STREET = Info(classes=("road", "car", "sky", "bus"), things=(1, 3), provides=("semantic", "instances"))


def drawn(seed: int, size: tuple[int, int], count: int, info: Info = CELLS, apart: bool = True) -> Annotation:
    """Discs, squares and single pixels; with `apart` none that touches another of its class is drawn."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    ids, kinds = np.zeros(size, np.int32), [0]
    labels = draw.choice([k for k in range(len(info.classes)) if k not in info.things], size)
    for _ in range(count):
        top, left, radius = draw.integers(0, size[0]), draw.integers(0, size[1]), draw.choice([0, 2, 5, 9])
        round_one = (y - top) ** 2 + (x - left) ** 2 <= radius**2
        mask = round_one if draw.random() < 0.5 else (abs(y - top) <= radius) & (abs(x - left) <= radius)
        kind = int(draw.choice(info.things))
        wide = np.pad(mask, 1)
        grown = wide[1:-1, :-2] | wide[1:-1, 2:] | wide[:-2, 1:-1] | wide[2:, 1:-1] | mask
        if apart and ((ids > 0) & grown & ((labels == kind) | mask)).any():
            continue
        mask &= ids == 0
        kinds += [kind] * bool(mask.any())
        ids[mask], labels[mask] = len(kinds) - 1, kind
    return Annotation(
        size,
        semantic=torch.from_numpy(labels.astype(np.uint8)),
        instances=torch.from_numpy(ids),
        categories=torch.tensor(kinds[1:]),
    )


def touching_discs(seed: int, count: int = 40) -> Annotation:
    """Pairs of discs of radius 7 to 10 that touch or press into one another by up to a fifth of their diameter."""
    draw, ids = np.random.default_rng(seed), np.zeros((300, 300), np.int32)
    y, x = np.mgrid[:300, :300]
    for i in range(count):
        row, column = divmod(i, 8)
        top, left = 30 + 58 * row + draw.uniform(-4, 4), 18 + 37 * column
        (r, s), turn = draw.uniform(7, 10, 2), draw.uniform(0.9, 2.2)
        away = (r + s) * draw.uniform(0.8, 1.0)
        one = (y - top) ** 2 + (x - left) ** 2
        other = (y - top - away * np.sin(turn)) ** 2 + (x - left - away * np.cos(turn)) ** 2
        mask = (one <= r**2) | (other <= s**2)
        ids[mask] = 2 * i + 1 + ((other - s**2) < (one - r**2))[mask]
    labels = torch.from_numpy((ids > 0).astype(np.uint8))
    return Annotation((300, 300), semantic=labels, instances=torch.from_numpy(ids))


def same(found: Annotation, truth: Annotation) -> bool:
    """Return true if instances and their classes are equal except for their order."""
    assert found.instances is not None
    assert found.categories is not None
    assert truth.instances is not None
    assert truth.categories is not None
    pairs = set(zip(found.instances.reshape(-1).tolist(), truth.instances.reshape(-1).tolist(), strict=True))
    kinds = all(found.categories[a - 1] == truth.categories[b - 1] for a, b in pairs if a)
    one_to_one = len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
    return kinds and one_to_one and all((a == 0) == (b == 0) for a, b in pairs)
