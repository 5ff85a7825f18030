"""The quick compositions of tests are those of Hydra alone."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from tests import composing, conftest

COMMANDS = [
    ("train", "trainer=debug", "experiment=shapes_unet"),  # trainer/final is named by ${trainer}
    ("train", "model=fpn", "encoder=resnet18", "loss=[ce,dice]", "metric=[confusion,boundary_iou]", "trainer.epochs=3"),
    ("train", "task=pose", "dataset=coco_keypoints", "dataset.root=a", "data.crop=[64,48]", "+trainer.allow=[seed]"),
    ("predict", "ckpt=a", "input=b", "tile=64"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_quick_composition_equals_hydras(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    name, *words = command
    quick = [OmegaConf.to_container(conftest.composed(*words, name=name), resolve=resolve) for resolve in (False, True)]
    for owner, attribute, plain in composing.PLAIN:
        monkeypatch.setattr(owner, attribute, plain)
    conftest._composed.cache_clear()
    slow = [OmegaConf.to_container(conftest.composed(*words, name=name), resolve=resolve) for resolve in (False, True)]
    assert quick == slow
