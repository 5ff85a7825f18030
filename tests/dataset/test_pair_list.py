from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from densepred.dataset.folder import Folder
from densepred.dataset.pair_list import read_list
from densepred.errors import Notice
from densepred.types import UserError

FILES = [(f"images/{s}/{n}.png", f"masks/{s}/{n}.png", s) for s in ("train", "val") for n in ("a", "b/c")]


def rows(mark: str = ",", heading: str | None = "image,mask,split") -> str:
    lines = [] if heading is None else [heading.replace(",", mark)]
    return "\n".join([*lines, *(mark.join(cells) for cells in FILES)]) + "\n"


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_any_common_delimiter_gives_the_same_pairs(root: Path, mark: str) -> None:
    (root / "list.csv").write_text(rows(mark), encoding="utf-8-sig")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_list(root / "list.csv", root, True)
    assert [(str(p.image.relative_to(root)), str(p.mask.relative_to(root)), s) for p, s in found if p.mask] == FILES


@pytest.mark.parametrize("heading", ["Image,Mask,Split", " Image , LABEL, Set", "File Name,Mask Path,subset"])
def test_other_headings_are_read_and_told(root: Path, heading: str) -> None:
    (root / "list.csv").write_text(rows(";", heading))
    with pytest.warns(Notice, match="other headings; read as image = "):
        data = Folder(str(root), split="valid", list="list.csv")
    assert [pair.id for pair in data.pairs] == ["images/val/a", "images/val/b/c"]


def test_a_list_without_headings_loses_no_line(root: Path) -> None:
    (root / "list.csv").write_text(rows(heading=None))
    with pytest.warns(Notice, match="has no headings; read as image = column 1, mask = column 2, split = column 3"):
        found = read_list(root / "list.csv", root, True)
    assert [str(pair.image.relative_to(root)) for pair, _ in found] == [image for image, _, _ in FILES]


def test_a_message_tells_what_was_found(root: Path) -> None:
    (root / "list.csv").write_text("picture;truth\n1;2\n")
    with pytest.raises(UserError, match=r"its first line has 'picture,truth', without image and mask"):
        read_list(root / "list.csv", root, True)
    (root / "list.csv").write_text(rows().replace(",val", ",holdout"))
    with pytest.raises(UserError, match=r"no line has the split 'val'; it has 'holdout, train'"):
        Folder(str(root), split="valid", list="list.csv")
    with pytest.warns(Notice, match=r"2 lines unused, because in no split \(such as 'holdout'\)"):
        Folder(str(root), list="list.csv")


def test_a_list_of_images_alone_lacks_the_masks(root: Path) -> None:
    (root / "list.csv").write_text("\n".join(image for image, _, _ in FILES))
    with pytest.raises(UserError, match=r"its first line has '[^']*a\.png', without image and mask; name the columns"):
        read_list(root / "list.csv", root, True)
    with pytest.warns(Notice, match="has no headings; read as image = column 1"):
        assert len(read_list(root / "list.csv", root, False)) == len(FILES)


def test_words_of_the_split_column_may_be_other_ones(root: Path) -> None:
    (root / "list.csv").write_text(rows().replace(",val", ", Validation").replace(",train\n", ",Training\n"))
    assert [len(Folder(str(root), split=split, list="list.csv")) for split in ("train", "valid", "val")] == [2, 2, 2]


def test_paths_may_begin_with_the_home_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root))
    (root / "list.csv").write_text(rows().replace("images", "~/images").replace("masks", "~/masks"))
    data = Folder("~", split="valid", list="~/list.csv")
    assert data[0].image.shape == (3, 7, 9)
    assert len(Folder("/", images="~/images/{split}", masks="~/masks/{split}")) == 2


@pytest.mark.parametrize("cell", ["../secret.png", "/etc/hostname", "a/../../secret.png", "~/x.png"])
def test_files_outside_the_root_need_the_users_word(tmp_path: Path, cell: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "list.csv").write_text(f"image,mask\n{cell},a.png\nb.png,b.png\n")
    with pytest.raises(UserError, match=r"list\.csv: .*outside .*dataset\.outside=true"):
        read_list(root / "list.csv", root, True)
    (first, _), (second, _) = read_list(root / "list.csv", root, True, outside=True)
    assert second.image == root / "b.png"
    assert first.image not in (second.image, root)


def test_links_out_of_the_root_and_paths_back_into_it_are_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    (root / "list.csv").write_text(f"image,mask\nlink/a.png,x/../b.png\n{root}/c.png,d.png\n")
    assert len(read_list(root / "list.csv", root, True)) == 2


def test_backslashes_of_windows_are_slashes(root: Path) -> None:
    (root / "list.csv").write_bytes(rows().replace("/", "\\").replace("\n", "\r\n").encode("utf-8-sig"))
    found = read_list(root / "list.csv", root, True)
    assert [(str(p.image.relative_to(root)), str(p.mask.relative_to(root)), s) for p, s in found if p.mask] == FILES


def test_fractions_tell_that_a_column_of_splits_is_not_read(root: Path) -> None:
    (root / "list.csv").write_text(rows())
    halves = {"train": 0.5, "valid": 0.5}
    with pytest.warns(Notice, match=r"list\.csv: fractions .* the column split \('train' 2, 'val' 2\) is not read"):
        Folder(str(root), list="list.csv", splits=halves, classes=3, seed=3)
    (root / "list.csv").write_text("\n".join(",".join(cells[:2]) for cells in [("image", "mask"), *FILES]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Folder(str(root), list="list.csv", splits=halves, classes=3, seed=3)
