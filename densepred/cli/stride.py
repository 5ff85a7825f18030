"""The output stride of a model, kept when another encoder is typed: `model=deeplabv3 encoder=resnet18`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from densepred.cli.note import say
from densepred.cli.typed import Typed, at

KEY = "encoder.output_stride"
CARRIED = {"output_stride": (None, 32), "multi_grid": (None,)}
"""Settings that pass from the model's own encoder to another, with the values that an option has by default."""

SETTING = re.compile(rf"\b(?:{'|'.join(CARRIED)})\b\W*:\s*(\S*)")
WORD = re.compile(r"[\w-]+")


def kept(typed: Typed, inherited: Sequence[str] = ()) -> list[str]:
    """Return overrides that give an encoder the output stride of the model's own encoder; say so.

    A value that is typed, that the option or the experiment sets, or that is inherited from a run stays.
    """
    own = {word.partition("=")[0].lstrip("+~") for word in typed.words}
    if not own & {"encoder", "experiment"}:
        return []
    model = next((word.removeprefix("model=") for word in typed.words if word.startswith("model=")), "")
    if model and "experiment" not in own and not inherited and not _sets_any(typed, model):
        return []
    found = typed.composed([*inherited, *typed.words])
    if found is None:
        return []
    tree, choices = found
    before = typed.composed([f"model={choices['model']}"])
    if before is None or before[1]["encoder"] == choices["encoder"]:
        return []
    words = list(_lost(before[0].get("encoder"), tree, own | set(_of_experiments(typed, choices))))
    if not words:
        return []
    model, encoder = choices["model"], choices["encoder"]
    stride = at(before[0], KEY)
    if KEY.rpartition(".")[2] not in tree["encoder"]:
        say(
            f"model={model} has output stride {stride}, but encoder={encoder} has strides of its own; "
            "the line `size` below names its output stride"
        )
        return []
    changes = " ".join(f"{word.partition('=')[0]}={at(tree, word.partition('=')[0])}" for word in words)
    say(f"{' '.join(words)}: as model={model} has it; type {changes.replace('None', 'null')} for the encoder's own")
    return words


def _sets_any(typed: Typed, model: str) -> bool:
    """Return whether a model's file, or one that it names, may set what is carried: cheaper than a composition."""
    ours, *others = typed.folders()
    places = [ours / "model", ours / "encoder", *others]  # files of a user's own may name any group
    files = [file for place in places for file in place.rglob("*.yaml")]
    seen, waiting = set[Path](), {model}
    while waiting:
        named = {file for file in files if file.stem in waiting} - seen
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in named]
        if any(value not in ("32", "null") for text in texts for value in SETTING.findall(text)):
            return True
        seen |= named
        waiting = {word for text in texts for word in WORD.findall(text)} if named else set()
    return not seen


def _lost(before: Any, tree: dict[str, Any], chosen: set[str]) -> Iterator[str]:
    """Yield an override for each setting of the model's own encoder that nothing chooses for the present one."""
    after = tree.get("encoder")
    if not isinstance(before, dict) or not isinstance(after, dict):
        return
    for name, defaults in CARRIED.items():
        wanted = before.get(name)
        if wanted not in defaults and after.get(name) in defaults and f"encoder.{name}" not in chosen:
            yield f"encoder.{name}={wanted}".replace(" ", "")


def _of_experiments(typed: Typed, choices: dict[str, str]) -> Iterator[str]:
    """Yield the keys of the encoder that an experiment sets in its own file."""
    files = [folder / "experiment" / f"{choices.get('experiment')}.yaml" for folder in typed.folders()]
    for file in files:
        if file.is_file():
            encoder = OmegaConf.to_container(OmegaConf.create(file.read_text(encoding="utf-8"))).get("encoder")  # pyright: ignore
            yield from (f"encoder.{key}" for key in (encoder or {}))
