"""docs/weights.md lists every family of checkpoints, with a model that has what the family expects."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
import torch

from densepred.build.instantiate import build
from densepred.types import HeadSpec
from densepred.weights.families import families, family, setting
from densepred.weights.pretrained import settings_missing
from tests import cases
from tests.conftest import REPOSITORY

PAGE = (REPOSITORY / "docs" / "weights.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| ([^|]+) \| `(\w+)` \| `([^`]+)` \| `([^`]+)` \|$", PAGE, re.M)
OWN_HEADS = ("openpose_body", "panoptic_deeplab", "torchvision_fcos")
"""Families of models with heads of their own tasks; their own tests read the expectations."""
MODELS = [row for row in ROWS if row[1] not in OWN_HEADS and "weights.encoder" not in row[0]]


def test_every_family_has_its_row_and_every_row_its_family_and_test() -> None:
    assert {table for _, table, *_ in ROWS} == {*families()}
    for _, _, _, test in ROWS:
        assert (REPOSITORY / test).is_file()


def test_expectations_are_named_as_they_are_typed() -> None:
    words = [setting(*one) for one in family("smp_fpn").expects.items()]
    assert words == ["model.align_corners=true", "decoder.align_corners=true", "upsample=nearest"]
    assert setting("encoder.multi_grid", None) == "encoder.multi_grid=null"


@pytest.mark.parametrize("row", cases.few(MODELS, [MODELS[2], MODELS[6], MODELS[8]]), ids=lambda row: row[1])
def test_the_words_of_a_row_give_what_its_family_expects(plain: Callable[..., dict[str, Any]], row: list[str]) -> None:
    _, table, words, _ = row
    node = plain(*shlex.split(words))["model"]
    heads = {"semantic": HeadSpec(5, kind="classes")}
    with torch.device("meta"):
        model = build(node, heads=heads, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    assert settings_missing(model, family(table)) == []
