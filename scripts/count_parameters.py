"""Write the tables of models on the pages of tasks: `python -m scripts.count_parameters`.

Each model is built without memory, for the drawn scenes (3 channels, 8 classes, 11 keypoints). A table stands between
the marks `<!-- models of TASK -->` and `<!-- end of models -->`. Scores are those of the runs on docs/results.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from densepred.build.instantiate import build
from densepred.cli import command
from densepred.cli.compose import complete, register
from densepred.jobs import parts
from densepred.sweep import launcher
from densepred.types import Info
from scripts import write_reference

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGS = REPOSITORY / "configs" / "model"
START, END = "<!-- models of {task}, by scripts/count_parameters.py -->\n", "<!-- end of models -->"


class Page(NamedTuple):
    """A page of docs/: its task, and the models in the order of its table."""

    task: str
    models: tuple[str, ...]


UNETS = ("unet", "residual_unet", "attention_unet", "unetplusplus", "unet_first")
FCNS = ("fcn", "fcn8s", "fcn16s", "fcn32s", "fcn_resnet50", "fcn_resnet101", "segnet")
DEEPLABS = ("deeplabv3", "deeplabv3_multigrid", "deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3plus", "pspnet")
MOBILE = ("lraspp_mobilenet_v3_large",)
OTHERS = ("fpn", "upernet", "segformer", "hrnet", "hrnet_w32", "hrnet_w48", "auxiliary", "encoder_decoder")
PAGES = {
    "semantic": Page("semantic", UNETS + FCNS + DEEPLABS + MOBILE + OTHERS),
    "instances": Page("instance_components", ("unet", "fpn", "hrnet")),
    "panoptic": Page("panoptic", ("panoptic_deeplab_light", "panoptic_deeplab", "unet", "hrnet")),
    "detection": Page("detection_fcos", ("fcos_light", "fcos", "fcos_hrnet", "fcos_resnet50")),
    "pose": Page("pose", ("hrnet_pose_small", "hrnet_pose", "hrnet_pose_w48")),
    "openpose": Page("openpose", ("openpose_light", "openpose")),
    "autoencoder": Page("autoencoder", ("residual_autoencoder", "autoencoder", "linear_autoencoder", "pca")),
}
NONE = "none measured"
COCO = "overfitting-eight-images-of-coco"
SCORES = {
    ("semantic", "unet"): ("drawn scenes: mIoU 0.916, narrower", "drawn-scenes"),
    ("semantic", "unet_first"): ("membranes: Dice 0.570, a quarter as wide", "isbi-2012-membranes"),
    ("semantic", "fcn"): ("CamVid: mIoU 0.390, half as wide", "camvid"),
    ("semantic", "segnet"): ("CamVid: mIoU 0.185, half as wide", "camvid"),
    ("semantic", "deeplabv3"): ("CamVid: mIoU 0.235", "camvid"),
    ("semantic", "hrnet"): ("CamVid: mIoU 0.327, W18-small", "camvid"),
    ("instance_components", "unet"): ("nuclei: PQ 0.627", "nuclei"),
    ("panoptic", "unet"): ("8 training images of COCO: PQ 0.839, on ResNet-18", COCO),
    ("detection_fcos", "fcos_light"): ("8 training images of COCO: AP 0.965", COCO),
    ("detection_fcos", "fcos_hrnet"): ("8 training images of COCO: AP 0.996, W18-small", COCO),
    ("pose", "hrnet_pose_small"): ("Leeds Sports Pose: PCK@0.2 0.379, W24", "pose"),
    ("openpose", "openpose_light"): ("12 training images of COCO: AP 0.590", "pose"),
    ("autoencoder", "residual_autoencoder"): ("CamVid: error 0.00428 of 3 numbers per 8 x 8 pixels", "codes-of-images"),
    ("autoencoder", "autoencoder"): ("the same: 0.00994", "codes-of-images"),
    ("autoencoder", "linear_autoencoder"): ("the same: 0.00561", "codes-of-images"),
    ("autoencoder", "pca"): ("the same: 0.00560", "codes-of-images"),
}
"""Scores by task and model, and their headings in docs/results.md: of minutes, from random weights."""


def composed(task: str, model: str) -> tuple[dict[str, Any], Info]:
    """Return the configuration of a task with a model, and the description of its drawn dataset."""
    words = [f"task={task}", f"model={model}"]
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        config = compose("train", overrides=words)
    complete(config, words)
    nodes = cast(dict[str, Any], OmegaConf.to_container(config, resolve=True))
    info = parts.dataset({**nodes["dataset"], "counts": {"train": 1, "valid": 1, "test": 1}}, "train").info
    return nodes, info


def parameters(task: str, model: str) -> int:
    """Count the parameters of a model with the heads of a task."""
    nodes, info = composed(task, model)
    heads = build(nodes["task"], None, "task", info=info).heads
    statistics = {"channels": info.channels, "mean": info.mean, "std": info.std}
    with torch.device("meta"):
        built = build(nodes["model"], None, "model", heads=heads, **statistics)
    return sum(one.numel() for one in built.parameters())


def models(page: Page) -> list[str]:
    """Return the models of a table: those of the page, then options that no page lists, by the task of their file."""
    listed = {model for one in PAGES.values() for model in one.models}
    others = sorted(set(CONFIGS.glob("*.yaml")) - {CONFIGS / f"{model}.yaml" for model in listed})
    return [*page.models, *(path.stem for path in others if write_reference.task_of(path) == page.task)]


def table(page: Page) -> str:
    """Return the table of a page."""
    rows = [row(page.task, model) for model in models(page)]
    return "\n".join(["| `model=` | parameters | measured | what it is |", "|---|---|---|---|", *rows, ""])


def row(task: str, model: str) -> str:
    option = write_reference.read(CONFIGS / f"{model}.yaml")
    score = "[{}](results.md#{})".format(*found) if (found := SCORES.get((task, model))) else NONE
    return f"| `{model}` | {parameters(task, model):,} | {score} | {write_reference.prose(option.header[0])} |"


def with_table(name: str, text: str) -> str:
    """Return the text of the page docs/`name`.md with its table counted anew."""
    before, mark, rest = text.partition(START.format(task=PAGES[name].task))
    assert mark, f"docs/{name}.md: no mark {START.strip()}"
    return f"{before}{mark}{table(PAGES[name])}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    register()
    launcher.register()
    for name in PAGES:
        path = REPOSITORY / "docs" / f"{name}.md"
        path.write_text(with_table(name, path.read_text(encoding="utf-8")), encoding="utf-8")
        print(path.relative_to(REPOSITORY))
