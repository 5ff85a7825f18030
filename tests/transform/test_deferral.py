"""Images that a device warps and recolours: on a CPU equal in every bit to those of a loader worker."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from densepred.loader.deferral import stack_images
from densepred.ops.geometry import recolour
from densepred.ops.geometry.deferred import DeferredImage
from densepred.transform import pipeline as pipelines
from densepred.transform.affine import Affine
from densepred.transform.blur import Blur
from densepred.transform.colour import Colour
from densepred.transform.copy_paste import CopyPaste
from densepred.transform.crop import Crop
from densepred.transform.cutmix import CutMix
from densepred.transform.elastic import Elastic
from densepred.transform.flip import Flip
from densepred.transform.grid import Grid
from densepred.transform.instance_crop import InstanceCrop
from densepred.transform.noise import Noise
from densepred.transform.pipeline import Pipeline
from densepred.transform.resize import Resize
from densepred.transform.scale import Scale
from densepred.types import Annotation, Batch, Frame, Sample

CPU = torch.device("cpu")
SIZES = ((37, 45), (1, 1), (90, 3), (120, 160), (200, 333))
CROPS = ((32, 40), (7, 5), (100, 130), (1, 9), (1, 1))
TYPES: dict[str, Callable[[Tensor], Tensor]] = {
    "bytes": lambda image: image,
    "floats": lambda image: image / 255,
    "double": lambda image: image.double() / 255,
    "half": lambda image: (image / 255).half(),
    "channels last": lambda image: image.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "floats, channels last": lambda image: (image / 255).permute(1, 2, 0).contiguous().permute(2, 0, 1),
}
MOVES: tuple[Callable[[], Any], ...] = (
    lambda: Affine(rotate=30, shear=5, low=0.3, high=1.2, shift=0.1),
    lambda: Affine(p=0.5, rotate=0, shift=0.2),
    lambda: Flip(0.5, 0.5),
    lambda: Elastic(p=0.7, sigma=2.0),
    lambda: Grid(p=0.5),
    lambda: Scale(0.2, 1.5),
)
LAST: tuple[Callable[[tuple[int, int]], Any], ...] = (
    lambda size: Crop(size, 0.2, 2.0),
    lambda size: Crop(size, 0.05, 0.3),
    Crop,
    Resize,
)


def drawn_image(draw: random.Random, channels: int, kinds: list[str]) -> Sample:
    size, generator = draw.choice(SIZES), Generator().manual_seed(draw.randrange(1 << 30))
    image = torch.randint(0, 256, (channels, *size), generator=generator).to(torch.uint8)
    semantic = torch.randint(0, 9, size, generator=generator).to(torch.uint8)
    return Sample(TYPES[draw.choice(kinds)](image), Annotation(size, semantic=semantic), Frame("a", size))


def drawn_pipeline(draw: random.Random) -> Pipeline:
    before = [draw.choice(MOVES)() for _ in range(draw.randrange(3))]
    after = [draw.choice(MOVES[1:4])() for _ in range(draw.randrange(2))]
    colours = [Colour(0.4, 0.4, 0.4, 0.1) for _ in range(draw.randrange(3))]
    return Pipeline([*before, draw.choice(LAST)(draw.choice(CROPS)), *after, *colours])


def kind(image: DeferredImage) -> str:
    if image.sampling is None:
        return "whole"
    return " ".join(
        ["straight" if image.sampling.straight else "bent"]
        + ["averaged"] * (image.sampling.part.shrink is not None)
        + ["beyond"] * (image.sampling.fill is not None)
    )


def compare(pipeline: Pipeline, samples: list[Sample], seed: int, another: Any = None) -> list[DeferredImage]:
    """Require that a batch of deferred samples equals one of samples that are transformed at once."""

    def generators() -> list[Generator]:
        return [Generator().manual_seed(seed + index) for index in range(len(samples))]

    plain = [pipeline(one, draw, another) for one, draw in zip(samples, generators(), strict=True)]
    later = [pipeline.defer(one, draw, another) for one, draw in zip(samples, generators(), strict=True)]
    images = [one.image() for one in later]
    expected = Batch(stack_images([one.image for one in plain])).to(CPU).image
    batch = Batch(stack_images(images))
    assert not isinstance(batch.image, Tensor)
    assert (len(batch.image), batch.image.shape) == (len(samples), expected.shape)
    found = batch.to(CPU).image
    assert found.dtype == expected.dtype == torch.float32
    assert torch.equal(found, expected), (seed, pipeline.transforms)
    for one, other in zip(plain, later, strict=True):
        assert one.frame == other.frame
        for name in one.truth.filled() - {"size"}:
            assert torch.equal(getattr(one.truth, name), getattr(other.truth, name)), name
    return images


def drawn(seed: int) -> list[DeferredImage]:
    """Compare a drawn pipeline on a batch of drawn images."""
    draw = random.Random(seed)
    pipeline, channels = drawn_pipeline(draw), draw.choice((1, 3, 5))
    resizes = any(isinstance(step, Resize | Scale) for step in pipeline.transforms)
    kinds = [name for name in TYPES if name != "half" or not resizes]  # torch resizes no half floats
    kinds = draw.choice((kinds, ["bytes"], ["floats"]))
    return compare(pipeline, [drawn_image(draw, channels, kinds) for _ in range(4)], seed)


def test_drawn_pipelines_change_no_bit() -> None:
    found = Counter(kind(image) for seed in range(60) for image in drawn(seed))
    ways = {" ".join((shape, *more)) for shape in ("straight", "bent") for more in ((), ("averaged",), ("beyond",))}
    assert ways | {"whole"} <= set(found)


@pytest.mark.slow
def test_many_drawn_pipelines_change_no_bit() -> None:
    for seed in range(60, 1000):
        drawn(seed)


def image(height: int = 60, width: int = 80, seed: int = 0) -> Sample:
    draw = Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (3, height, width), generator=draw).to(torch.uint8)
    instances = torch.zeros(height, width, dtype=torch.int32)
    instances[10:40, 20:60] = 1
    keypoints = torch.tensor([[[30.0, 20.0, 2.0], [50.0, 35.0, 2.0]]])
    boxes = torch.tensor([[19.5, 9.5, 59.5, 39.5]])
    truth = Annotation(
        (height, width), (instances > 0).byte(), instances, torch.tensor([0]), keypoints=keypoints, boxes=boxes
    )
    return Sample(pixels, truth, Frame(str(seed), (height, width)))


COLOUR = Colour(0.4, 0.4, 0.4, 0.1)
CHAINS: dict[str, tuple[tuple[Any, ...], int, str]] = {
    "crops of instances": ((InstanceCrop((32, 24), rotate_p=1.0), Flip(0.5), COLOUR), 0, "bent"),
    "crops of instances, straight": ((InstanceCrop((32, 24), rotate_p=0.0), Flip(0.5)), 0, "straight"),
    "copy-paste before colours": ((Crop((40, 40), 0.5, 2.0), CopyPaste(1.0), COLOUR), 2, "whole"),
    "CutMix before a crop": ((CutMix(1.0), Crop((40, 40), 0.5, 2.0), COLOUR), 1, "straight"),
    "colours before a crop": ((COLOUR, Crop((40, 40), 0.5, 2.0)), 1, "straight"),
    "one's own before a crop": ((Blur(1.0), Crop((40, 40), 0.5, 2.0), COLOUR), 1, "straight"),
    "a mirror after a flow": ((Crop((40, 40), 0.5, 2.0), Elastic(1.0), Flip(1.0), COLOUR), 0, "whole"),
    "a rotation after a flow": ((Elastic(1.0), Affine(rotate=90), COLOUR), 0, "bent"),
    "colours alone": ((COLOUR, Colour()), 0, "whole"),
    "whole images that are mirrored": ((Flip(1.0), COLOUR), 0, "whole"),
    "resized images": ((Resize((30, 41)), Flip(0.5), COLOUR), 0, "whole"),
    "nothing": ((), 0, "whole"),
    "noise at the end": ((Crop((40, 40), 0.5, 2.0), COLOUR, Noise(1.0)), 3, "whole"),
}


@pytest.mark.parametrize("name", CHAINS)
def test_every_chain_changes_no_bit_and_defers_its_end(name: str) -> None:
    steps, first, expected = CHAINS[name]
    pipeline = Pipeline(steps, mirrored=[(0, 1)])
    assert pipeline.deferrable() == list(steps[first:])
    for seed in range(3):
        images = compare(pipeline, [image(seed=i) for i in range(3)], seed, lambda draw: image(seed=9))
        assert {kind(one).split()[0] for one in images} == {expected}
        coloured = [step for step in steps[first:] if isinstance(step, Colour)]
        assert all((one.colours is not None) == bool(coloured) for one in images)


class Both(Flip):
    """Moves pixels and maps colours."""

    def colour(self, mean: Tensor, generator: Generator) -> Tensor:
        return torch.cat((torch.eye(3) * torch.rand((), generator=generator), mean[:, None] / 3), 1)


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_a_transform_of_two_kinds_is_taken_for_the_same_one(order: tuple[int, ...]) -> None:
    steps = (Both(0.5), COLOUR, Crop((40, 40), 0.5, 2.0))
    compare(Pipeline([steps[index] for index in order]), [image(seed=i) for i in range(3)], 0)


def test_a_sample_that_is_not_used_has_no_image_warped(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline((Crop((40, 40), 0.5, 2.0), Affine(), COLOUR))
    warped = list[str]()
    for name in ("deferred", "mean_after", "warp_image", "recolour"):
        real = getattr(pipelines, name)
        monkeypatch.setattr(pipelines, name, lambda *a, _n=name, _r=real, **k: warped.append(_n) or _r(*a, **k))
    later = pipeline.defer(image(), Generator().manual_seed(0))
    assert later.truth.size == (40, 40)
    assert warped == []
    later.image()
    assert warped == ["deferred", "mean_after"]


def test_a_worker_computes_a_sixteenth_of_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = list[int]()
    real = torch.nn.functional.grid_sample
    monkeypatch.setattr(
        torch.nn.functional,
        "grid_sample",
        lambda part, grid, **k: grids.append(grid.numel() // 2) or real(part, grid, **k),
    )
    Pipeline((Affine(rotate=30), COLOUR)).defer(image(), Generator().manual_seed(0)).image()
    assert grids == [15 * 20]


@pytest.mark.parametrize("kind", ["bytes", "floats"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_colours_of_a_batch_on_a_device_are_those_of_each_image(
    kind: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = Generator().manual_seed(0)
    images = TYPES[kind](torch.randint(0, 256, (4, channels, 30, 41), generator=draw).to(torch.uint8))
    matrices = torch.randn(4, channels, channels + 1, generator=draw) / channels
    each = recolour.recolour_all(images, matrices)
    monkeypatch.setattr(recolour, "recolour", None)  # the product of a batch is for tensors of other devices
    found = recolour.recolour_all(images.as_subclass(Elsewhere), matrices)
    assert found.dtype == images.dtype
    difference = (found.as_subclass(Tensor).float() - each.float()).abs()
    assert difference.max() <= (1 if kind == "bytes" else 1e-6)
    assert (difference > 1e-6).float().mean() < 1e-3


class Elsewhere(torch.Tensor):
    """A tensor of the CPU that names another device."""

    device = torch.device("cuda")  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
