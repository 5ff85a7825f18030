"""Programs of torch.export (.pt2) predict as their runs, and are opened only if they are trusted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch

from densepred import predictor
from densepred.errors import Notice, UserError
from densepred.exporting import program
from densepred.jobs import export
from densepred.weights.header import read_header
from tests.exporting.conftest import export_run
from tests.exporting.scaled import of_temperature


def test_a_program_predicts_as_its_run_once_it_is_trusted(
    run: Path, calibrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without trust nothing in it is opened; its probabilities are at the temperature of its run."""
    file = tmp_path / "model.pt2"
    assert export_run(calibrated, file, "size=[24,32]", "probabilities=true") == 0
    with monkeypatch.context() as patch:
        patch.setattr("torch.export.load", lambda path: pytest.fail("opened"))
        with pytest.raises(UserError, match=r"may run code when it is opened; type 'trust=\[torch\.export\]' if"):
            predictor.load(file)
    with pytest.warns(Notice) as told:
        model = predictor.load(file, trust=[program.TRUST], precision="bf16")
    facts = [str(one.message) for one in told]
    assert any("precision=bf16: has no effect" in fact for fact in facts)
    assert any("model.pt2: probabilities of classes are at temperature 4.000 (head semantic)" in fact for fact in facts)
    image = torch.rand(3, 24, 32, generator=torch.Generator().manual_seed(3))
    have, want = model(image, probabilities=True), predictor.load(calibrated)(image, probabilities=True)
    torch.testing.assert_close(have.need("probabilities"), want.need("probabilities"), rtol=0, atol=1e-5)
    assert torch.equal(have.need("semantic"), want.need("semantic"))
    plain = predictor.load(run)(image, probabilities=True).need("probabilities")
    scaled = of_temperature(plain, 4.0)
    torch.testing.assert_close(have.need("probabilities").double(), scaled, rtol=0, atol=1e-5)
    with pytest.raises(UserError, match=r"made for images of 24x32, there is one of 37x53"):
        model(torch.rand(3, 37, 53))


@pytest.mark.parametrize("kind", ["no archive", "of another program", "without its outputs", "cut off"])
def test_a_foreign_or_damaged_program_is_refused(kind: str, run: Path, tmp_path: Path) -> None:
    file, described = tmp_path / "x.pt2", read_header(run / "best.safetensors")
    if kind == "cut off":
        described["exported"] = {"outputs": ["semantic"]}
    if kind == "no archive":
        file.write_bytes(b"x" * 999)
    else:
        with zipfile.ZipFile(file, "w") as archive:
            name = "a" if kind == "of another program" else f"x/extra/{program.EXTRA}"
            archive.writestr(name, json.dumps({"densepred": json.dumps(described)}))
    messages = {
        "no archive": "not a program of torch",
        "of another program": "holds no description of its model",
        "without its outputs": "does not name its outputs",
        "cut off": "cannot open it",
    }
    with pytest.raises(UserError, match=rf"x\.pt2: .*{messages[kind]}"):
        predictor.load(file, trust=[program.TRUST])


def test_a_program_moves_to_the_device_of_images() -> None:
    """To the device "meta", which every machine has."""
    exported = torch.export.export(torch.nn.Conv2d(3, 2, 1), (torch.zeros(1, 3, 4, 4),))
    file = program.Program.__new__(program.Program)
    file.names, file.program, file.device, file._sides = ["x"], exported, torch.device("cpu"), [4, 4]
    file.metadata, file.module = {}, exported.module()
    assert file(torch.zeros(1, 3, 4, 4))["x"].device.type == "cpu"
    assert file(torch.zeros(1, 3, 4, 4, device="meta"))["x"].device.type == "meta"


def test_a_program_of_one_size_is_compared_on_images_with_its_metrics(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("images=2", "dataset.size=[24,32]", "dataset.counts={train: 10, valid: 3, test: 3}")
    assert export_run(run, tmp_path / "model.pt2", "size=[24,32]", "argmax=true", *words) == 0
    extra = {program.EXTRA: ""}
    module = torch.export.load(str(tmp_path / "model.pt2"), extra_files=extra).module()
    facts = json.loads(json.loads(extra[program.EXTRA])[export.FACTS])
    assert [one["images"] for one in facts["rows"]] == ["random", "random", "dataset", "dataset"]
    both = facts["metrics"]["miou"]
    assert both["model"] == both["file"]
    assert both["model"] is not None
    image = torch.rand(3, 24, 32)
    (labels,) = module(image[None])
    assert torch.equal(labels[0], predictor.load(run)(image).need("semantic"))
    assert "miou" in capsys.readouterr().out


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"m/extra/{program.EXTRA}", json.dumps({"a": "b" * 99}))
    whole = (tmp_path / "m.pt2").read_bytes()
    place = whole.index(program.EXTRA.encode()) + len(program.EXTRA)  # of the compressed text
    (tmp_path / "m.pt2").write_bytes(whole[:place] + b"\xff\xff\xff" + whole[place + 3 :])
    with pytest.raises(UserError, match=r"not a program of torch\.export, or cut off"):
        program.metadata(tmp_path / "m.pt2")
