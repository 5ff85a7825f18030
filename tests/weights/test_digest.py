"""Digests of files of weights: every changed bit is noticed, and files without a digest are read as they were."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from densepred.errors import UserError
from densepred.jobs.parts import stored, task_and_model
from densepred.types import Info
from densepred.weights import digest, header
from densepred.weights.file import load_model, read_tensors, save_weights, write_tensors

WEIGHTS = {"a.weight": torch.arange(600.0).view(30, 20), "a.count": torch.tensor(3), "b": torch.ones(5).half()}
ABOUT = {"model": {}, "task": {}, "info": {}}


def written(folder: Path) -> Path:
    save_weights(folder / "w.safetensors", WEIGHTS, ABOUT)
    return folder / "w.safetensors"


def opened(path: Path) -> None:
    """Read a file as commands do: its description, then its tensors."""
    if header.has_description(path):
        header.read_header(path)
    read_tensors(path)


def changed(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place // 8] ^= 1 << (place % 8)
    path.write_bytes(content)


def body(path: Path) -> int:
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")


def test_every_byte_of_a_small_file_is_covered(tmp_path: Path) -> None:
    """Also those of the names of the digest's own keys, without which a file would count as one of another program."""
    save_weights(tmp_path / "w.safetensors", {"a": torch.ones(2)}, ABOUT)
    content = (tmp_path / "w.safetensors").read_bytes()
    opened(tmp_path / "w.safetensors")
    for place in range(len(content)):
        changed(tmp_path / "w.safetensors", 8 * place + place % 8)
        with pytest.raises(UserError, match=r"w\.safetensors: "):
            opened(tmp_path / "w.safetensors")
        (tmp_path / "w.safetensors").write_bytes(content)


def flips_noticed(path: Path, count: int, seed: int) -> int:
    chance, content, start = random.Random(seed), path.read_bytes(), body(path)
    noticed = 0
    for number in range(count):
        first, last = ((0, start), (start, len(content)))[number % 2]
        changed(path, chance.randrange(8 * first, 8 * last))
        try:
            opened(path)
        except UserError:
            noticed += 1
        path.write_bytes(content)
    return noticed


def cuts_noticed(path: Path, count: int, seed: int) -> int:
    chance, content = random.Random(seed), path.read_bytes()
    noticed = 0
    for _ in range(count):
        path.write_bytes(content[: chance.randrange(len(content))])
        try:
            opened(path)
        except UserError:
            noticed += 1
    path.write_bytes(content)
    return noticed


def test_50_flipped_bits_and_10_cuts_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert flips_noticed(path, 50, 1) == 50
    assert cuts_noticed(path, 10, 1) == 10


@pytest.mark.slow
def test_1000_flipped_bits_and_cuts_are_noticed(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert flips_noticed(path, 800, 2) + cuts_noticed(path, 200, 2) == 1000


def test_digests_are_sha256_of_parts_and_of_the_header_with_zeros(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(digest, "PART", 1000)
    path = written(tmp_path)
    content, start = path.read_bytes(), body(path)
    with safe_open(path, "pt") as file:
        found = file.metadata()[digest.KEY]
    parts = [content[place : place + 1000] for place in range(start, len(content), 1000)]
    assert len(parts) == 3
    assert found[:64] == hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    text = content[8:start].replace(found[64:].encode(), b"0" * 64)
    assert found[64:] == hashlib.sha256(text).hexdigest()


def test_files_of_earlier_versions_and_other_programs_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "other.safetensors")
    text = json.dumps({"format": 1, **ABOUT})
    save_file(WEIGHTS, tmp_path / "former.safetensors", {header.KEY: text})
    for name in ("other", "former"):
        read = read_tensors(tmp_path / f"{name}.safetensors")
        assert all(torch.equal(read[key], value) for key, value in WEIGHTS.items())
    assert header.read_header(tmp_path / "former.safetensors")["format"] == 1


def test_a_description_that_lost_its_digest_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"format": 1, header.DIGEST: "sha256", **ABOUT})
    save_file(WEIGHTS, tmp_path / "w.safetensors", {header.KEY: text})
    with pytest.raises(UserError, match="lost its digest"):
        header.read_header(tmp_path / "w.safetensors")


def test_imported_files_have_digests(tmp_path: Path) -> None:
    write_tensors(tmp_path / "w.safetensors", WEIGHTS, {"densepred_import": "{}"})
    assert flips_noticed(tmp_path / "w.safetensors", 20, 3) == 20


@pytest.mark.parametrize("by", ["eval and predict", "weights.init and weights.*", "the settings of a file"])
def test_each_way_into_a_file_notices_a_flipped_bit(plain: Callable[..., Any], tmp_path: Path, by: str) -> None:
    config, info = plain(), Info(classes=("sky", "ball"), palette=((0, 0, 0), (9, 9, 9)))
    _, model = task_and_model(config["task"], config["model"], info)
    about = {"model": stored(config["model"]), "task": stored(config["task"]), "info": info.to_json()}
    path = tmp_path / "w.safetensors"
    save_weights(path, model.state_dict(), about)
    load_model(path)
    changed(path, 8 * (100 if by == "the settings of a file" else path.stat().st_size - 50))
    with pytest.raises(UserError, match=r"w\.safetensors: .*(damaged|changed)"):
        _open(by, path)


def _open(by: str, path: Path) -> None:
    if by == "eval and predict":
        load_model(path)
    elif by == "weights.init and weights.*":
        read_tensors(path)
    else:
        header.read_header(path)
