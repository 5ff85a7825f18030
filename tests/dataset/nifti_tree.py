"""nnU-Net's raw form: volumes and volumes of labels, with dataset.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

SPLITS = ("all",)
SHAPE = (8, 6, 3)
SPACING = (0.5, 0.75, 3.0)


def affine(codes: str = "RAS", spacing: tuple[float, ...] = SPACING) -> np.ndarray:
    """Return the map of voxels to millimetres of axes with these ends."""
    out = np.eye(4)
    out[:3, :3] = 0
    for stored, code in enumerate(codes):
        axis = ["RL", "AP", "SI"].index(next(pair for pair in ("RL", "AP", "SI") if code in pair))
        out[axis, stored] = spacing[stored] * (1 if code in "RAS" else -1)
    return out


def write(path: Path, values: np.ndarray, codes: str = "RAS") -> None:
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.Nifti1Image(values, affine(codes)).to_filename(path)


def save(root: Path, name: str, codes: str = "RAS", **more: Any) -> tuple[np.ndarray, np.ndarray]:
    """Write an image of two channels, or of `channels`, and its labels, and return their arrays."""
    random = np.random.default_rng(sum(map(ord, name)))
    shape = more.get("shape", SHAPE)
    image = random.normal(0, 300, (more.get("channels", 2), *shape)).astype(np.float32)
    labels = random.integers(0, 3, shape).astype(np.uint8)
    for channel in range(len(image)):
        write(root / f"imagesTr/{name}_{channel:04d}.nii.gz", image[channel], codes)
    write(root / f"labelsTr/{name}.nii.gz", labels, more.get("mask_codes", codes))
    return image, labels


def tree(root: Path, split: str) -> None:
    for number in range(20):
        save(root, f"case{number}")
    labels = {"background": 0, "liver": 1, "tumour": 2}
    content = {"channel_names": {"0": "CT", "1": "PET"}, "labels": labels, "file_ending": ".nii.gz", "numTraining": 20}
    (root / "dataset.json").write_text(json.dumps(content))
