"""densepred-check on data in another layout than the one that was typed."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.dataset.layout_trees import cvat_masks
from tests.inspection.drawn import check


def test_the_check_goes_on_in_the_only_folder_of_the_root(tmp_path: Path) -> None:
    cvat_masks(tmp_path / "archive/export")
    code, faults = check(tmp_path)
    words = shlex.split(str(faults["layout"]["override"]))
    assert (code, words[1]) == (2, f"dataset.root={tmp_path / 'archive/export'}")
    assert "refused" not in faults
    _, again = check(tmp_path, *words)
    assert again == {kind: one for kind, one in faults.items() if kind != "layout"}
