"""V7's Darwin JSON 2.0: a file per image, and the images in a folder of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = [(10, 5), (30, 5), (30, 15), (10, 15)]


def points(path: list[tuple[int, int]]) -> list[dict[str, int]]:
    return [{"x": x, "y": y} for x, y in path]


def polygon(name: str, *paths: list[tuple[int, int]]) -> dict[str, Any]:
    """Return a polygon with the box of its first path, as V7 writes it."""
    xs, ys = zip(*paths[0], strict=True)
    box = {"x": min(xs), "y": min(ys), "w": max(xs) - min(xs), "h": max(ys) - min(ys)}
    return annotation(name, polygon={"paths": [points(path) for path in paths]}, bounding_box=box)


def annotation(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"id of {name}", "name": name, "properties": [], "slot_names": ["0"], **fields}


def save(root: Path, split: str, *annotations: dict[str, Any], **item: Any) -> None:
    write(root / f"images/{split}/{split}.png", picture(SIZE))
    slot = {"slot_name": "0", "type": "image", "width": SIZE[1], "height": SIZE[0], "source_files": []}
    item = {"name": f"{split}.png", "path": f"/{split}", "slots": [slot], **item}
    path = root / f"annotations/{split}/{split}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "2.0", "item": item, "annotations": list(annotations)}))


def tree(root: Path, split: str) -> None:
    save(root, split, polygon("cat", SQUARE))
