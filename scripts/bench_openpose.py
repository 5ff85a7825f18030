"""Compare the grouping of people from maps with a published Python port, on the same maps and in one run.

The port is the folder of a checkout of github.com/Hzzone/pytorch-openpose, which holds src/body.py; it needs cv2
(`pip install opencv-python-headless`). Its network is replaced by the drawn maps, and its only scale by the size of the
image. Both start from the same maps at stride 8. People are drawn in rows so that they do not overlap.

    python scripts/bench_openpose.py --port ../pytorch-openpose
    python scripts/bench_openpose.py --port ../pytorch-openpose --people 20 --scenes 10 --noise 0.02 --threads 1
"""

from __future__ import annotations

import argparse
import importlib
import importlib.abc
import importlib.util
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import torch
from alternate import report
from torch import Tensor

from densepred.codec.openpose import OpenPose
from densepred.types import Annotation, Frame, Info

KEYPOINTS = (
    "nose",
    *(f"{side}_{part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist") for side in ("left", "right")),
    *(f"{side}_{part}" for part in ("hip", "knee", "ankle") for side in ("left", "right")),
)
# A person seen from the front, of height 1, around the origin.
BODY = np.array(
    [
        *((0.0, -0.42), (0.04, -0.46), (-0.04, -0.46), (0.09, -0.44), (-0.09, -0.44)),
        *((0.13, -0.3), (-0.13, -0.3), (0.2, -0.12), (-0.2, -0.12), (0.22, 0.06), (-0.22, 0.06)),
        *((0.08, 0.08), (-0.08, 0.08), (0.1, 0.28), (-0.1, 0.28), (0.11, 0.48), (-0.11, 0.48)),
    ]
)


