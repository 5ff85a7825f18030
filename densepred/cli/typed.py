"""The words of a command line, and the configuration that they choose, for finding what was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred.cli import flags
from densepred.home import expand


@dataclass(frozen=True)
class Typed:
    """The name of the command, the folder of densepred's configs, and everything that was typed after the name."""

    name: str
    configs: Path
    arguments: Sequence[str]

    @property
    def words(self) -> list[str]:
        """The overrides, without flags."""
        return flags.split(self.arguments)[1]

    def folders(self) -> list[Path]:
        """The folders of configs: densepred's own, then those of --config-dir."""
        return [self.configs, *config_dirs(self.arguments)]

    def groups(self) -> set[str]:
        return {
            place.name for folder in self.folders() if folder.is_dir() for place in folder.iterdir() if place.is_dir()
        }

    def options(self, group: str) -> set[str]:
        """Return the options of a group, none if there is no such group."""
        return {file.stem for folder in self.folders() for file in (folder / group).glob("*.yaml")}

    def compose(self, words: Sequence[str]) -> dict[str, Any] | None:
        """Return the configuration of these overrides, interpolations as written; None if Hydra refuses them."""
        found = self._compose(words)
        plain = None if found is None else OmegaConf.to_container(found, resolve=False)
        return {str(key): value for key, value in plain.items()} if isinstance(plain, dict) else None

    def choices(self, words: Sequence[str]) -> dict[str, str] | None:
        """Return the option that these overrides choose in each group; None if Hydra refuses them."""
        found = self.composed(words)
        return None if found is None else found[1]

    def composed(self, words: Sequence[str]) -> tuple[dict[str, Any], dict[str, str]] | None:
        """Return the configuration of these overrides as written, and the choice per group; None if refused."""
        found = self._compose(words, return_hydra_config=True)
        if found is None:
            return None
        plain = {str(key): OmegaConf.to_container(found, resolve=False)[key] for key in found if key != "hydra"}  # pyright: ignore
        return plain, {str(key): str(one) for key, one in found.hydra.runtime.choices.items()}

    def _compose(self, words: Sequence[str], return_hydra_config: bool = False) -> DictConfig | None:
        further = ",".join(f"file://{folder.resolve()}" for folder in config_dirs(self.arguments))
        with _hydra_aside(), initialize_config_dir(str(self.configs), version_base="1.3"):
            try:
                words = [*words, f"hydra.searchpath=[{further}]"]
                return compose(self.name, overrides=words, return_hydra_config=return_hydra_config)
            except (HydraException, OmegaConfBaseException):
                return None

    def chosen(self) -> dict[str, Any]:
        """Return the configuration of the chosen options alone, or the default one if Hydra refuses them."""
        groups = self.groups()
        found = self.compose([word for word in self.words if word.partition("=")[0] in groups])
        return found or self.compose([]) or {}

    def known_keys(self) -> list[str]:
        """Return every key that the chosen options have."""
        return list(paths(self.chosen()))


@contextmanager
def _hydra_aside() -> Iterator[None]:
    """Set the Hydra of a running command aside, so that another configuration can be composed; bring it back."""
    instance = GlobalHydra.instance()
    former, instance.hydra = instance.hydra, None
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = former  # Hydra has put a copy of the instance in its place


def config_dirs(arguments: Sequence[str]) -> list[Path]:
    """Return the folders that `--config-dir` names."""
    return [expand(folder) for folder in flags.values(arguments, "--config-dir", "-cd")]


def paths(node: Any, at: str = "") -> Iterator[str]:
    """Iterate over the keys of nested mappings, as `trainer.epochs`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if not str(key).startswith("_"):
                yield f"{at}{key}"
                yield from paths(value, f"{at}{key}.")


def at(tree: dict[str, Any], key: str, default: Any = None) -> Any:
    """Return what stands at `task.losses.semantic` or `transform.train.0`."""
    node: Any = tree
    for part in key.split("."):
        if isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, dict) and part in node:
            node = node[part]
        else:
            return default
    return node
