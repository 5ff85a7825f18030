"""A pretended accelerator: tensors that claim a device of their own, compute on the CPU and obey CUDA's rules.

Tensors of two devices in one operation raise as on CUDA. Counted are kernels, host reads (each waits for the device)
and copies, with the line of densepred that caused them. What it cannot show: speed, rounding of other kernels, memory.

A process that once registered the device keeps it: tests call
`tests.accelerated.run`, which uses another one.
"""

from __future__ import annotations

import copy
import os
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

NAME = "pretended"
ROOT = Path(__file__).resolve().parents[1]
PACKAGE = str(ROOT / "densepred") + os.sep


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIEWS = _words(
    """
    view _unsafe_view reshape expand slice select t transpose permute unsqueeze squeeze detach alias
    as_strided unbind split split_with_sizes narrow diagonal unfold _reshape_alias lift_fresh chunk
    movedim lift detach_ empty empty_like empty_strided new_empty new_empty_strided resize_ t_
    transpose_ unsqueeze_ squeeze_ unsafe_split is_pinned set_ view_as_real real
    """
)
"""Operations without a kernel."""

WAITS = _words(
    """
    _local_scalar_dense nonzero masked_select unique_dim _unique2 unique_consecutive _unique equal
    is_nonzero linalg_eigh _linalg_eigh bincount
    """
)
"""Operations with a result, or a shape of it, that the host needs."""

KERNELS = {"bincount": 5, "nonzero": 3, "sort": 6, "_unique2": 10, "masked_select": 4, "argsort": 6, "topk": 3}
KERNELS |= {"native_batch_norm_backward": 2, "convolution_backward": 2, "native_group_norm": 3}
"""Kernels of one operation on CUDA, by experience; 1 where it does not stand here."""

MIXED = {"_to_copy", "copy_", "index", "_unsafe_index", "index_put", "index_put_", "_index_put_impl_"}
"""Operations that take tensors of two devices, under rules of their own."""

STRICT = _words(
    """
    cat stack index_add_ index_add scatter scatter_ scatter_add scatter_add_ scatter_reduce
    scatter_reduce_ gather index_select mm bmm addmm convolution index_copy index_copy_ mv dot
    """
)
"""Operations that refuse even a 0-d tensor of another device."""


@dataclass
class Counts:
    """Events on the pretended device since the last `reset`; the keys of counters are lines of densepred."""

    kernels: int = 0
    launched: Counter[str] = field(default_factory=Counter)  # kernels by line
    reads: Counter[str] = field(default_factory=Counter)  # waits of the host for the device
    blocking: Counter[str] = field(default_factory=Counter)  # copies to the device that wait
    copied: int = 0  # bytes copied to the device

    def reset(self) -> None:
        self.__init__()


COUNTS = Counts()

REFUSED: set[torch.dtype] = set()
"""Types that the device is without, such as float64 on Apple's."""


class Pretended(torch.Tensor):
    """A tensor of the pretended device; `held` has its numbers."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Pretended:
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=torch.device(NAME, 0),
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"Pretended({self.held!r})"

    def __reduce_ex__(self, protocol):
        raise TypeError("a tensor of a device was pickled; move it to the CPU")

    def tolist(self):
        COUNTS.reads[_line()] += 1
        return self.held.tolist()

    def data_ptr(self) -> int:
        return self.held.data_ptr()  # else 0, and tensors of one shape would pass for the same

    def __deepcopy__(self, memo):
        made = self.detach().clone().requires_grad_(self.requires_grad)
        made.__dict__ = copy.deepcopy(self.__dict__, memo)  # also the mark of a parameter
        memo[id(self)] = made
        return made

    def numpy(self, *args, **kwargs):
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy")

    __array__ = numpy

    def new_tensor(self, data, *, dtype=None, device=None, requires_grad=False):
        return tensor(data, dtype=dtype or self.dtype, device=self.device if device is None else device)

    def __getitem__(self, index):
        return torch.Tensor.__getitem__(self, _indices(index))

    def __setitem__(self, index, value):
        return torch.Tensor.__setitem__(self, _indices(index), value)


def _indices(index: Any) -> Any:
    """Return an index with tensors for lists, as torch's C++ does for its own tensors."""
    parts = (
        tuple(_tensor(part) if isinstance(part, list) else part for part in index) if type(index) is tuple else index
    )
    return _tensor(parts) if isinstance(parts, list) else parts


_tensor, _as_tensor = torch.tensor, torch.as_tensor


def tensor(data, *, dtype=None, device=None, requires_grad=False, pin_memory=False):
    """Replace torch.tensor, which would make a tensor of the device without asking the dispatcher."""
    made = _tensor(data, dtype=dtype, requires_grad=requires_grad)
    if not _ours(device):
        return made if device is None else made.to(device)
    COUNTS.blocking[_line()] += 1
    return Pretended(made.detach())


def as_tensor(data, dtype=None, device=None):
    if isinstance(data, torch.Tensor):
        return data.to(device=data.device if device is None else device, dtype=dtype or data.dtype)
    return tensor(data, dtype=dtype, device=device) if _ours(device) else _as_tensor(data, dtype=dtype, device=device)


class Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return dispatch(func, args, kwargs or {})


def _ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _line() -> str:
    """Return the innermost line of densepred, as file:line."""
    frame = sys._getframe(2)
    while frame is not None and not frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return "outside" if frame is None else f"{frame.f_code.co_filename.removeprefix(PACKAGE)}:{frame.f_lineno}"


def dispatch(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    name = func._overloadpacket.__name__
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    ours = [x for x in tensors if isinstance(x, Pretended)]
    others = [x for x in tensors if not isinstance(x, Pretended)]
    device = kwargs.get("device")
    made_here = bool(ours) if device is None else _ours(device)
    if not ours and not made_here:
        return func(*args, **kwargs)
    if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
        with Mode():
            found = func.decompose(*args, **kwargs)
        if found is not NotImplemented:
            return found
    if ours and others:
        _require_one_device(func, name, args, others)
    _count(name, args, kwargs, ours, others, made_here)
    return _compute(func, name, args, kwargs, made_here, leaves=bool(ours) and not made_here)


def _require_one_device(func: Any, name: str, args: tuple[Any, ...], others: list[torch.Tensor]) -> None:
    """Raise as CUDA does where tensors of two devices meet."""
    first = args[0]
    if name not in MIXED:
        wrong = [x for x in others if x.ndim > 0 or name in STRICT]
        into = isinstance(first, torch.Tensor) and not isinstance(first, Pretended) and name.endswith("_")
        if wrong or into:
            shapes = [tuple(x.shape) for x in wrong]
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found {NAME}:0 and cpu {shapes}: {func}"
            )
    elif "index" in name and not isinstance(first, Pretended):
        raise RuntimeError(f"indices should be either on cpu or on the same device as the indexed tensor (cpu): {func}")
    elif name.startswith(("index_put", "_index_put")):
        value = args[2]
        if not isinstance(value, Pretended) and value.ndim > 0:
            raise RuntimeError(f"index_put_: self and values are on two devices: {func}")


def _require_types(found: Any) -> None:
    """Raise as Apple's devices do for a type that they are without."""
    for made in tree_leaves(found):
        if isinstance(made, torch.Tensor) and made.dtype in REFUSED:
            raise TypeError(f"Cannot convert a tensor of {NAME}:0 to {made.dtype}: it has no such type")


def _compute(func: Any, name: str, args: tuple, kwargs: dict, made_here: bool, leaves: bool) -> Any:
    """Call the operation on the numbers; wrap what is of the device."""
    options = dict(kwargs)
    if options.get("device") is not None:
        options["device"] = torch.device("cpu")
    options = {key: False if key in ("pin_memory", "non_blocking") else value for key, value in options.items()}
    plain, options = tree_map(lambda x: x.held if isinstance(x, Pretended) else x, (args, options))
    if name == "copy_":
        plain[0].copy_(plain[1])
        return args[0]
    found = func(*plain, **options)
    if name == "_local_scalar_dense":
        return found
    if not leaves:
        _require_types(found)
    if name == "_to_copy":
        copy = found.clone() if found.data_ptr() == plain[0].data_ptr() else found
        return copy if leaves else Pretended(copy)
    written = [
        (i, a) for i, a in enumerate(func._schema.arguments) if a.alias_info is not None and a.alias_info.is_write
    ]
    if written and len(func._schema.returns) <= 1:
        if not func._schema.returns:
            return None
        position, argument = written[0]
        return kwargs.get(argument.name) if argument.kwarg_only or position >= len(args) else args[position]
    return tree_map(lambda x: x if leaves or not isinstance(x, torch.Tensor) else Pretended(x), found)


def _count(name: str, args: tuple, kwargs: dict, ours: list, others: list, made_here: bool) -> None:
    if name in ("_to_copy", "copy_"):
        source = args[1] if name == "copy_" else args[0]
        to_device = isinstance(args[0], Pretended) if name == "copy_" else made_here
        if isinstance(source, Pretended) and not to_device:
            COUNTS.reads[_line()] += 1
            return
        if to_device and not isinstance(source, Pretended):
            COUNTS.copied += source.numel() * source.element_size()
            waits = not (kwargs.get("non_blocking") or (name == "copy_" and len(args) > 2 and args[2]))
            COUNTS.blocking[_line()] += waits
            return
    if name in VIEWS:
        return
    if name in WAITS:
        COUNTS.reads[_line()] += 1
        if name == "_local_scalar_dense":
            return
    if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
        parts = [x for x in tree_leaves(args[1]) if isinstance(x, torch.Tensor)]
        if any(x.dtype == torch.bool and isinstance(x, Pretended) for x in parts):
            COUNTS.reads[_line()] += 1
        if any(not isinstance(x, Pretended) for x in parts):
            COUNTS.blocking[_line()] += 1
    kernels = KERNELS.get(name, 1)
    if name.startswith(("_foreach", "_fused", "_amp_foreach")):
        lists = [x for x in args if isinstance(x, list | tuple)]
        kernels = -(-max(map(len, lists), default=1) // 100) if ours else 0
    COUNTS.kernels += kernels
    COUNTS.launched[_line()] += kernels
