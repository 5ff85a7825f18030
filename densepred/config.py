"""What a run's configuration may contain: Hydra checks names and types against these classes while it composes.

Torch is not imported here, nor by `command.py`: that is why `--help` and tab completion answer at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred.errors import UserError, suggest
from densepred.ranges import out_of_range

LENGTHS = ("epochs", "max_steps", "max_minutes")
INJECTED = ("encoder", "decoder", "upsample", "loss", "metric")
"""Groups that work only where another node asks for them, by `${encoder}` and the like."""


@dataclass
class Data:
    batch_size: int = 8
    workers: int = 2
    crop: list[int] | None = None
    drop_last: bool = False
    on_bad: str = "error"
    max_pixels: int = 100_000_000
    timeout_s: float = 120.0


@dataclass
class Trainer:
    epochs: int | None = None
    max_steps: int | None = None
    max_minutes: float | None = None
    valid_every: float = 1.0
    save_every: float = 10.0
    precision: str = "fp32"
    accumulate: int = 1
    clip: float | None = None
    ema: float | None = None
    compile: bool = False
    channels_last: bool = False
    deterministic: bool = True
    devices: int = 1
    threads: int | None = None
    max_restarts: int = 0
    log_every: int = 10
    pictures: int = 4
    probes: bool = False
    resume: str | None = None
    allow: list[str] = field(default_factory=list)
    keep_last: int = 2
    patience: int | None = None
    monitor: str | None = None
    max_skipped: int = 10
    freeze: list[str] = field(default_factory=list)


@dataclass
class Weights:
    init: str | None = None
    encoder: str | None = None
    model: str | None = None


@dataclass
class Sweep:
    columns: list[str] = field(default_factory=list)


@dataclass
class Train:
    """`densepred-train`: plain settings, and a node for each component."""

    seed: int = 0
    data: Data = field(default_factory=Data)
    trainer: Trainer = field(default_factory=Trainer)
    weights: Weights = field(default_factory=Weights)
    sweep: Sweep = field(default_factory=Sweep)
    task: Any = MISSING
    model: Any = MISSING
    encoder: Any = None
    decoder: Any = None
    upsample: Any = None
    loss: Any = None
    metric: Any = None
    dataset: Any = MISSING
    transform: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING


@dataclass
class Eval:
    """`densepred-eval`: a dataset that is not given is the one that the checkpoint was trained on."""

    ckpt: str = MISSING
    output: str = MISSING
    trust: list[str] = field(default_factory=list)
    dataset: Any = MISSING
    metric: Any = None
    codec: dict[str, Any] = field(default_factory=dict)
    oracle: Any = None
    probes: bool = False
    flip: bool = False
    boxes: str | None = None
    box_threshold: float = 0.0
    data: Data = field(default_factory=Data)
    prune: int = 0
    precision: str = "fp32"
    devices: int = 1
    threads: int | None = None


@dataclass
class Predict:
    """`densepred-predict`."""

    ckpt: str = MISSING
    input: str = MISSING
    output: str = MISSING
    trust: list[str] = field(default_factory=list)
    codec: dict[str, Any] = field(default_factory=dict)
    tile: int | None = None
    overlap: float = 0.5
    blend: str = "gaussian"
    flip: bool = False
    boxes: str | None = None
    box_threshold: float = 0.3
    scales: list[float] = field(default_factory=lambda: [1.0])
    overlay: bool = True
    threshold: float = 0.3
    probabilities: bool = False
    annotations: str | None = None
    max_pixels: int = 400_000_000
    prune: int = 0
    precision: str = "fp32"
    threads: int | None = None


@dataclass
class Import:
    """`densepred-import`."""

    input: str = MISSING
    output: str = MISSING
    family: str = "auto"
    key: str | None = None


def register() -> None:
    """Make the classes known to Hydra as `train_schema`, `eval_schema` and so on."""
    store = ConfigStore.instance()
    for name, node in {"train": Train, "eval": Eval, "predict": Predict, "import": Import}.items():
        store.store(name=f"{name}_schema", node=node, provider="densepred")


def settings(config: DictConfig) -> Any:
    """The same configuration as an object of the class above, every interpolation resolved, nodes as plain mappings."""
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise UserError(one_line(error)) from error


def complete(config: DictConfig, overrides: Sequence[str]) -> None:
    """Apply the rules between settings that types cannot say, and refuse what does not fit."""
    typed = [re.split(r"[=@]", override.lstrip("+~"), maxsplit=1)[0] for override in overrides]
    if "trainer" in config:
        _choose_length(config, typed)
    mistakes = [
        *_unknown(config, OmegaConf.get_type(config)),
        *_missing(config),
        *_unused(config, typed),
        *out_of_range(config),
    ]
    if mistakes:
        raise UserError(mistakes[0] if len(mistakes) == 1 else "; and ".join(mistakes))


def _unknown(config: DictConfig, schema: Any, at: str = "") -> Iterator[str]:
    """Keys that `+key=value` has added to the plain settings."""
    names = {entry.name for entry in fields(schema)}
    for key in map(str, config):
        if key not in names:
            yield f"{at}{key}: there is no such key; {suggest(key, names)}"
        elif is_dataclass(OmegaConf.get_type(config, key)):
            yield from _unknown(config[key], OmegaConf.get_type(config, key), f"{at}{key}.")


def _choose_length(config: DictConfig, typed: Iterable[str]) -> None:
    """A length that is typed replaces those that files give: `trainer.max_steps=20` means 20 steps, nothing else."""
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


def _missing(config: DictConfig) -> Iterator[str]:
    idle = idle_groups(config)
    for key in sorted(OmegaConf.missing_keys(config)):
        group = key.split(".")[0]
        if group in idle:
            continue
        if "." not in key and key not in ("ckpt", "input"):
            yield f"{key}: no option is chosen; add {key}=..., see --help"
        else:
            yield f"{key} is not given; add {key}=... to the command"


def idle_groups(config: DictConfig) -> set[str]:
    """The injected groups that no node of this configuration refers to. A command without a task uses all it has."""
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


def _unused(config: DictConfig, typed: Iterable[str]) -> Iterator[str]:
    idle = idle_groups(config)
    for key in typed:
        group = key.split(".")[0]
        if group in idle and group in config:
            yield f"{key}: this job uses no {group}; remove it, or choose a model and a task that take one"


def one_line(error: BaseException) -> str:
    """The message of an error of Hydra or OmegaConf, without its notes on its own insides."""
    lines = [line.strip() for line in str(error).splitlines()]
    return "; ".join(line for line in lines if line and not re.match(r"(full_key|object_type|reference_type)", line))
