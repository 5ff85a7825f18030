"""Transforms that mix two training samples: every annotation goes with its pixels."""

from __future__ import annotations

import pytest
import torch
from scipy import ndimage
from torch import Generator, Tensor

from densepred.dataset.shapes import Shapes
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.transform.classmix import ClassMix
from densepred.transform.copy_paste import CopyPaste
from densepred.transform.crop import Crop
from densepred.transform.cutmix import CutMix
from densepred.transform.flip import Flip
from densepred.transform.pipeline import Pipeline
from densepred.types import VOID, Annotation, Frame, Sample

DATA = Shapes(split="train", counts={"train": 12}, objects=(4, 8), size=(61, 83))
EVERY = (CopyPaste(p=1.0), CutMix(p=1.0), ClassMix(p=1.0))


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def another(generator: Generator) -> Sample:
    return DATA[6 + int(torch.randint(6, (), generator=generator))]


def marked(index: int, ids: int) -> Sample:
    """Return a scene with an image of the id of the object at each pixel, from `ids` on."""
    found = DATA[index]
    numbers = found.truth.need("instances")
    return Sample(torch.where(numbers > 0, numbers + ids, 0)[None] / 255, found.truth, found.frame)


def slow_box(mask: Tensor) -> list[float]:
    rows, columns = ndimage.find_objects(mask.numpy().astype(int))[0]
    return [columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5]


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_ids_boxes_areas_and_classes_are_those_of_the_pixels_in_the_image(transform: object) -> None:
    """The image shows which object each pixel belongs to, so annotations are counted from it alone."""
    changed = 0
    for index in range(6):
        under, over = marked(index, 0), marked(index + 6, 100)
        out = Pipeline([transform])(under, seeded(index), lambda _, over=over: over)  # type: ignore[list-item]
        drawn = (out.image[0] * 255).round().int()
        ids = out.truth.need("instances")
        assert torch.equal(drawn > 0, ids > 0)
        seen = [int(drawn[ids == row + 1].unique().item()) for row in range(out.truth.count)]
        assert len(set(seen)) == len(seen)
        for row, number in enumerate(seen):
            source = over if number > 100 else under
            old, mask = number % 100 - 1, drawn == number
            assert out.truth.need("categories")[row] == source.truth.need("categories")[old]
            if mask.sum() < (source.truth.need("instances") == old + 1).sum():
                changed += 1
                assert out.truth.need("boxes")[row].tolist() == slow_box(mask)
                assert out.truth.need("areas")[row] == mask.sum()
            else:
                assert torch.equal(out.truth.need("boxes")[row], source.truth.need("boxes")[old])
                assert torch.equal(out.truth.need("keypoints")[row], source.truth.need("keypoints")[old])
    assert changed > 3


@pytest.mark.parametrize("transform", EVERY, ids=lambda one: type(one).__name__)
def test_the_classes_go_with_the_colours(transform: object) -> None:
    """Images that hold labels as colours still do after the mixture."""

    def coloured(sample: Sample) -> Sample:
        return Sample(sample.truth.need("semantic")[None].clone(), sample.truth, sample.frame)

    for index in range(6):
        step = Pipeline([transform])  # type: ignore[list-item]
        out = step(coloured(DATA[index]), seeded(index), lambda generator: coloured(another(generator)))
        assert torch.equal(out.image[0], out.truth.need("semantic"))
        assert not torch.equal(out.image[0], DATA[index].truth.need("semantic"))


def people(under: tuple[int, int, int, int], over: tuple[int, int, int, int]) -> tuple[Sample, Sample]:
    """Two images of one square each (top, left, bottom, right), with keypoints at two of its corners."""
    found = []
    for top, left, bottom, right in (under, over):
        ids = torch.zeros(20, 20, dtype=torch.int32)
        ids[top:bottom, left:right] = 1
        points = torch.tensor([[[left, top, 2.0], [right - 1.0, bottom - 1, 2]]])
        truth = Annotation((20, 20), instances=ids, keypoints=points, categories=torch.tensor([1]))
        found.append(Sample(torch.zeros(1, 20, 20), truth, Frame("x", (20, 20))))
    return found[0], found[1]


def test_keypoints_under_a_pasted_object_are_labelled_but_hidden() -> None:
    first, second = people((2, 2, 10, 10), (6, 6, 14, 14))
    out = Pipeline([CopyPaste(p=1.0)])(first, seeded(0), lambda _: second).truth
    assert out.need("keypoints")[:, :, 2].tolist() == [[2, 1], [2, 2]]
    assert out.need("keypoints")[:, :, :2].tolist() == [[[2, 2], [9, 9]], [[6, 6], [13, 13]]]


def test_keypoints_outside_their_rectangle_are_lost() -> None:
    for seed in range(20):
        first, second = people((0, 0, 20, 20), (0, 0, 20, 20))
        out = Pipeline([CutMix(p=1.0)])(first, seeded(seed), lambda _, second=second: second).truth
        ids = out.need("instances")
        for row, points in enumerate(out.need("keypoints").tolist()):
            assert [v for _, _, v in points] == [2.0 if ids[int(y), int(x)] == row + 1 else 0.0 for x, y, _ in points]


