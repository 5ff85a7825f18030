"""Pairs of ids against a loop over pixels, counted in a table and by sorting."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from densepred.ops.regions import pair_counts as module
from densepred.ops.regions.pair_counts import pair_counts, pair_table


def maps(rows: int, columns: int, dtype: torch.dtype, size: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows + columns)
    first, second = (torch.randint(n, size, generator=generator) for n in (rows, columns))
    return first.to(dtype), second.to(torch.uint8)


@pytest.mark.parametrize("dense", [0, 2**22])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize(
    ("rows", "columns", "size"), [(1, 1, (3,)), (5, 7, (13, 17)), (256, 256, (9, 4)), (3, 2, (0, 5))]
)
def test_pairs_are_those_of_a_loop_in_order(
    monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, size: tuple[int, ...], dtype: torch.dtype, dense: int
) -> None:
    monkeypatch.setattr(module, "DENSE", dense)
    first, second = maps(rows, columns, dtype, size)
    kept = first.clone(), second.clone()
    wanted = Counter(zip(first.flatten().tolist(), second.flatten().tolist(), strict=True))
    row, column, pixels = (x.tolist() for x in pair_counts(first, second, rows, columns))
    assert list(zip(row, column, pixels, strict=True)) == [(*pair, wanted[pair]) for pair in sorted(wanted)]
    assert torch.equal(first, kept[0])
    assert torch.equal(second, kept[1])


def test_the_table_holds_pairs_that_do_not_occur() -> None:
    first, second = torch.tensor([[0, 2], [2, 0]]), torch.tensor([[1, 1], [1, 0]])
    assert pair_table(first, second, 4, 3).tolist() == [[1, 1, 0], [0, 0, 0], [0, 2, 0], [0, 0, 0]]


def test_an_id_beyond_the_table_is_an_error() -> None:
    with pytest.raises(RuntimeError):
        pair_table(torch.tensor([4]), torch.tensor([0]), 4, 3)
