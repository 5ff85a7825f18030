"""Names of runs in a report."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.reporting.runs import _name


@pytest.mark.parametrize(
    ("below", "name"), [("0", "job 0"), ("12", "job 12"), ("first", "first"), ("sweep/3", "sweep/3"), (".", "runs")]
)
def test_a_job_of_a_sweep_is_no_rank(below: str, name: str) -> None:
    assert _name(Path("runs") / below, Path("runs")) == name
