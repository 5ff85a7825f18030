"""Boxes of people for top-down models: from a file of detections, or from another model of densepred."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from torch import Tensor

from densepred import predictor
from densepred.dataset import coco_fields
from densepred.dataset.coco import Id, Skip, identity, read_json
from densepred.dataset.file_names import FileNames, normal
from densepred.dataset.intensity import fit
from densepred.errors import Notice, UserError
from densepred.home import expand
from densepred.ops.boxes import from_ids
from densepred.types import Annotation, Info

PERSON = ("person", 1)  # in COCO's own files of detections, which hold ids without names


@dataclass(frozen=True, slots=True)
class BoxFilter:
    """Selection of boxes: of the classes of the top-down model, with a score of at least `threshold`."""

    info: Info
    threshold: float
    source: str

    def classes(self, names: Sequence[str]) -> dict[int, int]:
        """Map indices in `names`, the detector's classes, to classes of the top-down model; others are left out.

        Raises UserError if no class is in common.
        """
        own = self.info.classes
        if len(own) <= 1 and len(names) == 1:
            if own and own != tuple(names):
                self.tell(f"its only class, {names[0]}, is taken for {own[0]}")
            return {0: 0}
        found = {i: own.index(name) for i, name in enumerate(names) if name in own}
        if not found:
            raise UserError(
                f"boxes={self.source}: detects {', '.join(names[:5])} but the checkpoint has "
                f"{', '.join(own[:5]) or 'one unnamed class'}; give boxes of the same classes"
            )
        if left := [name for name in names if name not in own]:
            self.tell(f"boxes of other classes are left out: {', '.join(left[:5])}{', ...' if left[5:] else ''}")
        return found

    def tell(self, fact: str) -> None:
        warnings.warn(f"boxes={self.source}: {fact}", Notice, stacklevel=3)

    def of(self, size: tuple[int, int], boxes: Tensor, scores: Tensor, categories: Tensor) -> Annotation:
        """Keep boxes that have a sufficient score and an area, best first; `categories` is -1 for other classes."""
        good = (categories >= 0) & (scores >= self.threshold) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        rows = good.nonzero()[:, 0]
        rows = rows[scores[rows].argsort(descending=True, stable=True)]
        return Annotation(size, boxes=boxes[rows], scores=scores[rows], categories=categories[rows])


class BoxFile:
    """Detections in the format of COCO's `loadRes`: a list of image_id, category_id, bbox and score.

    Images are found by name if a file lists their names: an `images.json` beside the list, as densepred-predict writes
    it, or `images` in the same file, as in a COCO dataset. Otherwise they are found by id.
    """

    def __init__(self, path: Path, selection: BoxFilter) -> None:
        self.path, self.selection = path, selection
        data = read_json(path)
        beside = path.with_name("images.json")
        about = data if isinstance(data, dict) else read_json(beside) if beside.is_file() else {}
        if not isinstance(about, dict):
            raise UserError(f"boxes={path}: {beside} holds no mapping; write it again, or remove it")
        records = data.get("annotations") if isinstance(data, dict) else data
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise UserError(f"boxes={path}: holds no list of detections; give a JSON file of COCO results")
        self.names = self._names(about)
        classes = self._classes(about, records)
        self.rows: dict[Id, list[tuple[list[float], float, int]]] = defaultdict(list)
        self.flat = self.others = self.low = 0  # boxes without area, of other categories, with a low score
        self.unscored = 0
        for number, record in enumerate(records):
            self._add(record, f"{path}: detection {number}", classes)
        if self.unscored:
            selection.tell(f"{self.unscored} of {len(records)} boxes have no score, and count as certain (1)")
        below = f"below box_threshold={selection.threshold:g}"
        facts = {"without area": self.flat, "of other categories": self.others, below: self.low}
        if any(facts.values()):
            what = " and ".join(f"{count} {word}" for word, count in facts.items() if count)
            selection.tell(f"of {len(records)} boxes {what} are left out")

    def __call__(self, pixels: Tensor, id: Id | None, name: str) -> Annotation:
        return self.of((int(pixels.shape[-2]), int(pixels.shape[-1])), id, name)

    def of(self, size: tuple[int, int], id: Id | None, name: str) -> Annotation:
        """Return the boxes of an image by its id in COCO files, if it has one, or its path without extension."""
        rows = self.rows.get(self._key(id, name), [])
        boxes = torch.tensor([box for box, _, _ in rows], dtype=torch.float32).view(-1, 4)
        scores = torch.tensor([score for _, score, _ in rows], dtype=torch.float32)
        return self.selection.of(size, boxes, scores, torch.tensor([kind for *_, kind in rows], dtype=torch.int64))

    def require(self, images: Sequence[tuple[Id | None, str]]) -> None:
        """Raise UserError if it has boxes for none of these images; tell of those without one, and of guessed ids."""
        bare = sum(self._key(id, name) not in self.rows for id, name in images)
        if bare < len(images):
            if not self.names and any(id is None and _number(name) is not None for id, name in images):
                self.selection.tell("names no images; the number in the name of an image is taken for its image_id")
            if bare:
                self.selection.tell(f"has no box in {bare} of the {len(images)} images")
        else:
            how = "name" if self.names else "id"
            raise UserError(
                f"boxes={self.path}: has boxes for none of the {len(images)} images (looked for by {how}, such as "
                f"{images[0][1] if self.names or images[0][0] is None else images[0][0]}); give their file"
            )

    def _key(self, id: Id | None, name: str) -> Id:
        if self.names:
            found = self.names.find(name)
            if len(found) > 1:
                raise UserError(
                    f"boxes={self.path}: {name} may be the image {' or '.join(sorted(map(str, found))[:3])}; "
                    "give input= the folder at which its file names begin"
                )
            return next(iter(found), "")
        number = _number(name)
        return id if id is not None else name if number is None else number

    def _names(self, about: Mapping[str, Any]) -> FileNames[Id]:
        """Map paths without extension to ids."""
        named: list[tuple[str, Id]] = []
        for number, record in enumerate(self._listed(about, "images")):
            file = record.get("file_name")
            if not isinstance(file, str) or not PurePosixPath(normal(file)).name:
                raise UserError(f"boxes={self.path}: images[{number}] has no file_name; give it one")
            id = identity(record, "id", f"boxes={self.path}: images[{number}]")
            named.append((PurePosixPath(normal(file)).with_suffix("").as_posix(), id))
        return FileNames(named)

    def _listed(self, about: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        found = about.get(key) or []
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise UserError(f"boxes={self.path}: {key!r} is no list of mappings; write it in COCO's format")
        return found

    def _classes(self, about: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> dict[Id, int]:
        """Map the file's categories to classes of the top-down model; others are left out."""
        given = self._listed(about, "categories")
        if given:
            ids = [identity(entry, "id", f"boxes={self.path}: categories") for entry in given]
            known = self.selection.classes([str(entry.get("name")) for entry in given])
            return {ids[place]: own for place, own in known.items()}
        ids = {identity(record, "category_id", f"boxes={self.path}") for record in records}
        own = self.selection.info.classes
        name = own[0] if own else "the class of the checkpoint"
        if len(own) <= 1 and len(ids) <= 1:
            if ids - {PERSON[1]}:
                self.selection.tell(f"does not name its only category, {next(iter(ids))}; it is taken for {name}")
            return dict.fromkeys(ids, 0)
        if own == PERSON[:1] and PERSON[1] in ids:
            self.selection.tell(
                f"does not name its {len(ids)} categories; {PERSON[1]} is taken for {name}, as in COCO's own files"
            )
            return {PERSON[1]: 0}
        raise UserError(
            f"boxes={self.path}: it does not name its {len(ids)} categories; add a list `categories` with id and "
            "name, or leave only the boxes of one class"
        )

    def _add(self, record: Mapping[str, Any], where: str, classes: Mapping[Id, int]) -> None:
        try:
            box = coco_fields.box(record, where)
        except Skip:  # no area
            self.flat += 1
            return
        if box is None:
            raise UserError(f"{where}: has no bbox; give x, y, width and height")
        (score,) = coco_fields.numbers([record.get("score", 1.0)], where, "score")
        self.unscored += "score" not in record
        kind = classes.get(identity(record, "category_id", where))
        if kind is None:
            self.others += 1
        else:
            self.low += score < self.selection.threshold
            self.rows[identity(record, "image_id", where)].append((box, score, kind))


