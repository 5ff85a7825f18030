"""Exported files predict as the model does: at odd sizes, through the predictor, and refused where they do not."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from densepred import predictor
from densepred.encoder import hrnet
from densepred.errors import Notice, UserError
from densepred.exporting import convert, parity
from densepred.exporting.network import Network, example
from densepred.exporting.refusal import Refusal
from densepred.exporting.session import Session
from densepred.jobs import export, parts
from densepred.types import HeadSpec
from tests import companions, forked, running
from tests.exporting.conftest import export_run
from tests.exporting.scaled import of_temperature

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


def test_the_predictor_of_an_onnx_file_predicts_as_that_of_its_run(run: Path, calibrated: Path, onnx: Path) -> None:
    image = torch.rand(3, 37, 53, generator=torch.Generator().manual_seed(3))
    with pytest.warns(Notice, match=r"model\.onnx: probabilities of classes are at temperature 4\.000 \(head semantic"):
        ours, theirs = predictor.load(calibrated), predictor.load(onnx)
    assert theirs.info == ours.info
    plain = predictor.load(run)(image, probabilities=True).need("probabilities")
    scaled = theirs(image, probabilities=True).need("probabilities").double()
    torch.testing.assert_close(scaled, of_temperature(plain, 4.0), rtol=0, atol=1e-4)
    assert (scaled - plain).abs().max() > 0.01
    for options in ({}, {"tile": 24, "flip": True}):
        want, have = (model(image, probabilities=True, **options) for model in (ours, theirs))
        assert want.probabilities is not None
        assert have.probabilities is not None
        assert torch.allclose(want.probabilities, have.probabilities, atol=1e-4)
        assert (want.need("semantic") == have.need("semantic")).float().mean() > 0.999


def test_missing_packages_of_onnx_are_named_before_anything_is_traced(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(convert, "program", lambda *given: pytest.fail("traced"))
    with pytest.raises(UserError, match=r"onnxscript is not installed; type pip install 'densepred\[onnx\]'"):
        export_run(run, tmp_path / "x.onnx")


def test_the_file_holds_its_parity_and_is_not_replaced_unasked(run: Path, onnx: Path) -> None:
    facts = json.loads(Session(onnx).metadata[export.FACTS])
    assert facts["least_side"] == 2  # onnxruntime enlarges a single row of this file wrongly, without an error
    assert [one["size"] for one in facts["rows"]] == ["2x293x359", "1x290x362", "2x288x364", "1x286x366"]
    assert all(0 <= one["difference"] <= one["limit"] and one["agreement"] > 0.999 for one in facts["rows"])
    with pytest.raises(UserError, match=r"model\.onnx: exists already; choose another name, or type overwrite=true"):
        export_run(run, onnx)
    assert sorted(path.name for path in onnx.parent.glob("*.onnx*")) == ["model.onnx"]


def test_other_commands_name_what_an_exported_file_is_for(onnx: Path, tmp_path: Path) -> None:
    code, _, error = forked.run("eval", f"ckpt={onnx}", folder=tmp_path)
    assert code == 2
    assert "model.onnx: an exported model; densepred-predict applies it" in error


def test_a_foreign_or_damaged_onnx_file_is_refused(onnx: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes(onnx.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"cut\.onnx: onnxruntime cannot open it"):
        predictor.load(tmp_path / "cut.onnx")
    import onnx as library

    plain = library.load(onnx)
    del plain.metadata_props[:]
    library.save(plain, tmp_path / "plain.onnx")
    with pytest.raises(UserError, match=r"plain\.onnx: holds no description of its model"):
        predictor.load(tmp_path / "plain.onnx")


def test_a_file_that_differs_is_refused_and_not_left(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At one size, which is quick to trace; the outputs of the file are moved."""
    honest = export._written

    def moved(*arguments: Any) -> Any:
        save, run_file = honest(*arguments)
        return save, lambda image: {name: value + 0.1 for name, value in run_file(image).items()}

    monkeypatch.setattr(export, "_written", moved)
    with pytest.raises(UserError, match=r"bad\.pt2: not written: its outputs differ from the model's by"):
        export_run(run, tmp_path / "bad.pt2", "size=[24,32]")
    assert not list(tmp_path.iterdir())
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "words", "message"),
    [
        (
            "densepred.exporting.convert.program",
            [],
            r"cannot be traced \(ValueError: odd\); type 'size=\[HEI",
        ),
        (
            "torch.export.save",
            [],
            r"cannot be written as \.pt2 \(ValueError: odd\); type 'size=\[HEI",
        ),
        (
            "torch.export.load",
            ["size=[24,32]"],
            r"cannot be written as \.pt2 \(ValueError: odd\); type out.*bad\.onnx",
        ),
    ],
)
def test_an_error_of_the_exporter_is_one_sentence_that_names_the_model(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, words: list[str], message: str
) -> None:
    def odd(*arguments: Any, **options: Any) -> Any:
        raise ValueError("\nodd\nmore")

    if place != "densepred.exporting.convert.program":  # tracing any size takes seconds
        exported = SimpleNamespace(range_constraints={})
        monkeypatch.setattr(convert, "program", lambda *given: exported)
        monkeypatch.setattr("torch.export.save", lambda program, path, extra_files: Path(path).touch())
    monkeypatch.setattr(place, odd)
    with pytest.raises(UserError, match=rf"bad\.pt2: not written: model=\w+ of .*safetensors {message}"):
        export_run(run, tmp_path / "bad.pt2", *words)
    assert not list(tmp_path.iterdir())


