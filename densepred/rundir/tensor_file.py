"""Write a safetensors file and its digest in one pass: a second thread hashes while this one writes.

`safetensors.torch.save_file` tells no digest, and reading the file again costs as much as writing it. The form is
specified at https://huggingface.co/docs/safetensors: the length of a header, the header as JSON, the tensors' bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from densepred import atomic

NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
    torch.complex64: "C64",
}
"""Data types by the name that the format gives them."""

BLOCK = 1 << 22  # bytes written at a time, while blocks before are hashed
PENDING = 32  # blocks that may wait to be hashed; those of a GPU are copies in memory
ALIGNMENT = 8  # bytes; a header is padded to a multiple, and tensors stand by falling size of their elements


def write(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write named tensors; return the SHA-256 of the file in hexadecimal. It is on the disk by then."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    sha = hashlib.sha256()
    with path.open("wb", buffering=0) as file, ThreadPoolExecutor(1) as hasher:
        waiting: deque[Future[None]] = deque()
        for block in _blocks({name: tensors[name] for name in order}):
            waiting.append(hasher.submit(sha.update, block))
            _write(file.fileno(), block)
            if len(waiting) > PENDING:
                waiting.popleft().result()
        atomic.sync(path)
        for hashed in waiting:
            hashed.result()
    return sha.hexdigest()


def _write(handle: int, block: memoryview) -> None:
    done = 0
    while done < len(block):
        done += os.write(handle, block[done:])


def _blocks(tensors: Mapping[str, Tensor]) -> Iterator[memoryview]:
    yield memoryview(_header(tensors))
    for value in tensors.values():
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        for start in range(0, len(data), BLOCK):
            yield data[start : start + BLOCK]


def _header(tensors: Mapping[str, Tensor]) -> bytes:
    entries, at = {}, 0
    for name, value in tensors.items():
        end = at + value.numel() * value.element_size()
        entries[name] = {"dtype": NAMES[value.dtype], "shape": list(value.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text
