"""Pictures of the worst images of an evaluation, small enough to stand inside a page."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path

FOLDER, INDEX = "pictures", "pictures.json"
WIDTH = 1000
"""Maximum width in pixels: four tiles side by side keep legible captions."""
QUALITY = 72


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of an image: ground truth, prediction and errors. `score` is that of the image alone."""

    file: Path
    image: str
    metric: str
    score: float


def listed(evaluation: Path) -> tuple[Picture, ...]:
    """Return the pictures that densepred-eval wrote into the folder of an evaluation, worst first.

    Raises OSError, ValueError, KeyError or TypeError if their list is damaged.
    """
    index = evaluation / FOLDER / INDEX
    if not index.is_file():
        return ()
    entries = json.loads(index.read_text(encoding="utf-8"))
    return tuple(
        Picture(index.parent / Path(one["file"]).name, str(one["image"]), str(one["metric"]), float(one["score"]))
        for one in entries
    )


def embedded(picture: Picture) -> str:
    """Return a picture as a URI that holds a JPEG. Raises UserError if the file is missing or damaged."""
    from densepred.dataset import image_file  # takes torch

    with image_file.opened(picture.file) as image:
        small = image.convert("RGB")
    small.thumbnail((WIDTH, small.height))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