def test_messages_name_the_file_that_was_typed_not_the_one_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = SimpleNamespace(model=SimpleNamespace(metadata_props={}), save=lambda path: None)
    monkeypatch.setattr(export.convert, "onnx_model", lambda *arguments: program)
    monkeypatch.setattr(export, "Session", lambda path, fresh: SimpleNamespace(path=path))
    output, trial = tmp_path / "a.onnx", tmp_path / ".a.onnx.trial.onnx"
    exported: Any = None
    _, run = export._written(exported, cast(Any, SimpleNamespace(names=["x"])), output, trial, 18)
    assert cast(Any, run).path == output


def test_an_error_of_the_runtime_names_the_size_and_those_of_the_machine_stay() -> None:
    refusal = Refusal("model=unet of best.safetensors", Path("m.onnx"), sized=False)

    def fails(image: torch.Tensor) -> dict[str, torch.Tensor]:
        raise RuntimeError("Eq(s6, s73)")

    def full(image: torch.Tensor) -> dict[str, torch.Tensor]:
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(UserError, match=r"does not run at 2x5x7 \(RuntimeError: Eq\(s6, s73\)\); .*output=m\.pt2"):
        export._guarded(fails, refusal)(torch.zeros(2, 3, 5, 7))
    with pytest.raises(OSError, match="no space"):
        export._guarded(full, refusal)(torch.zeros(2, 3, 5, 7))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_enlargement_of_exported_fusions_is_that_of_the_model(factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fusion = hrnet.Fusion([4, 8], 1, 1, "nearest", False)
    x = torch.rand(2, 3, 4, 5)
    for size in ((4 * factor, 5 * factor), (4 * factor - 1, 5 * factor - factor + 1)):
        want = fusion.enlarge(x, size, factor)
        with monkeypatch.context() as patch:
            patch.setattr("torch.compiler.is_exporting", lambda: True)
            assert torch.equal(fusion.enlarge(x, size, factor), want)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["output=x.pt"], r"output=x\.pt: give a name that ends in \.onnx or \.pt2"),
        (["size=[3]"], r"size: \[3\]; give \[height,width\]"),
    ],
)
def test_settings_that_make_no_file(run: Path, words: list[str], message: str) -> None:
    output = next((word.removeprefix("output=") for word in words if word.startswith("output=")), "x.onnx")
    with pytest.raises(UserError, match=message):
        export_run(run, Path(output), *(word for word in words if not word.startswith("output=")))


PRESETS = list(filter(companions.trained, companions.options("model")))


@pytest.mark.slow
@pytest.mark.parametrize("option", PRESETS)
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_every_model_agrees_at_odd_sizes(option: str, suffix: str, tmp_path: Path) -> None:
    words = companions.words(option)
    if not any(word.startswith("encoder") for word in words) and option in ("model/unet", "model/encoder_decoder"):
        words.append("encoder.widths=[4,8]")
    settings = running.bare_job(tmp_path / "run", f"{option.replace('/', '=')}", *words).settings
    torch.manual_seed(0)
    info = parts.dataset(settings.dataset, "train").info
    task, model = parts.task_and_model(settings.task, settings.model, info)
    network, image = Network(model.eval(), task.heads).eval(), example(info.channels, None)
    exported = convert.program(network, image, None)
    trial = tmp_path / f"model{suffix}"
    _, found = export._written(exported, network, trial, trial, 18)
    rows = parity.trials(network, found, task.heads, 1e-3, image, fixed=False)
    assert [row for row in rows if not row.passed] == []
    assert parity.least_side(network, found, task.heads, 1e-3, image) is not None


def test_the_least_side_is_the_last_one_at_which_the_file_agrees() -> None:
    """Files that raise below 9 pixels, or differ there, one of any size, and one of none."""
    heads, like = {"x": HeadSpec(3)}, torch.zeros(2, 3, 293, 359)

    class Same(torch.nn.Module):
        names = ("x",)

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor]:
            return (image,)

    def raises(image: torch.Tensor) -> dict[str, torch.Tensor]:
        assert min(image.shape[2:]) > 8, "a guard"
        return {"x": image}

    def differs(image: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"x": image + (image.shape[3] <= 8)}

    network = cast(Any, Same())
    whole: list[tuple[Any, int | None]] = [(lambda image: {"x": image}, 1), (lambda image: {"x": image + 1}, None)]
    for run, least in ((raises, 9), (differs, 9), *whole):
        assert parity.least_side(network, run, heads, 1e-3, like) == least


def test_an_image_below_the_least_side_of_a_file_is_refused() -> None:
    session = Session.__new__(Session)
    session.path, session.input = Path("m.onnx"), SimpleNamespace(shape=["batch", 3, "h", "w"])
    session.metadata = {export.FACTS: json.dumps({"rows": [], "least_side": 33})}
    with pytest.raises(
        UserError, match=r"m\.onnx: takes sides of 33 pixels and more, there is an image of 16x48; predict"
    ):
        session(torch.zeros(1, 3, 16, 48))
    session.metadata = {}
    assert session.least == 1


@pytest.mark.parametrize(
    ("size", "remedy"),
    [((64, 64), "export without size=, or type tile=64 for windows of this size"), ((24, 32), "export without size=")],
)
def test_another_size_than_that_of_the_file_is_refused_with_the_way_out(size: tuple[int, int], remedy: str) -> None:
    session = Session.__new__(Session)
    session.path, session.input = Path("m.onnx"), SimpleNamespace(shape=["batch", 3, *size])
    wanted = "x".join(map(str, size))
    with pytest.raises(UserError) as caught:
        session(torch.zeros(1, 3, 36, 48))
    assert str(caught.value) == f"m.onnx: made for images of {wanted}, there is one of 36x48; {remedy}"
