from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.jobs import recipe
from tests import forked

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


@pytest.mark.parametrize("name", ["finetune", "binary"])
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


def test_crops_are_multiples_of_the_stride_within_the_smallest_image() -> None:
    found = [(500, 300), (333, 900)]
    assert recipe.crop(found, accelerator=False).value == [256, 256]
    assert recipe.crop(found, accelerator=True).value == [320, 288]
    assert recipe.crop([(20, 50)], accelerator=False).value == [32, 32]
