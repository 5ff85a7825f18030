"""Single kernels in Triton's interpreter, against torch."""

from __future__ import annotations

import torch

from densepred.ops.loss.fused import FusedSoftmax
from densepred.ops.resize.resample import resize
from densepred.types import VOID
from tests.ops.loss.interpreted import interpreted
from tests.ops.loss.scenes import drawn


@interpreted
def test_the_maps_of_a_softmax_are_those_of_torch() -> None:
    logits, target, weight = drawn(3, (2, 3), (5, 8))
    target[1, 2] = VOID
    softmax = FusedSoftmax(logits, target, weight, align_corners=False)
    counts = (target != VOID) & (weight != 0)
    scores = resize(logits, (5, 8)).log_softmax(1)
    truth = scores.gather(1, softmax.labels[:, None])[:, 0]
    torch.testing.assert_close(softmax.log_truth, torch.where(counts, truth, 0))
    torch.testing.assert_close(softmax.rest, torch.where(counts, 1 - truth.exp(), 0))
    assert torch.equal(softmax.weight, torch.where(counts, weight, 0))
    assert torch.equal(softmax.normaliser.isinf(), ~counts)
    by = torch.tensor([[0.5, -1.0, 2.0], [1.0, 0.0, 3.0]])
    mean = torch.einsum("bk,bkhw->bhw", by, scores.exp())
    torch.testing.assert_close(softmax.mean(by), torch.where(counts, mean, 0))
    mean = torch.einsum("k,bkhw->bhw", by[0], scores)
    torch.testing.assert_close(softmax.mean_log(by[0]), torch.where(counts, mean, 0))
