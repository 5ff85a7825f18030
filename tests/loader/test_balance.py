"""`data.balance=classes`: every class is drawn as often as the others."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from densepred.contracts import Dataset
from densepred.errors import UserError
from densepred.jobs import parts
from densepred.loader.balance import ClassBalance, class_presence, labels_in
from densepred.loader.samples import TrainingSamples, stack
from densepred.settings import DataSettings
from densepred.transform.crop import Crop
from densepred.transform.cutmix import CutMix
from densepred.transform.pipeline import Pipeline
from densepred.types import VOID, Annotation, Frame, Info, Sample
from tests.loader.test_foreground import Copy

SIZE = (64, 64)


class Streets(Dataset):
    """20 images of class 0; class 1 is in half of them, class 2 in a corner of two, class 3 in none."""

    info = Info(classes=("road", "car", "bike", "tram"), palette=((0, 0, 0),) * 4)
    broken: int | None = None

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Sample:
        if index == self.broken:
            raise UserError("7.png: damaged")
        labels = torch.zeros(SIZE, dtype=torch.uint8)
        labels[-20:, -20:] = VOID
        if index % 2:
            labels[:, :16] = 1
        if index in (3, 8):
            labels[:24, :24] = 2
        return Sample(torch.zeros(3, *SIZE, dtype=torch.uint8), Annotation(SIZE, semantic=labels), Frame("x", SIZE))


def samples(size: tuple[int, int] = (32, 32), balanced: bool = True) -> TrainingSamples:
    data = Streets()
    classes = ClassBalance(class_presence(data, False)[0], 5, data.info.classes) if balanced else None
    return TrainingSamples(data, Pipeline([Crop(size)]), Copy(), 5, False, 0.0, classes)  # type: ignore[arg-type]


def test_classes_and_their_images_are_drawn_alike() -> None:
    balance = ClassBalance(class_presence(Streets(), False)[0], 1, Streets.info.classes)
    drawn = [balance.draw(epoch, index) for epoch in range(6) for index in range(500)]
    labels, images = Counter(label for _, label in drawn), Counter(image for image, label in drawn if label == 2)
    assert set(labels) == {0, 1, 2}
    assert all(abs(count - 1000) < 80 for count in labels.values())  # 3 deviations of a binomial count
    assert set(images) == {3, 8}
    assert abs(images[3] - images[8]) < 100
    assert drawn == [balance.draw(epoch, index) for epoch in range(6) for index in range(500)]
    assert drawn[:500] != drawn[500:1000]


def test_crops_hold_the_class_that_is_drawn() -> None:
    found = samples()
    assert found.balance is not None
    for index in range(60):
        item = found[(2, index)]
        assert item.targets is not None
        assert (item.targets["semantic"] == found.balance.draw(2, index)[1]).any()
        assert not item.missed


def test_a_rare_class_has_more_pixels_than_without() -> None:
    both = (samples(balanced=False), samples())
    plain, balanced = (stack([one[(0, index)] for index in range(20)]).targets["semantic"] for one in both)
    assert (balanced == 2).sum() > 2.5 * (plain == 2).sum()


def test_crops_that_miss_their_class_are_counted() -> None:
    found = samples((4, 4))
    assert found.balance is not None
    items = [found[(0, index)] for index in range(80)]
    lacking = sum(
        not (item.targets["semantic"] == found.balance.draw(0, index)[1]).any()
        for index, item in enumerate(items)
        if item.targets is not None
    )
    assert 0 < lacking == stack(items).missed


def test_one_line_names_the_rarest_first_and_what_is_never_drawn() -> None:
    line = ClassBalance(class_presence(Streets(), False)[0], 1, Streets.info.classes).describe()
    assert "one of 3 classes" in line
    assert "of 20 images have bike 2, car 10, road 20; never drawn, because no image holds them: tram" in line


def test_objects_count_where_there_is_no_class_map() -> None:
    class Boxes(Streets):
        def __getitem__(self, index: int) -> Sample:
            given = Annotation(SIZE, boxes=torch.ones(2, 4), categories=torch.tensor([index % 2, 2]))
            return Sample(torch.zeros(3, *SIZE, dtype=torch.uint8), given, Frame("x", SIZE))

    assert class_presence(Boxes(), False)[0].sum(0).tolist() == [10, 10, 20, 0]


def test_unreadable_images_are_not_drawn_if_they_may_be_skipped() -> None:
    data = Streets()
    data.broken = 7
    presence, errors = class_presence(data, True)
    assert not presence[7].any()
    assert errors == ["7.png: damaged"]
    with pytest.raises(UserError, match=r"7\.png: damaged"):
        class_presence(data, False)


def test_a_label_of_no_class_is_refused_with_its_image() -> None:
    class Strange(Streets):
        def __getitem__(self, index: int) -> Sample:
            found = super().__getitem__(index)
            found.truth.need("semantic")[0, 0] = 4
            return found

    with pytest.raises(UserError, match=r"x: label 4 is none of the 4 classes"):
        class_presence(Strange(), False)


def test_a_line_counts_the_images_that_are_never_drawn() -> None:
    class Sparse(Streets):
        def __getitem__(self, index: int) -> Sample:
            found = super().__getitem__(index)
            if index < 2:
                found.truth.need("semantic").fill_(VOID)
            return found

    class Whole(Copy):
        top_down = False

    data, codec = Sparse(), Whole()
    data.broken = 7
    settings = DataSettings(balance="classes", on_bad="skip", batch_size=5, workers=0)
    classes = parts.balance(data, settings, 0, codec)  # type: ignore[arg-type]
    assert classes is not None
    assert classes.describe().endswith("; never drawn: 2 images without a class and 1 that cannot be read")
    loader = parts.training_loader(data, Pipeline([]), codec, settings, 0, torch.device("cpu"))  # type: ignore[arg-type]
    assert list(loader.facts()) == ["left out: 7.png: damaged"]


def test_it_is_refused_without_classes_and_for_single_instances() -> None:
    class Nothing(Streets):
        def __getitem__(self, index: int) -> Sample:
            return Sample(torch.zeros(3, *SIZE, dtype=torch.uint8), Annotation(SIZE), Frame("x", SIZE))

    with pytest.raises(UserError, match="neither class maps nor objects"):
        class_presence(Nothing(), False)
    with pytest.raises(UserError, match="no training image holds a class"):
        ClassBalance(torch.zeros(3, 4, dtype=torch.bool), 0, Streets.info.classes)

    class TopDown(Copy):
        top_down = True

    with pytest.raises(UserError, match="single instances"):
        parts.balance(Streets(), DataSettings(balance="classes"), 0, TopDown())  # type: ignore[arg-type]


def test_unreadable_images_that_were_to_be_mixed_in_are_named() -> None:
    data = Streets()
    data.broken = 7
    pipeline = Pipeline([CutMix(p=1.0)])
    found = TrainingSamples(data, pipeline, Copy(), 5, True)  # type: ignore[arg-type]
    reasons = [found[(0, index)].skipped for index in range(20) if index != 7]
    assert {reason for one in reasons for reason in one} == {"7.png: damaged"}


def test_classes_of_crowds_alone_are_not_drawn() -> None:
    truth = Annotation((1, 2), boxes=torch.ones(3, 4), categories=torch.tensor([2, 0, 0]))
    truth.crowd = torch.tensor([True, False, True])
    assert labels_in(truth, Info(classes=("a", "b", "c"))).tolist() == [0]
