"""JSON and CSV files, and projects, of the VGG Image Annotator, versions 2 and 3.

Source: https://www.robots.ox.ac.uk/~vgg/software/via/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from densepred.dataset import outline, via_file
from densepred.dataset.annotated import Annotated
from densepred.dataset.records import Records
from densepred.errors import UserError, in_shell, shown

OPEN = ("polyline", "point", "line", "extreme_circle")
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
        found = [(entry, entry["regions"]) for _, entry in via_file.read(path)]
        name = self._name([region["region_attributes"] for _, regions in found for region in regions])
        records = self.records(path)
        for entry, regions in found:
            image = self.add_image(records, path, entry.get("filename"), [self._folder / "images"])
            if image is None:
                continue
            records.told["images without a region, read as images without objects"] += not regions
            for number, region in enumerate(regions):
                place = f"{entry['filename']}, regions[{number}]"
                shape = region["shape_attributes"]
                if shape.get("name") in OPEN:
                    records.leave_out(f"regions of the shape {shape['name']}", "they have no area")
                    continue
                label = UNNAMED if name is None else _label(region["region_attributes"].get(name), f"{path}: {place}")
                records.add(image, label, place, **outline.region(shape, f"{path}: {place}"))
        if path.suffix.lower() == ".csv":  # that of version 3 lists no image without a region
            records.unread(path.parent, "images that the file does not name, left out")
        return records

    def _name(self, regions: Sequence[Mapping[str, Any]]) -> str | None:
        """Return the attribute that is the class; None if no region has any."""
        attributes = sorted({key for region in regions for key in region})
        if self.attribute is not None and self.attribute not in attributes:
            remedy = f"choose one of {', '.join(attributes)}" if attributes else "regions have none: set null"
            raise UserError(f"dataset.attribute: no region has {self.attribute!r}; {remedy}")
        if self.attribute is None and len(attributes) > 1:
            named = [key for key in attributes if all(isinstance(one.get(key), str) and one[key] for one in regions)]
            likely = min(named or attributes, key=lambda key: len({str(one.get(key)) for one in regions}))
            word = in_shell(f"dataset.attribute={likely}")
            raise UserError(f"dataset.attribute: regions have {attributes}; type {word}, or another that is the class")
        return self.attribute or next(iter(attributes), None)


def _label(value: object, where: str) -> str:
    """Return the class: a text, or the one box that is ticked."""
    ticked = [name for name, on in value.items() if on] if isinstance(value, dict) else [value]
    if len(ticked) != 1 or not isinstance(ticked[0], str) or not ticked[0].strip():
        raise UserError(f"{where}: its class is {shown(value)}; give it one")
    return ticked[0].strip()
