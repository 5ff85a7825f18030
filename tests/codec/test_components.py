"""Instances encoded and decoded, and the settings of components."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from densepred.codec.components import Components
from densepred.errors import UserError
from densepred.types import VOID, Annotation, Frame, Info
from tests.codec.cells import CELLS, STREET, drawn, same, touching_discs


def whole(info: Info, **options: Any) -> Components:
    """A codec that drops no component, except by `options`."""
    return Components(info, **{"min_area": 1, **options})


def there_and_back(codec: Components, *truths: Annotation) -> list[Annotation]:
    encoded = [codec.encode(truth) for truth in truths]
    targets = {name: torch.stack([one[name] for one in encoded]) for name in encoded[0]}
    outputs = codec.perfect_outputs(targets)
    assert all(outputs[name].shape[1] == spec.channels for name, spec in codec.heads.items())
    return codec.decode(outputs, [Frame("x", truth.size) for truth in truths], align_corners=False)


def logits(labels: Tensor, classes: int, sure: float = 9.0) -> Tensor:
    return torch.nn.functional.one_hot(labels.long(), classes).movedim(-1, 0)[None].float() * sure


@pytest.mark.parametrize("size", [(61, 83), (1, 40), (120, 90)])
@pytest.mark.parametrize(
    ("info", "options"),
    [
        (CELLS, {}),
        (CELLS, {"sigmoid": True}),
        (STREET, {}),
        (CELLS, {"border": {"w0": 10, "sigma": 5}, "distance": True}),
        (STREET, {"threshold": 0.3}),
    ],
)
def test_instances_that_do_not_touch_are_recovered(info: Info, options: dict[str, Any], size: tuple[int, int]) -> None:
    truths = [drawn(seed, size, 60, info) for seed in (1, 2)]
    for found, truth in zip(there_and_back(whole(info, **options), *truths), truths, strict=True):
        assert truth.categories is not None
        assert len(truth.categories) > 2
        assert same(found, truth)
        assert found.semantic is not None
        assert found.semantic.dtype == torch.uint8
        assert truth.semantic is not None
        assert torch.equal(found.semantic, truth.semantic)
        assert found.instances is not None
        assert found.instances.dtype == torch.int32
        assert found.scores is not None
        assert found.scores.min() > 0.999
        assert found.areas is not None
        assert found.boxes is not None
        for i, (area, box) in enumerate(zip(found.areas.tolist(), found.boxes.tolist(), strict=True)):
            y, x = (found.instances == i + 1).nonzero(as_tuple=True)
            assert area == len(y)
            assert box == [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]


def recovered(truth: Annotation, found: Annotation) -> int:
    """True instances that a found one shares more than half of the union with."""
    assert truth.instances is not None
    assert found.instances is not None
    count = 0
    for i in range(1, int(truth.instances.max()) + 1):
        mask = truth.instances == i
        ids, times = found.instances[mask].unique(return_counts=True)
        other = found.instances == ids[times.argmax()]
        count += bool(ids[times.argmax()] > 0 and 2 * (mask & other).sum() > (mask | other).sum())
    return count


def test_touching_discs_are_separated_by_each_split() -> None:
    """Count how many of 400 discs in 200 touching pairs are separated."""
    count = dict.fromkeys(("none", "distance", "gap"), 0)
    for seed in range(5):
        truth = touching_discs(seed)
        for name, options in (("none", {}), ("distance", {"split": "distance"}), ("gap", {"gap": 1})):
            count[name] += recovered(truth, there_and_back(whole(CELLS, **options), truth)[0])
    assert count["none"] == 200  # the larger of each pair, which has more than half of both
    assert count["distance"] >= 396
    assert count["gap"] == 400


def test_a_gap_is_taught_and_closed_again() -> None:
    ids = np.pad(np.kron(np.arange(1, 13).reshape(3, 4), np.ones((9, 11), int)), 4).astype(np.int32)
    labels = torch.from_numpy((ids > 0).astype(np.uint8))
    truth = Annotation((35, 52), semantic=labels, instances=torch.from_numpy(ids), categories=torch.ones(12))
    codec = whole(CELLS, gap=1, border={})
    assert codec.required == ("semantic", "instances")
    targets = codec.encode(truth)
    assert (targets["semantic"] != labels).sum() == 2 * (2 * 44 + 3 * 27) - 4 * 6
    gap = (targets["semantic"] == 0) & (labels == 1)
    assert targets["semantic_weight"][gap].min() > 5  # what is cut out counts most
    assert same(there_and_back(codec, truth)[0], truth)


def test_what_is_found_lies_on_the_image_whatever_the_input_was() -> None:
    """Logits at stride 2 of an input that was shrunk to 40 x 60."""
    labels = torch.zeros(20, 30, dtype=torch.uint8)
    labels[3:9, 4:12] = 1
    labels[14:18, 20:29] = 1
    frame = Frame("x", (80, 120), ((2.0, 0.0, 0.5), (0.0, 2.0, 0.5)))
    found = whole(CELLS).decode({"semantic": logits(labels, 2)}, [frame], align_corners=False)[0]
    assert found.instances is not None
    assert found.instances.shape == (80, 120)
    assert found.areas is not None
    assert found.areas.tolist() == pytest.approx([4 * 4 * 48, 4 * 4 * 36], rel=0.03)
    shifted = Frame("x", (80, 120), ((1.0, 0.0, 7.0), (0.0, 1.0, 0.0)))
    with pytest.raises(UserError, match=r"leave crops and warps out of transform\.valid"):
        whole(CELLS).decode({"semantic": logits(labels, 2)}, [shifted], align_corners=False)


@pytest.mark.parametrize("options", [{}, {"split": "distance"}, {"gap": 1}, {"holes": 9, "min_area": 2}])
@pytest.mark.parametrize("label", [0, VOID])
def test_nothing_and_all_void_give_no_instance(label: int, options: dict[str, Any]) -> None:
    size = (7, 9)
    truth = Annotation(size, torch.full(size, label, dtype=torch.uint8), torch.zeros(size, dtype=torch.int32))
    codec = whole(CELLS, border={}, **options)
    assert (codec.encode(truth)["semantic_weight"] > 0).all() == (label == 0)
    found = there_and_back(codec, truth)[0]
    for name, shape in (("categories", (0,)), ("scores", (0,)), ("areas", (0,)), ("boxes", (0, 4))):
        assert getattr(found, name).shape == shape
    assert found.instances is not None
    assert not found.instances.any()


@pytest.mark.parametrize("options", [{}, {"split": "distance"}, {"holes": 9}])
def test_two_thousand_instances_and_single_pixels_are_counted(options: dict[str, Any]) -> None:
    ids = np.zeros((160, 200), np.int32)
    ids[::4, ::4] = np.arange(1, 2001).reshape(40, 50)
    ids[1::4, ::4] = np.where(np.arange(40)[:, None] % 2, ids[::4, ::4], 0)
    truth = Annotation((160, 200), torch.from_numpy((ids > 0).astype(np.uint8)), torch.from_numpy(ids))
    found = there_and_back(whole(CELLS, **options), truth)[0]
    assert found.areas is not None
    assert sorted(found.areas.tolist()) == [1.0] * 1000 + [2.0] * 1000
    few = there_and_back(whole(CELLS, min_area=2, **options), truth)[0]
    assert few.areas is not None
    assert few.areas.tolist() == [2.0] * 1000
    assert few.semantic is not None
    assert few.semantic.sum() == 2000  # what is dropped is ground again


def test_holes_are_filled_up_to_their_size() -> None:
    labels = torch.zeros(12, 20, dtype=torch.uint8)
    labels[1:11, 1:19] = 1
    labels[3:5, 3:5] = 0  # four pixels
    labels[3:8, 9:15] = 0
    labels[5, 11] = 3  # a bus within a hole

    def found(holes: int) -> Annotation:
        return whole(STREET, holes=holes).decode({"semantic": logits(labels, 4)}, [Frame("x", (12, 20))], False)[0]

    areas = [found(holes).areas.tolist() for holes in (0, 3, 4, 100)]  # type: ignore[union-attr]
    assert areas == [[146, 1], [146, 1], [150, 1], [179, 1]]
    filled = found(100).semantic
    assert filled is not None
    assert filled[5, 11] == 3
    assert filled[4, 10] == 1


@pytest.mark.parametrize(("outer", "inner"), [(1, 3), (3, 1)])
def test_a_hole_is_filled_by_the_thing_around_it(outer: int, inner: int) -> None:
    labels = torch.zeros(11, 11, dtype=torch.uint8)
    labels[1:10, 1:10] = outer
    labels[2:9, 2:9] = 0
    labels[3:8, 3:8] = inner
    labels[5, 5] = 0
    (found,) = whole(STREET, holes=99).decode({"semantic": logits(labels, 4)}, [Frame("x", (11, 11))], False)
    areas = dict(zip(found.need("categories").tolist(), found.need("areas").tolist(), strict=True))
    assert areas == {outer: 81 - 25, inner: 25}
    assert found.need("scores").isfinite().all()
    assert (found.need("semantic")[3:8, 3:8] == inner).all()


def test_what_is_dropped_becomes_the_likeliest_of_what_is_no_thing() -> None:
    labels = torch.full((6, 6), 2, dtype=torch.uint8)
    labels[2, 2] = 3
    scores = logits(labels, 4)
    scores[0, 2, 2, 2], scores[0, 0, 2, 2] = 1.0, 0.5  # sky before road
    found = whole(STREET, min_area=2).decode({"semantic": scores}, [Frame("x", (6, 6))], False)[0]
    assert found.semantic is not None
    assert (found.semantic == 2).all()
    cells = Info(classes=("a", "b"), things=(0, 1), provides=("semantic",))
    all_things = whole(cells, min_area=99).decode({"semantic": scores[:, 2:]}, [Frame("x", (6, 6))], False)[0]
    assert all_things.semantic is not None
    assert all_things.semantic[2, 2] == 1


def test_threshold_and_scores_are_of_probabilities() -> None:
    chance = torch.tensor([[0.2, 0.45, 0.9, 0.1, 0.3]])
    scores = torch.stack((1 - chance, chance))[None].log()
    for threshold, wanted in ((0.5, [0.9]), (0.4, [0.675]), (0.15, [(0.2 + 0.45 + 0.9) / 3, 0.3])):
        found = whole(CELLS, threshold=threshold).decode({"semantic": scores}, [Frame("x", (1, 5))], False)[0]
        assert found.scores is not None
        assert found.scores.tolist() == pytest.approx(wanted, abs=1e-6)


def test_foreground_is_where_things_together_are_likely() -> None:
    chance = torch.tensor([0.4, 0.3, 0.0, 0.3]).reshape(1, 4, 1, 1)
    found = whole(STREET).decode({"semantic": chance.log().clamp(min=-99)}, [Frame("x", (1, 1))], False)[0]
    assert found.categories is not None
    assert found.categories.tolist() == [1]


def test_connectivity_of_eight_connects_corners() -> None:
    scores = logits(torch.eye(5, dtype=torch.uint8), 2)
    for connectivity, count in ((4, 5), (8, 1)):
        codec = whole(CELLS, connectivity=connectivity)
        found = codec.decode({"semantic": scores}, [Frame("x", (5, 5))], False)[0]
        assert found.categories is not None
        assert len(found.categories) == count


def test_without_things_all_classes_but_the_first_come_in_parts() -> None:
    info = Info(classes=("membrane", "cell", "vessel"))
    labels = torch.tensor([[1, 0, 1, 2, 2]], dtype=torch.uint8)
    found = there_and_back(whole(info), Annotation((1, 5), semantic=labels))[0]
    assert found.instances is not None
    assert found.instances.tolist() == [[1, 0, 2, 3, 3]]
    assert found.categories is not None
    assert found.categories.tolist() == [1, 1, 2]


def test_probabilities_come_when_asked_for_and_one_channel_is_as_two() -> None:
    two = torch.randn(2, 2, 9, 11)
    frames = [Frame("x", (17, 21))] * 2
    pair = whole(CELLS).decode({"semantic": two}, frames, True, probabilities=True)
    single = whole(CELLS, sigmoid=True).decode({"semantic": two[:, 1:] - two[:, :1]}, frames, True)
    for one, other in zip(pair, single, strict=True):
        assert one.probabilities is not None
        assert torch.allclose(one.probabilities.sum(0), torch.ones(17, 21), atol=1e-6)
        assert one.instances is not None
        assert other.instances is not None
        assert torch.equal(one.instances, other.instances)
        assert other.probabilities is None


@pytest.mark.parametrize(
    ("info", "options", "words"),
    [
        (Info(classes=("a",)), {}, "one class; instances need background"),
        (STREET, {"sigmoid": True}, r"task\.codec\.sigmoid=true"),
        (CELLS, {"split": "watershed"}, r"task\.codec\.split: watershed; .*choose one of none, distance"),
        (CELLS, {"threshold": 0.0}, r"task\.codec\.threshold: 0\.0; give"),
        (CELLS, {"split_ratio": 1.5}, r"task\.codec\.split_ratio: 1\.5; give"),
        (CELLS, {"holes": -1}, r"task\.codec\.holes: -1; give"),
        (CELLS, {"gap": -1}, r"task\.codec\.gap: -1; give"),
        (CELLS, {"min_area": 0}, r"task\.codec\.min_area: 0; give"),
        (CELLS, {"connectivity": 6}, r"task\.codec\.connectivity: 6; give 4 or 8"),
        (Info(classes=("a", "b"), things=(0, 1)), {"gap": 1}, r"task\.codec\.gap: 1: every class is a thing"),
    ],
)
def test_wrong_settings_are_refused_by_a_sentence(info: Info, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        whole(info, **options)


def test_specks_are_no_instances_by_default() -> None:
    labels = torch.zeros(20, 20, dtype=torch.uint8)
    labels[2, 2] = labels[5, 5:9] = labels[10, 5:10] = 1  # 1, 4 and 5 pixels
    found = Components(CELLS).decode({"semantic": logits(labels, 2)}, [Frame("x", (20, 20))], False)[0]
    assert found.areas is not None
    assert found.areas.tolist() == [5]
    assert found.semantic is not None
    assert found.semantic.sum() == 5
