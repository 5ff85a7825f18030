"""Settings of a model without tensors of their own: equal weights predict otherwise if they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from densepred.build import renamed

GROUPS = ("encoder", "decoder", "upsample")
TRAINING = {"pretrained", "dropout", "drop_path", "deep_supervision", "init"}
"""Settings that change training alone, or that the weights replace."""


def differing(former: object, present: object, part: str = "") -> list[str]:
    """Return the settings of a file's model, as they are typed, that the present model has otherwise.

    `part` is the part that the two nodes stand for, such as "encoder". Settings that one of them lacks do not count.
    """
    return list(dict.fromkeys(_words(renamed.node(former), renamed.node(present), part)))


def _words(former: Any, present: Any, place: str) -> Iterator[str]:
    if not isinstance(former, Mapping) or not isinstance(present, Mapping):
        if former != present:
            yield f"{place if place.split('.')[0] in GROUPS else f'model.{place}'}={_written(former)}"
        return
    target, other = str(former.get("_target_")), str(present.get("_target_"))
    if target != other:
        if place in GROUPS:
            yield f"{place}={target.split('.')[-2:][0]}"
        return
    for key in (key for key in former if key in present and key not in TRAINING and not str(key).startswith("_")):
        yield from _words(former[key], present[key], key if key in GROUPS else f"{place}.{key}".lstrip("."))


def _written(value: Any) -> str:
    """Return a value as it is typed; files hold JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), default=str)
