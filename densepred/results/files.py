"""Files of predictions. The fields of an annotation decide which are written, not the task.

Every file is complete or absent. The joint JSON files are built at the end, from one small file per image below
`.records`. A run that was killed leaves those behind, and the next run removes them.
"""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densepred import atomic, output
from densepred.dataset import class_file
from densepred.dataset.coco import Id
from densepred.dataset.palette import Colour, default_palette
from densepred.draw.comparison import below, class_legend, draw, hidden
from densepred.draw.panel import with_legend
from densepred.errors import Notice, UserError
from densepred.results import coco
from densepred.results.coco import Categories
from densepred.results.ids import Known
from densepred.results.png_rows import PHOTOGRAPH
from densepred.types import VOID, Annotation, Info

RECORDS = ".records"
LARGEST_ID = 65535  # in a PNG of 16 bits
JOINT = ("instances", "detections", "keypoints")
"""Lists of results as COCO's `loadRes` takes them."""


@dataclass(frozen=True, slots=True)
class OverlaySettings:
    """Settings of what accompanies results; `threshold` hides uncertain boxes and joints in overlays.

    probabilities, uncertainty: write the class probabilities of an annotation that has them, or their entropy.
    """

    overlay: bool = True
    threshold: float = 0.3
    probabilities: bool = True
    uncertainty: bool = False


