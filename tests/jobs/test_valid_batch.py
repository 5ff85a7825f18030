"""Evaluation in other batches than the validation of the run has a line: losses are means over batches."""

from __future__ import annotations

import pytest

from densepred.errors import notices
from densepred.jobs import evaluation


@pytest.mark.parametrize(("begun", "lines"), [(4, 1), (8, 0), (None, 0)])
def test_another_batch_size_than_that_of_the_run_has_a_line(begun: int | None, lines: int) -> None:
    told: list[str] = []
    with notices(told.append, told.append):
        evaluation._tell_batch(8, {} if begun is None else {"valid_batch_size": begun})
    text = "data.batch_size=8: the run validated in batches of 4, on which loss/* depend; leave it out"
    assert told == [text] * lines
