from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from densepred.dataset.folder import Folder
from densepred.dataset.unnamed import remedy
from tests.dataset.files import write

NODE = {"masks": "masks/{split}", "label_map": None}


def test_the_form_in_the_remedy_names_the_classes(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"images/{split}/a.png", np.zeros((4, 4, 3), np.uint8))
        write(tmp_path / f"masks/{split}/a.png", np.eye(4, dtype=np.uint8))
    before = Folder(str(tmp_path)).info.classes
    fact, _, form = remedy(before, {**NODE, "root": str(tmp_path)}).partition(": ")
    path = tmp_path / "classes.json"
    assert fact == f"classes have no names; write {path}"
    path.write_text(form.replace("NAME_OF_0", "ground").replace("NAME_OF_1", "leaf"))
    after = Folder(str(tmp_path)).info.classes
    assert (before, after) == (("class_0", "class_1"), ("ground", "leaf"))
    assert remedy(after, {**NODE, "root": str(tmp_path)}) == ""


def test_ids_are_those_of_the_masks_and_few_are_shown() -> None:
    _, _, form = remedy(["class_1", "class_2", "class_7"], {**NODE, "root": "d"}).partition(": ")
    assert form.endswith(", ...]")
    assert [one["id"] for one in json.loads(form.replace(", ...", ""))] == [1, 2]


def test_other_datasets_have_no_such_file() -> None:
    assert remedy(["class_0", "class_1"], {"root": "d"}) == ""
    assert remedy(["class_0", "road"], {**NODE, "root": "d"}) == ""
    assert remedy([], {**NODE, "root": "d"}) == ""
