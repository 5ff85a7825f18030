from __future__ import annotations

import pytest
import torch
from torch import Generator

from densepred.dataset.shapes import Shapes
from densepred.ops.geometry.annotation import apply
from densepred.ops.geometry.recolour import mean_colour, recolour
from densepred.transform.affine import Affine
from densepred.transform.blur import Blur
from densepred.transform.colour import Colour
from densepred.transform.crop import Crop
from densepred.transform.elastic import Elastic
from densepred.transform.flip import Flip
from densepred.transform.noise import Noise
from densepred.transform.pipeline import Pipeline
from densepred.transform.resize import Resize
from densepred.transform.scale import Scale
from densepred.types import VOID, Annotation, Frame, Sample


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def sample(height: int = 37, width: int = 45, channels: int = 3, dtype: torch.dtype = torch.uint8) -> Sample:
    image = torch.randint(0, 256, (channels, height, width), generator=seeded(1))
    image = image.to(dtype) if dtype == torch.uint8 else image / 255
    semantic = torch.randint(0, 5, (height, width), generator=seeded(2)).to(torch.uint8)
    return Sample(image, Annotation((height, width), semantic=semantic), Frame("x", (height, width)))


EVERYTHING = (
    Crop((32, 40), 0.5, 2.0),
    Affine(rotate=30, shear=5, low=0.8, high=1.2, shift=0.1),
    Flip(0.5, 0.5),
    Elastic(sigma=2.0),
    Colour(0.4, 0.4, 0.4, 0.1),
    Colour(),
    Blur(p=1.0),
    Noise(p=1.0),
    Resize((33, 41)),
)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(37, 45), (1, 1), (1, 60), (90, 3)])
@pytest.mark.parametrize("channels", [1, 3, 6])
def test_any_image_goes_through_every_transform(dtype: torch.dtype, size: tuple[int, int], channels: int) -> None:
    out = Pipeline(EVERYTHING)(sample(*size, channels, dtype), seeded())
    assert out.image.dtype == dtype
    assert out.image.shape == (channels, 33, 41)
    assert out.truth.size == (33, 41)
    assert out.truth.semantic is not None
    assert out.truth.semantic.shape == (33, 41)
    assert out.image.max() <= (255 if dtype == torch.uint8 else 1)


def test_all_randomness_comes_from_the_generator() -> None:
    data = Shapes(split="train", counts={"train": 3})
    pipeline = Pipeline(EVERYTHING, data.info.mirrored)
    torch.manual_seed(1)
    first = [pipeline(data[i], seeded(i)) for i in range(3)]
    torch.manual_seed(2)
    for before, after in zip(first, [pipeline(data[i], seeded(i)) for i in range(3)], strict=True):
        assert torch.equal(before.image, after.image)
        assert before.frame == after.frame
        for name in ("semantic", "instances", "keypoints", "boxes", "areas"):
            assert torch.equal(getattr(before.truth, name), getattr(after.truth, name))


def test_the_input_is_left_as_it_was() -> None:
    data = sample()
    image, semantic = data.image.clone(), data.truth.semantic
    assert semantic is not None
    kept = semantic.clone()
    Pipeline(EVERYTHING)(data, seeded())
    assert torch.equal(data.image, image)
    assert torch.equal(semantic, kept)


def test_warps_composed_by_whole_pixels_equal_warps_one_by_one() -> None:
    steps = (Crop((20, 30)), Flip(1.0, 0.0), Crop((40, 10)), Flip(0.0, 1.0))
    data = sample()
    fused, alone, generator = Pipeline(steps)(data, seeded(5)), data, seeded(5)
    for step in steps:
        alone = apply(alone, step.params(alone.truth.size, generator))
    assert fused.frame == alone.frame
    assert fused.truth.semantic is not None
    assert alone.truth.semantic is not None
    # Fused, more of the image is left: a window beyond an earlier window still shows what is there
    inside = alone.truth.semantic != VOID
    assert 0 < inside.sum() < inside.numel()
    assert torch.equal(fused.truth.semantic[inside], alone.truth.semantic[inside])
    assert torch.equal(fused.image[:, inside], alone.image[:, inside])


def test_fused_colours_equal_colours_one_by_one_where_nothing_clips() -> None:
    data = sample(dtype=torch.float32)
    data.image = data.image * 0.3 + 0.35
    steps, generator = (Colour(0.1, 0.1, 0.1, 0.02), Colour(0.1, 0.1, 0.1, 0.02)), seeded(3)
    alone = data.image
    mean = mean_colour(alone)
    for step in steps:
        matrix = step.colour(mean, generator)
        alone, mean = recolour(alone, matrix), matrix[:, :-1] @ mean + matrix[:, -1]
    torch.testing.assert_close(Pipeline(steps)(data, seeded(3)).image, alone, atol=1e-5, rtol=0)


def test_a_crop_keeps_its_source_pixels_for_a_rotation_after_it() -> None:
    """The corners of a turned crop show the image around it, not void."""
    data = sample(200, 200)
    for seed in range(20):
        out = Pipeline((Crop((20, 20)), Affine(rotate=45)))(data, seeded(seed))
        corner = out.frame.matrix[0][2], out.frame.matrix[1][2]
        if all(20 < value < 160 for value in corner):
            assert (out.truth.semantic != VOID).all()  # type: ignore[union-attr]


def test_a_callable_of_ones_own_takes_part() -> None:
    def invert(data: Sample, generator: Generator) -> Sample:
        return Sample(255 - data.image, data.truth, data.frame)

    data = sample()
    out = Pipeline((Flip(1.0), invert, Flip(1.0)))(data, seeded())
    assert torch.equal(out.image, 255 - data.image)


def test_no_transforms_change_nothing() -> None:
    data = sample()
    assert Pipeline(())(data, seeded()) is data


def test_scale_changes_the_size_by_its_factor() -> None:
    out = Pipeline((Scale(2.0, 2.0),))(sample(), seeded())
    assert out.image.shape == (3, 74, 90)
