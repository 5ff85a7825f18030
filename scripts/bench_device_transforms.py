"""Processor time of a loader worker per training sample with `data.transform_on_device`, and without it, in turn.

Samples are drawn beforehand and copied from memory, as from `data.cache=ram`: decoding is not counted. Both sides warp
class maps, make targets and stack a batch; the one with the option sends what the device needs in place of images.
Bytes are those of the images of a batch, on their way through shared memory and to the device.

    python scripts/bench_device_transforms.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from alternate import medians, report
from torch import Tensor

from densepred.codec.semantic import Semantic
from densepred.contracts import Dataset
from densepred.dataset.shapes import Shapes
from densepred.loader.samples import TrainingSamples, stack
from densepred.ops.geometry.deferred import DeferredImages
from densepred.transform.affine import Affine
from densepred.transform.colour import Colour
from densepred.transform.crop import Crop
from densepred.transform.flip import Flip
from densepred.transform.pipeline import Pipeline
from densepred.types import Annotation, Batch, Sample

SHAPES = {"360x480": ((360, 480), (360, 480)), "512x1024 of 1024x2048": ((1024, 2048), (512, 1024))}
"""Crops, and the images that they are cut from: those of CamVid and of Cityscapes."""

CHAINS: dict[str, tuple[Affine, ...]] = {"default": (), "rotated": (Affine(rotate=15.0),)}
"""transform=default, and the same with a rotation."""


class Kept(Dataset):
    """Drawn images with class maps in memory, again and again up to a length; each image is copied when it is read."""

    def __init__(self, size: tuple[int, int], count: int, length: int | None = None) -> None:
        drawn = Shapes("train", size, {"train": count, "valid": 1, "test": 1})
        self.info, self.length = drawn.info, length or count
        self.samples = [self._with_classes(drawn[index]) for index in range(count)]

    @staticmethod
    def _with_classes(sample: Sample) -> Sample:
        return Sample(sample.image, Annotation(sample.truth.size, semantic=sample.truth.semantic), sample.frame)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        kept = self.samples[index % len(self.samples)]
        return Sample(kept.image.clone(), kept.truth, kept.frame)


def batches(samples: TrainingSamples) -> Callable[[], Batch]:
    """Return a function that makes one batch of all samples, of another epoch at each call."""
    epochs = iter(range(1 << 30))

    def act() -> Batch:
        epoch = next(epochs)
        return stack([samples[(epoch, index)] for index in range(len(samples))])

    return act


def sent(batch: Batch) -> int:
    """Return the bytes of the images of a batch."""
    image = batch.image
    tensor = image.buffer if isinstance(image, DeferredImages) else image
    assert isinstance(tensor, Tensor)
    return tensor.numel() * tensor.element_size()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--dry", action="store_true", help="tiny sizes, a check that the script runs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for shape, (size, crop) in ({"24x32": ((48, 64), (24, 32))} if args.dry else SHAPES).items():
        data = Kept(size, args.images)
        for name, more in CHAINS.items():
            augment = Pipeline([Crop(crop, 0.5, 2.0), *more, Flip(0.5), Colour()])
            given = (data, augment, Semantic(data.info), 0, False)
            sides = {
                "device": batches(TrainingSamples(*given, defer=augment.defer)),
                "worker": batches(TrainingSamples(*given)),
            }
            seconds = medians(sides, args.rounds)
            each = {side: 1000 * value / args.images for side, value in seconds.items()}
            megabytes = {side: sent(act()) / args.images / 1e6 for side, act in sides.items()}
            for side in sides:
                print(f"{shape}, {name}, {side}: {each[side]:.2f} ms of a worker, {megabytes[side]:.2f} MB per sample")
            report(f"worker per sample of {shape}, {name}, device / worker", seconds["device"], seconds["worker"])


if __name__ == "__main__":
    main()
