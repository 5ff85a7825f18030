"""Schemas of the commands, and the rules between settings that types cannot express.

Neither this module nor `command.py` imports torch, so that `--help` and tab completion are fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred.cli import synonyms
from densepred.cli.ranges import out_of_range
from densepred.cli.run_name import run_name
from densepred.cli.typed import paths
from densepred.errors import UserError, suggest
from densepred.settings import (
    LENGTHS,
    CheckSettings,
    ConvertSettings,
    EvalSettings,
    ExportSettings,
    ImportSettings,
    PredictSettings,
    ReportSettings,
    TrainSettings,
)

INJECTED = ("encoder", "decoder", "upsample", "loss", "metric")
"""Groups that take effect only if another node refers to them, as `${encoder}` does."""


def register() -> None:
    """Register the schemas with Hydra as `train_schema`, `eval_schema` and so on, and `run_name`."""
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    store = ConfigStore.instance()
    for name, node in {
        "train": TrainSettings,
        "eval": EvalSettings,
        "predict": PredictSettings,
        "import": ImportSettings,
        "export": ExportSettings,
        "report": ReportSettings,
        "check": CheckSettings,
        "convert": ConvertSettings,
    }.items():
        store.store(name=f"{name}_schema", node=node, provider="densepred")


def settings(config: DictConfig) -> Any:
    """Return the configuration as an object of its schema, interpolations resolved, components as plain mappings."""
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from error


PATHS = (
    "trainer.resume",
    "weights.init",
    "weights.encoder",
    "weights.model",
    "ckpt",
    "input",
    "output",
    "dataset.root",
)
"""Keys of paths, each of which some command has."""


def complete(config: DictConfig, overrides: Sequence[str]) -> None:
    """Apply the rules between settings; raise UserError with all that do not fit."""
    _square(config)
    typed = [re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0] for override in overrides]
    if "trainer" in config:
        _choose_length(config, typed)
    if OmegaConf.select(config, "sweep.resume") is not None:
        raise UserError("sweep.resume: no file can name it; type densepred-train sweep.resume=DIR")
    idle = idle_groups(config)
    mistakes = [
        *_unknown(config),
        *_missing(config, idle),
        *_empty(config),
        *_unused(config, typed, idle),
        *_apart(config),
        *out_of_range(config),
    ]
    if mistakes:
        raise UserError(mistakes[0] if len(mistakes) == 1 else "; and ".join(mistakes))


def _square(config: DictConfig) -> None:
    """Let one number stand for both sides of a crop: data.crop=256."""
    crop = OmegaConf.select(config, "data.crop")
    if isinstance(crop, int) and not isinstance(crop, bool):
        config.data.crop = [crop, crop]


def _empty(config: DictConfig) -> Iterator[str]:
    """Yield a message for each path that is empty: it would mean the current folder, or nothing at all."""
    for key in PATHS:
        if OmegaConf.select(config, key, throw_on_missing=False) == "":
            yield f"{key}= is empty; give a path, or leave it out"


def _apart(config: DictConfig) -> Iterator[str]:
    """Yield a message for settings that exclude each other."""
    if OmegaConf.select(config, "trainer.shard") and OmegaConf.select(config, "trainer.compile"):
        yield (
            "trainer.shard=true with trainer.compile=true: gathering weights splits the compiled graph at each block; "
            "set one of them to false"
        )


def _unknown(config: DictConfig) -> Iterator[str]:
    """Yield a message for each key that `+key=value` has added to the plain settings."""
    known = list(paths(OmegaConf.to_container(config, resolve=False)))
    added = list(_added(config, OmegaConf.get_type(config)))
    for key, value, names in added:
        meant = synonyms.key(key, str(value), [name for name in known if name not in {other for other, _, _ in added}])
        yield f"{key}: there is no such key; {meant or suggest(key.rpartition('.')[2], names)}"


def _added(config: DictConfig, schema: Any, at: str = "") -> Iterator[tuple[str, Any, set[str]]]:
    """Yield each key that the schema lacks, its value, and the keys that the schema has beside it."""
    names = {entry.name for entry in fields(schema)}
    for key in map(str, config):
        if key not in names:
            yield f"{at}{key}", config[key], names
        elif is_dataclass(OmegaConf.get_type(config, key)):
            yield from _added(config[key], OmegaConf.get_type(config, key), f"{at}{key}.")


def _choose_length(config: DictConfig, typed: Iterable[str]) -> None:
    """Let a length that is typed replace those in files: `trainer.max_steps=20` means 20 steps, nothing else."""
    trainer = config.trainer
    chosen = [name for name in LENGTHS if f"trainer.{name}" in typed and trainer[name] is not None]
    if chosen:
        for name in set(LENGTHS) - set(chosen):
            trainer[name] = None
    if trainer.epochs is not None and trainer.max_steps is not None:
        raise UserError(
            f"trainer.epochs and trainer.max_steps: {trainer.epochs} and {trainer.max_steps}; choose one of them"
        )
    if all(trainer[name] is None for name in LENGTHS):
        raise UserError("trainer.epochs: null; give trainer.epochs, trainer.max_steps or trainer.max_minutes")


def _missing(config: DictConfig, idle: set[str]) -> Iterator[str]:
    for key in sorted(OmegaConf.missing_keys(config)):
        group = key.split(".")[0]
        if group in idle:
            continue
        if "." not in key and key not in ("ckpt", "input"):
            yield f"{key}: no option is chosen; add {key}=..., see --help"
        else:
            yield f"{key} is not given; add {key}=... to the command"


def idle_groups(config: DictConfig) -> set[str]:
    """Return the injected groups that no node refers to; a command without a task uses all of its groups."""
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    if "task" not in plain:
        return set()
    waiting = [value for key, value in plain.items() if key not in INJECTED]
    used: set[str] = set()
    while waiting:
        found = {name for name in INJECTED if name not in used and any(_refers(value, name) for value in waiting)}
        used |= found
        waiting = [plain.get(name) for name in found]
    return {name for name in INJECTED if name not in used}


def _refers(node: Any, name: str) -> bool:
    if isinstance(node, dict):
        return any(_refers(value, name) for value in node.values())
    if isinstance(node, list):
        return any(_refers(value, name) for value in node)
    return isinstance(node, str) and re.search(r"\$\{" + name + r"[.}\[]", node) is not None


def _unused(config: DictConfig, typed: Iterable[str], idle: set[str]) -> Iterator[str]:
    for key in typed:
        group = key.split(".")[0]
        if group in idle and group in config:
            yield f"{key}: this job uses no {group}; remove it, or choose a model and a task that take one"


def one_line(error: BaseException) -> str:
    """Return the message of an error of Hydra or OmegaConf on one line, without its notes on internal types."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line and not re.match(r"(full_key|object_type|reference_type)", line))
