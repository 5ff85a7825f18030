"""The quick compositions of tests are those of Hydra alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

from tests import companions, composing, conftest

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


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), companions.SIZES_ALONE.items())
def test_options_of_other_sizes_differ_in_numbers_alone(
    plain: Callable[..., dict[str, Any]], one: str, other: str
) -> None:
    """`make test` trains the one in place of the other; the network of timm goes by its name."""
    task = [word for word in companions.words(one) if word.startswith("task=")]
    group = one.partition("/")[0]
    beside = [] if group == "model" else ["model=encoder_decoder", "decoder=unet"]
    found = [shape(plain(*task, *beside, option.replace("/", "="))[group]) for option in (one, other)]
    assert found[0] == found[1]


def shape(node: Any) -> Any:
    """Return a node without its numbers and names."""
    if isinstance(node, dict):
        return {key: shape(value) for key, value in node.items() if key != "name"}
    if isinstance(node, list):
        return {str(shape(value)) for value in node}
    return "number" if isinstance(node, int | float) and not isinstance(node, bool) else node