def scene(random: np.random.Generator, people: int, size: tuple[int, int]) -> Annotation:
    """Draw people in rows, each with another pose and height."""
    height, width = size
    columns = int(np.ceil(np.sqrt(people * 1.5 * width / height)))
    rows = -(-people // columns)
    tall, wide = height / rows, width / columns
    keypoints = np.zeros((people, len(KEYPOINTS), 3))
    for i in range(people):
        middle = (i % columns + 0.5) * wide, (i // columns + 0.5) * tall
        long = random.uniform(0.8, 0.95) * min(tall, wide / 0.55)
        body = BODY + random.uniform(-0.02, 0.02, BODY.shape)
        keypoints[i, :, :2] = body * long + middle
        keypoints[i, :, 2] = 2
    return Annotation(size, keypoints=torch.tensor(keypoints, dtype=torch.float32))


class AtOwnSize(importlib.abc.SourceLoader):
    """A loader of the port that replaces its only scale, half of 368 rows, by the size of the image."""

    def __init__(self, source: Path) -> None:
        self.source = source

    def get_filename(self, fullname: str) -> str:
        return str(self.source)

    def get_data(self, path: str | bytes) -> bytes:
        text = self.source.read_bytes()
        return text.replace(b"[0.5]", b"[1.0]").replace(b"boxsize = 368", b"boxsize = oriImg.shape[0]")


class Port:
    """The port's `Body` with maps in place of its network; `network_done` is the time at which it received them."""

    def __init__(self, folder: Path) -> None:
        for name in ("matplotlib", "matplotlib.pyplot", "matplotlib.figure", "matplotlib.backends.backend_agg"):
            sys.modules.setdefault(name, MagicMock())  # the port only draws with it
        if importlib.util.find_spec("cv2") is None:
            raise SystemExit("the port enlarges its maps with cv2: pip install opencv-python-headless")
        sys.modules.setdefault("scipy.ndimage.filters", importlib.import_module("scipy.ndimage"))
        sys.path.insert(0, str(folder))
        source = folder / "src" / "body.py"
        if not source.is_file():
            raise SystemExit(f"{source} is not there; give --port the folder of a checkout of pytorch-openpose")
        spec = importlib.util.spec_from_loader("body", AtOwnSize(source))
        assert spec is not None
        assert spec.loader is not None
        module: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.body = module.Body.__new__(module.Body)
        self.body.model = self._network
        self.maps: tuple[Tensor, Tensor] | None = None
        self.network_done = 0.0

    def _network(self, data: Tensor) -> tuple[Tensor, Tensor]:
        assert self.maps is not None
        self.network_done = time.perf_counter()
        return self.maps

    def __call__(self, paf: Tensor, heat: Tensor, size: tuple[int, int]) -> tuple[np.ndarray, float]:
        """Return people (N, 18, 3) and the seconds after the network."""
        self.maps = paf, heat
        candidates, people = self.body(np.zeros((*size, 3), np.uint8))
        seconds = time.perf_counter() - self.network_done
        found = np.zeros((len(people), 18, 3))
        for person, row in zip(found, people, strict=True):
            for joint in range(18):
                if row[joint] >= 0:
                    person[joint] = candidates[int(row[joint]), :3]
        return found, seconds


def ours(codec: OpenPose, paf: Tensor, heat: Tensor, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """Return people (N, 17, 3) and the seconds of decoding."""
    start = time.perf_counter()
    (found,) = codec.decode({"paf": paf, "heatmap": heat}, [Frame("", size)], align_corners=False)
    seconds = time.perf_counter() - start
    assert found.keypoints is not None
    return found.keypoints.numpy(), seconds


def agreement(one: np.ndarray, two: np.ndarray) -> tuple[int, float]:
    """Return the number of people of `one` with a match in `two`, and the mean distance of their joints in pixels.

    A match has exactly the same joints, each within one location of the maps: the port places joints on locations.
    """
    same, apart = 0, []
    for person in one:
        known = person[:, 2] > 0
        for other in two:
            distance = np.linalg.norm(person[known, :2] - other[known, :2], axis=1)
            if (known == (other[:, 2] > 0)).all() and distance.max() < 8:
                same += 1
                apart.append(distance.mean())
                break
    return same, float(np.mean(apart)) if apart else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=Path, required=True, help="folder of a checkout of the port")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--size", type=int, nargs=2, default=(368, 656), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--noise", type=float, default=0.0, help="standard deviation of noise on the maps")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    size = (args.size[0], args.size[1])
    codec, port = OpenPose(Info(keypoints=KEYPOINTS, provides=("keypoints",)), limbs="openpose"), Port(args.port)
    order = [codec.skeleton.names.index(name) for name in KEYPOINTS]
    times: dict[str, list[float]] = {"port": [], "ours": []}
    print("scene  people  port  ours  same  port true  ours true  port off (px)  ours off (px)  port (ms)  ours (ms)")
    for number in range(args.scenes):
        truth = scene(np.random.default_rng(number), args.people, size)
        assert truth.keypoints is not None
        targets = codec.perfect_outputs({name: value[None] for name, value in codec.encode(truth).items()})
        generator = torch.Generator().manual_seed(number)
        paf, heat = (targets[k] + args.noise * torch.randn(targets[k].shape, generator=generator) for k in codec.heads)
        theirs, slow = port(paf, heat, size)
        ours(codec, paf, heat, size)  # once to warm up
        mine, fast = min((ours(codec, paf, heat, size) for _ in range(5)), key=lambda pair: pair[1])
        same, _ = agreement(mine, theirs[:, order])
        right = [agreement(found, truth.keypoints.numpy()) for found in (theirs[:, order], mine)]
        times["port"].append(slow)
        times["ours"].append(fast)
        print(
            f"{number:5}  {args.people:6}  {len(theirs):4}  {len(mine):4}  {same:4}  {right[0][0]:9}  {right[1][0]:9}"
            f"  {right[0][1]:13.2f}  {right[1][1]:13.2f}  {slow * 1e3:9.1f}  {fast * 1e3:9.1f}"
        )
    slow, fast = (statistics.median(times[name]) for name in ("port", "ours"))
    print(f"median: port {slow * 1e3:.1f} ms, ours {fast * 1e3:.1f} ms, {slow / fast:.0f} times faster")
    report(f"grouping of {args.people} people / pytorch-openpose", fast, slow)


if __name__ == "__main__":
    main()
