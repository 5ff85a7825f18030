"""Products of cases: `make test` takes a few unlike ones, `make test-slow` all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def few(cases: Iterable[Any], kept: Iterable[Any]) -> list[Any]:
    """Return all cases as parameters of a test, those that are not in `kept` marked as slow."""
    every, quick = list(cases), list(kept)
    assert all(case in every for case in quick), f"no such cases: {[case for case in quick if case not in every]}"
    return [case if case in quick else pytest.param(case, marks=pytest.mark.slow) for case in every]