def test_hidden_objects_are_dropped_and_crowds_are_not_pasted() -> None:
    first, second = people((6, 6, 9, 9), (4, 4, 14, 14))
    out = Pipeline([CopyPaste(p=1.0)])(first, seeded(0), lambda _: second).truth
    assert (out.count, int(out.need("instances").sum())) == (1, 100)
    second.truth.crowd = torch.tensor([True])
    first.truth.crowd = torch.tensor([False])
    out = Pipeline([CopyPaste(p=1.0)])(first, seeded(0), lambda _: second).truth
    assert (out.count, int(out.need("instances").sum())) == (1, 9)


def test_rectangles_have_the_published_areas() -> None:
    """A square of area a uniform in (0, 1) has side s = sqrt(a); its center is uniform, and parts outside are cut.

    Its mean length along an axis is s - s^2 / 4, so the mean area inside is E[(s - s^2 / 4)^2] = 1/2 - 1/5 + 1/48.
    """
    black, white = (
        Sample(torch.full((1, 40, 40), value), Annotation((40, 40)), Frame("x", (40, 40))) for value in (0.0, 1.0)
    )
    generator, pipeline = seeded(0), Pipeline([CutMix(p=0.5)])
    areas = torch.stack([pipeline(black, generator, lambda _: white).image.mean() for _ in range(1500)])
    used = areas[areas > 0]
    assert abs(len(used) / 1500 - 0.5) < 0.04
    assert abs(used.mean() - (1 / 2 - 1 / 5 + 1 / 48)) < 0.025


def test_objects_are_pasted_with_the_probabilities_asked_for() -> None:
    generator, (under, over) = seeded(1), (DATA[0], DATA[7])
    pipeline = Pipeline([CopyPaste(p=0.5, share=0.25)])
    pasted = [pipeline(over, generator, lambda _: under).truth.need("instances") for _ in range(200)]
    changed = [not torch.equal(one, over.truth.need("instances")) for one in pasted]
    assert abs(sum(changed) / 200 - 0.5) < 0.11


def test_half_of_the_classes_are_taken_and_void_never() -> None:
    labels = torch.tensor([[1, 2, 3, 4, 5, VOID]], dtype=torch.uint8)
    over = Sample(torch.ones(1, 1, 6), Annotation((1, 6), semantic=labels), Frame("x", (1, 6)))
    under = Sample(
        torch.zeros(1, 1, 6), Annotation((1, 6), semantic=torch.zeros(1, 6, dtype=torch.uint8)), Frame("x", (1, 6))
    )
    for seed in range(10):
        out = Pipeline([ClassMix(p=1.0)])(under, seeded(seed), lambda _: over)
        assert (out.image.sum(), out.image[0, 0, 5]) == (3, 0)


def test_the_other_image_passes_through_the_transforms_before() -> None:
    pipeline = Pipeline([Crop((32, 48)), Flip(1.0), CutMix(p=1.0)], DATA.info.mirrored)
    out = pipeline(DATA[0], seeded(0), another)
    assert out.truth.size == (32, 48)
    flipped = Pipeline([Flip(1.0), ClassMix(p=1.0)])(marked(0, 0), seeded(3), lambda _: marked(7, 100))
    taken = flipped.image[0] > 100 / 255
    assert torch.equal(flipped.image[0][taken], marked(7, 100).image[0].flip(-1)[taken])


def test_samples_of_other_sizes_and_depths_mix() -> None:
    small = Shapes(split="train", size=(40, 100))[0]
    floats = Sample(small.image.float() / 255, small.truth, small.frame)
    for transform in EVERY:
        out = Pipeline([transform])(DATA[0], seeded(1), lambda _: floats)
        assert out.truth.size == (61, 83)
        assert out.image.max() <= 1
        assert out.truth.need("semantic").shape == (61, 83)


def test_what_cannot_be_mixed_is_refused() -> None:
    boxes = Sample(torch.zeros(1, 9, 9), Annotation((9, 9), boxes=torch.ones(1, 4)), Frame("x", (9, 9)))
    with pytest.raises(UserError, match="needs a map of instance ids"):
        Pipeline([CopyPaste()])(boxes, seeded(0), lambda _: boxes)
    with pytest.raises(UserError, match="boxes without a map of instance ids"):
        Pipeline([CutMix(p=1.0)])(boxes, seeded(0), lambda _: boxes)
    with pytest.raises(UserError, match="needs class maps"):
        Pipeline([ClassMix()])(boxes, seeded(0), lambda _: boxes)
    with pytest.raises(UserError, match=r"transform\.train alone"):
        Pipeline([CutMix()])(DATA[0], seeded(0))
    node = {"_target_": "densepred.transform.cutmix.CutMix"}
    with pytest.raises(UserError, match=r"transform\.valid: CutMix mixes training samples"):
        parts.pipeline([node], DATA.info, "valid")
    with pytest.raises(UserError, match="share 0"):
        CopyPaste(share=0)
