"""Compare densepred with segmentation_models.pytorch (SMP): validation mIoU over seeds, and images per second.

Both sides train a U-Net on a ResNet-34 with random weights, on the same crops in the same order. Batches, steps,
optimizers and schedules are equal. densepred is trained by `densepred-train`, the Unet of SMP in a plain loop with
torch's cross-entropy. Needs the `bench` extra.

    python scripts/bench_quality.py --data ../shared/data/camvid --steps 350 --seeds 0 1 2
    python scripts/bench_quality.py --data ../shared/data/camvid --speed

With `--threads 1`, the two `--sides` can run at the same time on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from alternate import report
from hydra import compose, initialize_config_dir
from torch import Tensor, nn

from densepred.cli import command
from densepred.cli.compose import complete, register
from densepred.cli.compose import settings as as_settings
from densepred.codec.semantic import Semantic
from densepred.jobs import parts
from densepred.loader.loaders import TrainingLoader
from densepred.metric.confusion import Confusion
from densepred.scheduler import Poly
from densepred.sweep import launcher
from densepred.types import VOID, Annotation, Info

CPU = torch.device("cpu")
STRIDE = 32  # the peer takes only multiples of it


def overrides(args: argparse.Namespace, seed: int) -> list[str]:
    """Return the overrides of densepred-train, which the loop of the peer follows too."""
    return [
        "experiment=camvid_unet",
        f"dataset.root={args.data}",
        f"seed={seed}",
        f"data.batch_size={args.batch}",
        f"data.crop=[{args.crop[0]},{args.crop[1]}]",
        f"data.workers={args.workers}",
        "loss=ce",
        "loss.class_weights=null",
        "scheduler=poly",
        "scheduler.warmup=0",
        f"optimizer.lr={args.lr}",
        f"trainer.max_steps={args.steps}",
        "trainer.ema=null",
        "trainer.valid_every=1000",
        "trainer.pictures=0",
    ]


def settings(args: argparse.Namespace, seed: int) -> Any:
    register()
    launcher.register()
    words = overrides(args, seed)
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        found = compose("train", overrides=words)
    complete(found, words)
    return as_settings(found)


def loader(given: Any) -> tuple[TrainingLoader, Info]:
    train = parts.dataset(given.dataset, "train")
    codec = Semantic(train.info)
    augment = parts.pipeline(given.transform["train"], train.info, "train", codec)
    return parts.training_loader(train, augment, codec, given.data, given.seed, CPU), train.info


class Peer(nn.Module):
    """The Unet of SMP with the same normalisation of its input."""

    mean: Tensor
    std: Tensor

    def __init__(self, info: Info) -> None:
        super().__init__()
        import segmentation_models_pytorch as smp  # pyright: ignore[reportMissingImports], of an extra

        self.net = smp.Unet("resnet34", encoder_weights=None, in_channels=info.channels, classes=len(info.classes))
        self.register_buffer("mean", torch.tensor(info.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(info.std).view(-1, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        return self.net((image - self.mean) / self.std)


def peer_step(model: nn.Module, optimizer: torch.optim.Optimizer, image: Tensor, labels: Tensor) -> None:
    loss = F.cross_entropy(model(image), labels.long(), ignore_index=VOID)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def train_peer(args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train the peer in a plain loop; the time of evaluation is not counted."""
    given = settings(args, seed)
    batches, info = loader(given)
    torch.manual_seed(seed)
    model = Peer(info)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=given.optimizer["weight_decay"])
    schedule, step, begun = Poly(power=given.scheduler["power"]), 0, time.monotonic()
    for epoch in range(10**6):
        for raw in batches.epoch(epoch):
            for group in optimizer.param_groups:
                group["lr"] = args.lr * schedule(step, args.steps)
            batch = raw.to(CPU)
            peer_step(model, optimizer, batch.image, batch.targets["semantic"])
            step += 1
            if step == args.steps:
                seconds = time.monotonic() - begun
                return {"miou": miou(model, given), "seconds": seconds}
    raise AssertionError


