"""Settings that differ between the first start of a run and a later one: refused, allowed, or without effect."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from densepred.build.instantiate import find
from densepred.errors import UserError
from densepred.rundir.free import FREE, named
from densepred.rundir.progress import Progress

LATER = ("dataset.seed", "dataset.group", "trainer.sync_norm", "trainer.fused_loss", "trainer.checkpointing")
"""Settings that earlier runs began without; they resume with the present value."""

IMPLIED = {
    "data.balance": None,
    "data.foreground": 0.0,
    "data.transform_on_device": False,
    "dataset.image_suffix": "",
    "dataset.unlabelled": None,
    "trainer.shard": False,
}
"""Values that earlier runs had without the setting; of parts, the defaults of their constructors."""


def completed(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an earlier run with those that came since, at the values that it had without them."""
    since = {key: value for key, value in now.items() if key not in then}
    defaults = {key: value for key in since for value in _default(key, then, now)}
    known = {key: IMPLIED.get(key, since[key]) for key in (*LATER, *IMPLIED) if key in since}
    return {**then, **defaults, **known}


def _default(key: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the default of a constructor's argument, if there is one and both runs name that constructor."""
    node, _, name = key.rpartition(".")
    target = f"{node}._target_"
    if target not in now or then.get(target) != now[target]:
        return
    parameter = inspect.signature(find(now[target], target)).parameters.get(name)
    if parameter is not None and parameter.default is not parameter.empty:
        yield list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default


def refuse_changes(then: Mapping[str, Any], now: Mapping[str, Any], allowed: Sequence[str]) -> None:
    """Raise UserError where a setting differs from the run's first start and neither FREE nor `allowed` names it."""
    changed = {key: values for key, values in differences(then, now).items() if not named(key, [*FREE, *allowed])}
    for key, (before, after) in changed.items():
        raise UserError(
            f"{key}: the run began with {json.dumps(before)} and would go on with {json.dumps(after)}; leave it out, "
            f"or add 'trainer.allow=[{','.join(changed)}]' if you mean it"
        )


def rescale(progress: Progress, changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Count the epoch in batches of the present size; return a sentence about it if the size changed."""
    then, now = changed.get("data.batch_size", (None, None))
    if not isinstance(then, int) or not isinstance(now, int) or not progress.batch:
        return []
    before, progress.batch = progress.batch, progress.batch * then // now
    return [f"data.batch_size: {before} batches of {then} count as {progress.batch} of {now} in this epoch"]


def rounded(changed: Mapping[str, tuple[Any, Any]]) -> list[str]:
    """Return a sentence about a changed setting that every run may change, and that changes orders of sums."""
    then, now = changed.get("trainer.shard", (None, None))
    return [] if then is now else [f"trainer.shard was {then} and is {now}: the rest may differ in the last digits"]


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return (then, now) for each key that differs."""
    keys = [*then, *(key for key in now if key not in then)]
    return {key: (then.get(key), now.get(key)) for key in keys if then.get(key) != now.get(key)}
