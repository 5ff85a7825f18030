"""The folder of a run: made anew by Hydra's callback, or the one that is resumed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write

from densepred.home import expand
from densepred.process.role import CLAIMED, is_first

AUTO = "auto"
_empty = False  # was the folder of the present command empty when it began


class Claim(Callback):
    """Hydra's callback that makes the folder of a run; with `exclusive`, a suffix keeps two runs out of one folder."""

    def __init__(self, exclusive: bool) -> None:
        self.exclusive = exclusive

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        HydraConfig.instance().set_config(config)  # the name of the folder is made of the chosen options
        resume = OmegaConf.select(config, "trainer.resume")
        with read_write(config.hydra):
            config.hydra.run.dir = str(expand(config.hydra.run.dir))
            if not is_first():
                config.hydra.run.dir = "."  # the first process shares its folder
            elif resume == AUTO:
                with contextlib.suppress(OSError):
                    Path(config.hydra.run.dir).mkdir(parents=True, exist_ok=True)
            elif resume:
                config.hydra.run.dir = str(expand(resume))
            elif self.exclusive and not os.environ.get(CLAIMED):
                with contextlib.suppress(OSError):  # Hydra makes the folder again, and reports the error
                    config.hydra.run.dir = str(restarted(lambda: claim(Path(config.hydra.run.dir))))
            _note(Path(config.hydra.run.dir))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        with read_write(config.hydra):  # Hydra writes there itself
            config.hydra.sweep.dir = str(expand(config.hydra.sweep.dir))


def found_empty() -> bool:
    """Return True if the folder of this command was new, or empty, when it began: then all in it is of this command."""
    return _empty


def _note(folder: Path) -> None:
    global _empty
    try:
        _empty = not any(folder.iterdir())
    except OSError:
        _empty = not folder.exists()


def claim(path: Path) -> Path:
    """Make a folder that did not exist, and return it: `path`, or `path_1`, `path_2`...

    The current folder (`.`) is taken if it is empty.
    """
    if not path.name:  # hydra.run.dir=.
        if not any(path.iterdir()):
            return path
        path = path.absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    number = 0
    while True:
        attempt = path.with_name(f"{path.name}_{number}") if number else path
        try:
            attempt.mkdir()
            return attempt
        except FileExistsError:
            number += 1


def restarted(make: Callable[[], Path]) -> Path:
    """Return the folder that `make` makes; under `torchrun --max-restarts` a run that starts again keeps its first."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return make()
    from densepred import distributed  # with torch

    return Path(distributed.remembered("folder", lambda: str(make().absolute())))
