"""Files that cannot be read with `data.on_bad=skip`: left out of training, refused in validation."""

from __future__ import annotations

import pytest
import torch

from densepred.contracts import Codec, Dataset
from densepred.errors import MachineError, UserError
from densepred.jobs import readable
from densepred.jobs.class_weights import class_counts, median_frequency
from densepred.jobs.content import missing
from densepred.jobs.measured import measure
from densepred.loader.loaders import EvaluationLoader
from densepred.loader.samples import EvaluationSamples
from densepred.settings import DataSettings
from densepred.types import Annotation, Frame, Info, Sample
from tests.loader.test_loaders import Copy

CPU = torch.device("cpu")


class Damaged(Dataset):
    """Class maps that hold their index, of which some cannot be read."""

    def __init__(self, bad: set[int], count: int = 6, error: type[UserError] = UserError) -> None:
        self.bad, self.count, self.error = bad, count, error
        self.info = Info(tuple("abcdef"))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        if index in self.bad:
            raise self.error(f"{index}.png: is cut; replace it")
        labels = torch.full((2, 2 + index), index, dtype=torch.uint8)
        return Sample(
            torch.zeros(3, 2, 2 + index), Annotation((2, 2 + index), semantic=labels), Frame(str(index), (2, 2))
        )


def settings(on_bad: str, workers: int = 0) -> DataSettings:
    return DataSettings(on_bad=on_bad, workers=workers)


@pytest.mark.parametrize("workers", [0, 2])
def test_validation_images_that_cannot_be_read_are_refused_before_training(workers: int) -> None:
    with pytest.raises(UserError, match=r"^data\.on_bad=skip: 5 of 6 validation images cannot be read") as raised:
        readable.require(Damaged({0, 2, 3, 4, 5}), settings("skip", workers), CPU, False)
    assert str(raised.value).endswith(
        "0.png: is cut; replace it; 2.png: is cut; replace it; 3.png: is cut; replace it; and 2 more"
    )


def test_nothing_is_read_without_the_key_and_when_a_run_goes_on() -> None:
    readable.require(Damaged({1}), settings("error"), CPU, False)
    readable.require(Damaged({1}), settings("skip"), CPU, True)
    readable.require(Damaged(set()), settings("skip"), CPU, False)


def test_a_validation_image_that_is_damaged_later_names_what_the_key_covers() -> None:
    samples = EvaluationSamples(Damaged({1}), lambda sample, _: sample, Copy())  # type: ignore[arg-type]
    skipping = EvaluationLoader(samples, 1, 0, 10, False, skip_bad=True)
    with pytest.raises(
        UserError, match=r"^data\.on_bad=skip: this key leaves out training images alone; 1\.png: is cut"
    ):
        list(skipping)
    with pytest.raises(UserError, match=r"^1\.png: is cut"):
        list(EvaluationLoader(samples, 1, 0, 10, False))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_machine_is_none_of_an_image(workers: int) -> None:
    data = Damaged({1}, error=MachineError)
    samples = EvaluationSamples(data, lambda sample, _: sample, Copy())  # type: ignore[arg-type]
    for read in (
        lambda: list(EvaluationLoader(samples, 1, workers, 10, False, skip_bad=True)),
        lambda: readable.require(data, settings("skip", workers), CPU, False),
    ):
        with pytest.raises(MachineError, match=r"^1\.png: is cut; replace it$"):
            read()


def test_frequencies_and_sizes_leave_out_what_training_leaves_out() -> None:
    whole, cut = Damaged(set(), 5), Damaged({5})
    for ours, theirs in zip(class_counts(cut, skip_bad=True), class_counts(whole), strict=True):
        assert torch.equal(ours[:5], theirs)
        assert not ours[5:].any()
    assert torch.equal(median_frequency(*class_counts(cut, True)), median_frequency(*class_counts(whole)))
    assert measure(cut, skip_bad=True) == measure(whole)
    for call in (class_counts, measure):
        with pytest.raises(UserError, match="is cut"):
            call(cut)
        with pytest.raises(MachineError):
            call(Damaged({5}, error=MachineError), skip_bad=True)


class Semantic(Codec):
    required = ("semantic",)


def test_content_is_looked_for_behind_files_that_cannot_be_read() -> None:
    empty = Damaged({0, 1}, 4)
    empty.info = Info(("background", "a", "b", "c"))
    assert missing(empty, Semantic) is None  # type: ignore[arg-type]
    empty.bad = {1, 2, 3}
    assert str(missing(empty, Semantic)).startswith("none of its 1 samples holds a pixel")  # type: ignore[arg-type]
    empty.bad = {0, 1, 2, 3}
    assert missing(empty, Semantic) is None  # type: ignore[arg-type]
