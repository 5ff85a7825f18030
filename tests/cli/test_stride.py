"""A model keeps its output stride when another encoder is typed; a note names encoders that cannot keep it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from densepred.build.instantiate import build
from densepred.cli import command, stride
from densepred.cli.inherit import inherited
from densepred.cli.stride import kept
from densepred.cli.typed import Typed
from densepred.jobs.printed_summary import output_stride, predicted_at
from densepred.types import HeadSpec
from densepred.weights.file import save_weights
from tests import cases

CONFIGS = Path(__file__).parents[2] / "configs"
HEADS = {"semantic": HeadSpec(3, kind="classes"), "offset": HeadSpec(2)}
INFO: dict[str, Any] = {"channels": 3, "mean": (0.5,) * 3, "std": (0.2,) * 3}
MODELS = {
    "deeplabv3": 16,
    "deeplabv3_multigrid": 16,
    "deeplabv3_resnet50": 8,
    "deeplabv3_resnet101": 8,
    "deeplabv3plus": 16,
    "fcn_resnet50": 8,
    "fcn_resnet101": 8,
    "lraspp_mobilenet_v3_large": 16,
    "panoptic_deeplab": 16,
    "pspnet": 8,
}
"""The output strides of the papers and of torchvision's segmentation models."""
ENCODERS = sorted(path.stem for path in (CONFIGS / "encoder").glob("*.yaml"))
UNLIKE = ("efficientnet_lite0", "hrnet_w18", "mit_b0", "plain", "resnet18", "resnet50_os8", "timm", "vgg16")


def words(*typed: str) -> list[str]:
    return kept(Typed("train", command.configs(), typed))


@pytest.mark.slow
def test_every_model_with_an_output_stride_of_its_own_is_in_the_table() -> None:
    with initialize_config_dir(str(command.configs()), version_base="1.3"):
        found = {}
        for path in sorted((CONFIGS / "model").glob("*.yaml")):
            stride = compose("train", overrides=[f"model={path.stem}"]).encoder.get("output_stride")
            if stride not in (None, 32):
                found[path.stem] = stride
    assert found == dict(sorted(MODELS.items()))


@pytest.mark.parametrize("model", [*MODELS, "unet", "unetplusplus", "fpn", "segformer"])
def test_models_without_a_stride_of_their_own_need_no_composition(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    monkeypatch.setattr(Typed, "composed", lambda self, words: composed.append(words))
    assert words(f"model={model}", "encoder=resnet18") == []
    assert bool(composed) == (model in MODELS)


def test_a_stride_in_a_file_of_ones_own_that_a_model_names_is_seen(tmp_path: Path) -> None:
    for name, text in {
        "model/mine": "defaults: [unet, /further/deep@_global_: own]",
        "further/deep/own": "# @package _global_\nencoder: {output_stride: 16}",
    }.items():
        file = tmp_path / f"{name}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    typed = Typed("train", command.configs(), ["--config-dir", str(tmp_path), "model=mine", "encoder=resnet18"])
    assert stride._sets_any(typed, "mine")
    (tmp_path / "further" / "deep" / "own.yaml").unlink()
    assert not stride._sets_any(typed, "mine")


@pytest.mark.parametrize("model", cases.few(MODELS, ["deeplabv3", "fcn_resnet50", "panoptic_deeplab"]))
def test_the_stride_of_a_model_reaches_another_encoder(model: str, plain: Callable[..., dict[str, Any]]) -> None:
    typed = (f"model={model}", "encoder=resnet18")
    added = words(*typed)
    node = plain(*added, *typed)["model"]
    with torch.device("meta"):
        made = build(node, heads=HEADS, **INFO)
    assert output_stride(made) == f", output stride {MODELS[model]}"
    coarse = made(torch.zeros(2, 3, 64, 96, device="meta"))["semantic"][-1].shape[-1]
    assert predicted_at(made, HEADS) == f", predictions at stride {96 // coarse}"
    # Independent of what the encoder publishes: the size of its deepest map.
    deepest = made.encoder(torch.zeros(1, 3, 64, 96, device="meta")).features[-1]
    assert tuple(deepest.shape[-2:]) == (64 // MODELS[model], 96 // MODELS[model])
    assert ("encoder.multi_grid=[1,2,4]" in added) == (model == "deeplabv3_multigrid")


@pytest.mark.parametrize("encoder", cases.few(ENCODERS, UNLIKE))
def test_every_encoder_takes_the_stride_or_is_named(encoder: str, capsys: pytest.CaptureFixture[str]) -> None:
    added = words("model=deeplabv3", f"encoder={encoder}")
    note = capsys.readouterr().err
    if encoder.startswith(("hrnet", "mit", "plain", "vgg")):
        assert added == []
        assert f"model=deeplabv3 has output stride 16, but encoder={encoder} has strides of its own" in note
    elif encoder.endswith(("os8", "os16", "multigrid")):  # the option names its stride
        assert (added, note) == ([], "")
    else:
        assert added == ["encoder.output_stride=16"]
        assert "encoder.output_stride=16: as model=deeplabv3 has it; type encoder.output_stride=" in note
        assert note.count("\n") == 1


@pytest.mark.parametrize(
    "typed",
    [
        ("model=deeplabv3",),
        ("model=unet", "encoder=resnet18"),
        ("model=deeplabv3", "encoder=resnet18", "encoder.output_stride=32"),
        ("model=deeplabv3", "encoder=resnet50_os8"),
        ("model=deeplabv3", "encoder=resnet18,resnet34"),  # of a sweep: each job comes here by itself
    ],
)
def test_what_is_chosen_stays(typed: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert words(*typed) == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("own", "expected"), [("", ["encoder.output_stride=8"]), ("encoder: {output_stride: 32}", [])])
def test_an_experiment_keeps_the_stride_or_sets_its_own(tmp_path: Path, own: str, expected: list[str]) -> None:
    (tmp_path / "experiment").mkdir()
    body = f"# @package _global_\ndefaults:\n  - override /model: pspnet\n  - override /encoder: resnet34\n{own}\n"
    (tmp_path / "experiment/mine.yaml").write_text(body)
    assert words("--config-dir", str(tmp_path), "experiment=mine") == expected


def test_a_run_that_is_followed_keeps_its_own_stride(tmp_path: Path) -> None:
    header = {"model": {"encoder": {"output_stride": 32}}, "task": {}, "info": {}}
    options = {"model": "deeplabv3", "encoder": "resnet18"}
    save_weights(tmp_path / "lone.safetensors", {"w": torch.zeros(1)}, {**header, "options": options})
    typed = Typed("train", command.configs(), [f"weights.init={tmp_path / 'lone.safetensors'}"])
    before = inherited(typed)
    assert before == ["model=deeplabv3", "encoder=resnet18", "encoder.output_stride=32"]
    assert kept(typed, before) == []
