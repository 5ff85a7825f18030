from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import torch

from densepred.conversion.coco_form import CocoForm
from densepred.dataset.cvat import Cvat
from densepred.dataset.folder import Folder
from densepred.errors import Notice, UserError
from tests.dataset.cvat_tree import LABELS, SIZE, SQUARE, empty, save, shape, tree
from tests.dataset.files import picture, write

DIVIDED = {"train": 0.5, "valid": 0.5}


def semantic(root: Path) -> torch.Tensor:
    return semantic_of(Cvat(str(root)), 0)


def semantic_of(data: Cvat, index: int) -> torch.Tensor:
    found = data[index].truth.semantic
    assert found is not None
    return found


def drawn(*rectangles: tuple[int, int, int, int, int]) -> torch.Tensor:
    """Return a class map of rectangles: class, x0, y0, x1, y1."""
    out = torch.zeros(SIZE, dtype=torch.uint8)
    for kind, x0, y0, x1, y1 in rectangles:
        out[y0:y1, x0:x1] = kind
    return out


def test_labels_and_colours_are_those_of_the_file(tmp_path: Path) -> None:
    save(tmp_path, "a", shape("polygon", points=SQUARE), shape("box", "dog", xtl=2, ytl=2, xbr=8, ybr=9))
    found = Cvat(str(tmp_path))
    assert found.info.classes == ("background", *LABELS)
    assert found.info.palette == ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    truth = found[0].truth
    assert truth.boxes is not None
    assert truth.boxes.tolist() == [[9.5, 4.5, 29.5, 14.5], [1.5, 1.5, 7.5, 8.5]]
    assert truth.semantic is not None
    assert torch.equal(truth.semantic % 255, drawn((2, 10, 5, 30, 15)))


