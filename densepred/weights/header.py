"""Header of a file of weights: the description of its model, read without the weights and without torch.

A safetensors file begins with the length of a JSON header; densepred keeps its own description there, as one JSON
string under the key `densepred`. Nothing here is trusted: sizes, depths and types are checked.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densepred.errors import UserError
from densepred.home import expand
from densepred.weights import digest, mistaken

FORMAT = 1
ORIENTATIONS = ("stored", "upright")  # of labels; see `types.ORIENTATIONS`, which imports torch
LARGEST = 16 * 2**20  # bytes of a header; real ones have at most a few hundred kilobytes
DEEPEST = 32
KEY = "densepred"
DIGEST = "digest"
"""Key of the description that tells that the file has digests, so that losing their key does not pass unseen."""
VALID_BATCH = "valid_batch_size"
"""Key of the description: images per batch of a device in the validation of the run; absent in older files."""
SUFFIX = ".safetensors"
EXPORTED = {
    ".onnx": "an exported model; densepred-predict applies it alone, all else needs the run it was made from",
    ".pt2": "a program of torch.export; densepred-predict applies it alone, all else needs the run it was made from",
}
"""Uses of files of densepred-export, for messages where a file of weights is needed."""


def find_weights(run_or_file: str | Path) -> Path:
    """Return the weights of a run (its best, or else its last), or the file itself."""
    text, path = str(run_or_file), expand(run_or_file)
    if "://" in text:
        raise UserError(f"{text}: an address, not a file; download it first")
    if path.is_dir():
        found = [path / f"{name}{SUFFIX}" for name in ("best", "last") if (path / f"{name}{SUFFIX}").is_file()]
        if not found and (kind := mistaken.folder(path)):
            raise UserError(f"{path}: is {kind}")
        if not found:
            raise UserError(f"{path}: neither best{SUFFIX} nor last{SUFFIX} in this folder; give the folder of a run")
        return found[0]
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; give a run folder or a {SUFFIX} file")
    if not path.is_file():
        raise UserError(f"{path}: not a regular file; give a run folder or a {SUFFIX} file")
    return path


def read_header(path: Path) -> dict[str, Any]:
    """Return the description of the model and its task. Its form is checked, the names in it are not."""
    found = raw_header(path)
    metadata = found.get("__metadata__")
    text = metadata.get(KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        if run := mistaken.run_of(path):
            raise UserError(f"{path}: is a part of a checkpoint, without a description; give the run itself: {run}")
        if kind := mistaken.state(found, path):
            raise UserError(f"{path}: is {kind}")
        raise UserError(
            f"{path}: holds no description of its model, as files of other programs; densepred-train takes it by "
            "weights.init=FILE or weights.encoder=FILE, or give a file that densepred wrote"
        )
    header = parse(text, path)
    if header.get(DIGEST) and digest.KEY not in (metadata or {}):
        raise UserError(f"{path}: its header lost its digest: the file is damaged; use another checkpoint")
    return checked(header, path)


def checked(header: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a description if this densepred reads its format and it has all parts; else raise UserError."""
    version = header.get("format")
    if version != FORMAT:
        raise UserError(f"{path}: format {str(version)[:20]}, this densepred reads {FORMAT}; update densepred")
    for key in ("model", "task", "info"):
        if not isinstance(header.get(key), dict):
            raise UserError(f"{path}: its description lacks {key}; use another checkpoint")
    return header


def has_description(path: Path) -> bool:
    """Look for a description of the model, valid or not: densepred writes one into each file."""
    metadata = raw_header(path).get("__metadata__")
    return isinstance(metadata, dict) and KEY in metadata


def options(header: Mapping[str, Any]) -> dict[str, str]:
    """Return the options of the groups that made the model, such as {"model": "unet"}; {} in older files."""
    found = header.get("options")
    names = found if isinstance(found, dict) else {}
    return {str(key): one for key, one in names.items() if isinstance(one, str) and one.isidentifier()}


