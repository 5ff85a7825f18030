"""Flags such as --multirun: which there are, and errors of one line about the others."""

from __future__ import annotations

import argparse
import importlib
import itertools
import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from hydra._internal import utils as hydra_internal
from hydra._internal.hydra import Hydra

import densepred
from densepred.errors import UserError, suggest
from densepred.home import expand

TAKES_VALUE = ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp", "--cfg", "-c", "--package", "-p")
PLACES = ("hydra.run.dir=", "hydra.sweep.dir=", "hydra.sweep.subdir=")
COMMANDS = ("train", "eval", "predict", "import", "export", "report", "check", "convert")


class Parser(argparse.ArgumentParser):
    """Hydra's parser with two differences: any object may be a flag's help, and errors are a UserError.

    Hydra 1.3 gives --shell-completion an object for help. Python 3.14 expects text, and checks it in `add_argument`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def add_argument(self, *names: str, **settings: Any) -> argparse.Action:
        text = settings.pop("help", None)
        action = super().add_argument(*names, **settings)
        action.help = text
        return action

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        found = super().parse_args(args, namespace)
        if found.experimental_rerun is not None:
            self.error("--experimental-rerun: it opens a pickle, which may run any program; type trainer.resume=RUN")
        if found.resolve and not found.cfg:
            self.error("--resolve: it needs --cfg; type --cfg job --resolve")
        modes = [name for name in ("run", "cfg", "multirun", "shell_completion", "info") if getattr(found, name)]
        if len(modes) > 1:
            self.error(f"{' and '.join(_spelled(mode) for mode in modes)}: choose one of them")
        return found

    def error(self, message: str) -> NoReturn:
        text = message.removeprefix("argument ").replace("expected one argument", "it needs a value; see --help")
        raise UserError(text)


def parser() -> Parser:
    """Return Hydra's parser, made from the class above."""
    module: Any = hydra_internal
    module.argparse = SimpleNamespace(ArgumentParser=Parser)
    try:
        made = module.get_args_parser()
    finally:
        module.argparse = argparse
    assert isinstance(made, Parser)
    return made


def register() -> None:
    """Let Hydra parse its arguments with the parser above, and find its mode as below."""
    module: Any = importlib.import_module("hydra.main")  # the package has a function of this name
    module.get_args_parser = parser
    main: Any = Hydra
    main.get_mode = _mode


_composed_mode = Hydra.get_mode


def _mode(hydra: Hydra, config_name: str | None, overrides: list[str]) -> Any:
    """Return the mode that the configuration sets, None if it sets none.

    Hydra composes all of it for that, which takes 0.2 s. None of our files sets a mode, so others are asked alone.
    """
    of_hydra = (override.lstrip("+~") for override in overrides)
    if all(word.startswith(PLACES) or not word.startswith("hydra") for word in of_hydra):
        sources = hydra.config_loader.get_search_path().get_path()
        if all(source.provider in ("hydra", "main", "schema") for source in sources):
            return None
    return _composed_mode(hydra, config_name, overrides)


def known() -> list[str]:
    """Return all flags."""
    return sorted(parser()._option_string_actions)


def split(arguments: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the flags with their values, and the overrides; Hydra takes overrides only if they stand together."""
    flags: list[str] = []
    words: list[str] = []
    waiting = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        (flags if is_flag or waiting else words).append(argument)
        waiting = is_flag and argument in TAKES_VALUE
    return flags, words


def values(arguments: Sequence[str], *names: str) -> list[str]:
    """Return the values that a flag has, written `--flag VALUE` or `--flag=VALUE`."""
    after = [b for a, b in itertools.pairwise(arguments) if a in names]
    joined = [word.split("=", 1)[1] for word in arguments if word.startswith(tuple(f"{name}=" for name in names))]
    return after + joined


def at_home(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `~` replaced in the folders of --config-dir, which shells leave behind a `=`."""
    names = ("--config-dir", "-cd")
    before = ["", *arguments]
    found = [str(expand(word)) if last in names else word for last, word in zip(before, arguments, strict=False)]
    return [re.sub(r"^(--config-dir=)(.*)", lambda flag: f"{flag[1]}{expand(flag[2])}", word) for word in found]


def check_config(arguments: Sequence[str], name: str, folders: Iterable[Path]) -> None:
    """Raise UserError if the flags choose the configuration of another command or hide those of densepred."""
    if paths := values(arguments, "--config-path", "-cp"):
        raise UserError(f"--config-path {paths[0]}: it hides densepred's own configs; type --config-dir {paths[0]}")
    for other in values(arguments, "--config-name", "-cn"):
        word = other.removesuffix(".yaml")
        if word == name or any((folder / f"{word}.yaml").is_file() for folder in folders):
            continue
        if word in COMMANDS:
            raise UserError(f"--config-name {other}: it belongs to another command; type densepred-{word} instead")
        raise UserError(f"--config-name {other}: there is no {word}.yaml; add --config-dir DIR for its folder")


def unknown(flags: Iterable[str]) -> str | None:
    """Return the first flag that there is not."""
    names = parser()._option_string_actions
    return next((flag for flag in flags if flag.startswith("-") and flag.partition("=")[0] not in names), None)


def refusal(flag: str, remedy: str | None) -> str:
    """Return the error message about an unknown flag; `remedy` is what to type if a key of that name exists."""
    flag = flag.partition("=")[0]
    near = suggest(flag, known())
    hint = remedy or (near if near.startswith("did you mean") else "see --help")
    return f"{flag}: there is no such flag; {hint}"


def versions() -> str:
    """Return one line each for the versions of densepred, torch and Hydra; torch is not imported."""
    rows = [f"densepred {densepred.__version__}"]
    for name in ("torch", "hydra-core"):
        try:
            rows.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            rows.append(f"{name} is not installed")
    return "\n".join(rows)


def _spelled(mode: str) -> str:
    return "--" + mode.replace("_", "-")
