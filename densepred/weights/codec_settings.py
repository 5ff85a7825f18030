"""Settings of a codec that are typed for a checkpoint: put into its task, and told if decoding does not use them."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

from densepred.contracts import Codec
from densepred.errors import Notice
from densepred.nn import choose


def with_codec_settings(task: Mapping[str, Any], codec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of a task with other settings of its codec, such as thresholds for decoding."""
    known = task.get("codec")
    if not isinstance(known, Mapping):  # refused later, when it is built
        return dict(task)
    for key in codec:
        choose("key of codec", key, [name for name in known if not str(name).startswith("_")])
    return {**task, "codec": {**known, **codec}}


def tell_unused(codec: Codec, task: Mapping[str, Any], typed: Mapping[str, Any]) -> None:
    """Issue a notice for each typed setting that changes neither scores nor predictions of this codec."""
    arguments = inspect.signature(type(codec)).parameters.values()
    defaults = {one.name: one.default for one in arguments}  # older files lack newer settings
    reasons = codec.unused({**defaults, **task["codec"]})
    for key, value in typed.items():
        if key in reasons:
            text = f"codec.{key}={value}: changes no prediction and no score: {reasons[key]}; leave it out"
            warnings.warn(text, Notice, stacklevel=3)
