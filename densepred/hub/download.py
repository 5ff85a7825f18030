"""Download of one file: whole, verified and by one process per node, or refused in one line within two seconds."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import urllib.request
import warnings
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tqdm import tqdm

from densepred import atomic, distributed, output
from densepred.errors import Notice, UserError
from densepred.hub import reach

STALL_S = 20.0
BLOCK = 1 << 20  # bytes
EVERY = 30.0
"""Seconds between two lines where standard error is no terminal."""
ABSENT = "the server answered 404"
"""Fact in the message for a file that is not at its address."""
SIDE = ".sha256"
"""Suffix of the file that keeps the digest of a download that nothing else tells."""


@dataclass(frozen=True, slots=True)
class Published:
    """A file at `url`, kept at `path`; `sha256` holds all 64 hexadecimal digits, the first few, or none."""

    url: str
    path: Path
    sha256: str = ""


def named_digest(name: str) -> str:
    """Return the digits of a SHA-256 in a name such as resnet18-f37072fd.pth; "" if it holds none."""
    found = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return found[1] if found else ""


def fetch(file: Published, otherwise: str) -> Path:
    """Return the verified file, downloaded if it is absent. `otherwise` names another remedy for messages.

    With several processes the first of each node works, and all of them raise what one of them raises. Every process
    must call it.
    """
    problem = ""
    if distributed.world() == 1 or int(os.environ.get("LOCAL_RANK", 0)) == 0:
        try:
            _ensure(file, otherwise)
        except UserError as error:
            problem = str(error)
    if found := next(filter(None, distributed.gather(problem)), ""):
        raise UserError(found)
    return file.path


def _ensure(file: Published, otherwise: str) -> None:
    if file.path.is_file():
        verify(file)
        return
    try:
        file.path.parent.mkdir(parents=True, exist_ok=True)
        atomic.replace(file.path, lambda temporary: _download(file, temporary))
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, UserError):
            raise UserError(f"{error}; put the file at {file.path}, or {otherwise}") from error
        raise UserError(
            f"{file.url}: cannot be downloaded: {reach.reason(error)}; put the file at {file.path}, or {otherwise}"
        ) from error


def verify(file: Published) -> None:
    """Raise UserError unless a file has its published digest; a Notice tells if none is known."""
    side = file.path.with_name(file.path.name + SIDE)
    wanted = file.sha256
    if len(wanted) < 64 and side.is_file():
        recorded = side.read_text(encoding="ascii", errors="replace").strip()
        wanted = recorded if recorded.startswith(wanted) else wanted
    if not wanted:
        warnings.warn(f"{file.path}: no checksum of it is known, so none was compared", Notice, stacklevel=2)
        return
    found = atomic.digest(file.path)
    if not found.startswith(wanted):
        raise UserError(
            f"{file.path}: its SHA-256 begins with {found[: len(wanted)][:16]}, that of {file.url} with {wanted[:16]}: "
            "damaged, cut off or another file; remove it, or replace it by that file"
        )


def _download(file: Published, temporary: Path) -> None:
    reach.connect(file.url)
    told = _Told()
    request = urllib.request.Request(file.url, headers={"User-Agent": "densepred", "Accept-Encoding": "identity"})
    sha, size = hashlib.sha256(), 0
    with urllib.request.build_opener(told).open(request, timeout=STALL_S) as answer:
        length = answer.headers.get("Content-Length")
        whole = int(length) if length and length.isdigit() else None
        bar = tqdm(
            total=whole,
            unit="B",
            unit_scale=True,
            desc=file.path.name,
            disable=None,
            leave=False,
            file=output.unscreened(sys.stderr),
            dynamic_ncols=True,
        )
        lines = _Lines(file, whole)
        with temporary.open("wb") as written, bar:
            while block := answer.read(BLOCK):
                written.write(block)
                sha.update(block)
                size += len(block)
                bar.update(len(block))
                lines.update(size)
    if whole is not None and size != whole:
        raise UserError(f"{file.url}: cut off after {size} of {whole} bytes")
    found, wanted = sha.hexdigest(), file.sha256 or told.digest
    if not found.startswith(wanted):
        raise UserError(f"{file.url}: its SHA-256 begins with {found[:16]}, where {wanted[:16]} is published")
    side = file.path.with_name(file.path.name + SIDE)
    atomic.replace(side, lambda path: path.write_text(f"{found}\n", encoding="ascii"))


class _Lines:
    """Prints what is downloaded and, where standard error is no terminal, how far it is every `EVERY` seconds."""

    def __init__(self, file: Published, whole: int | None) -> None:
        self.name, self.of = file.path.name, "" if whole is None else f" of {_megabytes(whole)}"
        self.printed = time.monotonic()
        amount = "" if whole is None else f" ({_megabytes(whole)})"
        print(f"downloading {file.url}{amount} to {file.path}", file=sys.stderr, flush=True)

    def update(self, size: int) -> None:
        if time.monotonic() - self.printed >= EVERY and not sys.stderr.isatty():
            self.printed = time.monotonic()
            print(f"  {self.name}: {_megabytes(size)}{self.of}", file=sys.stderr, flush=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


class _Told(urllib.request.HTTPRedirectHandler):
    """Follows redirects, and keeps the digest that Hugging Face sends along with its own."""

    digest = ""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        tag = str(headers.get("X-Linked-ETag", "")).strip('"')
        self.digest = tag if re.fullmatch(r"[0-9a-f]{64}", tag) else self.digest
        return super().redirect_request(req, fp, code, msg, headers, newurl)
