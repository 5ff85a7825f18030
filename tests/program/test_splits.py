"""Splits from the command line: refused overlaps, random splits that stay, predictions of a split, home folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests import forked
from tests.dataset.files import write

RANDOM = np.random.default_rng(0)
WORDS = ("model=unet", "encoder.widths=[4,8]", "data.workers=0", "data.batch_size=4", "trainer.max_steps=1")
WORDS += (
    "dataset=folder",
    "dataset.images=images",
    "dataset.masks=masks",
    "trainer.pictures=0",
    "dataset.root=~/2018_05",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number in range(20):
        write(tmp_path / f"2018_05/images/{number}.png", RANDOM.integers(0, 256, (16, 16, 3), np.uint8))
        write(tmp_path / f"2018_05/masks/{number}.png", RANDOM.integers(0, 2, (16, 16), np.uint8))
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_random_split_is_kept_recorded_and_predicted(home: Path) -> None:
    here = home / "here"
    code, _, err = forked.run("train", *WORDS, folder=here)
    assert code == 2
    assert "20 of the 20 images of valid are also in train" in err
    splits = "dataset.splits={train: 0.7, val: 0.3}"
    code, _, err = forked.run("train", *WORDS, splits, "hydra.run.dir=~/runs/a", folder=here)
    assert code == 0, err
    recorded = json.loads((home / "runs/a/splits.json").read_text())["splits"]
    names = recorded["valid"]["names"]
    code, out, err = forked.run("predict", "ckpt=~/runs/a", "split=val", "output=~/out", folder=here)
    assert code == 0, err
    assert out.startswith(f"{len(names)} of {len(names)} images predicted")
    found = sorted(path.stem for path in (home / "out/labels").rglob("*.png"))
    assert found == sorted(Path(name).stem for name in names)

    for kind in ("images", "masks"):
        (home / "2018_05" / kind / Path(names[0]).name).unlink()
    code, out, err = forked.run("eval", "ckpt=~/runs/a", "output=~/scores", "data.workers=0", folder=here)
    assert code == 0, err
    assert f"the valid split had {len(names)} images and has {len(names) - 1} (0 new, 1 gone)" in err
    assert "were trained on" not in err
    assert not [path for path in home.rglob("*") if path.name.startswith("~")]


def test_a_folder_named_by_a_number_is_found(home: Path) -> None:
    words = [word for word in WORDS if not word.startswith("dataset.root")]
    splits = "dataset.splits={train: 0.7, valid: 0.3}"
    code, _, err = forked.run("train", *words, "dataset.root=2018_05", splits, "hydra.run.dir=2019", folder=home)
    assert code == 0, err
    assert (home / "2019/splits.json").is_file()
    code, _, err = forked.run("predict", "ckpt=2019", "input=2018_05/images", "scales=[]", folder=home)
    assert (code, err) == (2, "error: scales: []; give at least one size of the image, such as 'scales=[1.0]'\n")
    code, _, err = forked.run("predict", "ckpt=2019", "split=valid", "output=~nobody_here/x", folder=home)
    assert code == 2
    assert err.count("\n") == 1
    assert "~nobody_here is the home of no user" in err


def test_test_images_that_a_run_did_not_record_are_those_of_its_dataset(home: Path) -> None:
    root = home / "own"
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        for number in range(count):
            write(root / f"images/{split}/{number}.png", RANDOM.integers(0, 256, (16, 16, 3), np.uint8))
            write(root / f"masks/{split}/{number}.png", RANDOM.integers(0, 2, (16, 16), np.uint8))
    words = [word for word in WORDS if not word.startswith(("dataset.images", "dataset.masks", "dataset.root"))]
    code, _, err = forked.run("train", *words, "dataset.root=own", "hydra.run.dir=run", folder=home)
    assert code == 0, err
    assert "test" not in json.loads((home / "run/splits.json").read_text())["splits"]
    code, out, err = forked.run("predict", "ckpt=../run", "split=test", "output=out", folder=home / "here")
    assert code == 0, err
    assert out.startswith("3 of 3 images predicted")
    assert f"did not record it; 3 images of its dataset are predicted, below {root}" in err
    root.rename(home / "moved")
    code, out, err = forked.run(
        "predict", "ckpt=../run", "split=test", "output=moved", "input=../moved", folder=home / "here"
    )
    assert code == 0, err
    assert out.startswith("3 of 3 images predicted")
    code, _, err = forked.run("predict", "ckpt=../run", "split=test", "output=gone", folder=home / "here")
    assert code == 2
    assert "run/splits.json has train, valid, and of its dataset " in err
    assert err.rstrip().endswith("or give input=FOLDER")
