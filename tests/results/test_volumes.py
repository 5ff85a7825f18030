"""Predictions of volumes lie on the grid of their images, by nibabel; slices are those of the model alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from densepred import predict, predictor
from densepred.errors import Notice, UserError
from densepred.jobs import training
from densepred.results.volumes import cases
from tests import running
from tests.conftest import composed
from tests.dataset.files import picture, write
from tests.dataset.nifti_tree import affine, save, tree
from tests.running import CHOICES

nibabel = pytest.importorskip("nibabel")
SHAPE = (20, 17, 5)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    tree(folder / "data", "all")
    words = ("dataset=nifti", f"dataset.root={folder / 'data'}", "dataset.axis=coronal", "model=unet")
    more = ("encoder.widths=[4,8]", "trainer.max_steps=1", "trainer.pictures=0", "data.batch_size=2")
    job = running.bare_job(folder / "run", *words, *more)
    training.work(dataclasses.replace(job, choices={**CHOICES, "dataset": "nifti"}))
    return folder / "run"


def predicted(run: Path, given: Path, output: Path, *words: str) -> int:
    return predict.predict(composed(f"ckpt={run}", f"input={given}", f"output={output}", *words, name="predict"))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_labels_lie_on_the_grid_of_the_image(codes: str, run: Path, tmp_path: Path) -> None:
    image, _ = save(tmp_path, "a", codes, shape=SHAPE)
    source = tmp_path / "imagesTr/a_0000.nii.gz"
    given = nibabel.load(source)
    given.header.set_xyzt_units("mm", "sec")
    given.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"a name"))
    given.set_qform(affine(codes), 1)
    given.set_sform(affine(codes) + np.eye(4) * 1e-4, 2)
    nibabel.Nifti1Image(np.asarray(given.dataobj), None, given.header).to_filename(source)
    with pytest.warns(Notice, match=r"read with a_0001\.nii\.gz as channels"):
        assert predicted(run, source, tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["classes.json", "nifti", "predict.json"]
    found = nibabel.load(tmp_path / "out/nifti/labels/a.nii.gz")
    assert found.shape == SHAPE
    assert found.get_data_dtype() == np.uint8
    assert np.array_equal(found.affine, nibabel.load(source).affine)
    for key in ("qform_code", "sform_code", "xyzt_units", "quatern_b", "srow_x", "pixdim"):
        assert np.array_equal(found.header[key], given.header[key]), key
    assert not found.header.extensions

    model = predictor.load(run)
    at = [nibabel.as_closest_canonical(nibabel.Nifti1Image(one, affine(codes))).dataobj for one in image]
    labels = np.asarray(nibabel.as_closest_canonical(found).dataobj)
    assert len(np.unique(labels)) > 1
    for number in range(labels.shape[1]):
        pixels = np.stack([np.asarray(one)[:, number].T[::-1, ::-1] for one in at], 2)
        semantic = model(np.ascontiguousarray(pixels)).semantic
        assert semantic is not None
        assert np.array_equal(labels[:, number].T[::-1, ::-1], semantic.numpy())


def test_a_folder_of_cases_gives_a_folder_of_labels(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c"):
        save(tmp_path / "in", name)
    (tmp_path / "in/imagesTr/c_0001.nii.gz").unlink()
    with pytest.warns(Notice, match=r"left out 3 files named after images \(labelsTr/a\.nii\.gz of im"):
        assert predicted(run, tmp_path / "in", tmp_path / "out", "frames=true", "overlay=false") == 4
    assert "c_0000.nii.gz: has 1 channels where 2 are needed; give NAME_0000" in capsys.readouterr().err
    names = sorted(path.name for path in (tmp_path / "out/nifti/labels/imagesTr").iterdir())
    assert names == ["a.nii.gz", "b.nii.gz"]
    assert len(list((tmp_path / "out/labels").rglob("*.png"))) == 12


def test_dates_in_names_are_no_channels(tmp_path: Path) -> None:
    names = ["a_0000.nii.gz", "a_0001.nii.gz", "scan_2021.nii.gz"]
    files = [tmp_path / name for name in names]
    assert [str(case.place) for case in cases(files, tmp_path, 2)] == ["a", "scan_2021"]
    assert [str(case.place) for case in cases(files, tmp_path, 1)] == ["a_0000", "a_0001", "scan_2021"]
    with pytest.raises(UserError, match=r"a\.nii and a\.nii\.gz would write one file, a; rename one"):
        cases([tmp_path / "a.nii", tmp_path / "a.nii.gz"], tmp_path, 1)


def test_settings_without_meaning_are_refused(run: Path, tmp_path: Path) -> None:
    save(tmp_path, "a")
    for word, said in (
        ("fps=25", "fps=25.0: means nothing for volumes"),
        ("probabilities=true", "is written per slice; add frames=true"),
        ("axis=up", "unknown axis: up; choose one of"),
    ):
        with pytest.raises(UserError, match=said):
            predicted(run, tmp_path / "imagesTr", tmp_path / "out", word)
    for words, said in (
        (["threshold=0.5"], "only overlays of slices use it; type frames=true"),
        (["threshold=0.5", "frames=true"], "this model predicts nothing with a score"),
    ):
        with pytest.warns(Notice, match=f"threshold=0.5: has no effect: {said}"):
            assert predicted(run, tmp_path / "imagesTr", tmp_path / "out", *words) == 0
    write(tmp_path / "imagesTr/b.png", picture())
    with pytest.warns(Notice, match="left out 2 volumes of NIfTI; give each volume by itself, input=FILE"):
        assert predicted(run, tmp_path / "imagesTr", tmp_path / "out") == 0


def test_a_missing_checkpoint_is_named_before_what_it_would_tell(tmp_path: Path) -> None:
    save(tmp_path, "a")
    with pytest.raises(UserError, match=r"nowhere: no such file or folder; give a run folder"):
        predicted(tmp_path / "nowhere", tmp_path / "imagesTr", tmp_path / "out")
