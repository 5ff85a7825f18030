"""A program of torch.export in a file of densepred, which torch computes.

torch.export.load reads it by pickle, and a pickle may run any code. The description beside the program is read
without it: until the file is trusted, nothing in it is executed.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass

from densepred.errors import UserError, out_of_memory
from densepred.exporting import convert
from densepred.exporting.exported import OUTPUTS, SIZE, Exported
from densepred.weights import header

SUFFIX = ".pt2"
TRUST = "torch.export"
"""Entry of `trust` by which a user lets torch.export.load open files."""
EXTRA = "densepred.json"
"""Name of the description in a file of torch.export."""


class Program(Exported):
    """A program of torch.export. Raises UserError if it is not trusted, not of densepred, or cannot be opened."""

    def __init__(self, path: Path, trust: Sequence[str] = ()) -> None:
        self.path, self.metadata = path, metadata(path)
        form = self.form(self.described())
        if TRUST not in trust:
            raise UserError(
                f"{path}: a program of torch.export, which may run code when it is opened; type 'trust=[{TRUST}]' if "
                "you made it, or give an .onnx file or the run"
            )
        names, size = form.get(OUTPUTS), form.get(SIZE)
        if not isinstance(names, list):
            raise UserError(f"{path}: does not name its outputs; export it again by this version of densepred")
        self.names, self._sides = names, size if isinstance(size, list) and len(size) == 2 else ["height", "width"]
        try:
            with convert.quiet():
                self.program = torch.export.load(str(path))
        except Exception as error:  # torch raises a dozen types for files that are damaged or of another version
            if out_of_memory(error):
                raise
            fact = (str(error).splitlines() or [type(error).__name__])[0][:160]
            raise UserError(f"{path}: torch {torch.__version__} cannot open it ({fact}); export it again") from error
        self.device = torch.device("cpu")
        self.module = self.program.module()

    @property
    def sides(self) -> Sequence[Any]:
        return self._sides

    @torch.inference_mode()
    def compute(self, image: Tensor) -> dict[str, Tensor]:
        if image.device != self.device:
            self.program, self.device = move_to_device_pass(self.program, image.device), image.device
            self.module = self.program.module()
        return dict(zip(self.names, self.module(image.float()), strict=True))


def metadata(path: Path) -> dict[str, str]:
    """Return the texts that densepred-export put into a file, without executing anything in it; {} if there are none.

    Raises UserError if the file is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = [one for one in archive.infolist() if one.filename.endswith(f"/extra/{EXTRA}")]
            if not found or found[0].file_size > header.LARGEST:
                return {}
            texts = json.loads(archive.read(found[0]))
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not a program of torch.export, or cut off; export it again") from error
    return {key: text for key, text in texts.items() if isinstance(text, str)} if isinstance(texts, dict) else {}
