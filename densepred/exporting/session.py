"""An ONNX file of densepred, which onnxruntime computes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from densepred.errors import UserError, out_of_memory
from densepred.exporting.convert import require
from densepred.exporting.exported import Exported

SUFFIX = ".onnx"
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class Session(Exported):
    """An ONNX file, opened by onnxruntime. Raises UserError if it cannot be opened.

    A `fresh` file was written a moment ago: the error is then that of onnxruntime, because the file is no user's.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, and small images try some out
        threads = torch.get_num_threads()
        options.intra_op_num_threads = threads
        known = runtime.get_available_providers()
        try:
            self.session = runtime.InferenceSession(str(path), options, [one for one in PROVIDERS if one in known])
        except Exception as error:  # onnxruntime raises errors of its own for each reason
            if fresh or out_of_memory(error):
                raise
            fact = str(error).splitlines()[0][:160]
            raise UserError(f"{path}: onnxruntime cannot open it ({fact}); give a file of densepred-export") from error
        self.path, self.metadata = path, dict(self.session.get_modelmeta().custom_metadata_map)
        self.names = [output.name for output in self.session.get_outputs()]
        self.input = self.session.get_inputs()[0]

    @property
    def sides(self) -> Sequence[Any]:
        return self.input.shape[2:]

    def compute(self, image: Tensor) -> dict[str, Tensor]:
        pixels = np.ascontiguousarray(image.detach().float().cpu().numpy())
        found = self.session.run(None, {self.input.name: pixels})
        return {name: torch.from_numpy(value).to(image.device) for name, value in zip(self.names, found, strict=True)}
