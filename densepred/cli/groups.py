"""Overrides that Hydra takes but that cannot mean what was meant: options in the place of nodes, lists, removals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from densepred.cli import help
from densepred.cli.typed import Typed, at
from densepred.errors import UserError

MISSING = object()
SEVERAL = ("metric", "logger", "experiment", "recipe")
"""Groups of which several options may be chosen, or none."""


def check(typed: Typed) -> None:
    """Raise UserError for the first override that replaces, merges or removes what it should choose."""
    for word in typed.words:
        override = _parsed(word)
        mistakes = _mistakes(override, word, typed) if override is not None else iter(())
        for mistake in mistakes:
            raise UserError(mistake)


def check_choices(typed: Typed, choices: Mapping[str, str]) -> None:
    """Raise UserError for a list in the defaults of a config file: Hydra merges its options and records no choice.

    choices: the option of each group.
    """
    for group in help.groups((typed.configs / f"{typed.name}.yaml").read_text(encoding="utf-8")):
        if group not in choices and group not in SEVERAL:
            remedy = "for a sum choose loss: sum and give loss.terms" if group == "loss" else "choose one"
            raise UserError(
                f"{group}: the defaults of a config file give a list, and {group} takes one option; {remedy}"
            )


def _parsed(word: str) -> Override | None:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException:  # composition will refuse it too
        return None


def _mistakes(override: Override, word: str, typed: Typed) -> Iterator[str]:
    key, text = override.key_or_group, word.partition("=")[2]
    if override.is_delete():
        yield from _removed(key, word, typed)
        return
    value = text.split(",") if override.is_sweep_override() else override.value()
    if value is None and key in typed.groups():
        yield _none(key, typed)
    elif isinstance(value, str):
        yield from _replaced(key, text, [value], word, typed)
    elif isinstance(value, list) and override.is_sweep_override():
        yield from _replaced(key, text, [str(option) for option in value], word, typed)
    elif isinstance(value, list) and key in typed.groups() - set(SEVERAL):
        yield listed(key, [str(option) for option in value])


def _none(group: str, typed: Typed) -> str:
    default = help.groups((typed.configs / f"{typed.name}.yaml").read_text(encoding="utf-8")).get(group, "null")
    if group in SEVERAL:
        return f"{group}=null: names no option; " + ("leave it out" if default == "null" else f"type {group}=[]")
    option = "none" if "none" in typed.options(group) else default
    return f"{group}=null: names no option; type {group}={option}, or another option of --help"


def _removed(key: str, word: str, typed: Typed) -> Iterator[str]:
    chosen = help.groups((typed.configs / f"{typed.name}.yaml").read_text(encoding="utf-8"))
    group = key.split(".")[0]
    if key in SEVERAL:
        return
    if group not in chosen or group == "trainer" != key:
        tree = typed.compose(_others(typed, word))
        found = MISSING if tree is None else at(tree, key, MISSING)
        if found is not MISSING:
            place = f"{key}.KEY" if isinstance(found, dict) else key
            yield f"~{key}: a setting cannot be removed; type {place}=VALUE to change it"
        return
    if key == group:
        option = "none" if "none" in typed.options(key) else chosen[key]
        yield f"~{key}: a group cannot be removed; type {key}={option}, or another option of --help"
        return
    tree = typed.compose(_others(typed, word))
    if re.search(r"\.\d+$", key):
        option = next((word.partition("=")[2] for word in typed.words if word.startswith(f"{group}=")), chosen[group])
        yield (
            f"~{key}: an entry of a list cannot be removed; copy {group}/{option}.yaml to DIR/{group}/mine.yaml,"
            f" remove the entry there and type --config-dir DIR {group}=mine"
        )
    elif tree is not None and isinstance(at(tree, key), list):
        yield f"~{key}: a list cannot be removed; type {key}=[]"


def listed(group: str, options: list[str], given: str | None = None) -> str:
    """Return what to type instead of several options of a group; `given` is what was typed, if it is no list."""
    several = ",".join(options)
    given = f"{given or f'{group}=[{several}]'}: {group} takes one option"
    if not options:
        return f"{given}; type {group}=OPTION, see --help"
    if len(options) == 1:
        return f"{given}, not a list; type {group}={options[0]}"
    if group == "loss":
        terms = " ".join(f"+loss@loss.terms.{option}.loss={option}" for option in options)
        return f"{given}; for their sum type loss=sum {terms}; --multirun loss={several} runs one after the other"
    return f"{given}; type {group}={options[0]}; --multirun {group}={several} runs one after the other"


def _replaced(key: str, text: str, options: list[str], word: str, typed: Typed) -> Iterator[str]:
    """The name of an option given to a key that holds a whole component."""
    if "." not in key or not any(_is_option(option, typed) for option in options):
        return
    tree = typed.compose(_others(typed, word))
    node = None if tree is None else at(tree, key)
    group = key.split(".")[0]
    if found := re.fullmatch(r"\$\{(\w+)\}", node) if isinstance(node, str) else None:
        yield f"{key}: {found[1]} is a group; type {found[1]}={text}"
    elif isinstance(node, dict | list):
        inner = {name for name in re.findall(r"\$\{(\w+)\}", str(node)) if options[0] in typed.options(name)}
        target = _target(options[0], typed)
        if options[0] in typed.options(group):
            yield f"{key}: part of a {group}; type {group}={text}"
        elif len(inner) == 1:
            (name,) = inner
            yield f"{key}: {name} is a group; type {name}={text}"
        elif isinstance(node, dict) and "_target_" in node and target:
            yield f"{key}: holds a component with its settings; type {key}._target_={target}"
        else:
            yield f"{key}: holds components with their settings; type {key}.KEY=VALUE, see --cfg job"


def _others(typed: Typed, word: str) -> list[str]:
    return [other for other in typed.words if other != word]


def _is_option(word: str, typed: Typed) -> bool:
    return any(word in typed.options(group) for group in typed.groups())


def _target(option: str, typed: Typed) -> str | None:
    """Return the class that an option of a loss names, the only kind of component that tasks write in place."""
    for folder in typed.folders():
        file = folder / "loss" / f"{option}.yaml"
        if file.is_file() and (found := re.search(r"^_target_: *(\S+)", file.read_text(encoding="utf-8"), re.M)):
            return found[1]
    return None
