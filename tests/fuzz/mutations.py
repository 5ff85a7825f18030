"""Damage to files for fuzzing: bytes, numbers and, in JSON, whole values are changed at random."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from typing import Any

NUMBERS = (b"-1", b"0", b"1e309", b"NaN", b"-Infinity", b"99999999999999999999", b"1" * 5000, b"0.5", b"4294967296")
WORDS = (
    b"null",
    b"true",
    b'"x"',
    b"[]",
    b"{}",
    b"\0",
    b"\xff\xfe",
    b"\x1b[31m",
    b"'",
    b'"',
    b"\\u0000",
    b"\xed\xa0\x80",
)
VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2**70,
    10**400,
    1e308,
    float("inf"),
    float("nan"),
    0.5,
    "",
    "x",
    "\0",
    "../x",
)
VALUES += ("/etc/passwd", "\ud800", "\x1b[31m", "a" * 10**5, [], {}, [[]], [None], {"a": 1}, [[[[[]]]]], 10**9)

Change = Callable[[bytes, random.Random], bytes]


def _span(data: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data) + 1)
    return start, min(len(data), start + chance.choice((1, 1, 2, 4, 8, 64, 1000)))


def flipped(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def overwritten(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + chance.choice((chance.randbytes(end - start), b"\xff" * (end - start))) + data[end:]


def inserted(data: bytes, chance: random.Random) -> bytes:
    start, _ = _span(data, chance)
    return data[:start] + chance.choice((*WORDS, chance.randbytes(4))) + data[start:]


def removed(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:start] + data[end:]


def doubled(data: bytes, chance: random.Random) -> bytes:
    start, end = _span(data, chance)
    return data[:end] + data[start:end] * chance.choice((1, 3)) + data[end:]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def zeroed(data: bytes, chance: random.Random) -> bytes:
    """Replace the end by zeros, as a loss of power does."""
    start = chance.randrange(len(data))
    return data[:start] + bytes(len(data) - start)


def emptied(data: bytes, chance: random.Random) -> bytes:
    return b"\n"


def enlarged(data: bytes, chance: random.Random) -> bytes:
    """Repeat the whole to a megabyte."""
    return data * max(1, 2**20 // max(1, len(data)))


def renumbered(data: bytes, chance: random.Random) -> bytes:
    """Replace one number in a text."""
    found = list(re.finditer(rb"-?\d+(\.\d+)?", data))
    if not found:
        return flipped(data, chance)
    place = chance.choice(found)
    return data[: place.start()] + chance.choice(NUMBERS + WORDS) + data[place.end() :]


def restructured(data: bytes, chance: random.Random) -> bytes:
    """Replace, remove or repeat one value of a JSON text."""
    try:
        tree = json.loads(data)
    except ValueError:
        return renumbered(data, chance)
    for _ in range(chance.choice((1, 1, 2))):
        places = list(_places(tree))
        if not places:
            break
        parent, key = chance.choice(places)
        act = chance.randrange(5)
        if act == 0:
            del parent[key]
        elif act == 1 and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[key]))
        else:
            parent[key] = copy.deepcopy(chance.choice(VALUES))
    return json.dumps(tree).encode("utf-8", "surrogatepass")


def _places(node: Any) -> Any:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


BYTES: tuple[Change, ...] = (flipped, overwritten, inserted, removed, doubled, cut)
TEXT: tuple[Change, ...] = (*BYTES, renumbered, renumbered, renumbered)
ENDS: tuple[Change, ...] = (zeroed, emptied, enlarged)
JSON: tuple[Change, ...] = (*TEXT, restructured, restructured, restructured, restructured, restructured, restructured)


def mutated(data: bytes, changes: tuple[Change, ...], chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        data = chance.choice(changes)(data, chance) or b"\0"
    return data
