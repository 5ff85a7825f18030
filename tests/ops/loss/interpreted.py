"""The condition under which tests run kernels in Triton's interpreter."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest
import torch


def obstacle() -> str | None:
    """Return the reason why kernels cannot be interpreted, or None."""
    if torch.cuda.is_available():
        return "tests/gpu/test_fused.py runs compiled kernels"
    try:
        major, minor = (int(part) for part in metadata.version("triton").split(".")[:2])
    except metadata.PackageNotFoundError:
        return "Triton is not installed"
    if (major, minor) < (3, 8) and np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        return "the interpreter of this Triton takes arrays of one number for numbers, which this numpy refuses"
    return None


interpreted = pytest.mark.skipif(obstacle() is not None, reason=str(obstacle()))
