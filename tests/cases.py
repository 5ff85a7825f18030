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


def sample(cases: Iterable[Any], step: int) -> list[Any]:
    """Return all cases as parameters of a test, all but the first and every `step`-th after it marked as slow."""
    return [slow(case) if i % step else case for i, case in enumerate(cases)]


def slow(case: Any) -> Any:
    """Return a case as a parameter that is marked as slow; one with several values is a tuple."""
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.slow)
