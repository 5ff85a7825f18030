"""Smallest runs of each option: the overrides that its YAML's header names behind `# test:`, and small data for it.

`# test: task=pose encoder.width=4` trains the option beside these. `# test: none: REASON` leaves it out.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import yaml

from tests.conftest import REPOSITORY

CONFIGS = REPOSITORY / "configs"

SIZES_ALONE = {
    "decoder/fpn_light": "decoder/fpn",
    "decoder/fpn_p7_light": "decoder/fpn_p7",
    "encoder/efficientnet_lite1": "encoder/efficientnet_lite0",
    "encoder/efficientnet_lite2": "encoder/efficientnet_lite0",
    "encoder/hrnet_pose_small": "encoder/hrnet_pose_w32",
    "encoder/hrnet_pose_w48": "encoder/hrnet_pose_w32",
    "encoder/hrnet_w18_small": "encoder/hrnet_w18",
    "encoder/hrnet_w18_small_v2": "encoder/hrnet_w18",
    "encoder/hrnet_w32": "encoder/hrnet_w18",
    "encoder/hrnet_w48": "encoder/hrnet_w18",
    "encoder/mit_b1": "encoder/mit_b0",
    "encoder/mit_b2": "encoder/mit_b0",
    "encoder/mit_b3": "encoder/mit_b0",
    "encoder/mit_b4": "encoder/mit_b0",
    "encoder/mit_b5": "encoder/mit_b0",
    "encoder/resnet34": "encoder/resnet18",
    "encoder/resnet101": "encoder/resnet50",
    "encoder/resnet101_os8": "encoder/resnet50_os8",
    "model/deeplabv3_resnet101": "model/deeplabv3_resnet50",
    "model/fcn_resnet101": "model/fcn_resnet50",
    "model/fcos_light": "model/fcos",
    "model/hrnet_pose_small": "model/hrnet_pose",
    "model/hrnet_pose_w48": "model/hrnet_pose",
    "model/hrnet_w32": "model/hrnet",
    "model/hrnet_w48": "model/hrnet",
}
"""Options that differ from another one in numbers alone: `make test` builds them, `make test-slow` trains them too."""


def options(*groups: str) -> list[str]:
    """Return `group/name` of every option of these groups, of all groups if none is named."""
    found = groups or sorted(path.name for path in CONFIGS.iterdir() if any(path.glob("*.yaml")))
    return [f"{group}/{path.stem}" for group in found for path in sorted((CONFIGS / group).glob("*.yaml"))]


def declared(option: str) -> str:
    """Return what stands behind `# test:` in an option's file; "" if there is no such line."""
    found = re.findall(r"^# test: (.+)$", (CONFIGS / f"{option}.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(found) <= 1, f"configs/{option}.yaml: one line `# test:` at most"
    return found[0] if found else ""


def trained(option: str) -> bool:
    """Return False for options that are left out, with a reason."""
    return not re.match(r"none: \w+", declared(option))


def words(option: str) -> list[str]:
    """Return the overrides beside which a small run with the option can be trained."""
    return shlex.split(declared(option)) if trained(option) else []


def task(option: str) -> str:
    """Return the task of that run."""
    return next((word.removeprefix("task=") for word in words(option) if word.startswith("task=")), "semantic")


def narrow(option: str) -> list[str]:
    """Return those overrides that set keys of the option itself."""
    return [word for word in words(option) if word.startswith(f"{option.partition('/')[0]}.")]


def from_disk(dataset: str) -> bool:
    """Return True for datasets that read a folder, False for drawn ones."""
    found = yaml.safe_load((CONFIGS / f"dataset/{dataset}.yaml").read_text(encoding="utf-8"))
    return "root" in found or any(map(from_disk, found.get("defaults", [])))


def rooted(word: str, trees: Path) -> str:
    """Return an override with its `dataset.root=NAME` drawn below `trees`."""
    from tests.dataset import trees as drawn

    key, _, name = word.partition("=")
    if key != "dataset.root":
        return word
    if not (trees / name).exists():
        drawn.draw(name, trees / name)
    return f"{key}={trees / name}"