class Results:
    """A folder of results. Call `add` for each predicted image, then `join`."""

    def __init__(self, folder: Path, info: Info, overlays: OverlaySettings, known: Known | None = None) -> None:
        self.folder, self.info, self.overlays = folder, info, overlays
        self.categories = Categories.counted(info)
        if known is not None:
            self.categories = Categories.named(info, known.categories, known.source)
        self.kinds: dict[str, str] = {}  # folders and files, in the order of their first appearance
        self.current: list[Path] = []  # files of the image at hand
        self.hidden: list[float] = []  # the highest score of each image with an overlay that shows none
        clean(folder)

    def add(self, place: Path, image_id: Id, file_name: str, pixels: Tensor, found: Annotation) -> None:
        """Write the prediction of one image; `place` is its path below each kind's folder, without suffix.

        Raises UserError, and leaves no file of the image, if a format cannot hold it.
        """
        self.current.clear()
        try:
            self._add(place, image_id, file_name, pixels, found)
        except UserError:
            for path in self.current:
                path.unlink(missing_ok=True)
            raise

    def _kept(self, place: Path) -> Path:
        """Return the path of the record of an image."""
        return self.folder / RECORDS / place.parent / f"{place.name}.json"

    def _add(self, place: Path, image_id: Id, file_name: str, pixels: Tensor, found: Annotation) -> None:
        if found.image is not None:
            self._reconstruction(place, found.image.cpu())
            return
        if self.overlays.overlay:
            drawn = draw(pixels, found, self.info, self.overlays.threshold)
            picture = with_legend(drawn, class_legend(found, self.info))
            self.note_hidden(found)
            self._photograph("overlays", place, picture.permute(1, 2, 0).contiguous().numpy())
        if found.probabilities is not None and self.overlays.uncertainty:
            self._png("uncertainty", place, Image.fromarray(entropy_map(found.probabilities).cpu().numpy()))
        if found.probabilities is not None and self.overlays.probabilities:
            self._array("probabilities", place, found.probabilities.half().cpu().numpy())
        entries = None
        if found.instances is not None and found.semantic is not None:
            segments, entries = coco.segments(found, self.info, self.categories)
            self._png("panoptic", place, Image.fromarray(segments))
        self.record(place, image_id, file_name, found, entries)
        if found.instances is not None:
            self._ids(place, found.instances.cpu().numpy())
        if found.semantic is not None:
            if "labels" not in self.kinds:
                self.names()
            # Last: its presence marks the image as done.
            self._png("labels", place, indexed(found.semantic.cpu().numpy(), self.info))

    def names(self) -> None:
        """Write ids, names and colours of the classes beside their maps, in the form that dataset=folder reads."""
        pairs = enumerate(zip(self.info.classes, id_colours(self.info), strict=False))
        entries = [{"id": index, "name": name, "color": list(colour)} for index, (name, colour) in pairs]
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(self.folder / "classes.json", class_file.text(entries))

    def taken(self) -> tuple[dict[str, str], list[float]]:
        """Return the kinds so far, and the scores of `hidden`, which is emptied: for `merge` in another process."""
        hidden, self.hidden = self.hidden, []
        return dict(self.kinds), hidden

    def merge(self, kinds: Mapping[str, str], hidden: Sequence[float]) -> None:
        """Add what `taken` gave."""
        for kind, text in kinds.items():
            self.kinds.setdefault(kind, text)
        self.hidden += hidden

    def note_hidden(self, found: Annotation) -> None:
        """Count an overlay that shows nothing of what was found."""
        if (highest := hidden(found, self.overlays.threshold)) is not None:
            self.hidden.append(highest)

    def tell_of_hidden(self) -> None:
        """Issue a notice about overlays that show nothing, though something was found."""
        if self.hidden:
            highest = max(self.hidden)
            text = f"of what was found, because no score is above it; the highest is {highest:.3f}"
            shown = f"{output.many(len(self.hidden), 'overlay shows', 'overlays show')} nothing {text}"
            remedy = f"type threshold={below(highest):g}"
            warnings.warn(f"threshold={self.overlays.threshold:g}: {shown}; {remedy}", Notice, stacklevel=2)

    def join(self, places: Sequence[Path]) -> None:
        """Build the joint files from the records of these images, in this order, and remove the records."""
        records = self.folder / RECORDS
        if not records.is_dir():
            return
        files = [path for path in map(self._kept, places) if path.exists()]
        whole = {"images": ("image", False), "panoptic": ("panoptic", False), **{name: (name, True) for name in JOINT}}
        for name, (key, many) in whole.items():
            if name != "images" and not any(key in record for record in _read(files)):
                continue
            path = self.folder / f"{name}.json"
            atomic.replace(path, lambda temporary, n=name, k=key, m=many: self._write(temporary, n, k, m, files))
            self.kinds[path.name] = path.name
        shutil.rmtree(records)

    def _write(self, path: Path, name: str, key: str, many: bool, files: Sequence[Path]) -> None:
        """Write one joint file, record by record: a list, or lists of images, annotations and categories."""
        with path.open("w", encoding="utf-8", errors="backslashreplace") as out:
            if name in JOINT:
                _list(out, _of(files, key, many))
                out.write("\n")
                return
            out.write('{"images": ')
            _list(out, _of(files, "image", False))
            if name == "panoptic":
                out.write(',\n"annotations": ')
                _list(out, _of(files, key, many))
            out.write(',\n"categories": ')
            _list(out, self.categories.listed())
            out.write("}\n")

    def record(
        self, place: Path, image: Id, file_name: str, found: Annotation, segments: Sequence[coco.Json] | None = None
    ) -> None:
        """Write the record of one image, if it holds anything for the joint files; `segments` are those of its map."""
        info, categories = self.info, self.categories
        record: dict[str, Any] = {}
        if segments is not None:
            name = place.with_name(f"{place.name}.png").as_posix()
            record["panoptic"] = {"image_id": image, "file_name": name, "segments_info": segments}
        if found.instances is not None or found.masks is not None:
            record["instances"] = coco.instances(found, info, categories, image)
        elif found.boxes is not None and found.keypoints is None:
            record["detections"] = coco.boxes(found, info, categories, image)
        if found.keypoints is not None:
            record["keypoints"] = coco.keypoints(found, info, categories, image)
        if not record:
            return
        height, width = found.size
        record["image"] = {"id": image, "file_name": file_name, "width": width, "height": height}
        path = self._kept(place)
        self.current.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_json(path, record)

    def _ids(self, place: Path, ids: np.ndarray) -> None:
        """Write a PNG of 16 bits: 0 outside instances, i for the i-th result of the image in the JSON file."""
        require_ids(place, int(ids.max(initial=0)))
        self._png("instances", place, Image.fromarray(ids.astype(np.uint16)))

    def _reconstruction(self, place: Path, image: Tensor) -> None:
        """Write 1 or 3 channels as a PNG of 8 bits, any other number as an array (H, W, C) float32 in [0, 1]."""
        image = image.clamp(0, 1)
        if len(image) not in (1, 3):
            self._array("reconstructions", place, image.movedim(0, -1).contiguous().numpy())
            return
        pixels = image.mul(255).round().byte().movedim(0, -1).contiguous().numpy()
        self._photograph("reconstructions", place, pixels[..., 0] if len(image) == 1 else pixels)

    def _photograph(self, kind: str, place: Path, pixels: np.ndarray) -> None:
        self._png(kind, place, Image.fromarray(pixels), PHOTOGRAPH)

    def _png(self, kind: str, place: Path, image: Image.Image, level: int = zlib.Z_DEFAULT_COMPRESSION) -> None:
        atomic.replace(
            self.path(kind, place, ".png"), lambda temporary: image.save(temporary, "PNG", compress_level=level)
        )

    def _array(self, kind: str, place: Path, values: np.ndarray) -> None:
        write_array(self.path(kind, place, ".npy"), values)

    def path(self, kind: str, place: Path, suffix: str) -> Path:
        """Return the path of a file of the image at hand, and make its folder."""
        self.kinds.setdefault(kind, f"{kind}/")
        path = self.folder / kind / place.parent / (place.name + suffix)
        self.current.append(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def require_ids(place: Path, count: int) -> None:
    """Raise UserError if an image has more instances than a map of ids holds."""
    if count > LARGEST_ID:
        raise UserError(f"{place}: {count} instances do not fit a PNG of 16 bits; predict smaller crops of it")


def write_array(path: Path, values: np.ndarray) -> None:
    """Write an array as .npy, complete or not at all."""

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, values, allow_pickle=False)

    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(path, write)


