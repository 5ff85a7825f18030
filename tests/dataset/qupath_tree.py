"""QuPath's GeoJSON: a collection of features per image, beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.dataset.files import picture, write

SIZE = (20, 40)
RED = -3670016
"""QuPath's packed 200, 0, 0."""


def ring(x0: float, y0: float, x1: float, y1: float) -> list[list[float]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


SQUARE = ring(10, 5, 30, 15)


def feature(name: str | None, coordinates: Any, kind: str = "Polygon", **classification: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": "annotation"}
    if name is not None:
        properties["classification"] = {"name": name, **classification}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "id": "1-2", "geometry": geometry, "properties": properties}


def save(root: Path, split: str, *features: dict[str, Any], name: str = "a", listed: bool = False) -> None:
    write(root / f"{split}/{name}.png", picture(SIZE))
    data = list(features) if listed else {"type": "FeatureCollection", "features": list(features)}
    (root / f"{split}/{name}.geojson").write_text(json.dumps(data))


def tree(root: Path, split: str) -> None:
    save(root, split, feature("cat", [SQUARE], color=[200, 0, 0]))
