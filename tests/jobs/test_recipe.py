from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from densepred.cli import compose
from densepred.contracts import Dataset
from densepred.errors import Notice
from densepred.jobs import parts, preparing, recipe
from densepred.jobs.measured import Measured, measure
from densepred.types import Annotation, Frame, Info, Sample
from tests import cases, forked
from tests.conftest import composed

LIGHT = ("encoder.pretrained=false", "trainer.max_steps=2", "trainer.pictures=0", "data.workers=0", "decoder.width=8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Folder of three training images and one for validation, 45 x 70."""
    drawn = np.random.default_rng(0)
    for split, count in {"train": 3, "val": 1}.items():
        for kind in ("images", "masks"):
            (tmp_path / kind / split).mkdir(parents=True)
        for i in range(count):
            mask = np.zeros((45, 70), np.uint8)
            mask[10:30, 20:50] = 1
            noise = drawn.integers(0, 99, (45, 70, 3), np.uint8)
            Image.fromarray(noise + 99 * mask[..., None]).save(tmp_path / "images" / split / f"{i}.png")
            Image.fromarray(mask).save(tmp_path / "masks" / split / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize("name", cases.few(["finetune", "binary"], ["finetune"]))
def test_a_recipe_trains_and_prints_its_choices(name: str, root: Path) -> None:
    code, out, errors = forked.run("train", f"recipe={name}", f"dataset.root={root}", *LIGHT, folder=root)
    assert code == 0, errors
    assert f"recipe={name}: data.crop=[32,64]: sides of 3 training images are at least 45 and 70" in errors
    assert f"recipe={name}: data.batch_size=3: there are 3 training images" in errors
    assert "trainer.epochs" not in errors  # a length is typed
    assert "2 steps" in out + errors


def test_what_is_typed_wins(root: Path) -> None:
    words = ("data.crop=[32,32]", "data.batch_size=2", "trainer.valid_every=5")
    code, _, errors = forked.run("train", "recipe=finetune", f"dataset.root={root}", *LIGHT, *words, folder=root)
    assert code == 0, errors
    assert "note: recipe" not in errors


def test_a_recipe_and_an_experiment_are_refused(root: Path) -> None:
    code, _, errors = forked.run(
        "train", "recipe=finetune", "experiment=camvid_unet", f"dataset.root={root}", folder=root
    )
    assert code == 2
    assert "recipe=finetune and experiment=camvid_unet" in errors
    assert "choose one" in errors


@pytest.mark.parametrize(
    ("images", "batch", "epochs"),
    [
        (367, 8, 40),  # 46 steps per epoch
        (3, 3, 1000),
        (20, 8, 334),  # 3 steps: 1000 are no multiple of it
        (80_000, 8, 2),  # 10000 steps
        (1_000_000, 8, 1),  # an epoch has more than 20000 steps
    ],
)
def test_the_length_follows_the_number_of_images(images: int, batch: int, epochs: int) -> None:
    assert recipe.length(images, batch) == (epochs, epochs * -(-images // batch))


@pytest.mark.parametrize(
    ("images", "typed", "dropped"),
    [
        (9, set(), True),  # every second step would see one image
        (12, set(), None),  # half a batch is kept
        (15, set(), None),
        (5, set(), None),  # one batch of all images
        (9, {"data.drop_last"}, None),
    ],
)
def test_a_small_rest_of_an_epoch_makes_no_batch_of_its_own(images: int, typed: set[str], dropped: bool | None) -> None:
    config = composed("recipe=finetune", "dataset.root=data")
    found = {choice.key: choice.value for choice in recipe._lengths(config, typed, images, "images")}
    assert found.get("data.drop_last") == dropped
    assert found["trainer.epochs"] == {9: 1000 if dropped else 500, 12: 500, 15: 500, 5: 1000}[images]


def test_crops_are_multiples_of_the_stride_within_the_smallest_image() -> None:
    found = [(500, 300), (333, 900)]
    assert recipe.crop(found, accelerator=False, task="panoptic").value == [256, 256]
    assert recipe.crop(found, accelerator=False, task="semantic").value == [192, 192]
    assert recipe.crop(found, accelerator=True, task="semantic").value == [320, 288]
    assert recipe.crop([(20, 50)], accelerator=False, task="semantic").value == [32, 32]


SHAPES = ("dataset=shapes", "dataset.counts={train: 6, valid: 2, test: 1}", "dataset.size=[64,64]")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["instances", "panoptic", "detection", "pose"])
def test_recipes_of_objects_train(name: str, tmp_path: Path) -> None:
    code, out, errors = forked.run("train", f"recipe={name}", *LIGHT, *SHAPES, folder=tmp_path)
    assert code == 0, errors
    assert "2 steps" in out + errors


@pytest.mark.parametrize(
    ("name", "task", "lines"),
    [
        ("instances", "instance_center", ("task.codec.sigma=", "task.weights.offset=", "data.crop=[64,64]")),
        ("panoptic", "panoptic", ("task.codec.sigma=", "task.weights.offset=", "data.batch_size=6")),
        ("detection", "detection_fcos", ("task.codec.strides=[4,8,16,32,64]", "decoder.stride=4", "decoder.extra=1")),
        ("pose", "pose", ("data.crop=[", "trainer.epochs=")),
    ],
)
def test_what_follows_from_objects_is_set_and_printed(
    name: str, task: str, lines: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    words = (f"recipe={name}", *SHAPES)
    config = composed(*words)
    built = recipe.choose(config, {"recipe": name, "task": task}, words)
    assert built is not None
    printed = capsys.readouterr().err
    for line in lines:
        assert f"note: recipe={name}: {line}" in printed
        key, _, value = line.partition("=")
        assert OmegaConf.select(config, key) is not None
        assert not value.endswith("]") or str(OmegaConf.select(config, key)).replace(" ", "") == value
    again = recipe.choose(composed(*words), {"recipe": name, "task": task}, [line for line in lines if "=" in line])
    assert again is not None
    assert not any(line in capsys.readouterr().err for line in lines)  # what is typed stays


@pytest.mark.parametrize(
    ("images", "words", "frozen"),
    [
        (100, (), True),
        (133, (), False),
        (100, ("encoder.pretrained=false",), False),
        (100, ("encoder.pretrained=false", "weights.encoder=FILE"), True),
        (100, ("trainer.freeze=[decoder]",), False),
        (100, ("optimizer.groups={encoder: {lr: 0.3}}",), False),
        (100, ("optimizer.groups={heads.offset: {lr: 10}}",), True),
    ],
)
def test_a_pretrained_encoder_is_frozen_if_classes_outnumber_images(
    images: int, words: tuple[str, ...], frozen: bool
) -> None:
    found = recipe._frozen(composed("recipe=panoptic", *SHAPES[:1], *words), images, 133)
    assert [(choice.key, choice.value) for choice in found] == [("trainer.freeze", ["encoder"])] * frozen
    assert not frozen or "100 training images for 133 classes" in found[0].reason


def test_a_line_tells_that_no_object_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    config = composed("recipe=panoptic", *SHAPES)
    assert recipe._of_objects(config, "panoptic", Measured([(5, 5)] * 16), Cells()) == []
    assert "no object in 16 measured images; settings of task=panoptic keep" in capsys.readouterr().err
    assert recipe._of_objects(config, "semantic", Measured([(5, 5)] * 16), Cells()) == []
    assert capsys.readouterr().err == ""


def test_the_data_of_a_recipe_are_built_once(tmp_path: Path) -> None:
    """The training gets them with what was told about them, unless they are to be read in another way."""
    settings = compose.settings(composed("recipe=instances", *SHAPES))
    data = parts.dataset(settings.dataset, "train")
    built = recipe.Built(settings.dataset, data, ["three images are grey"])
    with pytest.warns(Notice, match="three images are grey"):
        train, _ = preparing.datasets(settings, built, None, tmp_path)
    assert train is data
    train, _ = preparing.datasets(settings, recipe.Built({}, data, []), None, tmp_path)
    assert train is not data


class Cells(Dataset):
    """Forty images of one cell each; one between those of the sample has 300."""

    info = Info(classes=("background", "cell"), things=(1,), provides=("semantic", "instances", "categories"))

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: int) -> Sample:
        count = 300 if index == 36 else 1
        ids = torch.arange(400, dtype=torch.int32).view(20, 20).clamp(max=count)
        truth = Annotation((20, 20), instances=ids, categories=torch.ones(count, dtype=torch.int64))
        return Sample(torch.zeros(3, 20, 20, dtype=torch.uint8), truth, Frame(str(index), (20, 20)))


def test_the_limit_of_objects_follows_from_images_beyond_the_sample() -> None:
    assert measure(Cells()).most == 1
    found = recipe._of_objects(composed("recipe=instances", *SHAPES), "instance_center", measure(Cells()), Cells())
    assert {choice.key: choice.value for choice in found}["task.codec.max_detections"] == 600
