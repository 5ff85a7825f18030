"""The name of the folder of runs tells networks apart that are chosen by their encoder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from densepred.cli.command import configs


@pytest.fixture(autouse=True)
def composed_as_before() -> Iterator[None]:
    before = HydraConfig.instance().cfg
    yield
    HydraConfig.instance().cfg = before


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ([], "semantic-shapes-unet"),
        (["encoder=resnet18"], "semantic-shapes-unet-resnet18"),
        (["encoder=timm", "encoder.name=hf-hub:a/b_c.d"], "semantic-shapes-unet-hf-hub_a_b_c.d"),
        (["model=deeplabv3"], "semantic-shapes-deeplabv3"),
    ],
)
def test_a_typed_encoder_is_part_of_the_name(words: list[str], name: str) -> None:
    with initialize_config_dir(str(configs()), version_base="1.3"):
        found = compose("train", overrides=words, return_hydra_config=True)
    HydraConfig.instance().set_config(found)
    assert found.hydra.run.dir.split("/")[:2] == ["runs", name]
