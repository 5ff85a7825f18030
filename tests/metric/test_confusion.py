"""Region scores against torchmetrics and a slow count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from densepred.metric.confusion import Confusion
from densepred.ops.score.confusion import confusion
from densepred.types import VOID, Annotation, Info

INFO = Info(classes=("road", "tree", "car"))


def maps(seed: int, shape: tuple[int, ...] = (37, 45), classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, classes, shape, generator=generator, dtype=torch.uint8)
    truth = torch.randint(0, classes, shape, generator=generator, dtype=torch.uint8)
    truth[torch.rand(shape, generator=generator) < 0.2] = VOID
    return prediction, truth


def scored(*pairs: tuple[torch.Tensor, torch.Tensor]) -> Confusion:
    metric = Confusion(INFO)
    for prediction, truth in pairs:
        size = (prediction.shape[0], prediction.shape[1])
        metric.update([Annotation(size, semantic=prediction)], [Annotation(size, semantic=truth)])
    return metric


def test_the_matrix_equals_a_slow_count() -> None:
    prediction, truth = maps(0, (13, 17))
    prediction[3, 5:9] = VOID
    slow = np.zeros((3, 4), int)
    for guess, label in zip(prediction.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if label != VOID:
            slow[label, 3 if guess == VOID else guess] += 1
    assert confusion(prediction, truth, 3).tolist() == slow.tolist()


def test_the_matrix_is_right_over_many_chunks_and_all_255_classes() -> None:
    prediction, truth = maps(1, (700, 800), classes=255)
    known = truth != VOID
    slow = np.zeros((255, 256), np.int64)
    np.add.at(slow, (truth[known].numpy(), prediction[known].numpy()), 1)
    assert np.array_equal(confusion(prediction, truth, 255).numpy(), slow)


def test_a_pixel_predicted_void_is_missed_but_wrong_for_no_class() -> None:
    truth = torch.tensor([[0, 0, 1, VOID]], dtype=torch.uint8)
    found = scored((torch.tensor([[0, VOID, 1, VOID]], dtype=torch.uint8), truth)).compute()
    assert [found[f"iou/{name}"] for name in INFO.classes] == [0.5, 1.0, None]
    assert (found["precision/road"], found["recall/road"], found["pixel_accuracy"]) == (1.0, 0.5, pytest.approx(2 / 3))


def test_scores_equal_torchmetrics() -> None:
    classification = pytest.importorskip("torchmetrics.functional.classification")
    prediction, truth = maps(2)
    found = scored((prediction, truth)).compute()
    options = {"num_classes": 3, "ignore_index": VOID, "average": None}
    guess, label = prediction.flatten().long(), truth.flatten().long()
    for score, function in {
        "iou": classification.multiclass_jaccard_index,
        "dice": classification.multiclass_f1_score,
        "precision": classification.multiclass_precision,
        "recall": classification.multiclass_recall,
    }.items():
        expected = function(guess, label, **options)
        assert [found[f"{score}/{name}"] for name in INFO.classes] == pytest.approx(expected.tolist(), abs=1e-6)
    accuracy = classification.multiclass_accuracy(guess, label, 3, average="micro", ignore_index=VOID)
    assert found["pixel_accuracy"] == pytest.approx(accuracy.item(), abs=1e-6)


def test_accuracy_of_a_class_is_that_of_the_class_against_the_rest() -> None:
    prediction, truth = maps(4)
    prediction[3, 5:9] = VOID  # is wrong for the true class, right that it is none of the others
    found, known = scored((prediction, truth)).compute(), truth != VOID
    for k, name in enumerate(INFO.classes):
        wanted = np.mean((truth[known] == k).numpy() == (prediction[known] == k).numpy())
        assert found[f"accuracy/{name}"] == pytest.approx(wanted, abs=1e-12)


def test_a_rare_class_that_is_never_predicted_has_a_high_accuracy() -> None:
    truth = torch.zeros(1, 100, dtype=torch.uint8)
    truth[0, :2] = 1
    found = scored((torch.zeros_like(truth), truth)).compute()
    assert (found["accuracy/tree"], found["recall/tree"], found["accuracy/car"]) == (0.98, 0.0, None)


def test_dice_follows_from_iou() -> None:
    found = scored(maps(3)).compute()
    for name in INFO.classes:
        iou = found[f"iou/{name}"]
        assert iou is not None
        assert found[f"dice/{name}"] == pytest.approx(2 * iou / (1 + iou))


def test_absent_classes_are_undefined_and_wrongly_predicted_ones_are_zero() -> None:
    truth = torch.tensor([[0, 0, VOID]], dtype=torch.uint8)
    found = scored((torch.tensor([[0, 1, 2]], dtype=torch.uint8), truth)).compute()
    assert found["iou/road"] == 0.5
    assert found["iou/tree"] == 0.0
    assert found["iou/car"] is None  # it was predicted only where the ground truth is void
    assert found["miou"] == 0.25


def test_no_valid_pixel_makes_every_score_undefined() -> None:
    found = scored((torch.zeros(2, 2, dtype=torch.uint8), torch.full((2, 2), VOID, dtype=torch.uint8))).compute()
    assert set(found.values()) == {None}


def test_parts_merge_to_the_whole() -> None:
    pairs = [maps(seed) for seed in range(5)]
    whole, left, right = scored(*pairs), scored(*pairs[:2]), scored(*pairs[2:])
    left.merge(right)
    assert torch.equal(left.matrix, whole.matrix)
    assert left.compute() == whole.compute()


def test_the_prediction_may_be_on_another_dtype_of_layout() -> None:
    prediction, truth = maps(6)
    strided = prediction.repeat_interleave(2, 1)[:, ::2]
    assert not strided.is_contiguous()
    assert torch.equal(confusion(strided, truth, 3), confusion(prediction, truth, 3))
