"""Choices of a recipe that options typed beside it lack, leave unused, or have otherwise; a line for each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from densepred.cli import command, compose
from densepred.cli.note import say
from densepred.cli.typed import Typed, at

ABSENT = object()
PARTS = ("encoder", "decoder")
"""Groups that an option of `model` chooses too."""


def settle(config: DictConfig, name: str, choices: Mapping[str, str], words: Sequence[str]) -> None:
    """Remove the recipe's settings that a typed option lacks from `config`; print what comes of each.

    `choices` is the option of each group, `words` are the overrides as they were typed.
    """
    typed = Typed("train", command.configs(), words)
    groups = typed.groups() - {"recipe"}
    chosen = [word for word in words if word.partition("=")[0] in groups]
    own = typed.composed(chosen)
    if own is None or not chosen:
        return
    keys = {word.lstrip("+~").partition("=")[0] for word in words}
    idle = compose.idle_groups(config)
    lines = [
        *_parts(choices, own[1], keys | idle),
        *([_unused(choices)] if "encoder" in idle else []),
        *_values(config, name, own[0], choices, keys),
    ]
    for line in lines:
        say(f"recipe={name}: {line}")


def _parts(choices: Mapping[str, str], own: Mapping[str, str], keys: set[str]) -> Iterator[str]:
    """Yield a line for each part of the recipe that stands in a typed model in place of the model's own."""
    for group in PARTS:
        if "model" in keys and group not in keys and choices[group] != own[group]:
            yield (
                f"{group}={choices[group]} in place of {own[group]}, which model={choices['model']} has; "
                f"type {group}={own[group]} for it"
            )


def _unused(choices: Mapping[str, str]) -> str:
    return f"encoder={choices['encoder']} and its weights are left out: model={choices['model']} does not use the group"


def _values(
    config: DictConfig, name: str, own: dict[str, Any], choices: Mapping[str, str], keys: set[str]
) -> Iterator[str]:
    """Yield a line for each value of the recipe that a typed option lacks or has otherwise."""
    for group, key, value in _settings(name):
        place = f"{group}.{key}"
        if group not in keys or value is None or any(one == place or one.startswith(f"{place}.") for one in keys):
            continue
        before, now = at(own, place, ABSENT), OmegaConf.select(config, place)
        option = f"{group}={choices[group]}"
        if before is ABSENT:
            with open_dict(config):
                del config[group][key]
            yield f"{place}={_text(value)} is left out: {option} has no such setting"
        elif now != value:
            yield f"{place}={_text(value)} gives way to {_text(now)} of {option}"
        elif before != value and before not in (None, {}, []):
            own_word = f"{place}={_text(before)}"
            yield f"{place}={_text(value)} in place of {_text(before)}, which {option} has; type {own_word} for it"


def _text(value: Any) -> str:
    """Return a value as it is typed."""
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value)).replace(" ", "")


def _settings(name: str) -> Iterator[tuple[str, str, Any]]:
    """Iterate over (group, key, value) of the recipe's own file."""
    path = command.configs() / "recipe" / f"{name}.yaml"
    tree = OmegaConf.to_container(OmegaConf.load(path)) if path.is_file() else {}
    assert isinstance(tree, dict)
    for group, node in tree.items():
        if isinstance(node, dict):
            yield from ((str(group), str(key), value) for key, value in node.items())
