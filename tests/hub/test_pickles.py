"""Files of several sets of tensors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from densepred.errors import Notice
from densepred.hub import pickles


def test_the_sets_beside_the_one_that_is_taken_are_named(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "a.pth"
    torch.save({"state_dict": {"w": torch.zeros(1)}, "state_dict_ema": {"w": torch.ones(1)}}, path)
    with pytest.warns(Notice, match=r"the sets state_dict, state_dict_ema; state_dict is taken, key=\.\.\. chooses"):
        assert pickles.read(path)["w"] == 0
    assert pickles.read(path, "state_dict_ema")["w"] == 1
    nested = {"w": torch.zeros(1), "b": torch.ones(2), "ema": {"w": torch.ones(1)}, "best": [torch.ones(3)]}
    torch.save(nested, path)
    with pytest.warns(Notice) as told:
        assert list(pickles.read(path)) == ["w", "b"]
    texts = [str(one.message) for one in told]
    assert any("the sets (the file itself), ema; (the file itself) is taken, key=" in text for text in texts)
    assert any("tensors outside of its sets are left out: best.0" in text for text in texts)
    with pytest.warns(Notice, match="left out: best"):
        assert list(pickles.read(path, "ema")) == ["w"]
    moments = {"state": {0: {"exp_avg": torch.zeros(1)}}}
    torch.save({"state_dict": {"w": torch.zeros(1)}, "epoch": 3, "optimizer": moments}, path)
    pickles.read(path)
    assert not recwarn.list
