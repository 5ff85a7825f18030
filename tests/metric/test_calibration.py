"""Calibration against torchmetrics and a slow sum over bins."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from densepred.metric.calibration import Calibration
from densepred.types import VOID, Annotation, Info, UserError

INFO = Info(classes=("a", "b", "c"))
Pair = tuple[torch.Tensor, torch.Tensor]


def pair(seed: int, shape: tuple[int, int] = (23, 31)) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    probabilities = (3 * torch.randn(3, *shape, generator=generator)).softmax(0)
    truth = torch.randint(0, 3, shape, generator=generator, dtype=torch.uint8)
    truth[torch.rand(shape, generator=generator) < 0.2] = VOID
    return probabilities, truth


def scored(*pairs: Pair, **options) -> Calibration:
    metric = Calibration(INFO, **options)
    for probabilities, truth in pairs:
        size = (truth.shape[0], truth.shape[1])
        guess = Annotation(size, semantic=probabilities.argmax(0).byte(), probabilities=probabilities)
        metric.update([guess], [Annotation(size, semantic=truth)])
    return metric


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_errors_and_table_equal_a_slow_sum(bins: int) -> None:
    pairs = [pair(0), pair(1, (9, 40))]
    found = scored(*pairs, bins=bins).compute()
    known = torch.cat([truth.flatten() for _, truth in pairs])
    chance, guess = (torch.cat([p.max(0)[i].flatten() for p, _ in pairs]).numpy() for i in (0, 1))
    keep = (known != VOID).numpy()
    chance, hit = chance[keep].astype(float), (guess == known.numpy())[keep]
    gaps = []
    for b in range(bins):
        inside = (chance > b / bins) & (chance <= (b + 1) / bins)
        name = f"{(b + 1) / bins:.3f}"
        assert found[f"calibration_share/{name}"] == pytest.approx(inside.mean())
        if inside.any():
            assert found[f"calibration_accuracy/{name}"] == pytest.approx(hit[inside].mean())
            assert found[f"calibration_confidence/{name}"] == pytest.approx(chance[inside].mean(), abs=1e-7)
            gaps.append((inside.mean(), abs(hit[inside].mean() - chance[inside].mean())))
        else:
            assert found[f"calibration_accuracy/{name}"] is None
    assert found["ece"] == pytest.approx(sum(share * gap for share, gap in gaps), abs=1e-7)
    assert found["mce"] == pytest.approx(max(gap for _, gap in gaps), abs=1e-7)


def test_errors_equal_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.functional.classification")
    probabilities, truth = pair(2)
    found = scored((probabilities, truth)).compute()
    for name, norm in {"ece": "l1", "mce": "max"}.items():
        expected = classification.multiclass_calibration_error(
            probabilities[None], truth[None].long(), 3, n_bins=15, norm=norm, ignore_index=VOID
        )
        assert found[name] == pytest.approx(expected.item(), abs=1e-5)


def test_by_hand() -> None:
    """Four pixels of confidence 0.75, of which two are right, and two sure ones that are."""
    first = torch.tensor([[0.75, 0.75, 0.75, 0.75, 1.0, 1.0]])
    probabilities = torch.stack([first, 1 - first, torch.zeros(1, 6)])
    truth = torch.tensor([[0, 0, 1, 2, 0, 0]], dtype=torch.uint8)
    found = scored((probabilities, truth), bins=4, table=False).compute()
    assert found == {"ece": 4 / 6 * 0.25, "mce": 0.25}


def test_no_known_pixel_is_undefined() -> None:
    probabilities, truth = pair(3)
    found = scored((probabilities, torch.full_like(truth, VOID))).compute()
    assert set(found.values()) == {None}


def test_parts_merge_to_the_whole_exactly() -> None:
    pairs = [pair(seed) for seed in range(6)]
    whole, left, right = scored(*pairs), scored(*pairs[4:]), scored(*pairs[:4])
    left.merge(pickle.loads(pickle.dumps(right)))
    assert left.compute() == whole.compute()


def test_numbers_of_bins_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match=r"metric\.calibration\.bins: 0"):
        Calibration(INFO, bins=0)


def test_confidence_is_that_of_the_winning_class_at_any_scale() -> None:
    sure = np.float32(1) - np.float32(2) ** -24
    probabilities = torch.tensor([[[sure]], [[1 - sure]], [[0.0]]])
    assert scored((probabilities, torch.zeros(1, 1, dtype=torch.uint8)), table=False).compute()["ece"] == 2**-24
