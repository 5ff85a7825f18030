"""Files of a large image that are written strip by strip, against those of the whole image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from densepred import predict
from densepred.engine import sliding
from densepred.errors import UserError
from densepred.predictor import Predictor
from densepred.results import by_rows
from tests import running
from tests.conftest import composed

SIZE = (70, 365)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    tmp_path = tmp_path_factory.mktemp("by_rows")
    running.train(tmp_path / "run", "trainer.max_steps=1")
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in/a.png")
    return [f"ckpt={tmp_path / 'run'}", f"input={tmp_path / 'in'}", "tile=32", "probabilities=true", "uncertainty=true"]


def results(folder: Path) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for path in sorted(folder.rglob("*.*")):
        if path.suffix in (".png", ".npy"):
            values = np.load(path) if path.suffix == ".npy" else np.asarray(Image.open(path))
            arrays[path.relative_to(folder).as_posix()] = values
    return arrays


def test_files_are_those_of_the_whole_image(tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliding, "STRIP", 3 * SIZE[1] * 7)
    written: list[Path] = []
    write: Callable[..., Any] = by_rows.write
    monkeypatch.setattr(by_rows, "write", lambda *given: (written.append(given[1]), write(*given)))
    for name in ("strips", "whole"):
        assert predict.predict(composed(*words, "flip=true", f"output={tmp_path / name}", name="predict")) == 0
        monkeypatch.setattr(Predictor, "streams", lambda self, scales=(1.0,): False)
    assert written == [Path("a")]
    strips, whole = results(tmp_path / "strips"), results(tmp_path / "whole")
    assert list(strips) == ["labels/a.png", "overlays/a.png", "probabilities/a.npy", "uncertainty/a.png"] == list(whole)
    assert len(np.unique(strips["labels/a.png"])) > 1
    assert all(np.array_equal(strips[f"{kind}/a.png"], whole[f"{kind}/a.png"]) for kind in ("labels", "overlays"))
    # Sums over classes of long and short rows are rounded differently
    name = "probabilities/a.npy"
    assert np.allclose(strips[name].astype(float), whole[name].astype(float), rtol=2e-3, atol=1e-6)
    name = "uncertainty/a.png"
    assert np.abs(strips[name].astype(int) - whole[name].astype(int)).max() <= 1
    first, second = ((tmp_path / name / "classes.json").read_text() for name in ("strips", "whole"))
    assert first == second
    assert Image.open(tmp_path / "strips/labels/a.png").getpalette() == (
        Image.open(tmp_path / "whole/labels/a.png").getpalette()
    )


def test_an_error_in_the_middle_leaves_no_file(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    strips = Predictor.strips

    def broken(*given: Any) -> Any:
        yield next(strips(*given))
        raise UserError("a.png: ends in the middle of its pixels")

    monkeypatch.setattr(Predictor, "strips", broken)
    with pytest.raises(UserError, match="none of 1 image could be predicted"):
        predict.predict(composed(*words, f"output={tmp_path / 'out'}", name="predict"))
    assert not results(tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.tmp"))
    assert not (tmp_path / "out/predict.json").exists()  # which would keep other images out