def _number(name: str) -> int | None:
    """Return the number that is the name of an image, without folder and extension; None for other names."""
    stem = PurePosixPath(name).name
    return int(stem) if stem.isascii() and stem.isdigit() else None


def open_boxes(boxes: str, info: Info, threshold: float, precision: str, trust: Sequence[str]) -> BoxFile | Detector:
    """Open the source of boxes: a JSON file, or a run or file of weights with a model that detects them."""
    selection = BoxFilter(info, threshold, boxes)
    if Path(boxes).suffix.lower() == ".json":
        return BoxFile(expand(boxes), selection)
    model = predictor.load(boxes, precision=precision, trust=trust)
    check_reading(info, model.info, boxes)

    def detect(pixels: Tensor) -> Annotation:
        values = pixels.movedim(0, -1).cpu().numpy()
        return model(fit(values, model.info.channels, Path("boxes")), ready=True)

    return Detector(detect, model.info, selection)


def check_reading(info: Info, theirs: Info, boxes: str) -> None:
    """Compare how two runs read images, because the detector `theirs` gets them as the top-down model reads them.

    Raises UserError if their bands differ. Other differences concern some images only, and issue a notice.
    """
    if theirs.bands != info.bands:
        fact = f"its run reads bands {theirs.bands or 'as stored'}, that of ckpt {info.bands or 'as stored'}"
        raise UserError(f"boxes={boxes}: {fact}; predict with it alone and give its detections.json")
    differ = [name for name in ("window", "max_value", "exif") if getattr(info, name) != getattr(theirs, name)]
    if differ:
        own, other = (", ".join(f"{name}={getattr(one, name)}" for name in differ) for one in (info, theirs))
        text = f"boxes={boxes}: was trained with {other}, and gets images as ckpt reads them, with {own}"
        warnings.warn(f"{text}; to avoid it, predict with it alone and give its detections.json", Notice, stacklevel=3)


Detect = Callable[[Tensor], Annotation]


class Detector:
    """Boxes predicted by a model of densepred: detections, or boxes around the instances of a segmentation."""

    def __init__(self, detect: Detect, info: Info, selection: BoxFilter) -> None:
        self.detect, self.selection = detect, selection
        self.classes = selection.classes(info.classes)

    def __call__(self, pixels: Tensor, id: Id | None, name: str) -> Annotation:
        """Detect the boxes of an image. Raises UserError if the model predicts neither boxes nor instances."""
        found = self.detect(pixels)
        boxes = found.boxes
        if boxes is None and found.instances is not None:
            boxes = from_ids.boxes(found.instances.cpu(), found.count)
        if boxes is None:
            raise UserError(f"boxes={self.selection.source}: its model predicts no boxes; give one of a detection task")
        boxes = boxes.cpu()
        count = len(boxes)
        scores = torch.ones(count) if found.scores is None else found.scores.cpu()
        given = torch.zeros(count, dtype=torch.int64) if found.categories is None else found.categories.cpu()
        categories = torch.full_like(given, -1)
        for theirs, ours in self.classes.items():
            categories[given == theirs] = ours
        return self.selection.of(found.size, boxes, scores, categories)
