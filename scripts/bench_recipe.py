"""Compare `recipe=finetune` with models of segmentation_models.pytorch (SMP) on CamVid: validation mIoU over seeds.

All start from the same ImageNet weights of EfficientNet-Lite0 and see the same crops in the same order. Steps, the
optimizer, its learning rates and their schedule are equal. The recipe is trained by `densepred-train`, the models of
SMP in a plain loop with torch's cross-entropy. Needs the extras `bench` and `pretrained`.

    python scripts/bench_recipe.py --data ../shared/data/camvid --steps 300 --seeds 0 1 2
    python scripts/bench_recipe.py --data ../shared/data/camvid --sides recipe --set decoder=unet loss=ce

`--set` changes the recipe. To choose by it, keep images of training for validation: `--hold-out 0.2` takes the last
fifth of each drive, and never looks at the validation images.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import torch
from bench_quality import CPU, loader, miou, peer_step
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from densepred.build.instantiate import build
from densepred.cli import command
from densepred.cli.compose import complete, register
from densepred.cli.compose import settings as as_settings
from densepred.encoder.timm import Timm
from densepred.sweep import launcher
from densepred.types import Info

NAME = "tf_efficientnet_lite0"
PEERS = {"unet": "Unet", "deeplabv3plus": "DeepLabV3Plus", "fpn": "FPN"}


def overrides(args: argparse.Namespace, seed: int) -> list[str]:
    """Return the overrides of densepred-train, which the loop of the peers follows too."""
    return [
        "recipe=finetune",
        "dataset=camvid",
        f"dataset.root={args.data}",
        f"seed={seed}",
        f"data.batch_size={args.batch}",
        f"data.crop=[{args.crop[0]},{args.crop[1]}]",
        "data.workers=0",
        f"trainer.max_steps={args.steps}",
        "trainer.max_minutes=null",
        "trainer.patience=null",
        "trainer.valid_every=1000",
        "trainer.pictures=0",
        *args.set,
    ]


def settings(words: list[str]) -> Any:
    register()
    launcher.register()
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        found = compose("train", overrides=words)
    complete(found, words)
    return as_settings(found)


class Peer(nn.Module):
    """A model of SMP with the encoder's weights and normalisation."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, info: Info) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp  # pyright: ignore[reportMissingImports], of an extra

        encoder = Timm(info.channels, NAME, pretrained=True)
        self.net = getattr(smp, PEERS[name])(f"tu-{NAME}", encoder_weights=None, classes=len(info.classes))
        self.net.encoder.model.load_state_dict(encoder.body.state_dict())
        self.register_buffer("mean", torch.tensor(encoder.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(encoder.std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.net((image - self.mean) / self.std)


def train_peer(name: str, args: argparse.Namespace, seed: int) -> float:
    given = settings(overrides(args, seed))
    batches, info = loader(given)
    torch.manual_seed(seed)
    model, rate = Peer(name, info), given.optimizer["lr"]
    inner = list(model.net.encoder.parameters())
    known = {id(parameter) for parameter in inner}
    outer = [parameter for parameter in model.parameters() if id(parameter) not in known]
    factors = (given.optimizer["groups"]["encoder"]["lr"], 1.0)
    optimizer = torch.optim.AdamW(
        [{"params": inner}, {"params": outer}], lr=rate, weight_decay=given.optimizer["weight_decay"]
    )
    schedule = build(given.scheduler, None, "scheduler")
    model.train()
    steps = (raw for epoch in count() for raw in batches.epoch(epoch))
    for step, raw in zip(range(args.steps), steps, strict=False):
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"] = rate * factor * schedule(step, args.steps)
        batch = raw.to(CPU)
        peer_step(model, optimizer, batch.image, batch.targets["semantic"])
    return miou(model, given)


def train_recipe(args: argparse.Namespace, seed: int) -> float:
    folder = Path(tempfile.mkdtemp())
    words = [*overrides(args, seed), f"hydra.run.dir={folder / 'run'}", f"trainer.threads={args.threads}"]
    try:
        subprocess.run([sys.executable, "-m", "densepred.train", *words], check=True, stdout=subprocess.DEVNULL)
        return json.loads((folder / "run" / "summary.json").read_text())["last"]["miou"]
    finally:
        shutil.rmtree(folder)


def processor_seconds() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def held_out(data: Path, share: float, folder: Path) -> Path:
    """Return a folder of links: the last `share` of each drive is for validation, the rest for training."""
    drives: dict[str, list[Path]] = {}
    for image in sorted((data / "images" / "train").iterdir()):
        drives.setdefault(image.name.partition("_")[0], []).append(image)
    for images in drives.values():
        first = round(len(images) * (1 - share))
        for index, image in enumerate(images):
            split = "train" if index < first else "valid"
            for kind, file in (("images", image), ("masks", data / "masks" / "train" / f"{image.stem}.png")):
                place = folder / kind / split / file.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(file.resolve())
    shutil.copy(data / "classes.json", folder)
    return folder


def compare(args: argparse.Namespace) -> None:
    for side in args.sides:
        values, seconds = [], []
        for seed in args.seeds:
            begun = processor_seconds()
            values.append(train_recipe(args, seed) if side == "recipe" else train_peer(side, args, seed))
            seconds.append(processor_seconds() - begun)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        each = ", ".join(f"{value:.4f}" for value in values)
        name = " ".join([side, *(args.set if side == "recipe" else [])])
        spent = statistics.mean(seconds)
        print(f"{name}: mIoU {statistics.mean(values):.4f} +- {spread:.4f} ({each}), {spent:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the camvid folder")
    parser.add_argument("--sides", nargs="+", choices=("recipe", *PEERS), default=["recipe", "unet", "deeplabv3plus"])
    parser.add_argument("--set", nargs="+", default=[], help="overrides of the recipe")
    parser.add_argument("--hold-out", type=float, default=0.0, help="share of the training images to validate on")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, nargs=2, default=(256, 256))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        if args.hold_out:
            args.data = held_out(args.data, args.hold_out, Path(folder))
        compare(args)


if __name__ == "__main__":
    main()