def with_orientation(header: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of the dataset with the orientation of its labels (EXIF).

    Headers from before `info.exif` have it among what was typed, as dataset.exif=stored.
    """
    info, dataset = header["info"], header.get("dataset")
    words = dataset.get("overrides") if isinstance(dataset, Mapping) else None
    typed = [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
    found = [word.rpartition("=")[2] for word in typed if word.lstrip("+").partition("=")[0] == "dataset.exif"]
    return {**info, "exif": found[-1]} if "exif" not in info and found and found[-1] in ORIENTATIONS else dict(info)


def raw_header(path: Path) -> dict[str, Any]:
    """Return the JSON header of a safetensors file: type, shape and place of each tensor, and `__metadata__`."""
    return placed_header(path)[0]


def placed_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header, verified by its digest if it holds one, and the place in bytes of the first tensor."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
            text = file.read(length) if 2 <= length <= min(LARGEST, size - 8) else b""
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; check the path and its permissions") from error
    if size == 0:
        raise UserError(f"{path}: is empty; use another checkpoint")
    if path.suffix in EXPORTED:
        raise UserError(f"{path}: {EXPORTED[path.suffix]}")
    if not text.startswith(b"{") and (kind := mistaken.file(start, path)):
        raise UserError(f"{path}: is {kind}")
    if not text.startswith(b"{") and _pickled(start, path):  # a length may begin with the bytes of a pickle
        raise UserError(f"{path}: is a pickle, which may run code when it is opened; convert it with densepred-import")
    if length > LARGEST:
        raise UserError(f"{path}: a header of {length} bytes, where {LARGEST} are the most; give a safetensors file")
    if len(text) != length or length < 2:
        raise UserError(f"{path}: not a safetensors file, or cut off; use another checkpoint")
    header = parse(text, path)
    digest.check_header(text, header.get("__metadata__"), path)
    _check_extent(header, size - 8 - length, path)
    return header, 8 + length


def parse(text: str | bytes, path: Path) -> dict[str, Any]:
    """Parse JSON from an unknown source: an object, at most DEEPEST deep, without duplicate keys."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
        deep = _depth(found) > DEEPEST
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header is damaged: {str(error)[:80]}; use another checkpoint") from error
    if deep or not isinstance(found, dict):
        raise UserError(f"{path}: its header is not of the expected form; use another checkpoint")
    return found


def _pickled(start: bytes, path: Path) -> bool:
    return start[:2] == b"PK" or start[:1] == b"\x80" or path.suffix in (".pt", ".pth", ".ckpt", ".pkl", ".bin")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is given twice")
    return found


def _constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _depth(node: Any) -> int:
    """Return how deep lists and mappings are nested, without recursion."""
    depth, level = 0, [node] if isinstance(node, dict | list) else []
    while level and depth <= DEEPEST:
        level = [v for n in level for v in (n.values() if isinstance(n, dict) else n) if isinstance(v, dict | list)]
        depth += 1
    return depth


def _is_tensor(entry: Any) -> bool:
    """Check the form of an entry: whole numbers from 0 on, and as many bytes as the shape needs at most."""
    shape, place = entry["shape"], entry["data_offsets"]
    plain = isinstance(entry["dtype"], str) and isinstance(shape, list) and isinstance(place, list) and len(place) == 2
    return plain and len(shape) <= DEEPEST and all(type(side) is int and side >= 0 for side in (*shape, *place))


def _check_extent(header: dict[str, Any], size: int, path: Path) -> None:
    """Raise UserError unless the tensors fill the rest of the file without gap or overlap."""
    try:
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        if not all(_is_tensor(entry) for entry in entries):
            raise TypeError("a tensor without type, shape and place")
        places = sorted(tuple(entry["data_offsets"]) for entry in entries)
        ends = [0, *(end for _, end in places)]
        whole = all(begin == before <= end for (begin, end), before in zip(places, ends, strict=False))
    except (TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path}: its list of tensors is damaged; use another checkpoint") from error
    if not whole:
        raise UserError(f"{path}: its tensors overlap or leave gaps; use another checkpoint")
    if ends[-1] != size:
        raise UserError(f"{path}: {size} bytes of weights, but {ends[-1]} in its header: it is cut off; fetch it again")
