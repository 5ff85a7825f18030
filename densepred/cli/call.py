"""Commands called from Python: composed, checked and run by the same code, with exceptions instead of exit codes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from densepred import output
from densepred.cli import flags, own_configs
from densepred.cli.command import Function, Invocation, Prepare, configs
from densepred.cli.compose import register
from densepred.errors import UserError
from densepred.home import in_quotes
from densepred.process import watch
from densepred.process.stop import StopFlag, Stopped
from densepred.rundir import override
from densepred.sweep import launcher, record

TAKEN = ("--config-dir", "-cd", "--config-name", "-cn")
"""Flags that a call may have; the others ask for text, or for several runs."""
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
_LOCK = threading.RLock()  # the words of a command are those of the process


def call(
    function: Function, name: str, words: Sequence[str], prepare: Prepare | None = None, free: Sequence[str] = ()
) -> tuple[int, Path | None]:
    """Run `densepred-<name> words` in this process; return its exit code and its folder.

    The arguments are those of `command.run`. Raises UserError with the sentence that the command would print; other
    errors as they are. A signal raises KeyboardInterrupt with the way to go on. A call that hangs under a limit of
    memory or processes raises UserError; outside the main thread a line on standard error tells of it.
    """
    _check(words)
    main = threading.current_thread() is threading.main_thread()  # it alone can be interrupted
    told = watch.interrupt if main else watch.tell
    with _LOCK, _as_typed(name, words), torch_settings(), StopFlag() as stop, watch.watched(told):
        ran = Invocation(function, name, prepare, free, raises=True)
        try:
            return ran(stop), ran.folder
        except Stopped as reason:
            raise KeyboardInterrupt(str(reason)) from None


@contextmanager
def torch_settings() -> Iterator[None]:
    """Give the caller's threads, precision, determinism and random numbers of torch back after a `with` block."""
    import torch  # not for --help

    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    level, fastest = torch.get_deterministic_debug_mode(), torch.backends.cudnn.benchmark
    variable, numbers = os.environ.get(CUBLAS), torch.random.get_rng_state()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision(precision)
        if torch.get_deterministic_debug_mode() != level:
            torch.set_deterministic_debug_mode(level)
        torch.backends.cudnn.benchmark = fastest
        torch.random.set_rng_state(numbers)
        if variable is None:
            os.environ.pop(CUBLAS, None)


def quoted(value: object) -> str:
    """Return a path, or a list of them, as a value that Hydra reads as it is."""
    if isinstance(value, list | tuple):
        return f"[{','.join(quoted(one) for one in value)}]"
    return in_quotes(str(value), "'")


def _check(words: Sequence[str]) -> None:
    for word in words:
        if not isinstance(word, str):
            raise UserError(f"{word!r}: overrides are texts; write 'key=value', such as 'trainer.max_steps=20'")
        if override.key(word) == record.RESUME:
            raise UserError(f"{record.RESUME}: sweeps are for the command line; type the command in a shell")
    for flag in flags.split(words)[0]:
        if flag.startswith("-") and flag.partition("=")[0] not in TAKEN:
            raise UserError(f"{flag}: from Python there are overrides alone; type the command in a shell")


@contextmanager
def _as_typed(name: str, words: Sequence[str]) -> Iterator[None]:
    """Let the process look as if the command was typed; what the caller had of Hydra and of the streams comes back."""
    argv, path, streams = sys.argv, list(sys.path), (sys.stdout, sys.stderr)
    hydra, composed = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    sys.argv = [f"densepred-{name}", *words]
    sys.path.append(os.getcwd())  # as the command does: components in the working directory
    output.install()
    register()
    launcher.register()
    flags.register()
    own_configs.register(configs())
    GlobalHydra.instance().clear()
    ends, StopFlag.ends = StopFlag.ends, False
    try:
        yield
    finally:
        StopFlag.ends = ends
        sys.argv, sys.path[:] = argv, path
        sys.stdout, sys.stderr = streams
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = hydra, composed
