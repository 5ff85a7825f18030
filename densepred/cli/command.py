"""Run a command: compose its configuration by Hydra, make a fresh folder per run, report errors on one line.

Exit codes: 0 done; 1 a mistake in densepred; 2 a mistake in the user's config or data; 75 stopped by a signal, can be
resumed; 130 stopped by a signal, to be typed again. Commands may return others.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred import output
from densepred.cli import claim, flags, groups, help, hydra_errors, ignored, own_configs, streams, synonyms
from densepred.cli import overrides as overrides_
from densepred.cli.compose import complete, register
from densepred.cli.typed import Typed, config_dirs
from densepred.errors import MachineError, UserError, classed, notices
from densepred.home import typed
from densepred.process import exits, ranks, semaphores, slurm, starting, supervisor, watch
from densepred.process.parent import PARENT, stop_with_parent
from densepred.process.role import is_first, tells
from densepred.process.starting import AGAIN, INTERRUPTED
from densepred.process.stop import STOPPED, StopFlag, Stopped
from densepred.rundir import console, provenance, secrets
from densepred.sweep import launcher, record

Function = Callable[[DictConfig], int | None]
Prepare = Callable[[list[str]], list[str]]
SHARED = ("train", "eval")
"""Commands that divide their work over several processes."""


def configs() -> Path:
    """Return the folder of densepred's configs: inside the package if installed, beside it in a clone."""
    package = Path(__file__).resolve().parents[1]
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def run(
    function: Function, name: str, examples: str = "", prepare: Prepare | None = None, free: Sequence[str] = ()
) -> NoReturn:
    """Run the command `densepred-<name>`: compose `configs/<name>.yaml`, call `function` with it, exit with its code.

    `function` returns its exit code, None for 0, and raises UserError for mistakes that the user can correct. `prepare`
    receives the overrides that were typed and returns others to put before them, such as the dataset that a checkpoint
    names. Below the keys in `free` any key may be set, because its names are known only from a checkpoint.
    """
    streams.prepare()
    if sys.flags.optimize:
        print("error: python -O: Hydra reads lists wrongly without assertions; leave out -O", file=sys.stderr)
        sys.exit(2)
    if help.wanted(sys.argv[1:]):
        print(help.text(name, configs(), sys.argv[1:], examples))
        sys.exit(streams.flushed(0))
    if "--version" in sys.argv[1:]:
        print(flags.versions())
        sys.exit(streams.flushed(0))
    try:
        sys.path.append(os.getcwd())
    except FileNotFoundError:
        print("error: the current folder: it was deleted or moved; change to another one (cd)", file=sys.stderr)
        sys.exit(2)
    register()
    launcher.register()
    flags.register()
    own_configs.register(configs())
    with StopFlag() as stop, watch.watched(watch.end):
        code = streams.flushed(Invocation(function, name, prepare, free)(stop))
        supervisor.told()
        # The end of an interpreter with torch takes a second or two, in which a further signal would change the code.
        if stop.raised or code in (STOPPED, INTERRUPTED):
            sys.stdout.flush()
            sys.stderr.flush()
            semaphores.unlink()
            os._exit(code)
        starting.done(code)
    sys.exit(code)


def folder() -> Path:
    """Return the folder that this run writes to, in the first process; `distributed.share` passes it to the others."""
    return Path(_composed().runtime.output_dir)


def choices() -> dict[str, str]:
    """Return the option chosen in each config group, such as {"model": "unet"}."""
    return {key: str(value) for key, value in _composed().runtime.choices.items() if "/" not in key}


def overrides() -> list[str]:
    """Return the overrides as they were typed, their interpolations unresolved."""
    words = OmegaConf.to_container(_composed().overrides.task, resolve=False)
    assert isinstance(words, list)
    return [str(word) for word in words]


def _composed() -> Any:
    """Return what Hydra recorded about the command; raise UserError outside of one."""
    if not HydraConfig.initialized():
        raise UserError(
            "cfg: a command's function was called outside its command: its folder and the chosen options are unknown; "
            "call densepred.api.train('experiment=...'), api.evaluate(run) or api.predict(run, image)"
        )
    return HydraConfig.get()


