"""Oxford-IIIT Pet, ADE20K, PASCAL-Context and Mapillary Vistas in small trees like the official ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from densepred.dataset.ade20k import Ade20k
from densepred.dataset.class_tables import OXFORD_PETS, PASCAL_CONTEXT, PASCAL_CONTEXT_NUMBERS
from densepred.dataset.folder import Folder
from densepred.dataset.mapillary import Mapillary
from densepred.dataset.oxford_pets import OxfordPets
from densepred.dataset.pascal_context import PascalContext
from densepred.errors import UserError
from densepred.types import VOID
from tests.dataset import ade20k_tree, mapillary_tree, oxford_pets_tree, pascal_context_tree


def pets(root: Path) -> Path:
    for split in oxford_pets_tree.SPLITS:
        oxford_pets_tree.tree(root, split)
    return root


def column(data: Any, name: str) -> list[int]:
    """Return the classes from top to bottom of the image called so."""
    index = [pair.id for pair in data.pairs].index(name)
    return data[index].truth.semantic[:, 0].tolist()


@pytest.mark.parametrize(
    ("target", "bengal", "pug"),
    [("foreground", 1, 1), ("species", 1, 2), ("breed", 6, 26)],
    ids=lambda value: str(value),
)
def test_the_border_of_a_pet_is_void_and_the_list_tells_its_class(
    target: str, bengal: int, pug: int, tmp_path: Path
) -> None:
    data = OxfordPets(str(pets(tmp_path)), "test", target=target)
    assert column(data, "Bengal_10") == [0] * 5 + [VOID] + [bengal] * 6
    assert column(data, "pug_10") == [0] * 5 + [VOID] + [pug] * 6
    assert data.info.classes[pug] == {"breed": "pug", "species": "dog", "foreground": "pet"}[target]


def test_a_trimap_has_three_classes(tmp_path: Path) -> None:
    data = OxfordPets(str(pets(tmp_path)), "test", target="trimap")
    assert column(data, "pug_10") == [1] * 5 + [2] + [0] * 6
    assert data.info.classes == ("pet", "background", "border")


def test_validation_is_held_out_of_the_official_list(tmp_path: Path) -> None:
    parts = [OxfordPets(str(pets(tmp_path)), split, held_out=0.4) for split in ("train", "valid", "test")]
    names = [{pair.id for pair in part.pairs} for part in parts]
    assert names[0] | names[1] == {row.split()[0] for row in oxford_pets_tree.ROWS}
    assert not names[0] & names[1]
    assert names[2] == {"Bengal_10", "pug_10"}
    with pytest.raises(UserError, match=r"dataset\.held_out: .*give fractions above 0"):
        OxfordPets(str(tmp_path), held_out=0)
    named = {"train": "trainval", "valid": "test", "test": "test"}
    assert len(OxfordPets(str(tmp_path), splits=named)) == 40


def test_all_breeds_are_in_the_order_of_their_numbers() -> None:
    assert tuple(sorted(OXFORD_PETS, key=str.lower)) == OXFORD_PETS
    assert (len(set(OXFORD_PETS)), sum(name[0].isupper() for name in OXFORD_PETS)) == (37, 12)  # cats have capitals


@pytest.mark.parametrize("row", ["pug_1 25 2 16", "pug_1 26 3 16", "pug_1 26", "../pug_1 26 2 16"])
def test_a_line_that_contradicts_itself_is_refused(row: str, tmp_path: Path) -> None:
    (pets(tmp_path) / "annotations/test.txt").write_text(f"{row}\n")
    with pytest.raises(UserError, match=r"test\.txt: line 1: .*(is not a name, its breed's number|leads out)"):
        OxfordPets(str(tmp_path), "test")


def test_files_that_a_list_names_must_be_there(tmp_path: Path) -> None:
    (pets(tmp_path) / "annotations/trimaps/pug_0.png").unlink()
    with pytest.raises(UserError, match=r"trainval\.txt: 1 of the 80 files that it names are missing, such as .*pug_0"):
        OxfordPets(str(tmp_path))


def ade(root: Path) -> Path:
    for split in ade20k_tree.SPLITS:
        ade20k_tree.tree(root, split)
    return root


def test_0_of_ade20k_is_void_and_150_is_the_last_class(tmp_path: Path) -> None:
    data = Ade20k(str(ade(tmp_path)))
    values = torch.from_numpy(ade20k_tree.values().astype(np.int64))
    expected = torch.where(values == 0, VOID, values - 1).to(torch.uint8)
    assert torch.equal(data[0].truth.need("semantic"), expected)
    assert len(data.info.classes) == 150
    assert data.info.classes[:5] == ("wall", "building", "screen, silver screen", "screen, CRT screen", "thing 5")
    assert [pair.id for pair in Ade20k(str(tmp_path), "test").pairs] == ["ADE_val_00000001", "ADE_val_00000002"]


def test_names_of_ade20k_are_numbered_or_complete(tmp_path: Path) -> None:
    path = ade(tmp_path) / "objectInfo150.txt"
    assert Ade20k(str(tmp_path), names=None).info.classes[149] == "class_150"
    lines = path.read_text().splitlines()
    for text, said in (
        ("\n".join(lines[:-1]), "numbers 149 classes"),
        ("\n".join([*lines, "x\ty"]), "line 152 is"),
        ("\n".join([lines[0], *reversed(lines[1:])]), "not 1 to 150 in order"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=said):
            Ade20k(str(tmp_path))
    path.unlink()
    with pytest.raises(UserError, match=r"is missing; .*dataset\.names=null"):
        Ade20k(str(tmp_path))


@pytest.mark.parametrize("form", ["tree", "official", "matlab"])
def test_pascal_context_has_the_same_classes_in_every_form(form: str, tmp_path: Path) -> None:
    for split in pascal_context_tree.SPLITS:
        getattr(pascal_context_tree, form)(tmp_path, split)
    places = torch.from_numpy(pascal_context_tree.PLACES).to(torch.uint8)
    data = PascalContext(str(tmp_path))
    assert data.info.classes == ("background", *PASCAL_CONTEXT)
    assert torch.equal(data[0].truth.need("semantic"), places)
    without = PascalContext(str(tmp_path), "valid", background=False)
    assert torch.equal(without[0].truth.need("semantic"), torch.where(places == 0, VOID, places - 1))
    assert without.info.classes == PASCAL_CONTEXT


def test_the_classes_of_pascal_context_are_in_the_order_of_the_alphabet() -> None:
    assert tuple(sorted(PASCAL_CONTEXT)) == PASCAL_CONTEXT
    assert len(PASCAL_CONTEXT) == len(PASCAL_CONTEXT_NUMBERS) == 59
    assert tuple(sorted(PASCAL_CONTEXT_NUMBERS)) == PASCAL_CONTEXT_NUMBERS


def test_maps_of_the_archive_are_not_read_without_their_order(tmp_path: Path) -> None:
    pascal_context_tree.official(tmp_path, "train")
    (tmp_path / "59_labels.txt").write_text("1: aeroplane\n")
    with pytest.raises(UserError, match="is no list of the 59 classes"):
        PascalContext(str(tmp_path))
    (tmp_path / "59_labels.txt").unlink()
    with pytest.raises(UserError, match=r"59_labels\.txt: is missing; it numbers the classes"):
        PascalContext(str(tmp_path))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"LabelMap": np.full((8, 9), 460)}, "460"),
        ({"LabelMap": np.full((8, 9), 0.5)}, "holds 0.5"),
        ({"LabelMap": np.zeros((8, 9, 2))}, "has the shape"),
        ({"Other": np.zeros((8, 9))}, "no variable LabelMap"),
    ],
)
def test_a_mat_file_that_is_no_map_is_refused(values: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    pascal_context_tree.matlab(tmp_path, "train")
    savemat(next(tmp_path.glob("trainval/*.mat")), values)
    with pytest.raises(UserError, match=rf"\.mat: .*{said}"):
        PascalContext(str(tmp_path))[0]


def vistas(root: Path, *more: str) -> Path:
    for split in mapillary_tree.SPLITS:
        mapillary_tree.tree(root, split, *more)
    return root


EXPECTED = np.array([[1, 1, 1, VOID], [0, 0, 0, 0], [2, 2, 3, 3]], np.uint8).repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize(
    ("version", "more"),
    [
        ("v1.2", ()),
        ("v1.2", ("config_v1.2.json", "v1.2")),
        ("v2.0", ("config_v2.0.json", "v2.0")),
    ],
)
def test_ids_of_vistas_are_classes_and_instances(version: str, more: tuple[str, ...], tmp_path: Path) -> None:
    data = Mapillary(str(vistas(tmp_path, *more)), version=version)
    truth = data[0].truth
    assert data.info.classes == ("Bird", "Sky", "object--sign--back", "object--sign--front")
    assert data.info.things == (0, 2, 3)
    assert data.info.palette[1] == (70, 130, 180)
    assert np.array_equal(truth.need("semantic").numpy(), EXPECTED)
    assert truth.need("categories").tolist() == [0, 0, 2, 2, 3, 3]
    assert truth.need("areas").tolist() == [32, 32, 16, 16, 16, 16]
    assert truth.need("boxes")[2].tolist() == [-0.5, 7.5, 3.5, 11.5]
    classes = Mapillary(str(tmp_path), version=version, instances=False)
    assert np.array_equal(classes[0].truth.need("semantic").numpy(), EXPECTED)
    assert classes.info.provides == ("semantic",)


def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = vistas(tmp_path) / "config.json"
    data = json.loads(path.read_text())
    with pytest.raises(UserError, match=r"config_v2\.0\.json: is missing; this looks like .*: type dataset=mapillary$"):
        Mapillary(str(tmp_path), version="v2.0")
    path.write_text(json.dumps({"labels": data["labels"][:3]}))
    with pytest.raises(UserError, match="holds the id 1024, of label 4, but the configuration has 3"):
        Mapillary(str(tmp_path))[0]
    del data["labels"][1]["evaluate"]
    for broken in (data, {"labels": []}, []):
        path.write_text(json.dumps(broken))
        with pytest.raises(UserError, match=r"config\.json: (label 1 is|lists no labels)"):
            Mapillary(str(tmp_path))


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (pets, "dataset=oxford_pets"),
        (ade, "dataset=ade20k"),
        (vistas, "dataset=mapillary"),
        (lambda root: vistas(root, "config_v2.0.json", "v2.0"), "dataset=mapillary dataset.version=v2.0"),
        (lambda root: pascal_context_tree.tree(root, "train"), "dataset=pascal_context"),
        (lambda root: pascal_context_tree.matlab(root, "train"), "dataset=pascal_context"),
    ],
)
def test_an_error_of_another_dataset_names_the_option(
    draw: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    draw(tmp_path)
    with pytest.raises(UserError, match=rf"; this looks like [^:]+: type {words}$"):
        Folder(str(tmp_path))
