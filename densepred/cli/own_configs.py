"""YAML files of the user's own, by --config-dir: each is checked before Hydra takes it, and named in every refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from densepred.build import yaml_file
from densepred.errors import UserError

_checked = set[Path]()


def register(ours: Path) -> None:
    """Let Hydra read files outside of `ours`, the folder of densepred's configurations, with these checks."""
    if ours in _checked:
        return
    _checked.add(ours)
    former = ConfigRepository.load_config

    def load(self: ConfigRepository, config_path: str) -> Any:
        path = _file(self, config_path)
        if path is None or path.is_relative_to(ours):
            return former(self, config_path)
        yaml_file.check(path)
        try:
            found = former(self, config_path)
        except (OmegaConfBaseException, ValueError, TypeError) as error:
            raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); correct it") from error
        if found is not None and not isinstance(found.config, DictConfig):
            raise UserError(f"{path}: holds a list; write a mapping, KEY: VALUE in each line")
        return found

    ConfigRepository.load_config = load


def _file(repository: ConfigRepository, config_path: str) -> Path | None:
    """Return the file that Hydra would read; None for schemas and packages."""
    source = repository._find_object_source(config_path, ObjectType.CONFIG)
    if source is None or source.scheme() != "file":
        return None
    path = Path(source.path, config_path)
    return path if path.suffix == ".yaml" else path.with_name(f"{path.name}.yaml")
