"""`~` in every kind of path: the home folder, and never a folder of that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from densepred.cli import command, flags
from densepred.cli.inherit import inherited
from densepred.cli.typed import Typed
from densepred.dataset.voc import Voc
from tests import forked, running
from tests.dataset import voc_tree
from tests.dataset.files import write
from tests.running import TINY


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    return tmp_path


@pytest.mark.slow
def test_a_run_a_sweep_and_predictions_stand_in_the_home_folder(home: Path) -> None:
    here = home / "here"
    (home / "mine/optimizer").mkdir(parents=True)
    (home / "mine/optimizer/fast.yaml").write_text("# mine\ndefaults: [adamw]\nlr: 0.5\n")
    words = (*TINY, "trainer.max_steps=1", "hydra.sweep.dir=~/sweep", "--config-dir=~/mine", "optimizer=fast")
    code, out, err = forked.run("train", "--multirun", "seed=1", *words, folder=here)
    assert code == 0, out + err
    assert "lr: 0.5" in (home / "sweep/0/config.yaml").read_text()
    assert not (home / "sweep/multirun.yaml").exists()

    write(home / "in/5.png", np.zeros((24, 32, 3), np.uint8))
    given = ("ckpt=~/sweep/0", "input=~/in", "output=~/out")
    code, out, err = forked.run("predict", *given, folder=here)
    assert code == 0, err
    assert (home / "out/labels/5.png").is_file()

    assert list(here.iterdir()) == []


@pytest.mark.slow
def test_all_jobs_of_a_sweep_may_be_refused(home: Path) -> None:
    words = ("dataset=folder", "dataset.root=~/a,~/b", "hydra.sweep.dir=~/sweep")
    code, out, err = forked.run("train", "--multirun", *words, folder=home / "here")
    assert code == 2
    assert err.splitlines() == [
        f"error: dataset.root: ~/a is no folder (from {home / 'here'}); give the folder of the dataset",
        f"error: dataset.root: ~/b is no folder (from {home / 'here'}); give the folder of the dataset",
        "error: 2 of 2 jobs failed; see the table and messages above, and train.log if it stayed",
    ]
    assert "'~/b'  exit 2" in out
    assert (home / "sweep/table.md").is_file()
    assert list((home / "here").iterdir()) == []


def test_a_run_to_start_from_stands_in_the_home_folder(home: Path) -> None:
    running.train(home / "first", "trainer.max_steps=1", "encoder.widths=[4,8]")
    typed = Typed("train", command.configs(), ["weights.init=~/first"])
    assert inherited(typed) == inherited(Typed("train", command.configs(), [f"weights.init={home / 'first'}"]))
    assert "encoder.widths=[4,8]" in inherited(typed)
    for key in ("init", "encoder", "model"):
        assert running.train(home / key, "trainer.max_steps=1", f"weights.{key}='~/first'") == 0


def test_flags_and_masks_of_voc(home: Path) -> None:
    assert flags.at_home(["-cd", "~/a", "--config-dir=~/b", "x=~"]) == [
        "-cd",
        f"{home}/a",
        f"--config-dir={home}/b",
        "x=~",
    ]
    voc_tree.tree(home / "voc", "train")
    (home / "voc/SegmentationClass").rename(home / "masks")
    assert Voc(str(home / "voc"), "train", masks="~/masks")[0].truth.semantic is not None
