"""CVAT for video 1.1: tracks of shapes over frames, as the images of CVAT for images.

CVAT writes the shape of a track in every frame from its beginning to one with `outside`, interpolated or not. In files
of other programs that hold keyframes alone, boxes between two of them are interpolated as CVAT does, linearly.
Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element

from densepred.dataset.cvat_shape import whole
from densepred.dataset.image_file import EXTENSIONS
from densepred.errors import UserError

NAME = re.compile(r"frame_(\d{6,9})", re.ASCII)
"""Names that CVAT gives to the images of frames."""
CORNERS = ("xtl", "ytl", "xbr", "ybr")


def images(root: Element, path: Path, folder: Path, told: Counter[str]) -> list[Element]:
    """Return an element per frame of which the folder has an image, with its shapes, as CVAT for images has them.

    told: counts of what is left out. Raises UserError without images of frames, and for tracks of several tasks.
    """
    tracks = root.findall("track")
    if root.find("image") is not None:
        raise UserError(f"{path}: holds images beside tracks; export from CVAT as CVAT for images 1.1")
    if len({track.get("task_id") for track in tracks}) > 1:
        raise UserError(
            f"{path}: holds the tracks of several tasks, with frames of one name; export each task by itself"
        )
    size = {name: root.findtext(f"meta/*/original_size/{name}") or "" for name in ("width", "height")}
    frames = {
        int(found[1]): Element("image", {"name": file.name, **size})
        for file in sorted([*folder.iterdir(), *folder.glob("images/*")])  # of one task, or of one among several
        if file.suffix.lower() in EXTENSIONS and (found := NAME.fullmatch(file.stem))
    }
    if not frames:
        raise UserError(
            f"{path}: is of a video, and {folder} holds no frame_000000.png; export with images, or type "
            f"ffmpeg -i VIDEO -start_number 0 {folder}/frame_%06d.png"
        )
    for track in tracks:
        for number, shape in _shapes(track, frames, f"{path}: track {track.get('id')}", told):
            if number in frames:
                given = {"label": track.get("label", ""), "group_id": track.get("group_id", "0")}
                frames[number].append(Element(shape.tag, {**given, **shape.attrib}))
            else:
                told["shapes of tracks left out, because the image of their frame is missing"] += 1
    return list(frames.values())


def _shapes(track: Element, frames: dict[int, Element], where: str, told: Counter[str]) -> list[tuple[int, Element]]:
    """Return the shapes of a track that are not outside, with their frames, and those between keyframes."""
    listed = sorted(((whole(shape, "frame", where), shape) for shape in track), key=lambda one: one[0])
    seen = [(number, shape) for number, shape in listed if shape.get("outside") != "1"]
    for (first, one), (last, other) in pairwise(listed):
        between = [number for number in frames if first < number < last] if last > first + 1 else []
        if one.get("outside") == "1" or not between:
            continue
        if one.tag != "box":
            fact = f"{where}: has no {one.tag} in frame {between[0]}, between {first} and {last}"
            raise UserError(f"{fact}; export from CVAT, which writes the shapes of all frames")
        end = one if other.get("outside") == "1" else other  # it stays where it was until it leaves
        told["boxes between keyframes interpolated"] += len(between)
        seen += [(number, _between(one, end, (number - first) / (last - first), where)) for number in between]
    if listed and listed[-1][1].get("outside") != "1":
        after = sum(number > listed[-1][0] for number in frames)
        told["frames after the last shape of a track that does not end, read as without it"] += after
    return seen


def _between(one: Element, other: Element, share: float, where: str) -> Element:
    """Return a box between two others."""
    try:
        ends = [(float(one.get(name) or ""), float(other.get(name) or "")) for name in CORNERS]
    except ValueError as error:
        raise UserError(f"{where}: a box has no {', '.join(CORNERS)} in pixels; export it again") from error
    values = {name: str(first + (last - first) * share) for name, (first, last) in zip(CORNERS, ends, strict=True)}
    return Element("box", {**one.attrib, **values})
