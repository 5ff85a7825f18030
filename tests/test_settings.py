"""Defaults of settings that code compares with what was typed."""

from __future__ import annotations

import pytest
import yaml

from densepred.settings import ConvertSettings, EvalSettings, PredictSettings
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("name", "key", "default"),
    [
        ("predict", "threshold", PredictSettings.threshold),
        ("convert", "threshold", ConvertSettings.threshold),
        ("eval", "pictures", EvalSettings.pictures),
    ],
)
def test_a_default_that_is_compared_is_that_of_the_file(name: str, key: str, default: float) -> None:
    assert yaml.safe_load((REPOSITORY / "configs" / f"{name}.yaml").read_text("utf-8"))[key] == default
