"""Versions of Mapillary Vistas, and where each has its configuration and its maps."""

from __future__ import annotations

from pathlib import Path

from densepred.dataset import paths
from densepred.nn import choose

VERSIONS = ("v1.2", "v2.0")
OLDER = "v1.2"
"""The version that once came without a folder of its own."""


def version_of(version: str | float) -> str:
    """Return the word of a version, which may be typed as a number or without its v. Raises UserError."""
    word = next((word for word in VERSIONS if str(version).removeprefix("v") == word[1:]), version)
    choose("dataset.version", word, VERSIONS)
    return str(word)


def find_version(root: str, version: str, split: str, kind: str) -> tuple[Path, Path]:
    """Return the configuration of a version, and the folder of a split's maps. Raises Absent without them.

    kind: "instances" or "labels"
    """
    older = version == OLDER
    configs = [f"config_{version}.json", *(["config.json"] if older else [])]
    places = [f"{{split}}/{version}/{kind}", *([f"{{split}}/{kind}"] if older else [])]
    return paths.find(root, configs, [split], "version")[0], paths.find(root, places, [split], "version")[0]