@torch.inference_mode()
def miou(model: nn.Module, given: Any) -> float:
    """Return the mIoU over whole validation images, padded to a multiple of 32 and cropped back."""
    valid = parts.dataset(given.dataset, "valid")
    metric = Confusion(valid.info)
    model.eval()
    for index in range(len(valid)):
        sample = valid[index]
        height, width = sample.truth.size
        image = F.pad(sample.image[None].float() / 255, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        labels = model(image)[0, :, :height, :width].argmax(0).to(torch.uint8)
        metric.update([Annotation((height, width), semantic=labels)], [sample.truth])
    return metric.compute()["miou"] or 0.0


def train_ours(args: argparse.Namespace, seed: int) -> dict[str, float]:
    folder = args.output / f"densepred_{seed}"
    words = [*overrides(args, seed), f"hydra.run.dir={folder}", f"trainer.threads={args.threads}"]
    subprocess.run([sys.executable, "-m", "densepred.train", *words], check=True, stdout=subprocess.DEVNULL)
    newest = max(args.output.glob(f"densepred_{seed}*"), key=lambda path: path.stat().st_mtime)
    summary = json.loads((newest / "summary.json").read_text())
    return {"miou": summary["last"]["miou"], "seconds": summary["seconds"]}


def compare_quality(args: argparse.Namespace) -> None:
    train = {"densepred": train_ours, "peer": train_peer}
    for side in args.sides:
        found = [train[side](args, seed) for seed in args.seeds]
        values = [one["miou"] for one in found]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        seconds = statistics.mean(one["seconds"] for one in found)
        each = ", ".join(f"{value:.4f}" for value in values)
        print(
            f"{side:>10}: val mIoU {statistics.mean(values):.4f} +- {spread:.4f} ({each}), {seconds:.0f} s", flush=True
        )


def compare_speed(args: argparse.Namespace) -> None:
    """Time training steps of both, in turn and in this process, with all that a step costs beyond the model."""
    given = settings(args, 0)
    batches, info = loader(given)
    stream = [batch for _, batch in zip(range(4), batches.epoch(0), strict=False)]
    task, model = parts.task_and_model(given.task, given.model, info)
    ours = our_step(task, model, given)
    peer = Peer(info)
    optimizer = torch.optim.AdamW(peer.parameters(), lr=1e-4)

    def theirs(batch: Any) -> None:
        batch = batch.to(CPU)
        peer_step(peer, optimizer, batch.image, batch.targets["semantic"])

    times: dict[str, list[float]] = {"densepred": [], "peer": []}
    for turn in range(args.turns + 1):
        for name, step in (("densepred", ours), ("peer", theirs)):
            begun = time.perf_counter()
            for batch in stream:
                step(batch)
            if turn:  # the first turn is a warm-up
                times[name].append(len(stream) * args.batch / (time.perf_counter() - begun))
    speeds = {name: statistics.median(values) for name, values in times.items()}
    parameters = {"densepred": model, "peer": peer}
    for name, speed in speeds.items():
        count = sum(p.numel() for p in parameters[name].parameters())
        print(f"{name:>10}: {speed:.2f} images/s, {count / 1e6:.2f} M parameters")
    ratios = [a / b for a, b in zip(times["densepred"], times["peer"], strict=True)]
    print(f"     speed: {statistics.median(ratios):.3f} times the peer's (from {min(ratios):.3f} to {max(ratios):.3f})")
    size = "x".join(map(str, args.crop))
    report(f"training step, U-Net ResNet-34, {args.batch} x {size} / SMP", speeds["peer"], speeds["densepred"])


def our_step(task: Any, model: Any, given: Any) -> Any:
    """Return the step of the trainer, with its checks."""
    import tempfile

    from densepred.build.instantiate import build
    from densepred.engine.trainer import Trainer
    from densepred.engine.validator import Validator
    from densepred.process.stop import StopFlag
    from densepred.rundir.folder import Run
    from densepred.rundir.log import Log
    from densepred.rundir.progress import Progress
    from densepred.rundir.state import TrainState

    folder, settings = Path(tempfile.mkdtemp()), given.trainer
    run = Run(folder, {}, {}, Log(folder, enabled=False), 1)
    state = TrainState(model, Progress(task.monitor, task.direction()))
    state.optimizer = build(given.optimizer, None, "optimizer")(model)
    scheduler = build(given.scheduler, None, "scheduler")
    data = parts.dataset(given.dataset, "valid")
    transform = parts.pipeline(given.transform["valid"], data.info, "valid", task.codec)
    valid = parts.evaluation_loader(data, transform, task.codec, given.data, CPU)
    validator = Validator(state, task, valid, settings, run, StopFlag())
    trainer = Trainer(state, task, scheduler, settings, run, validator, StopFlag())
    # As `fit` begins
    trainer.started = trainer.saved = time.monotonic()
    trainer.before, trainer.first, trainer.total = 0.0, 0, None
    model.train()
    return lambda batch: trainer._step([batch])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the camvid folder")
    parser.add_argument("--output", type=Path, default=Path("runs/bench_quality"))
    parser.add_argument("--sides", nargs="+", choices=("densepred", "peer"), default=["densepred", "peer"])
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--crop", type=int, nargs=2, default=(128, 160))
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--speed", action="store_true", help="compare images per second instead of quality")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    compare_speed(args) if args.speed else compare_quality(args)


if __name__ == "__main__":
    main()
