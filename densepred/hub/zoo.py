"""Published weights by name: `torchvision:NAME`, `timm:NAME` and `hf:OWNER/REPOSITORY`, and the table of those known.

The table is `zoo.yaml`. This module imports neither torch nor the libraries of the files at its start.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from densepred.errors import UserError, suggest

if TYPE_CHECKING:
    from densepred.hub.published import State

HUBS = ("torchvision", "timm", "hf")
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
"""Names of repositories of Hugging Face."""
OTHERWISE = "name a file of yours instead"


@dataclass(frozen=True, slots=True)
class Entry:
    """A published file.

    url, sha256: its address and the known digits of its SHA-256; "" for names that a library resolves.
    licence: of the weights, as their source states it. family: a module of `weights/keymap`.
    options: the words that choose our model. classes: voc, ade20k, or their number.
    mean, std: of images in [0, 1]. size: of training images. score: a published score, with its `source`.
    """

    name: str
    licence: str
    family: str
    options: tuple[str, ...] = ()
    url: str = ""
    sha256: str = ""
    classes: str | int | None = None
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    size: int | None = None
    score: str = ""
    source: str = ""


def is_name(text: str) -> bool:
    """Recognise the name of published weights; a file on the disk is never one."""
    hub, colon, rest = text.partition(":")
    return bool(colon and rest) and hub in HUBS


@cache
def entries() -> Mapping[str, Entry]:
    """Return the table by name."""
    found = yaml.safe_load(Path(__file__).with_name("zoo.yaml").read_text(encoding="utf-8"))
    return {name: _entry(name, facts) for name, facts in found.items()}


def _entry(name: str, facts: dict[str, Any]) -> Entry:
    plain: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in facts.items()}
    return Entry(name, **plain)


def repository(name: str) -> str:
    """Return OWNER/NAME of `hf:OWNER/NAME`; raise UserError if it is no repository."""
    rest = name.partition(":")[2]
    if not REPOSITORY.fullmatch(rest):
        raise UserError(f"{name}: not a repository of Hugging Face; give hf:OWNER/NAME")
    return rest


def state(name: str, otherwise: str = OTHERWISE) -> State:
    """Return the tensors of published weights, downloaded if they are not there yet."""
    from densepred.hub import published

    hub, _, rest = name.partition(":")
    if (entry := entries().get(name)) and entry.url:
        return published.from_address(entry.url, entry.sha256, otherwise)
    if hub == "hf":
        return published.from_hugging_face(repository(name), otherwise=otherwise)
    if hub == "timm":
        import timm

        if not re.fullmatch(r"[a-z0-9_.]+", rest) or not timm.is_model(rest):
            guess = suggest(rest.partition(".")[0], timm.list_models(), "see timm.list_models()", 3)
            raise UserError(f"{name}: timm has no such model; {guess}")
        return published.of_timm(rest, otherwise)
    from torchvision.models import get_model_weights, list_models

    if rest not in list_models():
        raise UserError(f"{name}: torchvision has no such model; {suggest(rest, list_models(), 'see its pages', 3)}")
    return published.from_address(get_model_weights(rest)["DEFAULT"].url, otherwise=otherwise)
