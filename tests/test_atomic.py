"""Files that are whole or absent."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from densepred import atomic


def test_a_device_a_pipe_and_a_folder_are_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for place in (pipe, tmp_path):
        with pytest.raises(OSError, match="is no regular file"):
            atomic.write_json(place, {"a": 1})
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pipe"]


def test_a_file_is_replaced_and_a_link_to_one_too(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to("old.json")
    for name in ("old.json", "link.json", "new.json"):
        atomic.write_json(tmp_path / name, {"a": 1})
        assert '"a": 1' in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    "error",
    [
        lambda: OSError(errno.ENOSPC, "No space left on device"),
        lambda: OSError("32768 requested and 1984 written"),
        lambda: RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 1920 vs 1824"),
    ],
    ids=["system", "numpy", "torch"],
)
def test_an_error_of_a_full_disk_has_the_name_of_the_file(tmp_path: Path, error: Callable[[], Exception]) -> None:
    with pytest.raises(OSError, match="No space left on device") as told, atomic.replacing(tmp_path / "a.npy"):
        raise error()
    assert (told.value.errno, told.value.filename) == (errno.ENOSPC, str(tmp_path / "a.npy"))
    with pytest.raises(OSError, match="No space left on device") as told, atomic.new_folder(tmp_path / "new"):
        raise error()
    assert told.value.filename == str(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_torch_words_for_a_read_only_disk_are_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Read-only") as told, atomic.naming(tmp_path / "a.pt2", tmp_path / ".a.trial"):
        raise RuntimeError("open file failed with strerror: Read-only file system")
    assert (told.value.errno, told.value.filename) == (errno.EROFS, str(tmp_path / "a.pt2"))


def test_a_name_that_is_no_utf_8_is_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"a\xff.png")
    with atomic.replacing(path) as file:
        file.touch()
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_names_stay_out_of_errors_and_other_errors_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told, atomic.new_folder(tmp_path / "new") as folder:
        (folder / "sub/a.json").write_text("")
    assert told.value.filename == str(tmp_path / "new/sub/a.json")
    with pytest.raises(FileNotFoundError) as told, atomic.replacing(tmp_path / "a.json"):
        (tmp_path / "input").read_text()
    assert Path(told.value.filename) == tmp_path / "input"
    with pytest.raises(OSError, match="cannot identify") as told, atomic.replacing(tmp_path / "a.json"):
        raise OSError("cannot identify image file")
    assert told.value.filename is None
