"""Calls in a process with the pretended accelerator of `tests.accelerator`."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils import _foreach_utils, backend_registration

from densepred import distributed, optimizer
from tests import accelerator


class _Backend:
    """The module `torch.pretended`, as far as torch asks it."""

    def is_available(self) -> bool:
        return True

    is_initialized = is_available

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    is_autocast_enabled = _is_in_bad_fork

    def manual_seed_all(self, *_: Any) -> None: ...

    manual_seed = _lazy_init = synchronize = set_device = set_rng_state = manual_seed_all

    def get_rng_state(self, device: int = 0) -> torch.Tensor:
        return torch.zeros(0)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def _without_gradient(self: Any, *_: Any) -> None:
    """Enter inference mode as no_grad: its tensors have no version counter, which decomposition needs."""
    self.before = torch.is_grad_enabled()
    torch._C._set_grad_enabled(False)


@contextlib.contextmanager
def device() -> Iterator[torch.device]:
    """Register the device and obey its rules. For the rest of the process torch has an accelerator."""
    backend_registration._setup_privateuseone_for_python_backend(accelerator.NAME, backend_module=_Backend())
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda op, *args, **kwargs: accelerator.dispatch(op, args, kwargs), "PrivateUse1")
    torch.tensor, torch.as_tensor = accelerator.tensor, accelerator.as_tensor
    for module in (_foreach_utils, sys.modules[torch.optim.Optimizer.__module__]):
        module._foreach_supported_types.append(accelerator.Pretended)
    optimizer.FUSED[accelerator.Pretended] = (accelerator.NAME,)  # as on CUDA
    mode: Any = torch.autograd.grad_mode.inference_mode
    mode.__enter__, mode.__exit__ = _without_gradient, lambda self, *_: torch._C._set_grad_enabled(self.before)
    here = torch.device(accelerator.NAME, 0)
    distributed.device = distributed.join = lambda *_, **__: here
    yield here
    del library


class Server:
    """A fresh interpreter that registers the device and forks for every call.

    A fork of the tests' own process will not do: autograd sizes its queues per device at its first backward pass.
    """

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from tests.accelerated import serve; serve()"],
            cwd=accelerator.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self.close)

    def close(self) -> None:
        self.process.communicate()  # the end of its input ends it

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        path = Path(self.process.stdout.readline().strip())
        answer = json.loads(path.read_text() or '{"error": "the process died"}')
        path.unlink()
        return answer


@cache
def server() -> Server:
    return Server()


def run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a module with the pretended device in another process; return its result.

    Arguments and result must be JSON. Raises AssertionError with the traceback if the function raises.
    """
    name = f"{function.__module__}:{function.__name__}"
    answer = server().call({"function": name, "arguments": [str(a) if isinstance(a, Path) else a for a in arguments]})
    assert "error" not in answer, answer["error"]
    return answer["found"]


def serve() -> None:
    """Answer requests, one a line, by the name of a file with the result."""
    import tests.engine.test_device  # noqa: F401 - loads what calls need, once

    torch.set_num_threads(1)
    replies = os.dup(1)
    os.dup2(2, 1)
    with device():
        for line in sys.stdin:
            number, path = tempfile.mkstemp()
            os.close(number)
            child = os.fork()
            if child == 0:
                Path(path).write_text(json.dumps(_answer(json.loads(line))))
                os._exit(0)
            os.waitpid(child, 0)
            os.write(replies, f"{path}\n".encode())


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    module, _, name = request["function"].partition(":")
    try:
        with accelerator.Mode():
            return {"found": getattr(importlib.import_module(module), name)(*request["arguments"])}
    except BaseException:
        return {"error": traceback.format_exc()}
