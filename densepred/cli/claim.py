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
from densepred.process.stop import held

AUTO = "auto"
_folder: Path | None = None  # that of the present command, as soon as it may be there
_empty = False  # was it empty when the command began


class Claim(Callback):
    """Hydra's callback that makes the folder of a run; with `exclusive`, a suffix keeps two runs out of one folder."""

    def __init__(self, exclusive: bool) -> None:
        self.exclusive = exclusive

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        HydraConfig.instance().set_config(config)  # the name of the folder is made of the chosen options
        resume = OmegaConf.select(config, "trainer.resume")
        with read_write(config.hydra):
            path = expand(config.hydra.run.dir)
            if not is_first():
                config.hydra.run.dir = "."  # the first process shares its folder
                return
            if resume and resume != AUTO:
                path = _noted(lambda: expand(resume))
            elif resume == AUTO:
                path = _noted(lambda: _there(path))
            elif self.exclusive and not os.environ.get(CLAIMED):
                path = restarted(lambda: _noted(lambda: _claimed(path)))
            else:
                path = _noted(lambda: path)
            config.hydra.run.dir = str(path)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        with read_write(config.hydra):  # Hydra writes there itself
            config.hydra.sweep.dir = str(expand(config.hydra.sweep.dir))


def forget() -> None:
    """Forget the folder of a former command of this process."""
    global _folder, _empty
    _folder, _empty = None, False


def folder() -> Path | None:
    """Return the folder of this command once it may be there: a signal or an error of Hydra can come right after."""
    return _folder


def found_empty() -> bool:
    """Return True if the folder of this command was new, or empty, when it began: then all in it is of this command."""
    return _empty


def _noted(make: Callable[[], Path]) -> Path:
    """Return the folder that `make` makes; no signal comes between it and the note of it."""
    global _folder, _empty
    with held():
        path = make()
        try:
            _empty = not any(path.iterdir())
        except OSError:
            _empty = not path.exists()
        _folder = path.absolute()
    return path


def _there(path: Path) -> Path:
    with contextlib.suppress(OSError):  # as in `_claimed`
        path.mkdir(parents=True, exist_ok=True)
    return path


def _claimed(path: Path) -> Path:
    with contextlib.suppress(OSError):  # Hydra makes the folder again, and reports the error
        return claim(path)
    return path


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