class Invocation:
    """One invocation of a command with the words of `sys.argv`. It keeps the exit code, which Hydra does not return."""

    def __init__(
        self,
        function: Function,
        name: str,
        prepare: Prepare | None = None,
        free: Sequence[str] = (),
        raises: bool = False,
    ) -> None:
        self.function, self.name, self.prepare, self.free = function, name, prepare, free
        self.code: int | None = 0
        self.error: Exception | None = None
        self.folder: Path | None = None
        self.own_folder = False  # was it new, or empty
        self.prepared: list[str] = []
        self.full: str | None = None
        self.raises = raises

    def __call__(self, stop: StopFlag) -> int:
        """Return the exit code; a signal that no part of the command takes itself ends it at once.

        With `raises`, errors and stops are raised instead of printed: UserError with the sentence, and Stopped.
        """
        try:
            with stop.interruptible():
                if PARENT in os.environ:
                    stop_with_parent()
                code = self._called()
            # Code that was cut may hide it, or fail for it: imports of torch, components of one's own.
            if not stop.raised or code in (STOPPED, INTERRUPTED):
                return self._report() if self.error is not None else code
            raise Stopped
        except Stopped as reason:
            return self._stopped(stop, reason)

    def _called(self) -> int:
        claim.forget()
        self.full = os.environ.get("HYDRA_FULL_ERROR")
        os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them
        try:
            ranks.require_place()
            slurm.adopt()
            if self.name not in SHARED and not self.raises:  # a program of several processes may call each by itself
                ranks.require_one(self.name)
            self._check_flags(sys.argv[1:])
            first, words = flags.split(record.restored(self.name, flags.at_home(sys.argv[1:])))
            words = [overrides_.understood(word) for word in words]
            self.prepared = self.prepare(words) if self.prepare is not None else []
            sys.argv[1:] = [*first, *self.prepared, *(f"++{word}" if self._is_free(word) else word for word in words)]
            groups.check(Typed(self.name, configs(), sys.argv[1:]))
            with output.whole() if flags.values(first, "--cfg", "-c") else contextlib.nullcontext():
                hydra.main(version_base="1.3", config_path=str(configs()), config_name=self.name)(self._job)()
        except Exception as error:
            self.error = error
        finally:
            _restore("HYDRA_FULL_ERROR", self.full)
            if self.folder is None:  # it ended between Hydra's callback, which makes the folder, and the job
                self.folder, self.own_folder = claim.folder(), claim.found_empty()
        return self.code or 0

    def _check_flags(self, arguments: list[str]) -> None:
        flags.check_config(arguments, self.name, config_dirs(arguments))
        flag = flags.unknown(flags.split(arguments)[0])
        if flag is not None:
            typed = Typed(self.name, configs(), ())
            name, _, value = flag.lstrip("-").replace("-", "_").partition("=")
            known = typed.known_keys()
            remedy = f"type {name}={value or '...'}" if name in known else synonyms.key(name, value, known)
            raise UserError(flags.refusal(flag, remedy))

    def _is_free(self, word: str) -> bool:
        return word.partition("=")[0].partition(".")[0] in self.free

    def _job(self, cfg: DictConfig) -> int | None:
        _restore("HYDRA_FULL_ERROR", None)
        self.own_folder = is_first() and claim.found_empty()
        self.folder = folder() if is_first() else None  # the first process shares its folder
        try:
            secrets.collect(cfg)
            groups.check_choices(Typed(self.name, configs(), ()), choices())
            complete(cfg, overrides())
            with notices(lambda text: print(f"warning: {text}", file=sys.stderr, flush=True)):
                ignored.tell(cfg, [word for word in overrides() if word not in self.prepared])
                self.code = self.function(cfg)
        except SystemExit as error:
            self.error = exits.refused(error)
        except Exception as error:
            if HydraConfig.get().mode == RunMode.MULTIRUN:  # a launcher other than ours counts failed jobs by itself
                raise
            self.error = error
        return self.code

    def _report(self) -> int:
        """Print the error on one line, keep the traceback where it can be found."""
        error, full = self.error, self.full == "1"
        assert error is not None
        error = classed(error) or error
        users = isinstance(error, UserError | HydraException | OmegaConfBaseException)
        if users and self.folder is not None:
            if self.own_folder and not isinstance(error, MachineError):  # that one can be resumed
                _clear(self.folder)
            _remove_empty(self.folder, self.own_folder)
        if self.raises:
            if not users:
                raise error
            sentence = hydra_errors.sentence(error, Typed(self.name, configs(), sys.argv[1:]))
            raise UserError(output.clean(sentence, output.MESSAGE)) from error
        trace = "".join(traceback.format_exception(self.error))
        if full:
            sys.stderr.write(trace)
        if users:
            message = hydra_errors.sentence(error, Typed(self.name, configs(), sys.argv[1:]))
        else:
            kept = "" if full else f"; {_keep(trace, self.folder)}"
            message = f"{type(error).__name__}: {hydra_errors.flat(str(error))}; this is a mistake in densepred{kept}"
        print(f"error: {output.clean(message, output.MESSAGE)}", file=sys.stderr)
        return 2 if users else 1

    def _stopped(self, stop: StopFlag, reason: Stopped) -> int:
        """Tell on one line how to go on; return the exit code. The folder of a run that kept nothing is removed."""
        recorded = self.folder is not None and provenance.exists(self.folder)
        if self.folder is not None and not recorded:
            _remove_empty(self.folder, self.own_folder)
        again = AGAIN
        if self.folder is not None and recorded:
            again = f"resume with: densepred-train {typed('trainer.resume', self.folder)}"
        kept = str(reason) or again
        if self.raises:
            raise Stopped(f"stopped by {stop.name}; {kept}") from reason
        if tells():
            console.after_interrupt()
            print(f"stopped by {stop.name}; {kept}", file=sys.stderr, flush=True)
        return STOPPED if recorded or reason.resumable else INTERRUPTED


def _keep(trace: str, folder: Path | None) -> str:
    """Append the traceback to the run's log; return a note of where it is."""
    if folder is not None:
        with contextlib.suppress(OSError), open(folder / "train.log", "a", encoding="utf-8") as file:
            file.write(output.clean(trace))
            return f"its traceback is in {folder / 'train.log'}"
    return "HYDRA_FULL_ERROR=1 shows its traceback"


def _clear(folder: Path) -> None:
    """Take the files of a start out of the folder of a run that was refused."""
    if any(folder.glob("*")):
        from densepred.rundir import refused  # with torch, which has written them

        refused.clear(folder)


def _remove_empty(folder: Path, own: bool) -> None:
    """Remove the folder of a run that was refused, if nothing is in it; elsewhere than below here only its own one."""
    here, empty = Path.cwd(), folder.resolve()
    with contextlib.suppress(OSError):
        if here in empty.parents or (own and empty != here):
            empty.rmdir()
        if here in empty.parent.parents:
            empty.parent.rmdir()


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
