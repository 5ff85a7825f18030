"""JSON files and projects of the VGG Image Annotator, version 2.

Source: https://www.robots.ox.ac.uk/~vgg/software/via/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from densepred.dataset import coco, outline
from densepred.dataset.annotated import Annotated
from densepred.dataset.records import Records
from densepred.errors import UserError, shown

OPEN = ("polyline", "point", "line")
UNNAMED = "object"
"""Class of all regions if none has an attribute."""


@dataclass(eq=False)
class Via(Annotated):
    """`attribute` of a region is its class; None means the only one that regions have. Images lie beside the file."""

    option: ClassVar[str] = "via"

    annotations: str | Sequence[str] = ("{split}/via_region_data.json", "{split}.json", "annotations/{split}.json")
    attribute: str | None = None

    def gather(self, split: str) -> Records:
        path = self.find(self.annotations, split, "annotations")
        data = coco.read_json(path)
        files = data.get("_via_img_metadata", data) if isinstance(data, dict) else None
        if not isinstance(files, dict) or not all(isinstance(f, dict) and "regions" in f for f in files.values()):
            raise UserError(f"{path}: is no file of VIA 2; export the annotations as JSON, or give the project")
        found = [(entry, _regions(entry, f"{path}: {shown(key)}")) for key, entry in files.items()]
        name = self._name({key for _, regions in found for region in regions for key in region["region_attributes"]})
        records = Records(path, self._folder, self.max_pixels, self.exif != "stored")
        for entry, regions in found:
            image = self.add_image(records, path, entry.get("filename"), [self._folder / "images"])
            if image is None:
                continue
            records.told["images without a region, read as images without objects"] += not regions
            for number, region in enumerate(regions):
                place = f"{entry['filename']}, regions[{number}]"
                shape = region["shape_attributes"]
                if shape.get("name") in OPEN:
                    records.told[f"regions of the shape {shape['name']} left out, because they have no area"] += 1
                    continue
                label = UNNAMED if name is None else _label(region["region_attributes"].get(name), f"{path}: {place}")
                records.add(image, label, place, **outline.region(shape, f"{path}: {place}"))
        return records

    def _name(self, attributes: set[str]) -> str | None:
        if self.attribute is not None and self.attribute not in attributes:
            remedy = f"choose one of {', '.join(sorted(attributes))}" if attributes else "regions have none: set null"
            raise UserError(f"dataset.attribute: no region has {self.attribute!r}; {remedy}")
        if self.attribute is None and len(attributes) > 1:
            raise UserError(f"dataset.attribute: regions have {sorted(attributes)}; name the one that is the class")
        return self.attribute or next(iter(attributes), None)


def _regions(entry: dict[str, Any], where: str) -> list[dict[str, Any]]:
    """Return the regions of an image, which older versions number in a mapping."""
    found = entry["regions"]
    listed = list(found.values()) if isinstance(found, dict) else found
    parts = ("shape_attributes", "region_attributes")
    if not isinstance(listed, list) or not all(
        isinstance(region, dict) and all(isinstance(region.get(part), dict) for part in parts) for region in listed
    ):
        raise UserError(f"{where}: its regions lack shape_attributes or region_attributes; export it again from VIA")
    return listed


def _label(value: object, where: str) -> str:
    """Return the class: a text, or the one box that is ticked."""
    ticked = [name for name, on in value.items() if on] if isinstance(value, dict) else [value]
    if len(ticked) != 1 or not isinstance(ticked[0], str) or not ticked[0].strip():
        raise UserError(f"{where}: its class is {shown(value)}; give it one")
    return ticked[0].strip()
