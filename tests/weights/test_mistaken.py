"""Files and folders given in place of a run: what they are, and which command takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from densepred.errors import UserError
from densepred.rundir import provenance
from densepred.rundir.checkpoints import Checkpoints
from densepred.sweep import ledger, record
from densepred.weights import mistaken
from densepred.weights.file import load_model
from densepred.weights.header import find_weights, read_header
from densepred.weights.pretrained import _open

BEGINNINGS = {
    "a.h5": (b"\x89HDF\r\n\x1a\n", "HDF5, as Keras writes"),
    "a.npy": (b"\x93NUMPY\x01\x00", "array of NumPy"),
    "a.gguf": (b"GGUF\x03\0\0\0", "llama.cpp"),
    "a.tflite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
    "a.mat": (b"MATLAB 5.0", "MATLAB"),
    "a.tar.gz": (b"\x1f\x8b\x08\0\0\0\0\0", "unpack it first"),
    "a.json": (b'["a"]    ', "a text file"),
    "a.nii": (b"\x5c\x01\0\0data", r"is a volume; densepred-predict .* input=VOLUME"),
    "a.nii.gz": (b"\x1f\x8b\x08\0\0\0\0\0", "is a volume"),
    "a.MP4": (b"\0\0\0\x18ftypmp42", r"is a video; .* input=VIDEO"),
    "a.dcm": (b"\0" * 8, "is an image"),
    "a.pth": (b"PK\x03\x04aaaa", "densepred-import"),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with a checkpoint, and no published weights."""
    tensors = {"optimizer.0.exp_avg": torch.ones(3), "average.w": torch.ones(3)}
    Checkpoints(tmp_path / "run" / "checkpoints").save(4, {"w": torch.ones(3)}, tensors, {})
    (tmp_path / "run" / "overrides.txt").touch()
    return tmp_path / "run"


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_file_of_another_program_is_named_with_its_remedy(tmp_path: Path, name: str) -> None:
    start, words = BEGINNINGS[name]
    (tmp_path / name).write_bytes(start.ljust(64, b"\0"))
    with pytest.raises(UserError, match=words):
        load_model(tmp_path / name)
    with pytest.raises(UserError, match=words):
        _open("init", str(tmp_path / name))


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "tif", "webp"])
def test_an_image_belongs_to_predict(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(UserError, match="is an image; densepred-predict applies a model to it"):
        read_header(tmp_path / f"a.{suffix}")


def test_parts_of_a_run_name_the_run(run: Path) -> None:
    for part in (run / "checkpoints", run / "checkpoints" / "4"):
        with pytest.raises(UserError, match=f"part of a run; give the run itself: {run}"):
            find_weights(part)
    for name in ("weights", "state"):
        with pytest.raises(UserError, match=f"part of a checkpoint.*give the run itself: {run}"):
            load_model(run / "checkpoints" / "4" / f"{name}.safetensors")
    with pytest.raises(UserError, match=r"weights\.init=.*the state of a checkpoint"):
        _open("init", str(run / "checkpoints" / "4" / "state.safetensors"))
    with pytest.raises(UserError, match=r"no weights yet; densepred-train goes on with it by trainer\.resume="):
        find_weights(run)


def test_a_state_elsewhere_is_refused_and_weights_of_other_programs_are_read(run: Path, tmp_path: Path) -> None:
    state = (run / "checkpoints" / "4" / "state.safetensors").rename(tmp_path / "state.safetensors")
    with pytest.raises(UserError, match="the state of a checkpoint"):
        read_header(state)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    save_file({"conv.weight": torch.ones(2)}, folder / "theirs.safetensors")
    with pytest.raises(UserError, match=r"holds no description of its model.*weights\.init=FILE"):
        read_header(folder / "theirs.safetensors")
    assert _open("init", str(folder / "theirs.safetensors"))[1].keys() == {"conv.weight"}
    (tmp_path / "sweep").mkdir()
    assert (ledger.NAME, record.FILE) == mistaken.SWEEP
    record.write(tmp_path / "sweep", "train", ["seed=1,2"])
    with pytest.raises(UserError, match="folder of a sweep"):
        find_weights(tmp_path / "sweep")
    with pytest.raises(UserError, match=rf"folder of a sweep; type sweep\.resume={tmp_path / 'sweep'}"):
        provenance.overrides(tmp_path / "sweep")
