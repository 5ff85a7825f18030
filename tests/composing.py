"""Quick compositions for tests: what Hydra and OmegaConf compute anew for each of them is computed once a process.

`make test` composes some hundred configurations, and without this a composition takes twice as long.
`tests/test_composing.py` compares the results.
"""

from __future__ import annotations

import copy
import pickle
from functools import cache
from typing import Any

import omegaconf.base
from hydra._internal import config_repository, defaults_list
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra.core.default_element import InputDefault
from omegaconf import DictConfig

from densepred.cli import command

OURS = {"hydra.conf", str(command.configs()), ""}
"""Paths of the sources of a composition: Hydra's files, ours, and the schemas."""

_read = ConfigRepository.load_config
_choices = defaults_list._create_interpolation_map
_files: dict[str, bytes] = {}


def load_config(self: ConfigRepository, config_path: str) -> Any:
    """Read each of our files once a process, and folders of tests each time."""
    if not {source.path for source in self.sources} <= OURS:
        return _read(self, config_path)
    if config_path not in _files:
        _files[config_path] = pickle.dumps(_read(self, config_path))
    return pickle.loads(_files[config_path])


def interpolation_map(overrides: Any, defaults: list[Any], self_added: bool) -> DictConfig:
    """Gather the chosen options only where a defaults list names one of them by `${...}`."""
    named = any(isinstance(one, InputDefault) and one.is_interpolation() for one in defaults)
    return _choices(overrides, defaults, self_added) if named else DictConfig({})


def shallow(self: CachingConfigRepository, delegate: ConfigRepository) -> None:
    """Copy the repository without the schemas of its sources: a composition replaces its list of sources as a whole."""
    self.delegate = copy.copy(delegate)
    self.cache = {}


PATCHES: list[tuple[Any, str, Any]] = [
    (ConfigRepository, "load_config", load_config),
    (defaults_list, "_create_interpolation_map", interpolation_map),
    (config_repository.CachingConfigRepository, "__init__", shallow),
    (omegaconf.base, "parse", cache(omegaconf.base.parse)),  # a tree of `${...}` is only read
]
PLAIN = [(owner, name, getattr(owner, name)) for owner, name, _ in PATCHES]
"""Functions of Hydra and OmegaConf in place of the quick ones."""


def install() -> None:
    for owner, name, quick in PATCHES:
        setattr(owner, name, quick)