def test_a_mask_is_read_by_rows_of_its_box(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((5, 7)) < 0.5
    flat = [False, *mask.ravel().tolist()]
    edges = [0, *(i for i in range(len(flat) - 1) if flat[i] != flat[i + 1]), mask.size]
    rle = ", ".join(map(str, np.diff(edges)))
    save(tmp_path, "a", shape("mask", rle=rle, left=30, top=10, width=7, height=5))
    wanted = torch.zeros(SIZE, dtype=torch.bool)
    wanted[10:15, 30:37] = torch.from_numpy(mask)
    assert torch.equal(semantic(tmp_path) == 2, wanted)


def test_a_mask_ends_at_the_edge_of_the_image(tmp_path: Path) -> None:
    save(tmp_path, "a", shape("mask", rle="0, 40", left=36, top=-2, width=8, height=5))
    assert torch.equal(semantic(tmp_path), drawn((2, 36, 0, 40, 3)))


def test_shapes_are_turned_about_their_center(tmp_path: Path) -> None:
    """A quarter turn of 12 x 4 pixels about (20, 10)."""
    save(tmp_path, "a", shape("box", xtl=14, ytl=8, xbr=26, ybr=12, rotation="90.0"))
    assert torch.equal(semantic(tmp_path), drawn((2, 18, 4, 22, 16)))
    save(tmp_path / "b", "a", shape("ellipse", cx=20, cy=10, rx=8, ry=4, rotation="90.0"))
    ellipse = semantic(tmp_path / "b") > 0
    assert int(ellipse.sum()) == pytest.approx(math.pi * 32, rel=0.05)
    assert (int(ellipse.any(0).sum()), int(ellipse.any(1).sum())) == (8, 16)


def test_the_box_turns_clockwise(tmp_path: Path) -> None:
    """By 45 degrees the long axis of a box falls from the upper left to the lower right."""
    save(tmp_path, "a", shape("box", xtl=10, ytl=9, xbr=30, ybr=11, rotation=45))
    ys, xs = np.nonzero(semantic(tmp_path).numpy())
    assert np.corrcoef(xs, ys)[0, 1] > 0.9


def test_a_higher_layer_lies_on_top_of_a_smaller_shape(tmp_path: Path) -> None:
    small = shape("polygon", "dog", points="12,6;16,6;16,10;12,10")
    save(tmp_path, "a", shape("polygon", points=SQUARE), small)
    assert torch.equal(semantic(tmp_path), drawn((2, 10, 5, 30, 15), (1, 12, 6, 16, 10)))
    save(tmp_path / "b", "a", shape("polygon", points=SQUARE, z_order=1), small)
    assert torch.equal(semantic(tmp_path / "b"), drawn((2, 10, 5, 30, 15)))


def test_layers_that_coco_cannot_hold_are_counted(tmp_path: Path) -> None:
    small = shape("polygon", "dog", points="12,6;16,6;16,10;12,10")
    save(tmp_path, "a", shape("polygon", points=SQUARE, z_order=1), small)
    data = Cvat(str(tmp_path))
    form = CocoForm(tmp_path, data.info)
    form.add(data[0], "train", "a", tmp_path / "images/train/a.png")
    (said,) = [text for text, times in form.left.items() if times]
    assert said.startswith("images with objects on top of smaller ones")


def test_polygons_of_a_group_are_one_object(tmp_path: Path) -> None:
    apart = shape("polygon", points="2,2;6,2;6,6;2,6", group_id=3)
    box = shape("box", xtl=32, ytl=2, xbr=36, ybr=6, group_id=3)
    save(tmp_path, "a", shape("polygon", points=SQUARE, group_id=3), apart, box)
    with pytest.warns(Notice, match="1 shape of the type box in groups, each read as an object"):
        areas = Cvat(str(tmp_path))[0].truth.areas
    assert areas is not None
    assert areas.tolist() == [216, 16]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    off = shape("polygon", points="50,30;60,30;60,40")
    save(tmp_path, "a", shape("polygon", points=SQUARE), shape("points", points="1,1"), off, "<tag label='cat'></tag>")
    save(tmp_path, "b")
    with pytest.warns(Notice) as told:
        assert len(Cvat(str(tmp_path))) == 2
    said = " ".join(str(one.message) for one in told)
    assert "1 shape of the type points left out" in said
    assert "1 shape of the type tag left out" in said
    assert "1 image without a shape, read as an image without objects" in said
    assert "1 of 2 annotations left out (1 outline that cover no pixel of the image)" in said


def test_subsets_fractions_and_files_are_splits(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        tree(tmp_path, split)
    assert [path.stem for path in Cvat(str(tmp_path), "valid").files()] == ["val"]
    parts = [Cvat(str(tmp_path), split, DIVIDED) for split in ("train", "valid")]
    assert sorted(path.stem for part in parts for path in part.files()) == ["test", "train", "val"]
    save(tmp_path / "whole", "a", shape("polygon", points=SQUARE), subset=None)
    with pytest.raises(UserError, match=r"no image is of the subset train or .*; .*type dataset=cvat dataset\.ann"):
        Cvat(str(tmp_path / "whole"))
    (tmp_path / "train").mkdir()
    (tmp_path / "whole/annotations.xml").rename(tmp_path / "train/annotations.xml")
    (tmp_path / "annotations.xml").unlink()
    write(tmp_path / "images/a.png", picture(SIZE))
    assert [path.stem for path in Cvat(str(tmp_path)).files()] == ["a"]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (shape("mask", rle="0, 4", left=0, top=0, width=3, height=2), r"its rle does not fill 3 x 2 pixels"),
        (shape("mask", rle="9999999999", left=0, top=0, width=3, height=2), r"its rle does not fill"),
        (shape("mask", rle="0, 4", left=0, top=0, width="x", height=2), "its width is 'x'; give a whole number"),
        (shape("box", xtl=0, ytl="nan", xbr=1, ybr=1), "finite numbers"),
        (shape("box", xtl=0, ytl=0, xbr=1), "its xtl, ytl, xbr, ybr are"),
        (shape("polygon", points="1;2"), r"give x,y;x,y"),
        (shape("polygon", "", points=SQUARE), "polygon 1: has no label"),
        (shape("polygon", "cow", points=SQUARE), "its label 'cow' is not among the classes"),
    ],
)
def test_a_damaged_shape_is_refused(tmp_path: Path, found: str, said: str) -> None:
    save(tmp_path, "a", found)
    with pytest.raises(UserError, match=said):
        Cvat(str(tmp_path))


def video(root: Path, *tracks: str, frames: int = 5) -> Path:
    """Write the images of frames, and the file of CVAT for video with these tracks."""
    for number in range(frames):
        write(root / f"images/frame_{number:06d}.png", picture(SIZE))
    tree = empty()
    size = f"<original_size><width>{SIZE[1]}</width><height>{SIZE[0]}</height></original_size>"
    tree[1][0].append(Xml.fromstring(size))
    tree.extend([Xml.fromstring(one) for one in tracks])
    (root / "annotations.xml").write_bytes(Xml.tostring(tree))
    return root


