"""A small COCO dataset for tests: two images of 37x45 in the official tree, drawn, with simple ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.dataset.files import picture, write

SIZE = (37, 45)
JOINTS = ["head", "left_hand", "right_hand"]


def square(x: float, y: float, side: float) -> list[float]:
    return [x, y, x + side, y, x + side, y + side, x, y + side]


def instances() -> dict[str, Any]:
    """Write a 20x20 cat, a 10x10 dog on it and a crowd of dogs below in image 7; nothing in image 8."""
    runs = np.zeros(SIZE, np.uint8)
    runs[:, :12] = 1
    counts = [0, 12 * 37, 33 * 37]
    return {
        "images": images(),
        "categories": [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}],
        "annotations": [
            note(11, 90, [15, 10, 10, 10], 100, segmentation=[square(15, 10, 10)]),
            note(12, 3, [10, 5, 20, 20], 400, segmentation=[square(10, 5, 20)]),
            note(13, 90, [0, 0, 12, 37], 444, 1, segmentation={"size": [*SIZE], "counts": counts}),
        ],
    }


def keypoints() -> dict[str, Any]:
    """Write a person with two labelled joints, one without any and a crowd in image 7; nothing in image 8."""
    category = {"id": 5, "name": "person", "keypoints": JOINTS, "skeleton": [[1, 2], [1, 3]]}
    points = [4, 6, 2, 0, 0, 0, 12.5, 30, 1]
    return {
        "images": images(),
        "categories": [{"id": 1, "name": "tree"}, category],
        "annotations": [
            note(1, 5, [2, 3, 15, 30], 300.5, keypoints=points, num_keypoints=2),
            note(2, 5, [10, 10, 20, 20], 400, keypoints=[0] * 9, num_keypoints=0),
            note(3, 5, [30, 0, 15, 37], 555, 1, keypoints=[0] * 9),
            note(4, 1, [0, 0, 9, 9], 81),
        ],
    }


def panoptic() -> tuple[dict[str, Any], np.ndarray]:
    """Write grass with a cat, a crowd of cats and a void corner; the other image is all void."""
    ids = np.full(SIZE, 70_000)
    ids[5:15, 5:25] = 300
    ids[20:30, 30:45] = 5
    ids[30:, :9] = 0
    segments = [
        {"id": 300, "category_id": 17, "iscrowd": 0, "area": 200, "bbox": [5, 5, 20, 10]},
        {"id": 70_000, "category_id": 200, "iscrowd": 0, "area": 1, "bbox": [0, 0, 45, 37]},
        {"id": 5, "category_id": 17, "iscrowd": 1, "area": 150, "bbox": [30, 20, 15, 10]},
    ]
    data = {
        "images": images(),
        "categories": [
            {"id": 17, "name": "cat", "isthing": 1, "color": [1, 2, 3]},
            {"id": 200, "name": "grass", "isthing": 0, "color": [0, 255, 0]},
            {"id": 201, "name": "dog", "isthing": 1},
        ],
        "annotations": [
            {"image_id": 7, "file_name": "a.png", "segments_info": segments},
            {"image_id": 8, "file_name": "b.png", "segments_info": []},
        ],
    }
    return data, ids


def images() -> list[dict[str, Any]]:
    return [
        {"id": 7, "file_name": "a.jpg", "height": 37, "width": 45},
        {"id": 8, "file_name": "b.jpg", "height": 37, "width": 45},
    ]


def note(id: int, category: int, bbox: list[float], area: float, iscrowd: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": id, "image_id": 7, "category_id": category, "bbox": bbox, "area": area, "iscrowd": iscrowd, **more}


def save(root: Path, name: str, data: Any) -> Path:
    path = root / "annotations" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def save_ids(path: Path, ids: np.ndarray) -> None:
    write(path, np.stack((ids % 256, ids // 256 % 256, ids // 65536), -1).astype(np.uint8))


def tree(root: Path, split: str = "train2017") -> Path:
    """Write all three annotation files of a split in the official tree, with images."""
    for name in ("a", "b"):
        write(root / split / f"{name}.jpg", picture(SIZE))
    save(root, f"instances_{split}", instances())
    save(root, f"person_keypoints_{split}", keypoints())
    data, ids = panoptic()
    save(root, f"panoptic_{split}", data)
    save_ids(root / f"annotations/panoptic_{split}/a.png", ids)
    save_ids(root / f"annotations/panoptic_{split}/b.png", np.zeros(SIZE, int))
    return root


def darken(root: Path, split: str, highest: int) -> None:
    """Replace the images of a split by grey ones of 16 bits, with values up to `highest`."""
    for path in sorted((root / split).glob("*.jpg")):
        values = np.linspace(0, highest, SIZE[0] * SIZE[1]).astype(np.uint16).reshape(SIZE)
        write(path, values, format="PNG")
