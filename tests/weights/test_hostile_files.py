"""Malicious files in place of weights: each is refused by a message that names the file."""

from __future__ import annotations

import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.alarm import refused


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def safetensors(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + body


def entry(begin: int, end: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}


FILES: dict[str, bytes] = {
    "empty": b"",
    "short": b"\x01\x02",
    "text": b"hello, this is not a file of weights at all" * 9,
    "html": b"<!DOCTYPE html><html>not found</html>",
    "a huge header": safetensors(b"{}", length=2**40),
    "a negative header": safetensors(b"{}", length=2**64 - 1),
    "a header beyond the file": safetensors(b"{}", length=100),
    "a header that is no JSON": safetensors(b"{'a': 1}"),
    "a header that is a list": safetensors(b"[1, 2]"),
    "a header that is a number": safetensors(b"12"),
    "a deep header": safetensors(b"[" * 200_000 + b"]" * 200_000),
    "a deep mapping": safetensors(b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "a key twice": safetensors(b'{"a": 1, "a": 2}'),
    "not a number": safetensors(b'{"a": NaN}'),
    "overlapping tensors": safetensors(json.dumps({"a": entry(0, 8), "b": entry(4, 12)}).encode(), bytes(12)),
    "tensors beyond the file": safetensors(json.dumps({"a": entry(0, 4000)}).encode(), bytes(8)),
    "tensors before the file": safetensors(json.dumps({"a": entry(-8, 0)}).encode(), bytes(8)),
    "a gap": safetensors(json.dumps({"a": entry(0, 4), "b": entry(8, 12)}).encode(), bytes(12)),
    "places that are words": safetensors(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": ["x", "y"]}}'),
    "tensors that are words": safetensors(b'{"a": "evil"}'),
    "foreign weights": safetensors(json.dumps({"a": entry(0, 4)}).encode(), bytes(4)),
    "a description that is no text": safetensors(b'{"__metadata__": {"densepred": {"model": {}}}}'),
    "a description that is no JSON": safetensors(b'{"__metadata__": {"densepred": "{"}}'),
    "a description that is a list": safetensors(b'{"__metadata__": {"densepred": "[]"}}'),
    "a description of nothing": safetensors(b'{"__metadata__": {"densepred": "{\\"format\\": 1}"}}'),
}


@pytest.mark.parametrize("name", FILES)
def test_a_malformed_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "w.safetensors").write_bytes(FILES[name])
    assert str(tmp_path / "w.safetensors") in refused(tmp_path / "w.safetensors")


@pytest.mark.parametrize("suffix", ["pt", "pth", "safetensors", "bin"])
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_is_never_read(tmp_path: Path, suffix: str, protocol: int) -> None:
    path = tmp_path / f"w.{suffix}"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "canary"), protocol))
    refused(path)
    torch.save({"a": torch.ones(1)}, path)
    assert "pickle" in refused(path)


def test_folders_pipes_and_links_to_nowhere_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("pipe", "link", "folder"):
        refused(tmp_path / f"{name}.safetensors")
