"""Damaged files of every kind: each is read or refused by one line, in bounded time and memory.

`RELIABILITY_MINUTES` bounds the long test; its count is printed with `-s`.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.fuzz.datasets import DATASETS
from tests.fuzz.fuzzing import findings
from tests.fuzz.readers import KINDS
from tests.fuzz.run_files import READERS

SHORT = 25
"""Files of each kind in `make test`."""
FEW = 5
"""Files of each dataset and of runs there, because whole trees are read."""
TOTAL, PORTION = 20_000, 250


@pytest.mark.parametrize("name", KINDS)
def test_damaged_files_are_read_or_refused(name: str) -> None:
    assert findings(name, range(SHORT if name not in {*DATASETS, *READERS} else FEW)) == []


@pytest.mark.slow
def test_20_000_damaged_files_are_read_or_refused() -> None:
    end = time.monotonic() + 60 * float(os.environ.get("RELIABILITY_MINUTES", "30"))
    each, done, found = -(-TOTAL // len(KINDS)), 0, list[str]()
    for start in range(SHORT, SHORT + each, PORTION):
        for name in KINDS:
            if time.monotonic() < end:
                cases = range(start, min(start + PORTION, SHORT + each))
                found += findings(name, cases)
                done += len(cases)
    print(f"{done} damaged files, {len(found)} findings")
    assert done >= min(TOTAL, PORTION)
    assert found == []
