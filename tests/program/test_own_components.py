"""The page on components of one's own is complete: its files and commands run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np

from tests import forked
from tests.conftest import REPOSITORY
from tests.dataset.files import write

PAGE = (REPOSITORY / "docs/own_components.md").read_text()


def test_the_files_of_the_page_train_resume_evaluate_and_predict(tmp_path: Path) -> None:
    files = re.findall(r"^```\w+ (\S+)\n(.*?)^```$", PAGE, re.S | re.M)
    assert [name for name, _ in files] == [
        "mine.py",
        "conf/dataset/stripes.yaml",
        "mine_loss.py",
        "conf/loss/smoothed.yaml",
    ]
    for name, body in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(body)
    (first,) = re.findall(r"^densepred-train (.* dataset=stripes .*)$", PAGE, re.M)
    small = ("encoder.widths=[4,8]", "data.workers=0", "trainer.pictures=0", "trainer.max_steps=4")
    code, out, err = forked.run("train", *shlex.split(first), *small, folder=tmp_path)
    assert (code, err) == (0, "")
    (evaluate,) = re.findall(r"evaluate  densepred-eval (.*)", out)
    (predict,) = re.findall(r"predict   densepred-predict (.*)", out)

    (resume,) = re.findall(r"^densepred-train (.*trainer.resume=\S+)$", PAGE, re.M)
    more = ("trainer.max_steps=6", "trainer.allow=[trainer.max_steps]")
    code, out, err = forked.run("train", *shlex.split(resume), *more, folder=tmp_path)
    assert (code, err) == (0, "")

    code, out, err = forked.run("eval", *shlex.split(evaluate), "data.workers=0", folder=tmp_path)
    assert code == 0, err
    assert "stripe" in out
    write(tmp_path / "in.png", np.zeros((32, 32, 3), np.uint8))
    typed = predict.replace("IMAGE_OR_FOLDER", "in.png")
    assert "trust" not in typed
    code, out, err = forked.run("predict", *shlex.split(typed), folder=tmp_path)
    assert (code, err) == (0, "")
    assert (tmp_path / "predictions/labels/in.png").is_file()
