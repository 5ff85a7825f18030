from __future__ import annotations

import pytest
import torch

from densepred.ops.loss.lovasz import lovasz_extension
from tests.reference import slow_losses

TRUTHS = {"some": [1, 0, 0, 1, 1, 0, 1], "none": [0] * 7, "all": [1] * 7}


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("weights", [[1.0] * 7, [0.5, 2.0, 0.0, 1.0, 0.0, 0.3, 4.0], [0.0] * 7])
def test_it_is_the_extension_by_its_definition_with_its_gradient(name: str, weights: list[float]) -> None:
    errors = torch.tensor([0.3, 0.9, 0.05, 0.6, 0.75, 0.2, 0.45], dtype=torch.float64, requires_grad=True)
    truth, weight = torch.tensor(TRUTHS[name]).bool(), torch.tensor(weights, dtype=torch.float64)
    wanted = slow_losses.lovasz(errors.tolist(), truth.tolist(), weights)
    assert lovasz_extension(errors, truth, weight).item() == pytest.approx(wanted)
    # Within one order of the errors the extension is linear, so differences are exact.
    assert torch.autograd.gradcheck(lambda x: lovasz_extension(x, truth, weight), (errors,))


def test_of_certain_errors_it_is_one_minus_the_jaccard_index_of_weights() -> None:
    truth, predicted = torch.tensor([1, 1, 0, 0, 1]).bool(), torch.tensor([1, 0, 1, 0, 1]).bool()
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0], dtype=torch.float64)
    found = lovasz_extension((truth ^ predicted).double(), truth, weight)
    assert float(found) == pytest.approx(1 - 5 / 7.5)
