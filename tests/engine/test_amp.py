"""A precision that a CPU only emulates is named."""

from __future__ import annotations

import warnings

import pytest
import torch

from densepred.engine.amp import Precision
from densepred.errors import Notice

CPU = torch.device("cpu")


def with_instructions(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    for name in ("amx_tile", "amx_fp16", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda name=name: name in found)


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_a_precision_without_instructions_names_the_setting_to_type(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with_instructions(monkeypatch)
    with pytest.warns(Notice, match=rf"^precision {name}: this CPU .* type trainer\.precision=fp32"):
        Precision(name, CPU)


@pytest.mark.parametrize(
    ("name", "found"),
    [("fp32", ()), ("bf16", ("avx512_bf16",)), ("bf16", ("amx_tile",)), ("fp16", ("amx_tile", "amx_fp16"))],
)
def test_a_precision_of_the_cpu_is_used_without_a_word(
    monkeypatch: pytest.MonkeyPatch, name: str, found: tuple[str, ...]
) -> None:
    with_instructions(monkeypatch, *found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Precision(name, CPU)
