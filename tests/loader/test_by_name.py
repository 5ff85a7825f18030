"""Splits with classes and keypoints in another order are read as in training, or refused with both lists."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from densepred.cli import compose
from densepred.contracts import Dataset
from densepred.errors import Notice, UserError
from densepred.jobs import evaluation, training
from densepred.loader.by_name import matched
from densepred.rundir import splits
from densepred.rundir.folder import begun_info
from densepred.types import VOID, Annotation, Frame, Info, Sample
from densepred.weights.file import save_weights
from tests import running
from tests.conftest import composed
from tests.dataset import trees

RUN = ("dataset=coco_instances", "model=unet", "encoder.widths=[4,8]", "data.crop=[32,32]", "data.batch_size=2")
RUN += ("trainer.pictures=0", "trainer.max_steps=1", "trainer.log_every=1", "optimizer.lr=0.01")
ANIMALS = Info(classes=("void", "cat", "dog"), things=(1, 2), keypoints=("head", "tail"), provides=("semantic",))


class One(Dataset):
    """One annotated image."""

    def __init__(self, info: Info, truth: Annotation) -> None:
        self.info, self.truth = info, truth

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(torch.zeros(3, *self.truth.size), self.truth, Frame("a", self.truth.size))


def annotated() -> Annotation:
    return Annotation(
        (1, 4),
        semantic=torch.tensor([[0, 1, 2, VOID]], dtype=torch.uint8),
        categories=torch.tensor([0, 2]),
        keypoints=torch.tensor([[[1.0, 1, 2], [2, 2, 2]], [[3, 3, 2], [4, 4, 2]]]),
    )


def test_numbers_follow_the_names() -> None:
    info = Info(classes=("dog", "void", "cat"), things=(0, 2), keypoints=("tail", "head"), channels=3)
    with pytest.warns(Notice, match=r"here: keypoints tail, head matched by name with head, tail of there"):
        data = matched(One(info, annotated()), ANIMALS, ("semantic", "keypoints"), "here", "there")
    truth = data[0].truth
    assert truth.need("semantic").tolist() == [[2, 0, 1, VOID]]
    assert truth.need("categories").tolist() == [2, 1]
    assert truth.need("keypoints")[:, :, 0].tolist() == [[2, 1], [4, 3]]
    assert (data.info.classes, data.info.things, data.info.keypoints) == (
        ("void", "cat", "dog"),
        (1, 2),
        ("head", "tail"),
    )


def test_detectors_may_have_more_classes_than_a_map_holds() -> None:
    names = tuple(map(str, range(300)))
    info, given = (Info(classes=order, provides=("boxes",)) for order in (names, names[::-1]))
    truth = Annotation((1, 4), boxes=torch.zeros(3, 4), categories=torch.tensor([0, 298, 299]))
    with pytest.warns(Notice, match="matched by name"):
        data = matched(One(given, truth), info, ("boxes",), "here", "there")
    assert data[0].truth.need("categories").tolist() == [299, 1, 0]


def test_the_same_order_is_left_alone() -> None:
    data = One(ANIMALS, annotated())
    assert matched(data, ANIMALS, ("semantic", "keypoints"), "here", "there") is data
    other = One(Info(classes=("x",)), annotated())
    assert matched(other, ANIMALS, ("image",), "here", "there") is other


@pytest.mark.parametrize(
    ("given", "required", "message"),
    [
        (
            replace(ANIMALS, classes=("cat", "void", "cow")),
            ("boxes",),
            "there has the classes void, cat, dog but here has",
        ),
        (replace(ANIMALS, classes=("void", "cat"), things=(1,)), ("semantic",), "but here has void, cat; give both"),
        (replace(ANIMALS, classes=("void", "dog", "cat", "cow")), ("boxes",), "but here has void, dog, cat, cow"),
        (replace(ANIMALS, keypoints=("head",)), ("keypoints",), "there has the keypoints head, tail but here has head"),
        (Info(), ("boxes",), "but here has none; give both"),
        (
            replace(ANIMALS, classes=("class_0", "class_1")),
            ("semantic",),
            r"type 'dataset\.classes=\[void,cat,dog\]' if",
        ),
    ],
)
def test_other_names_are_refused_with_both_lists(given: Info, required: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        matched(One(given, annotated()), ANIMALS, required, "here", "there")


def test_boxes_may_be_of_fewer_classes() -> None:
    truth = Annotation((1, 4), categories=torch.tensor([0, -1]), boxes=torch.zeros(2, 4))
    with pytest.warns(Notice, match="here: classes dog matched by name with void, cat, dog of there"):
        data = matched(One(Info(classes=("dog",)), truth), ANIMALS, ("boxes", "categories"), "here", "there")
    assert data[0].truth.need("categories").tolist() == [2, -1]


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    """A tree of COCO, and the same with the categories of its validation JSON the other way round."""
    straight, turned = tmp_path / "straight", tmp_path / "turned"
    trees.draw("coco_instances", straight)
    shutil.copytree(straight, turned)
    turn(turned, "val")
    return straight, turned


def turn(root: Path, split: str) -> None:
    (path,) = root.glob(f"annotations/instances_{split}*.json")
    data = json.loads(path.read_text())
    data["categories"].reverse()
    path.write_text(json.dumps(data))


def test_training_validates_by_name(roots: tuple[Path, Path], tmp_path: Path) -> None:
    for name, root in zip("ab", roots, strict=True):
        assert training.work(running.bare_job(tmp_path / name, *RUN, f"dataset.root={root}")) == 0
    assert running.metrics(tmp_path / "a") == running.metrics(tmp_path / "b")
    assert "the validation split: classes" in (tmp_path / "b/train.log").read_text()
    first, second = (splits.read(tmp_path / name) for name in "ab")
    assert first is not None
    assert second is not None
    assert second.splits == first.splits


def test_files_and_their_description_are_those_of_the_dataset() -> None:
    class Listed(One):
        def files(self) -> list[Path]:
            return [Path("a.png")]

        def images_line(self) -> str:
            return "3 channels, 1x4 to 2x4"

    info = Info(classes=("dog", "void", "cat"), things=(0, 2))
    with pytest.warns(Notice, match="matched by name"):
        data = matched(Listed(info, annotated()), ANIMALS, ("semantic",), "here", "there")
    assert data.files() == [Path("a.png")]
    assert data.images_line() == "3 channels, 1x4 to 2x4"


def test_a_resumed_run_keeps_its_order(roots: tuple[Path, Path], tmp_path: Path) -> None:
    straight, turned = roots
    for name in "ab":
        training.work(running.bare_job(tmp_path / name, *RUN, f"dataset.root={straight}"))
    moved = straight.rename(tmp_path / "moved")
    for name, root in (("a", moved), ("b", turned)):
        root.rename(straight)
        if name == "b":
            turn(straight, "train")
            for file in (tmp_path / name).glob("*.safetensors"):
                file.unlink()  # the checkpoint tells the order too
        again = (f"trainer.resume={tmp_path / name}", "trainer.max_steps=3", "trainer.allow=[trainer]")
        words = [word for word in RUN if not word.startswith("trainer.max_steps")]
        assert training.work(running.bare_job(tmp_path / name, *words, f"dataset.root={straight}", *again)) == 0
        straight.rename(moved if name == "a" else turned)
    assert running.metrics(tmp_path / "a") == running.metrics(tmp_path / "b")
    assert "the training split: classes" in (tmp_path / "b/train.log").read_text()


def test_the_order_comes_from_any_file_of_the_run_and_is_never_guessed(tmp_path: Path) -> None:
    assert begun_info(tmp_path) is None
    state = tmp_path / "checkpoints/3/state.json"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"info": {"classes": ["a"]}}))
    assert begun_info(tmp_path) == {"classes": ["a"]}
    state.write_text("{}")  # as former runs wrote it
    with pytest.raises(UserError, match="neither its checkpoints nor last"):
        begun_info(tmp_path)
    save_weights(tmp_path / "best.safetensors", {}, {"format": 1, "info": {"classes": ["b"]}, "model": {}, "task": {}})
    assert begun_info(tmp_path) == {"classes": ["b"]}


def test_a_checkpoint_is_evaluated_by_name(roots: tuple[Path, Path], tmp_path: Path) -> None:
    training.work(running.bare_job(tmp_path / "run", *RUN, f"dataset.root={roots[0]}"))
    found = []
    for name, root in zip("ab", roots, strict=True):
        words = (f"ckpt={tmp_path / 'run'}", "dataset=coco_instances", f"dataset.root={root}", "data.workers=0")
        settings = compose.settings(composed(*words, name="eval"))
        evaluation.work(evaluation.EvaluationJob(settings, tmp_path / name))
        found.append(json.loads((tmp_path / name / "metrics.json").read_text())["metrics"])
    assert found[0] == found[1]
