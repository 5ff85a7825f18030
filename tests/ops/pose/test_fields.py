"""Part affinity fields against a loop over cells, line integrals against a loop over samples."""

from __future__ import annotations

import pytest
import torch

from densepred.ops.pose.fields import line_integrals, part_affinity_fields
from tests.reference import slow_paf


def drawn(number: int, size: tuple[int, int], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.tensor([size[1] + 8.0, size[0] + 8.0])
    ends = torch.rand(2, number, 2, generator=generator) * scale - 4
    return ends[0], ends[1], torch.randint(3, (number,), generator=generator)


@pytest.mark.parametrize("width", [1.0, 2.3])
def test_fields_equal_a_loop_over_cells_and_are_averaged_where_limbs_overlap(width: float) -> None:
    starts, ends, limbs = drawn(9, (17, 23))
    found = part_affinity_fields(starts, ends, limbs, 3, (17, 23), width)
    assert found.shape == (6, 17, 23)
    for limb in range(3):
        mine = [(a, b) for a, b, c in zip(starts.tolist(), ends.tolist(), limbs.tolist(), strict=True) if c == limb]
        slow = torch.from_numpy(slow_paf.field(mine, (17, 23), width)).float()
        torch.testing.assert_close(found[2 * limb : 2 * limb + 2], slow, atol=1e-5, rtol=0)


def test_limbs_outside_without_length_or_number_leave_fields_empty() -> None:
    starts, ends = torch.tensor([[-50.0, -60.0], [5.0, 5.0]]), torch.tensor([[-40.0, -70.0], [5.0, 5.0]])
    assert not part_affinity_fields(starts, ends, torch.tensor([0, 1]), 2, (7, 9)).any()
    assert not part_affinity_fields(
        torch.zeros(0, 2), torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), 2, (7, 9)
    ).any()


def test_a_limb_shorter_than_a_cell_has_a_field() -> None:
    found = part_affinity_fields(torch.tensor([[4.4, 3.4]]), torch.tensor([[4.6, 3.4]]), torch.tensor([0]), 1, (7, 9))
    assert found[0, 3, 4] == 1
    assert found[0].sum() == 4  # columns 4, 5 and rows 3, 4: within a cell of it


def test_integrals_equal_a_loop_over_samples() -> None:
    generator = torch.Generator().manual_seed(1)
    paf = torch.rand(6, 17, 23, generator=generator) - 0.3
    starts, ends, limbs = drawn(300, (17, 23), 2)
    found = line_integrals(paf, starts, ends, limbs, 8, 0.05, 0.5)
    slow = [
        slow_paf.integral(paf[2 * limb : 2 * limb + 2].double().numpy(), a, b, 8, 0.05, 0.5)
        for a, b, limb in zip(starts.tolist(), ends.tolist(), limbs.tolist(), strict=True)
    ]
    assert 50 < (found > 0).sum() < 250
    torch.testing.assert_close(found, torch.tensor(slow, dtype=torch.float32), atol=1e-5, rtol=0)


def test_the_number_of_samples_and_of_those_that_must_pass_is_the_authors() -> None:
    """13 of 14 samples is 0.93: short of 0.95. Of 25 one may fail, of 20 none."""
    for length, samples in ((5, 5), (40, 14), (80, 20), (125, 25), (1000, 25)):
        paf = torch.ones(2, 1, length + 1) * torch.tensor([1.0, 0.0])[:, None, None]
        ends = torch.tensor([[0.0, 0.0]]), torch.tensor([[float(length), 0.0]])
        ratio = (samples - 0.5) / samples
        limb = torch.tensor([0])
        assert line_integrals(paf, *ends, limb, 1, 0.05, ratio) == 1
        paf[0, 0, 0] = -9  # the first sample fails
        assert line_integrals(paf, *ends, limb, 1, 0.05, ratio) == 0
        assert line_integrals(paf, *ends, limb, 1, 0.05, (samples - 1.5) / samples) > 0


def test_two_equal_points_have_no_direction_and_no_score() -> None:
    point = torch.tensor([[3.0, 3.0]])
    assert line_integrals(torch.ones(2, 7, 9), point, point, torch.tensor([0]), 8, 0.05, 0.95) == 0
