"""Images that a run leaves out are named at its end, whenever it was resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from densepred.dataset.shapes import Shapes
from densepred.errors import UserError
from densepred.rundir import schema
from densepred.types import Sample
from tests import running


def test_a_resumed_run_tells_what_was_left_out_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, bad = Shapes.__getitem__, {3}

    def damaged(self: Shapes, index: int) -> Sample:
        if self.split == "train" and index in bad:
            raise UserError(f"image {index} is damaged")
        return read(self, index)

    monkeypatch.setattr(Shapes, "__getitem__", damaged)
    words = ("data.on_bad=skip", "trainer.epochs=1", "dataset.counts={train: 10, valid: 1, test: 1}")
    assert running.train(tmp_path, *words) == 0
    bad.clear()  # as if the file had been mended
    more = ("trainer.epochs=2", "trainer.allow=[trainer.epochs]", f"trainer.resume={tmp_path}")
    assert running.train(tmp_path, *words[::2], *more) == 0
    assert (tmp_path / "train.log").read_text().count("left out: image 3 is damaged") == 2


@pytest.mark.parametrize("loader", [[], {"bad": "all"}, {"missed": 0.5}, {"bad": [1]}])
def test_a_state_of_another_form_is_refused(loader: object) -> None:
    counters = {key: dict.fromkeys(names, 0) for key, names in schema.COUNTERS.items()}
    meta = {**{key: {} for key in schema.PARTS}, **counters}
    schema.check_meta({**meta, "loader": {"bad": ["a.png: damaged"], "missed": 2}})
    with pytest.raises(UserError, match="loader is not of the expected form"):
        schema.check_meta({**meta, "loader": loader})
