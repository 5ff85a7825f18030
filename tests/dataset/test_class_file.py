"""Every common form of classes.json gives the same classes; other forms are refused in a sentence with the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from densepred.dataset import class_file, legend
from densepred.dataset.palette import parse_palette
from densepred.errors import Notice, UserError

RED, GREEN = (255, 0, 0), (0, 128, 64)


def read(folder: Path, data: Any) -> list[class_file.Entry]:
    path = folder / "classes.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return class_file.read(path)[0]


@pytest.mark.parametrize(
    "data",
    [
        {"classes": ["a", "b"]},
        ["a", "b"],
        {"classes": [{"name": "a"}, {"name": "b"}]},
        {"classes": [{"id": 0, "name": "a"}, {"id": "1", "name": "b"}]},
        {"classes": {"0": "a", "1": "b"}},
        {"classes": {"b": 1, "a": 0}},
        {"1": "b", "0": "a"},
        {"a": 0, "b": 1},
    ],
    ids=json.dumps,
)
def test_names_and_ids(tmp_path: Path, data: Any) -> None:
    assert read(tmp_path, data) == [(0, "a", None, False), (1, "b", None, False)]


@pytest.mark.parametrize(
    "data",
    [
        {"classes": [{"name": "a", "color": [255, 0, 0]}, {"name": "b", "colour": [0, 128, 64]}]},
        {"classes": [{"name": "a", "color": "#ff0000"}, {"name": "b", "rgb": "#008040FF"}]},
        {"classes": [{"name": "a", "color": [255, 0, 0, 255]}, {"name": "b", "color": {"r": 0, "g": 128, "b": 64}}]},
        {"classes": ["a", "b"], "palette": ["#FF0000", [0, 128, 64]]},
        {"classes": {"0": "a", "1": "b"}, "colors": [[255, 0, 0], [0, 128, 64]]},
    ],
    ids=json.dumps,
)
def test_colours(tmp_path: Path, data: Any) -> None:
    assert [entry.colour for entry in read(tmp_path, data)] == [RED, GREEN]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "is no JSON file"),
        ([], r"its classes are \[\]; write"),
        ({"classes": 3}, "its classes are 3; write"),
        ({"classes": [1, 2]}, "class 0 is 1, without a name"),
        ({"classes": [{"id": 0}]}, "without a name; write"),
        ({"classes": [{"name": "a", "color": "red"}]}, "the colour of 'a' is 'red'; write .*#ff0000"),
        ({"classes": [{"name": "a", "color": [1.5, 0, 0]}]}, r"is \[1\.5, 0, 0\]; write"),
        ({"classes": [{"name": "a", "color": [256, 0, 0]}]}, r"is \[256, 0, 0\]; write"),
        ({"classes": [{"name": "a", "color": [1, 2, 3, 9]}]}, "partly transparent"),
        ({"classes": ["a"], "palette": [[0, 0, 0], [1, 1, 1]]}, "2 colours for 1 class;"),
        ({"classes": [{"name": "a", "id": 1.5}]}, "the id of 'a' is 1.5; write a whole number"),
        ({"classes": ["a"], "ignore_index": "x"}, "ignore_index is 'x'; write a whole number"),
        ({"classes": [{"name": "a", "ignore": "no"}]}, "ignore of 'a' is 'no'; write true or false"),
    ],
    ids=str,
)
def test_another_form_is_one_sentence(tmp_path: Path, data: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path, data)
    assert str(caught.value).startswith(f"{tmp_path / 'classes.json'}: ")
    assert "Error(" not in str(caught.value)


def test_keys_that_are_not_read_are_named(tmp_path: Path) -> None:
    with pytest.warns(Notice, match="'void' is not read"):
        assert len(read(tmp_path, {"classes": ["a"], "void": 3})) == 1
    with pytest.warns(Notice, match="'more', 'void' are not read"):
        assert len(read(tmp_path, {"classes": ["a"], "void": 3, "more": 1})) == 1


def test_a_mapping_numbers_the_masks(tmp_path: Path) -> None:
    (tmp_path / "classes.json").write_text('{"classes": {"7": "b", "3": "a"}, "ignore_index": "255"}')
    found = legend.from_json(tmp_path / "classes.json", None, {})
    assert found.labels.classes == ("a", "b")
    assert {value: found.labels.ids[value] for value in (3, 7, 255)} == {3: 0, 7: 1, 255: 255}


def test_the_palette_of_the_settings_takes_the_same_colours() -> None:
    assert parse_palette(["#ff0000", [0, 128, 64, 255]], 2) == (RED, GREEN)
    with pytest.raises(UserError, match=r"dataset\.palette: colour 1 is 'green'; write"):
        parse_palette(["#ff0000", "green"], 2)
