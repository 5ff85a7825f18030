"""densepred-predict: which images it takes and where their results go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from densepred import predict
from densepred.commands import convert
from densepred.errors import Notice, UserError
from densepred.results import predicting
from densepred.types import Annotation
from tests import running
from tests.conftest import composed
from tests.dataset.files import write


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "b.png"], ["a", "b"]),
        (["a.jpg", "a.png"], ["a.jpg", "a.png"]),
        (["a.jpg", "a.jpg.tif"], ["a", "a.jpg"]),
        (["a.jpg", "a.png", "a.jpg.tif"], ["a.jpg", "a.png", "a.jpg.tif"]),
        (["a.jpg", "a.png", "a.jpg.tif", "a.jpg.tif.png"], ["a.jpg", "a.png", "a.jpg.tif", "a.jpg.tif.png"]),
        (["A.jpg", "a.png", "s/a.png"], ["A.jpg", "a.png", "s/a"]),
        (["e\u0301.jpg", "\u00e9.png"], ["e\u0301.jpg", "\u00e9.png"]),
    ],
)
def test_no_two_images_share_the_path_of_their_results(tmp_path: Path, names: list[str], expected: list[str]) -> None:
    found = predict.destinations([tmp_path / name for name in names], tmp_path, tmp_path / "out")
    assert [place.as_posix() for place in found] == expected


class OutOfMemoryError(RuntimeError):
    """Stands for torch's, which has this name."""


def test_results_of_a_former_command_are_named_and_not_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running.train(tmp_path / "run", "trainer.max_steps=1")
    write(tmp_path / "in/a.png", np.zeros((16, 20, 3), np.uint8))
    words = (f"ckpt={tmp_path / 'run'}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    assert predict.predict(composed(*words, "probabilities=true", name="predict")) == 0
    other = {"images": [], "categories": []}
    for name, values in {"images": other, "instances": []}.items():  # as of another checkpoint
        (tmp_path / f"out/{name}.json").write_text(json.dumps(values))
    told = "out: probabilities, images.json, instances.json: not of this command, and kept; remove them, or choose ano"
    with pytest.warns(Notice, match=told):
        predict.predict(composed(*words, name="predict"))
    assert json.loads((tmp_path / "out/predict.json").read_text())["written"] == ["labels", "overlays"]
    capsys.readouterr()
    words = (f"input={tmp_path / 'out'}", f"output={tmp_path / 'a.json'}", "form=coco")
    assert convert.convert(composed(*words, name="convert")) == 0
    assert "class maps: one region per class and image" in capsys.readouterr().out


def test_an_image_that_does_not_fit_into_memory_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running.train(tmp_path / "run", "trainer.max_steps=1")
    for number in range(3):
        values = np.full((16 + number, 20, 3), number, np.uint8)
        write(tmp_path / f"in/{number}.png", values)
    found = predicting.one

    def full(model: Any, pixels: Any, settings: Any, boxes: Any) -> Annotation:
        if pixels.shape[1] == 17:
            raise OutOfMemoryError("CUDA out of memory")
        return found(model, pixels, settings, boxes)

    monkeypatch.setattr(predicting, "one", full)
    words = (f"ckpt={tmp_path / 'run'}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    assert predict.predict(composed(*words, name="predict")) == 4
    assert "1.png: memory ran out; try tile=512" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "out/labels").iterdir()) == ["0.png", "2.png"]
    record = json.loads((tmp_path / "out/predict.json").read_text())
    assert record["input"] == str(tmp_path / "in")

    with pytest.warns(Notice, match="former predictions are replaced"):
        predict.predict(composed(*words, name="predict"))
    other = (words[0], f"input={tmp_path / 'in/0.png'}", words[2])
    with pytest.raises(UserError, match=r"holds predictions of ckpt=.* input=.*; choose another output, or type overw"):
        predict.predict(composed(*other, name="predict"))
    with pytest.warns(Notice, match="former predictions are replaced"):
        assert predict.predict(composed(*other, "overwrite=true", name="predict")) == 0
    (tmp_path / "out/predict.json").unlink()
    with pytest.raises(UserError, match=r"holds labels, overlays without predict\.json"):
        predict.predict(composed(*words, name="predict"))
    # Results below the input are no images of the next run
    inside = (words[0], words[1], f"output={tmp_path / 'in/out'}")
    for _ in range(2):
        predict.predict(composed(*inside, name="predict"))
    again = (words[0], words[1], f"output={tmp_path / 'in/again'}")
    with pytest.warns(Notice, match=r"frames=true: has no effect: .*in holds images, whose files are written anyway"):
        predict.predict(composed(*again, "frames=true", name="predict"))
    with pytest.warns(Notice, match=r"threshold=0\.9: has no effect: this model predicts nothing with a score"):
        predict.predict(composed(*again, "threshold=0.9", name="predict"))
    assert len(list((tmp_path / "in/again/labels").iterdir())) == 2


def test_an_error_of_all_images_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    running.train(tmp_path / "run", "trainer.max_steps=1")
    for number in range(3):
        write(tmp_path / f"in/{number}.png", np.zeros((16, 20, 3), np.uint8))

    def refused(*given: Any) -> Annotation:
        raise UserError("m.onnx: made for images of 8x8; type tile=8")

    monkeypatch.setattr(predicting, "one", refused)
    words = (f"ckpt={tmp_path / 'run'}", f"input={tmp_path / 'in'}", f"output={tmp_path / 'out'}")
    with pytest.raises(UserError, match="none of 3 images"):
        predict.predict(composed(*words, name="predict"))
    assert capsys.readouterr().err.splitlines() == ["error: m.onnx: made for images of 8x8; type tile=8 (3 images)"]
