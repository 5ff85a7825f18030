"""Names of the channels in a file of weights: by the codec and the dataset that its own header describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from densepred.build import renamed
from densepred.build.allowlist import check_info
from densepred.build.instantiate import build
from densepred.errors import UserError
from densepred.types import HeadSpec, Info

Names = Mapping[str, Sequence[str]]
"""The names of the channels of each head."""
UNNAMED = "the file names no channels"


class Former(NamedTuple):
    """The names of the channels of a file, None if they are not known, and the reason for that in words."""

    names: Names | None
    reason: str = ""


def former(description: Mapping[str, Any], trust: Sequence[str] = ()) -> Former:
    """Return the names of a file's channels; its codec may come from densepred and the packages in `trust` alone.

    The present task names other channels where its settings differ, such as the limbs of OpenPose.
    """
    task = description.get("task")
    if "info" not in description or not isinstance(task, Mapping) or "codec" not in task:
        return Former(None, UNNAMED)
    try:
        check_info(description["info"])
        info = Info.from_json(description["info"])
        codec = build(renamed.node(task["codec"], set()), tuple(trust), "codec")(info=info)
    except UserError as error:
        fact = str(error).partition(";")[0]
        return Former(None, f"the codec of the file is refused ({fact}), so it names no channels")
    return Former(channel_names(codec.heads))


def channel_names(heads: Mapping[str, HeadSpec]) -> dict[str, tuple[str, ...]]:
    """Return the names of the channels of each head."""
    return {name: spec.channel_names() for name, spec in heads.items()}
