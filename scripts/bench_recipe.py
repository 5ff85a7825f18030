"""Compare recipes with models of segmentation_models.pytorch (SMP): scores of validation over seeds.

All start from the same ImageNet weights of EfficientNet-Lite0 (`--random`: from random weights) and see the same
crops in the same order. Steps, the optimizer, its learning rates and their schedule are equal. The recipe is trained by
`densepred-train`, the models of SMP in a plain loop with torch's cross-entropy. Needs the extras `bench` and
`pretrained`.

    python scripts/bench_recipe.py --data DIR --steps 300 --seeds 0 1 2
    python scripts/bench_recipe.py --data DIR --sides recipe --set decoder=unet

`--dataset camvid` trains `recipe=finetune`, `--dataset isbi` trains `recipe=binary`, `--dataset coco_panoptic` trains
`recipe=panoptic`. There the peers predict classes, and the connected components of things are their instances. `--set`
changes the recipe, and of the peers what they share with it. To choose by it, keep images of training for validation:
`--hold-out 0.2` takes the last fifth of each drive, and never looks at the validation images. `--images 5` trains on so
many images, evenly spread over those of training. Neither is for `coco_panoptic`: use `--set dataset.folds=5
dataset.fold=0`.

    python scripts/bench_recipe.py --dataset isbi --data DIR --images 5 --crop 192 192 --batch 5

On a machine with a CUDA device all sides are trained there.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from bench_quality import STRIDE, loader, peer_step
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from densepred.build.instantiate import build
from densepred.cli import command
from densepred.cli.compose import complete, register
from densepred.cli.compose import settings as as_settings
from densepred.encoder.timm import Timm
from densepred.jobs import parts
from densepred.ops.regions.components import class_components, without_small
from densepred.ops.regions.merge import Segments, stuff, without_unsure
from densepred.ops.resize import resample
from densepred.sweep import launcher
from densepred.types import VOID, Annotation, Info

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")  # densepred-train takes it by itself
NAME = "tf_efficientnet_lite0"
PEERS = {"unet": "Unet", "deeplabv3plus": "DeepLabV3Plus", "fpn": "FPN"}
RECIPES = {
    "camvid": ["recipe=finetune"],
    "isbi": ["recipe=binary", "metric=[confusion,em_segmentation]"],
    "coco_panoptic": ["recipe=panoptic", "metric=[panoptic_quality,confusion]"],
}
SCORES = {
    "camvid": ("miou",),
    "isbi": ("dice/membrane", "v_rand", "v_info"),
    "coco_panoptic": ("pq", "pq_things", "pq_stuff", "miou"),
}
SMALLEST = 0.001  # share of the image of the smallest component that is an instance


def overrides(args: argparse.Namespace, seed: int) -> list[str]:
    """Return the overrides of densepred-train, which the loop of the peers follows too."""
    return [
        *RECIPES[args.dataset],
        f"dataset={args.dataset}",
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
        *(["encoder.pretrained=false"] if args.random else []),
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

    def __init__(self, name: str, info: Info, pretrained: bool) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp  # pyright: ignore[reportMissingImports], of an extra

        encoder = Timm(info.channels, NAME, pretrained=pretrained)
        self.net = getattr(smp, PEERS[name])(
            f"tu-{NAME}", encoder_weights=None, in_channels=info.channels, classes=len(info.classes)
        )
        self.net.encoder.model.load_state_dict(encoder.body.state_dict())
        self.register_buffer("mean", torch.tensor(encoder.mean or info.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(encoder.std or info.std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.net((image - self.mean) / self.std)


def train_peer(name: str, args: argparse.Namespace, seed: int) -> dict[str, float]:
    given = settings(overrides(args, seed))
    batches, info = loader(given)
    torch.manual_seed(seed)
    model, rate = Peer(name, info, not args.random).to(DEVICE), given.optimizer["lr"]
    inner = list(model.net.encoder.parameters())
    known = {id(parameter) for parameter in inner}
    outer = [parameter for parameter in model.parameters() if id(parameter) not in known]
    factors = ((given.optimizer["groups"] or {}).get("encoder", {}).get("lr", 1.0), 1.0)
    optimizer = torch.optim.AdamW(
        [{"params": inner}, {"params": outer}], lr=rate, weight_decay=given.optimizer["weight_decay"]
    )
    schedule = build(given.scheduler, None, "scheduler")
    model.train()
    steps = (raw for epoch in count() for raw in batches.epoch(epoch))
    for step, raw in zip(range(args.steps), steps, strict=False):
        for group, factor in zip(optimizer.param_groups, factors, strict=True):
            group["lr"] = rate * factor * schedule(step, args.steps)
        batch = raw.to(DEVICE)
        peer_step(model, optimizer, batch.image, batch.targets["semantic"])
    return scores(model, given)


@torch.inference_mode()
def scores(model: nn.Module, given: Any) -> dict[str, float]:
    """Return the recipe's metrics of a peer: whole validation images, padded to a multiple of 32 and cropped back."""
    valid = parts.dataset(given.dataset, "valid")
    task, _ = parts.task_and_model(given.task, given.model, valid.info)
    transform = parts.pipeline(given.transform["valid"], valid.info, "valid", task.codec)
    metrics = task.new_metrics().values()
    model.eval()
    for index in range(len(valid)):
        sample = valid[index]
        image = transform(sample, torch.Generator()).image
        height, width = image.shape[-2:]
        padded = F.pad(
            image[None].to(DEVICE).float() / 255, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate"
        )
        logits = resample.resize(model(padded)[..., :height, :width], sample.truth.size, align_corners=False)[0].cpu()
        labels = logits.argmax(0).to(torch.uint8)
        if "instances" in task.codec.required:
            found = segments(logits, labels, valid.info, given.task["codec"])
        else:
            found = Annotation(sample.truth.size, semantic=labels, probabilities=logits.softmax(0))
        for metric in metrics:
            metric.update([found], [sample.truth])
    return {name: value or 0.0 for metric in metrics for name, value in metric.compute().items()}


