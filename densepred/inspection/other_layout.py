"""The settings of the layout that is there instead of the one that was typed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf

from densepred.cli.command import configs
from densepred.cli.typed import Typed
from densepred.dataset.layouts import OtherLayout
from densepred.errors import UserError
from densepred.inspection.finding import Finding


def followed(node: Mapping[str, Any], error: UserError | None) -> tuple[dict[str, Any], Finding] | None:
    """Return the settings that an error names, and the finding about it; None if it names none.

    node: the settings that were typed, of which the root stays unless the error names another
    """
    if not isinstance(error, OtherLayout) or not error.words:
        return None
    words = [word for word in shlex.split(error.words) if word.startswith(("dataset=", "dataset."))]
    found = Typed("train", configs(), []).compose(words)
    if found is None:
        return None
    chosen = OmegaConf.to_container(OmegaConf.create(found)["dataset"], resolve=True)
    assert isinstance(chosen, dict)
    chosen = {str(key): value for key, value in chosen.items()}
    fact = str(error).rpartition(": type ")[0]
    remedy = "type it in training too; what follows is read so"
    if not any(word.startswith("dataset.root=") for word in words):
        chosen["root"] = node["root"]
    return chosen, Finding("error", "layout", fact, remedy, override=error.words)
