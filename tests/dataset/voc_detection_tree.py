"""PASCAL VOC's official form: Annotations, JPEGImages, ImageSets/Main."""

from __future__ import annotations

from pathlib import Path

from tests.dataset.files import picture, write

SIZE = (20, 40)
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def xml(name: str, *objects: tuple[object, ...]) -> str:
    """Return the file of an image; objects are name, difficult, xmin, ymin, xmax, ymax."""
    size = f"<size><width>{SIZE[1]}</width><height>{SIZE[0]}</height><depth>3</depth></size>"
    inside = "".join(OBJECT.format(*values) for values in objects)
    return f"<annotation><folder>VOC2012</folder><filename>{name}</filename>{size}{inside}</annotation>"


def tree(root: Path, split: str) -> None:
    """Write a cat that covers the pixels 10 to 29, 5 to 14, counted from 0, and a difficult dog."""
    write(root / f"JPEGImages/{split}_a.jpg", picture(SIZE))
    (root / "Annotations").mkdir(exist_ok=True)
    objects = [("cat", 0, 11, 6, 30, 15), ("dog", 1, 1, 1, 5, 5)]
    (root / f"Annotations/{split}_a.xml").write_text(xml(f"{split}_a.jpg", *objects))
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/Main/{split}.txt").write_text(f"{split}_a\n")