def segments(logits: Tensor, labels: Tensor, info: Info, codec: Mapping[str, Any]) -> Annotation:
    """Return connected components of things as instances, and stuff; with the limits that the recipe has."""
    things = torch.zeros(VOID + 1, dtype=torch.bool)
    things[list(info.things)] = True
    kept = stuff(labels.flatten(), things, codec["stuff_area"] * labels.numel()).view(labels.shape)
    ids, count = without_small(class_components(labels, info.things).numpy(), math.ceil(SMALLEST * labels.numel()))
    instances = torch.from_numpy(ids)
    categories = torch.zeros(count + 1, dtype=torch.int64)
    categories[instances.flatten().long()] = labels.flatten().long()
    semantic = torch.where(instances > 0, labels, kept)
    every = Segments(semantic, instances, categories[1:], torch.arange(count))
    found = without_unsure(every, logits, things, codec["confidence"], align_corners=False)
    return Annotation(
        (labels.shape[0], labels.shape[1]),
        semantic=found.semantic,
        instances=found.instances,
        categories=found.categories,
    )


def train_recipe(args: argparse.Namespace, seed: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp())
    words = [*overrides(args, seed), f"hydra.run.dir={folder / 'run'}", f"trainer.threads={args.threads}"]
    try:
        subprocess.run([sys.executable, "-m", "densepred.train", *words], check=True, stdout=subprocess.DEVNULL)
        return json.loads((folder / "run" / "summary.json").read_text())["last"]
    finally:
        shutil.rmtree(folder)


def processor_seconds() -> float:
    both = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def chosen(args: argparse.Namespace, folder: Path) -> Path:
    """Return a folder of links: the images to train on, and those to validate on.

    `--hold-out` takes the last share of each drive, or of all images, for validation. `--images` keeps so many of those
    that are left, evenly spread.
    """
    images = sorted((args.data / "images" / "train").iterdir())
    drives: dict[str, list[Path]] = {}
    for image in images:
        drives.setdefault(image.name.partition("_")[0] if "_" in image.name else "", []).append(image)
    train, valid = list[Path](), list[Path]()
    for drive in drives.values():
        first = round(len(drive) * (1 - args.hold_out))
        train, valid = [*train, *drive[:first]], [*valid, *drive[first:]]
    if args.images:
        train = [train[i * len(train) // args.images] for i in range(args.images)]
    for split, found in (("train", train), ("val", valid or sorted((args.data / "images" / "val").iterdir()))):
        for image in found:
            for kind, suffix in (("images", image.suffix), ("masks", ".png")):
                place = folder / kind / split / f"{image.stem}{suffix}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to((image.parents[2] / kind / image.parent.name / place.name).resolve())
    shutil.copy(args.data / "classes.json", folder)
    return folder


def compare(args: argparse.Namespace) -> None:
    for side in args.sides:
        found, seconds = [], []
        for seed in args.seeds:
            begun = processor_seconds()
            found.append(train_recipe(args, seed) if side == "recipe" else train_peer(side, args, seed))
            seconds.append(processor_seconds() - begun)
        name = " ".join([side, *(args.set if side == "recipe" else [])])
        cells = [f"{score} {spread([one[score] for one in found])}" for score in SCORES[args.dataset]]
        print(f"{name}: {'; '.join(cells)}; {statistics.mean(seconds):.0f} s", flush=True)


def spread(values: list[float]) -> str:
    """Return mean, sample standard deviation and all values as text."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.4f} +- {deviation:.4f} ({', '.join(f'{value:.4f}' for value in values)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset")
    parser.add_argument("--dataset", choices=tuple(RECIPES), default="camvid")
    parser.add_argument("--sides", nargs="+", choices=("recipe", *PEERS), default=["recipe", "unet", "deeplabv3plus"])
    parser.add_argument("--set", nargs="+", default=[], help="overrides of the recipe")
    parser.add_argument("--hold-out", type=float, default=0.0, help="share of the training images to validate on")
    parser.add_argument("--images", type=int, default=None, help="number of training images; by default all")
    parser.add_argument("--random", action="store_true", help="begin at random weights")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, nargs=2, default=(256, 256))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.dataset == "coco_panoptic" and (args.hold_out or args.images):
        parser.error("--hold-out and --images divide folders of masks: use --set dataset.folds=5 dataset.fold=0")
    with tempfile.TemporaryDirectory() as folder:
        if args.hold_out or args.images:
            args.data = chosen(args, Path(folder))
        compare(args)


if __name__ == "__main__":
    main()