def track(*shapes: str, label: str = "cat", task: int = 0) -> str:
    return f'<track id="0" label="{label}" task_id="{task}">{"".join(shapes)}</track>'


def at(frame: int, kind: str = "box", outside: int = 0, **fields: object) -> str:
    return shape(kind, frame=frame, keyframe=1, outside=outside, **fields).replace('label="cat" ', "")


def box(x: float, y: float) -> dict[str, float]:
    return {"xtl": x, "ytl": y, "xbr": x + 8, "ybr": y + 4}


def read_frames(root: Path) -> list[list[list[float]] | None]:
    """Return the corners of the boxes of each frame, on the edges of pixels."""
    data = Cvat(str(root), splits={"train": 1.0})
    return [None if (boxes := data[i].truth.boxes) is None else (boxes + 0.5).tolist() for i in range(len(data))]


def test_tracks_of_a_video_are_shapes_of_its_frames(tmp_path: Path) -> None:
    polygons = [at(0, "polygon", points=SQUARE), at(1, "polygon", points=SQUARE), at(2, "polygon", 1, points=SQUARE)]
    video(tmp_path, track(*polygons), track(at(1, **box(2, 3)), at(2, outside=1, **box(2, 3)), label="dog"))
    with pytest.warns(Notice, match="frames, nearly alike, are divided at random"):
        data = Cvat(str(tmp_path), splits={"train": 1.0})
    assert [data.identity(i)[1] for i in range(len(data))] == [f"images/frame_{i:06d}" for i in range(5)]
    counts = [0 if (found := data[i].truth.categories) is None else len(found) for i in range(5)]
    assert counts == [1, 2, 0, 0, 0]
    assert torch.equal(semantic_of(data, 0), drawn((2, 10, 5, 30, 15)))


def test_boxes_between_keyframes_are_on_a_straight_line(tmp_path: Path) -> None:
    video(tmp_path, track(at(0, **box(2, 3)), at(4, **box(10, 5))))
    with pytest.warns(Notice, match="3 boxes between keyframes interpolated"):
        found = read_frames(tmp_path)
    assert found == [[[x, y, x + 8, y + 4]] for x, y in ((2, 3), (4, 3.5), (6, 4), (8, 4.5), (10, 5))]


def test_a_track_stays_until_it_is_outside(tmp_path: Path) -> None:
    video(tmp_path, track(at(0, **box(2, 3)), at(2, outside=1, **box(30, 3)), at(3, **box(6, 3))))
    with pytest.warns(Notice, match="1 frame after the last shape of a track that does not end"):
        found = read_frames(tmp_path)
    left = [2, 3, 10, 7]
    assert found == [[left], [left], [], [[6, 3, 14, 7]], []]


def test_videos_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    apart = track(at(0, "polygon", points=SQUARE), at(3, "polygon", points=SQUARE))
    several = [track(at(0, **box(2, 3)), task=number) for number in range(2)]
    for name, tracks, frames, said in (
        ("a", [apart], 4, r"track 0: has no polygon in frame 1, between 0 and 3; export from CVAT"),
        ("b", several, 4, r"the tracks of several tasks, .*; export each task by itself"),
        ("c", [apart], 0, r"holds no frame_000000\.png; export with images, or type ffmpeg -i VIDEO"),
    ):
        (tmp_path / name / "images").mkdir(parents=True)
        with pytest.raises(UserError, match=said):
            Cvat(str(video(tmp_path / name, *tracks, frames=frames)), splits={"train": 1.0})


def test_a_folder_of_a_video_is_recognised(tmp_path: Path) -> None:
    video(tmp_path, track(at(0, **box(2, 3))))
    with pytest.raises(UserError, match=r"CVAT's XML: type dataset=cvat "):
        Folder(str(tmp_path))


def test_a_star_reads_the_videos_of_several_tasks(tmp_path: Path) -> None:
    for name in ("one", "two"):
        video(tmp_path / name, track(at(0, **box(2, 3)), at(1, outside=1, **box(2, 3))), frames=2)
    data = Cvat(str(tmp_path), annotations="*/annotations.xml", splits={"train": 1.0})
    assert [data.identity(i)[1] for i in range(len(data))] == [
        f"{name}/images/frame_{i:06d}" for name in ("one", "two") for i in range(2)
    ]
    assert [0 if (found := data[i].truth.categories) is None else len(found) for i in range(4)] == [1, 0, 1, 0]
