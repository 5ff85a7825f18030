"""A project of Supervisely: meta.json, and a dataset with img and ann per split."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.dataset.files import picture, write

SIZE = (20, 40)
CLASSES = {"dog": ("rectangle", "#FF0000"), "cat": ("any", "#00FF00"), "spot": ("point", "#0000FF")}


def figure(title: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"id": 1, "classId": 2, "description": "", "geometryType": kind, "tags": [], "classTitle": title, **fields}


def shape(
    title: str, kind: str, exterior: Sequence[Sequence[float]], *interior: Sequence[Sequence[float]]
) -> dict[str, Any]:
    return figure(title, kind, points={"exterior": exterior, "interior": list(interior)})


def bitmap(title: str, mask: np.ndarray, origin: list[int], mode: str = "RGBA") -> dict[str, Any]:
    """Return a figure of a mask (h, w) bool; mode: that of the PNG inside."""
    layers = np.stack([np.full(mask.shape, 255, np.uint8)] * 3 + [mask.astype(np.uint8) * 255], 2)
    image = Image.fromarray(layers) if mode == "RGBA" else Image.fromarray(mask).convert(mode)
    out = io.BytesIO()
    image.save(out, "PNG")
    return figure(title, "bitmap", bitmap={"data": pack(out.getvalue()), "origin": origin})


def pack(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


def save(root: Path, split: str, *figures: dict[str, Any]) -> None:
    classes = [{"title": name, "shape": kind, "color": colour} for name, (kind, colour) in CLASSES.items()]
    root.mkdir(parents=True, exist_ok=True)
    (root / "meta.json").write_text(json.dumps({"classes": classes, "tags": [], "projectType": "images"}))
    write(root / f"{split}/img/{split}.png", picture(SIZE))
    (root / split / "ann").mkdir(exist_ok=True)
    data = {"description": "", "tags": [], "size": {"height": SIZE[0], "width": SIZE[1]}, "objects": list(figures)}
    (root / f"{split}/ann/{split}.png.json").write_text(json.dumps(data))


def tree(root: Path, split: str) -> None:
    save(root, split, shape("cat", "polygon", [[9.5, 4.5], [29.5, 4.5], [29.5, 14.5], [9.5, 14.5]]))
