"""The dataset of a run, as its weights describe it: which files were masks, and how volumes were cut."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from densepred.cli import command, overrides
from densepred.cli.typed import Typed
from densepred.errors import UserError
from densepred.home import expand
from densepred.hub import zoo
from densepred.weights import header


def dataset(ckpt: str) -> tuple[str, Mapping[str, Any]]:
    """Return the option and the settings of the dataset that a checkpoint was trained on; without record ("", {}).

    The record comes from a file of unknown origin: only plain values are taken.
    """
    if zoo.is_name(ckpt) or not expand(ckpt).exists():
        return "", {}
    path = header.find_weights(ckpt)
    if path.suffix in header.EXPORTED:
        return "", {}
    stored = header.read_header(path).get("dataset")
    option = stored.get("option") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or not isinstance(option, str) or not option.isidentifier():
        return "", {}
    try:
        typed = overrides.plain(stored.get("overrides", []), "dataset")
    except UserError:
        return option, {}
    found = Typed("eval", command.configs(), sys.argv[1:]).compose([f"dataset={option}", *typed]) or {}
    settings = found.get("dataset")
    return option, settings if isinstance(settings, dict) else {}
