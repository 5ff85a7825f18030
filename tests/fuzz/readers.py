"""Inputs of fuzzing: small valid files of each kind, and the function that commands read them with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from densepred.dataset import dicom_file, nifti_file
from densepred.dataset.coco_instances import CocoInstances
from densepred.dataset.coco_keypoints import CocoKeypoints
from densepred.dataset.coco_panoptic import CocoPanoptic
from densepred.dataset.folder import Folder
from densepred.dataset.image import read_image
from densepred.dataset.image_header import read_header
from densepred.dataset.mask import read_mask
from densepred.dataset.mpii import Mpii
from densepred.dataset.nifti import Nifti
from densepred.dataset.pair_list import read_list
from densepred.errors import UserError
from densepred.hub import pickles
from densepred.results.ids import image_ids, known_ids
from densepred.results.person_boxes import BoxFile, BoxFilter
from densepred.types import Info
from densepred.weights import header
from densepred.weights.file import load_model, read_tensors
from tests.dataset import coco_tree, dicom_tree, folder_tree, mpii_tree, nifti_tree, trees
from tests.fuzz import run_files
from tests.fuzz.datasets import DATASETS
from tests.fuzz.mutations import BYTES, ENDS, JSON, TEXT, Change

Read = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """`write` fills a folder with valid files and returns the one to damage; `read` reads it, given its path."""

    write: Callable[[Path, int], Path]
    read: Read
    changes: tuple[Change, ...]
    variants: int = 1


def _array(folder: Path, variant: int) -> Path:
    shape, kind = (((5, 7), np.uint8), ((5, 7, 3), np.float32), ((4, 6), np.uint16), ((3, 4), np.int64))[variant]
    np.save(folder / "a.npy", np.zeros(shape, kind))
    return folder / "a.npy"


IMAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("a.png", "P", {}),
    ("a.png", "I;16", {}),
    ("a.png", "RGBA", {}),
    ("a.jpg", "RGB", {}),
    ("a.tif", "L", {"compression": "tiff_lzw"}),
    ("a.tif", "F", {}),
    ("a.tif", "RGB", {"compression": "tiff_deflate"}),
    ("a.bmp", "RGB", {}),
    ("a.webp", "RGB", {"lossless": True}),
    ("a.webp", "RGBA", {}),
    ("a.gif", "P", {}),
    ("a.ppm", "RGB", {}),
)


def _image(folder: Path, variant: int) -> Path:
    name, mode, options = IMAGES[variant]
    values = np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)
    image = Image.fromarray(values)
    image = Image.fromarray(values[..., 0].astype(np.uint16)) if mode == "I;16" else image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    more: dict[str, Any] = {"exif": exif} if name[-3:] in ("jpg", "png") else {}
    image.save(folder / name, **options, **more)
    return folder / name


def _dicom(folder: Path, variant: int) -> Path:
    values = np.arange(12 * 10, dtype=(np.int16, np.uint16, np.uint8)[variant]).reshape(12, 10)
    more = ({"RescaleSlope": 2, "RescaleIntercept": -100}, {"PixelPaddingValue": 3}, {"PixelSpacing": [0.5, 0.7]})
    return dicom_tree.saved(folder / "a.dcm", values, **more[variant])


def _read_dicom(path: Path) -> None:
    quietly(dicom_file.geometry, path)
    quietly(read_header, path)
    read_image(path, max_value=(40, 400))


def _volume(folder: Path, variant: int) -> Path:
    nifti_tree.save(folder, "a", channels=1)
    path = folder / "imagesTr/a_0000.nii.gz"
    if variant:  # the header itself, which gzip's check of the content does not protect
        plain = path.with_suffix("")
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
        return plain
    return path


def _read_volume(path: Path) -> None:
    volume = nifti_file.read_header(path, 2, 10**6)
    quietly(nifti_file.alike, volume, np.zeros([volume.shape[place] for place in np.argsort(volume.places)], np.uint8))
    quietly(volume.slice, 2, 0, nifti_file.Values(volume))
    Nifti(str(path.parents[1]), splits={"train": 1.0}, window=[0, 600], classes=3, max_pixels=10**6)[0]


def _read_picture(path: Path) -> None:
    for read in (read_header, read_image, read_mask):
        quietly(read, path)


def quietly(read: Callable[..., object], *given: Any) -> None:
    """Call a reader that may refuse the file, because more is to be read from it."""
    try:
        read(*given)
    except UserError as error:
        check(error)


def check(error: UserError) -> None:
    """A message is one line, whatever the file holds."""
    text = str(error)
    assert len(text.splitlines()) == 1, f"a message of several lines: {text!r}"


def _weights(folder: Path, variant: int) -> Path:
    about = {"format": 1, "model": {"_target_": "densepred.model.x.X"}, "task": {}, "info": {"classes": ["a", "b"]}}
    metadata = {header.KEY: json.dumps(about)} if variant else None
    save_file({"a.weight": torch.ones(3, 2), "b": torch.ones(5).half()}, folder / "w.safetensors", metadata)
    return folder / "w.safetensors"


def _read_weights(path: Path) -> None:
    quietly(load_model, path)
    quietly(header.has_description, path)
    read_tensors(path)


def _boxes(folder: Path, variant: int) -> Path:
    rows = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}] * 2
    whole = {"images": coco_tree.images(), "annotations": rows, "categories": [{"id": 1, "name": "person"}]}
    (folder / "b.json").write_text(json.dumps((rows, whole)[variant]))
    return folder / "b.json"


def _read_boxes(path: Path) -> None:
    file = BoxFile(path, BoxFilter(Info(classes=("person",), palette=((1, 2, 3),)), 0.1, str(path)))
    file.require([(7, "a")])
    file.of((37, 45), 7, "a")


def _ids(folder: Path, variant: int) -> Path:
    (folder / "ids.json").write_text(json.dumps(coco_tree.instances()))
    return folder / "ids.json"


def _read_ids(path: Path) -> None:
    image_ids([path.parent / "a.jpg"], path.parent, known_ids(path))


COCO = {"instances": CocoInstances, "person_keypoints": CocoKeypoints, "panoptic": CocoPanoptic}


def _coco(folder: Path, variant: int) -> Path:
    coco_tree.tree(folder)
    return folder / "annotations" / f"{list(COCO)[variant]}_train2017.json"


def _read_coco(path: Path) -> None:
    data = COCO[path.stem.rpartition("_")[0]](str(path.parents[1]))
    for index in range(len(data)):
        data[index]


def _mpii(folder: Path, variant: int) -> Path:
    mpii_tree.tree(folder, "train")
    return folder / "annot/train.json"


def _heads(folder: Path, variant: int) -> Path:
    mpii_tree.tree(folder, "train")
    boxes = np.arange(12, dtype=np.float64).reshape(2, 2, 3)
    savemat(folder / "annot/gt_train.mat", {"headboxes_src": boxes, "other": "x"}, do_compression=bool(variant))
    return folder / "annot/gt_train.mat"


def _read_mpii(path: Path) -> None:
    data = Mpii(str(path.parents[1]))
    for index in range(len(data)):
        data[index]


def _classes(folder: Path, variant: int) -> Path:
    folder_tree.tree(folder, "train")
    listed = [{"id": 0, "name": "road", "color": [1, 2, 3]}, {"id": 1, "name": "sky", "color": "#0a0b0c"}]
    forms = ({"classes": listed, "ignore_index": 255}, {"0": "road", "1": "sky"}, {"road": 0, "sky": 1})
    (folder / "classes.json").write_text(json.dumps(forms[variant]))
    return folder / "classes.json"


def _read_folder(path: Path) -> None:
    Folder(str(path.parent))[0]


def _list(folder: Path, variant: int) -> Path:
    folder_tree.tree(folder, "train")
    rows = "".join(f"images/train/{name}.png,masks/train/{name}.png,train\n" for name in "ab")
    (folder / "list.csv").write_text(("image,mask,split\n", "")[variant] + rows)
    return folder / "list.csv"


def _read_list(path: Path) -> None:
    quietly(read_list, path, path.parent, True)
    Folder(str(path.parent), list="list.csv")[0]


def _pickle(folder: Path, variant: int) -> Path:
    state = {"state_dict": {"a.weight": torch.ones(3, 2), "b": torch.ones(2)}, "epoch": 3}
    torch.save(state, folder / "w.pth", _use_new_zipfile_serialization=not variant)
    return folder / "w.pth"


def _dataset(option: str) -> Kind:
    """Return the kind of the damaged file of a dataset, which reads its first sample."""
    make, pattern, changes = DATASETS[option]

    def write(folder: Path, variant: int) -> Path:
        trees.draw(option, folder)
        return next(folder.glob(pattern))

    return Kind(write, lambda path: make(str(path.parents[pattern.count("/")]))[0], changes)


KINDS: dict[str, Kind] = {
    "npy": Kind(_array, _read_picture, BYTES, 4),
    "image": Kind(_image, _read_picture, BYTES, len(IMAGES)),
    "safetensors": Kind(_weights, _read_weights, JSON[:9], 2),
    "boxes": Kind(_boxes, _read_boxes, JSON, 2),
    "coco_ids": Kind(_ids, _read_ids, JSON),
    "annotations": Kind(_coco, _read_coco, JSON, 3),
    "mpii": Kind(_mpii, _read_mpii, JSON),
    "mat": Kind(_heads, _read_mpii, BYTES, 2),
    "classes": Kind(_classes, _read_folder, JSON, 3),
    "list": Kind(_list, _read_list, TEXT, 2),
    **({"dicom": Kind(_dicom, _read_dicom, BYTES, 3)} if find_spec("pydicom") else {}),
    **({"nifti": Kind(_volume, _read_volume, BYTES, 2)} if find_spec("nibabel") else {}),
    "pickle": Kind(_pickle, pickles.read, BYTES, 2),
    **{option: _dataset(option) for option in DATASETS},
    **{name: Kind(write, read, (*JSON, *ENDS), count) for name, (write, read, count) in run_files.READERS.items()},
}
