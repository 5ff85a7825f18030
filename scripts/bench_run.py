"""Time a short run from the shell to its end, in its parts, beside a plain loop: start, training, validation, end.

`densepred-train` and `plain_loop.py` run in turn, each alone in a process with one thread, on the same images: one
epoch of crops, a checkpoint, and one validation on whole images. Networks are equal in kind and have random weights: a
U-Net on a ResNet-34, DeepLabV3 on a ResNet-50 with an auxiliary head, or HRNet-W18 with the head of HRNetV2. Wall time
counts, so a processor must be free; `--processor-time` counts that of each process instead, for a busy machine (Linux).
U-Net and HRNet need the extra `bench`.

    python scripts/bench_run.py --data ../shared/data/camvid --models unet deeplabv3 --rounds 3
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alternate import report

LOOP = Path(__file__).with_name("plain_loop.py")
MODELS = {
    "unet": ["model=unet", "encoder=resnet34", "upsample=nearest"],
    "deeplabv3": ["model=deeplabv3_resnet50"],
    "hrnet": ["model=hrnet"],
}
PARTS = ("start to first step", "training", "validation and checkpoint", "end", "whole run")


def ours(args: argparse.Namespace, model: str, data: Path, folder: Path) -> list[float]:
    """Return the seconds at which each step, the validation and the process ended."""
    words = [
        "dataset=camvid",
        f"dataset.root={data}",
        *MODELS[model],
        "loss=ce",
        "transform=default",
        "optimizer=adamw",
        f"data.crop=[{args.crop},{args.crop}]",
        f"data.batch_size={args.batch}",
        "data.drop_last=true",
        "data.workers=0",
        "trainer.epochs=1",
        "trainer.log_every=1",
        "trainer.pictures=0",
        "trainer.threads=1",
        f"hydra.run.dir={folder}",
    ]
    clock = Clock(args.processor_time)
    command = [sys.executable, "-m", "densepred.train", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment()) as process:
        times: list[float] = []
        over = threading.Event()
        watcher = threading.Thread(target=watch, args=(folder / "metrics.jsonl", process, clock, times, over))
        watcher.start()
        end = clock.ended(process)
        over.set()
        watcher.join()
        if process.wait():
            raise SystemExit(f"densepred-train ended with {process.returncode}: {' '.join(words)}")
    return [*times, end]


class Clock:
    """Seconds of a process since this object was made: wall time, or the processor time that it took."""

    def __init__(self, processor: bool) -> None:
        self.begun, self.processor = time.monotonic(), processor

    def now(self, process: subprocess.Popen[Any]) -> float:
        if not self.processor:
            return time.monotonic() - self.begun
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, see proc(5)

    def ended(self, process: subprocess.Popen[Any]) -> float:
        """Wait for the end of a process and return its seconds; its entry in /proc stays until `wait`."""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        return self.now(process)


def watch(
    file: Path, process: subprocess.Popen[bytes], clock: Clock, times: list[float], over: threading.Event
) -> None:
    """Append the seconds at which each line of a growing file was there, until the process is over."""
    while True:
        running = not over.is_set()
        lines = file.read_bytes().count(b"\n") if file.exists() else 0
        times += [clock.now(process)] * (lines - len(times))
        if not running:
            return
        time.sleep(0.02)


def theirs(args: argparse.Namespace, model: str, data: Path) -> list[float]:
    """Return the same of the plain loop."""
    words = ["--data", str(data), "--model", model, "--crop", str(args.crop), "--batch", str(args.batch)]
    clock = Clock(args.processor_time)
    command = [sys.executable, str(LOOP), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        times = [clock.now(process) for _ in process.stdout]
        end = clock.ended(process)
        if process.wait():
            raise SystemExit(f"{LOOP.name} ended with {process.returncode}: {' '.join(words)}")
    return [*times, end]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def in_parts(times: Sequence[float]) -> dict[str, float]:
    """Return the seconds of each part; the last three times are those of the last step, the validation and the end."""
    first, last, validated, ended = times[0], *times[-3:]
    return dict(zip(PARTS, (first, last - first, validated - last, ended - validated, ended), strict=True))


def subset(data: Path, folder: Path, counts: dict[str, int]) -> None:
    """Link so many images of each split, evenly spread over it, and their masks."""
    (folder / "classes.json").symlink_to(data.resolve() / "classes.json")
    for split, count in counts.items():
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
            files = sorted((data / kind / split).iterdir())
            for file in files[:: max(1, len(files) // count)][:count]:
                (folder / kind / split / file.name).symlink_to(file.resolve())


def compare(args: argparse.Namespace, model: str, data: Path, folder: Path) -> None:
    rounds: dict[str, list[dict[str, float]]] = {"densepred": [], "loop": []}
    for turn in range(args.rounds):
        rounds["densepred"].append(in_parts(ours(args, model, data, folder / f"{model}{turn}")))
        rounds["loop"].append(in_parts(theirs(args, model, data)))
    seconds = {
        side: {part: statistics.median(one[part] for one in found) for part in PARTS} for side, found in rounds.items()
    }
    print(f"{model}, {args.train} images to train on and {args.valid} to validate on, seconds")
    print(f"  {'':28s} {'densepred':>10s} {'loop':>10s}")
    for part in PARTS:
        print(f"  {part:28s} {seconds['densepred'][part]:10.2f} {seconds['loop'][part]:10.2f}")
    for part in PARTS:
        if part != "end":
            report(f"run of {model}, {part} / plain loop", seconds["densepred"][part], seconds["loop"][part])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the camvid folder")
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=["unet"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor-time", action="store_true", help="count processor time, not wall time")
    parser.add_argument("--train", type=int, default=80)
    parser.add_argument("--valid", type=int, default=40)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        subset(args.data, folder / "data", {"train": args.train, "val": args.valid})
        for model in args.models:
            compare(args, model, folder / "data", folder)


if __name__ == "__main__":
    main()
