"""Records of how a run was started: enough to repeat it, without secrets."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from densepred.atomic import write_json
from densepred.build import renamed
from densepred.rundir import commit, secrets

OF_ONE_START = ("trainer.resume=", "trainer.allow=")  # settings of one start, not of the run
PACKAGES = ("densepred", "torch", "torchvision", "timm", "hydra-core", "omegaconf", "numpy", "safetensors")


def write(folder: Path, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Write config.yaml (interpolations unresolved), overrides.txt and environment.json."""
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(dict(config))), encoding="utf-8")
    kept = [secrets.redacted(word) for word in overrides if not word.startswith(OF_ONE_START)]
    (folder / "overrides.txt").write_text("".join(f"{word}\n" for word in kept), encoding="utf-8")
    write_json(folder / "environment.json", environment())


def as_written(config: DictConfig) -> dict[str, Any]:
    """Return the configuration with its interpolations unresolved and its secrets hidden."""
    container = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(container, dict)
    return secrets.hide(container)


def exists(folder: Path) -> bool:
    return (folder / "overrides.txt").is_file()


def overrides(folder: Path) -> list[str]:
    """Return the overrides that a run was started with, under the present names of their keys."""
    if not exists(folder):
        return []
    written = (folder / "overrides.txt").read_text(encoding="utf-8").splitlines()
    config = folder / "config.yaml"
    if not config.is_file():
        return written
    former = OmegaConf.to_container(OmegaConf.load(config), resolve=False)
    assert isinstance(former, dict)
    present = renamed.words(written, flatten({str(key): value for key, value in former.items()}))
    if changed := [f"{old} -> {new}" for old, new in zip(written, present, strict=True) if old != new]:
        print(f"note: {folder}: settings under their present names: {', '.join(changed)}", file=sys.stderr)
    return present


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
