"""The search space of a sweep, written as Hydra's sweeps: `interval`, `range`, `choice`, `tag(log, ...)`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Transformer
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import Trial

from densepred.errors import UserError


def split(overrides: Sequence[Override]) -> tuple[dict[str, BaseDistribution], dict[str, str | None]]:
    """Return the distributions to search, and the values that all trials have, by key; the last of a key counts.

    A deletion without a value, such as `~transform.train.2`, has None.

    Raises UserError for a sweep that has no distribution.
    """
    space: dict[str, BaseDistribution] = {}
    fixed: dict[str, str | None] = {}
    for override in overrides:
        key = override.get_key_element()
        space.pop(key, None)
        fixed.pop(key, None)
        if override.is_sweep_override():
            space[key] = distribution(override)
        elif override.is_delete() and "=" not in (override.input_line or ""):
            fixed[key] = None
        else:
            fixed[key] = override.get_value_element_as_str()
    return space, fixed


def distribution(override: Override) -> BaseDistribution:
    """Return the distribution of one sweep.

    An interval includes both of its ends; one of whole numbers stays whole. A range holds the values that a grid of it
    would have.
    """
    key, value = override.get_key_element(), override.value()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        return _numbers(key, value.start, value.end, None, value.tags)
    if isinstance(value, RangeSweep):
        assert value.start is not None
        assert value.stop is not None
        if not isinstance(value.step, int | float) or value.step <= 0 or value.stop <= value.start:
            raise UserError(f"{key}: a range to search goes up; write it as range(1,10) or range(0.1,0.9,0.1)")
        last = value.start + value.step * (math.ceil((value.stop - value.start) / value.step - 1e-9) - 1)
        return _numbers(key, value.start, last, value.step, value.tags)
    return CategoricalDistribution([str(text) for text in override.sweep_iterator(transformer=Transformer.encode)])


def _numbers(key: str, low: float, high: float, step: float | None, tags: set[str]) -> BaseDistribution:
    """Return the distribution of the numbers from low to high, both included."""
    if unknown := tags - {"log"}:
        raise UserError(f"{key}: tag({', '.join(sorted(unknown))}) has no meaning; use tag(log, ...)")
    log = "log" in tags
    if high < low or (log and low <= 0):
        raise UserError(
            f"{key}: from {low} to {high} is no interval{' of a log, above 0' if log else ''}; give the lower end first"
        )
    whole = all(isinstance(number, int) for number in (low, high, 1 if step is None else step))
    if log and step is not None and not (whole and step == 1):
        raise UserError(f"{key}: a log has no steps; type tag(log, interval({low}, {high}))")
    if whole:
        return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
    return FloatDistribution(float(low), float(high), log=log, step=step)


def words(values: Mapping[str, object]) -> list[str]:
    """Return the values of a trial as overrides; a deletion without a value has its key alone."""
    return [key if value is None and key.startswith("~") else f"{key}={value}" for key, value in values.items()]


def first(space: Mapping[str, BaseDistribution]) -> dict[str, object]:
    """Return one value of each distribution."""
    return {
        key: one.low if isinstance(one, IntDistribution | FloatDistribution) else one.choices[0]
        for key, one in space.items()
        if isinstance(one, IntDistribution | FloatDistribution | CategoricalDistribution)
    }


def draw(trial: Trial, key: str, one: BaseDistribution) -> object:
    """Return the value of a trial; it is drawn if the trial has none yet."""
    if isinstance(one, IntDistribution):
        return trial.suggest_int(key, one.low, one.high, step=one.step, log=one.log)
    if isinstance(one, FloatDistribution):
        return trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)
    assert isinstance(one, CategoricalDistribution)
    return trial.suggest_categorical(key, one.choices)
