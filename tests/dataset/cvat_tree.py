"""CVAT for images 1.1 of a project: one XML file, in which subsets are the splits."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from tests.dataset.files import picture, write

SIZE = (20, 40)
SQUARE = "10.00,5.00;30.00,5.00;30.00,15.00;10.00,15.00"
LABELS = {"dog": "#ff0000", "cat": "#00ff00"}
SUBSETS = {"train": "Train", "val": "Validation", "test": "Test"}


def shape(kind: str, label: str = "cat", **fields: object) -> str:
    words = {"label": label, "source": "manual", "occluded": "0", "z_order": "0", **fields}
    return f"<{kind} {' '.join(f'{key}={chr(34)}{value}{chr(34)}' for key, value in words.items())}></{kind}>"


def empty() -> Xml.Element:
    labels = "".join(
        f"<label><name>{name}</name><color>{colour}</color><type>any</type><attributes></attributes></label>"
        for name, colour in LABELS.items()
    )
    return Xml.fromstring(
        f"<annotations><version>1.1</version><meta><project><labels>{labels}</labels></project></meta></annotations>"
    )


def save(root: Path, name: str, *shapes: str, subset: str | None = "Train") -> None:
    """Write an image, and add it with its shapes to annotations.xml."""
    path = root / "annotations.xml"
    tree = Xml.fromstring(path.read_text()) if path.exists() else empty()
    write(root / f"images/{name}.png", picture(SIZE))
    words = {"id": str(len(tree)), "name": f"{name}.png", "width": str(SIZE[1]), "height": str(SIZE[0])}
    image = Xml.SubElement(tree, "image", words if subset is None else {**words, "subset": subset})
    image.extend(Xml.fromstring(one) for one in shapes)
    path.write_bytes(Xml.tostring(tree))


def tree(root: Path, split: str) -> None:
    save(root, split, shape("polygon", points=SQUARE), subset=SUBSETS[split])
