"""VIA's form, as of the balloon dataset: a JSON file beside the images of each split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = {"name": "polygon", "all_points_x": [10, 30, 30, 10], "all_points_y": [5, 5, 15, 15]}


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


def save(root: Path, split: str, regions: Any, project: bool = False) -> None:
    write(root / f"{split}/{split}.jpg", picture(SIZE))
    files = {f"{split}.jpg123": {"filename": f"{split}.jpg", "size": 123, "regions": regions, "file_attributes": {}}}
    data = {"_via_settings": {}, "_via_img_metadata": files} if project else files
    (root / split / "via_region_data.json").write_text(json.dumps(data))


def tree(root: Path, split: str) -> None:
    save(root, split, [region(SQUARE, kind="cat")])
