"""Records of how a run was started: enough to repeat it, without secrets."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from densepred.atomic import replace, write_json
from densepred.build import renamed, yaml_file
from densepred.errors import UserError
from densepred.home import typed
from densepred.rundir import commit, override, secrets
from densepred.rundir.free import OF_ONE_START
from densepred.weights import mistaken

OVERRIDES = "overrides.txt"
PACKAGES = ("densepred", "torch", "torchvision", "timm", "hydra-core", "omegaconf", "numpy", "safetensors")


def write(folder: Path, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Write config.yaml (interpolations unresolved), environment.json and overrides.txt.

    Each is whole or absent, and overrides.txt comes last: a folder with it has a complete record.
    """
    text = OmegaConf.to_yaml(OmegaConf.create(dict(config))).encode("utf-8")
    replace(folder / "config.yaml", lambda temporary: temporary.write_bytes(text))
    write_json(folder / "environment.json", environment())
    words = "".join(f"{word}\n" for word in of_run(overrides)).encode("utf-8")
    replace(folder / OVERRIDES, lambda temporary: temporary.write_bytes(words))


def of_run(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that belong to a run rather than to one start of it, with their secrets hidden."""
    return [secrets.redacted(word) for word in overrides if override.key(word) not in OF_ONE_START]


def as_written(config: DictConfig) -> dict[str, Any]:
    """Return the configuration with its interpolations unresolved and its secrets hidden."""
    container = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(container, dict)
    return secrets.hide(container)


def exists(folder: Path) -> bool:
    return (folder / OVERRIDES).is_file()


def overrides(folder: Path) -> list[str]:
    """Return the overrides that a run was started with, under the present names of their keys.

    Those of the newest checkpoint count where overrides.txt differs, as after a loss of power. Raises UserError where
    neither has them: a run that was never recorded cannot go on.
    """
    written = _written(folder)
    found = of_checkpoint(folder)
    if found is not None and found[1] != written:
        fact = "is missing" if written is None else "differs"
        print(f"note: {folder / OVERRIDES} {fact}: settings are those of checkpoint {found[0]}", file=sys.stderr)
        written = found[1]
    if written is None:
        raise UserError(f"{folder}: {_not_a_run(folder)}")
    config = folder / "config.yaml"
    if not config.is_file():
        return written
    present = renamed.words(written, flatten(configuration(config)))
    if changed := [f"{old} -> {new}" for old, new in zip(written, present, strict=True) if old != new]:
        print(f"note: {folder}: settings under their present names: {', '.join(changed)}", file=sys.stderr)
    return present


def of_checkpoint(folder: Path) -> tuple[int, list[str]] | None:
    """Return step and overrides of the newest checkpoint with a whole state.json that records them."""
    places = [path for path in (folder / "checkpoints").glob("*") if path.name.isdecimal()]
    for path in sorted(places, key=lambda path: int(path.name), reverse=True):
        try:
            text = (path / "state.json").read_bytes()
            manifest = json.loads((path / "manifest.json").read_bytes())
            words = json.loads(text).get("overrides")
            whole = manifest["files"]["state.json"]["sha256"] == hashlib.sha256(text).hexdigest()
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        if whole and isinstance(words, list) and all(isinstance(word, str) for word in words):
            return int(path.name), words
    return None


def _written(folder: Path) -> list[str] | None:
    try:
        return (folder / OVERRIDES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise UserError(f"{folder / OVERRIDES}: is no text; put it back from a copy") from error


def _not_a_run(folder: Path) -> str:
    """Return what a folder without a record is, and what to type."""
    for run in (folder.parent, folder.parent.parent):
        if exists(run) and "checkpoints" in (folder.name, folder.parent.name):
            return f"a part of a run; give the run itself: {run}"
    if mistaken.is_sweep(folder):
        return f"the folder of a sweep; type {typed('sweep.resume', folder)}, or give the folder of one of its runs"
    return f"holds no run: {OVERRIDES} is missing; if the run ended before it was recorded, start it again"


def configuration(path: Path) -> dict[str, Any]:
    """Return the configuration in a file of a run, its interpolations unresolved. Raises UserError if it is damaged."""
    try:
        yaml_file.check(path)
        found = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except UserError:
        raise
    except (OSError, ValueError, RecursionError, OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())[:160]}); restore the file") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: holds no mapping; restore the file")
    return {str(key): value for key, value in found.items()}


def environment() -> dict[str, Any]:
    """Return the versions and the commit that a run was started with."""
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "commit": commit.current(Path.cwd()),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def words(node: Mapping[str, Any], section: str) -> list[str]:
    """Return the settings of a component as overrides that `cli.overrides.plain` accepts; `node` is resolved."""
    return [f"{section}.{key}={secrets.written(value)}" for key, value in node.items() if not str(key).startswith("_")]


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one with dotted keys; lists and empty mappings are values."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