def indexed(labels: np.ndarray, info: Info) -> Image.Image:
    """Build a palette image of class ids (H, W), with the colours of the classes as its palette."""
    image = Image.fromarray(labels)
    image.putpalette([value for colour in id_colours(info) for value in colour])
    return image


def id_colours(info: Info) -> list[Colour]:
    """Return a colour for each id of 8 bits: Pillow gives a shorter palette fewer bits, in which ids are cut."""
    known = (*info.palette, *default_palette(len(info.classes))[len(info.palette) :])
    return [*known, *[(0, 0, 0)] * (VOID + 1 - len(known))]


def entropy_map(probabilities: Tensor) -> Tensor:
    """Return the entropy of class probabilities (K, H, W), divided by ln K, as uint16 (H, W).

    0 is certainty and 65535 is K equal probabilities: value / 65535 is normalised, times ln K it is in nats.
    """
    share = probabilities.float()
    entropy = torch.special.entr(share).sum(0) / math.log(len(share))
    return (entropy.clamp(0, 1) * LARGEST_ID).round().to(torch.uint16)


def clean(folder: Path) -> None:
    """Remove unfinished files of a killed run below a folder of results."""
    shutil.rmtree(folder / RECORDS, ignore_errors=True)
    for path in folder.rglob(".*.tmp") if folder.is_dir() else ():
        if re.fullmatch(r"\..+\.[0-9a-f]+\.tmp", path.name) and path.is_file():
            path.unlink(missing_ok=True)


def _read(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in files:
        yield json.loads(path.read_text(encoding="utf-8"))


def _of(files: Sequence[Path], key: str, many: bool) -> Iterator[Any]:
    for record in _read(files):
        if key in record:
            yield from record[key] if many else [record[key]]


def _list(out: TextIO, values: Iterator[Any] | Sequence[Any]) -> None:
    out.write("[")
    for number, value in enumerate(values):
        out.write((",\n" if number else "\n") + json.dumps(value, ensure_ascii=False))
    out.write("]")
