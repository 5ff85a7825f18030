"""A small tree of images and masks, and the findings in it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from densepred.cli import compose
from densepred.inspection.finding import exit_code
from densepred.inspection.inspect import inspect
from densepred.inspection.report import Report
from tests import forked
from tests.conftest import composed
from tests.dataset import folder_tree

WORDS = ("dataset=folder", "data.workers=0", "format=json")
Findings = dict[str, dict[str, Any]]


def draw(root: Path) -> None:
    """Draw three images of noise per split, in two classes of equal share."""
    rng = np.random.default_rng(0)
    half = (np.arange(64 * 64) % 2).reshape(64, 64).astype(np.uint8)
    for split in ("train", "val"):
        for index in range(3):
            noise = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
            folder_tree.write(root / f"images/{split}/{index}.png", np.asarray(noise))
            folder_tree.write(root / f"masks/{split}/{index}.png", half)


def check(root: Path, *words: str) -> tuple[int, Findings]:
    """Run the command; return its exit code, and its findings by their kind."""
    code, out, errors = forked.run("check", *WORDS, f"dataset.root={root}", *words, folder=root)
    assert out, errors
    return code, {one["kind"]: one for one in json.loads(out)["findings"]}


def found(root: Path, override: str = "", option: str = "folder") -> tuple[int, Findings]:
    """Return the same without the command."""
    findings = inspected(root, override, option).findings
    return exit_code(findings), {one.kind: {**one.to_json(), "samples": [*one.samples]} for one in findings}


def inspected(root: Path, override: str = "", option: str = "folder") -> Report:
    """Inspect with an override as the shell would take it; the configuration is composed once: that takes longest."""
    settings = compose.settings(composed(f"dataset={option}", "dataset.root=.", "data.workers=0", name="check"))
    settings.dataset["root"] = str(root)
    for word in OverridesParser.create().parse_overrides(shlex.split(override)):
        group, _, key = word.key_or_group.partition(".")
        if group == "dataset":
            settings.dataset[key] = word.value()
        else:
            setattr(getattr(settings, group), key, word.value())
    return inspect(settings)
