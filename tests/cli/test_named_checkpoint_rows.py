"""`densepred-predict ckpt=NAME` of every published model, its download replaced by random weights in its layout."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor
from torchvision.io import ImageReadMode, decode_image, write_png
from torchvision.models import get_model

from densepred.build.instantiate import build
from densepred.cli import named_checkpoint as checkpoints
from densepred.hub import published, zoo
from densepred.hub.download import Published
from densepred.types import HeadSpec
from tests import cases, forked
from tests.weights.keymap.test_huggingface_segformer import theirs_of
from tests.weights.keymap.test_segmentation import MEAN, STD, normalised, randomise

ROWS = [name for name, entry in zoo.entries().items() if entry.classes is not None]
QUICK = ("torchvision:lraspp_mobilenet_v3_large", "hf:nvidia/segformer-b0-finetuned-ade-512-512")
HEAD = {
    "decoder.fuse.0.": "linear_fuse.",
    "decoder.fuse.1.": "batch_norm.",
    "heads.semantic.convs.0.": "classifier.",
    **{f"decoder.linears.{i}.": f"linear_c.{3 - i}.proj." for i in range(4)},
}
"""Ours in the decoder of SegFormer, and the names of Hugging Face below `decode_head.`."""


def torchvisions(name: str, image: Tensor, path: Path) -> Tensor:
    """Write the file of a model of torchvision as it is published; return its logits."""
    theirs = get_model(name, weights=None, weights_backbone=None, num_classes=21).eval()
    if not name.startswith("lraspp"):
        theirs = get_model(name, weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
    randomise(theirs)
    last = dict(theirs.named_parameters())[
        "classifier.low_classifier.bias" if "lraspp" in name else "classifier.4.bias"
    ]
    last -= theirs(normalised(image))["out"].mean((0, 2, 3))  # else one class wins everywhere
    torch.save(theirs.state_dict(), path)
    return theirs(normalised(image))["out"]


def segformers(name: str, image: Tensor, path: Path) -> Tensor:
    """Write the file of a SegFormer as Hugging Face holds it, keys and values apart; return its logits."""
    node = checkpoints.composed(zoo.entries()[name])["model"]
    model = build(node, heads={"semantic": HeadSpec(150, kind="classes")}, channels=3, mean=MEAN, std=STD).eval()
    randomise(model)
    dict(model.named_parameters())["heads.semantic.convs.0.bias"] -= model(image)["semantic"][-1].mean((0, 2, 3))
    state = theirs_of(model.encoder)
    for key, value in model.state_dict().items():
        if start := next((start for start in HEAD if key.startswith(start)), None):
            plain = value[..., 0, 0] if ".linears." in key and value.ndim == 4 else value
            state[f"decode_head.{HEAD[start]}{key.removeprefix(start)}"] = plain
    save_file({key: value.clone() for key, value in state.items()}, path)
    return F.interpolate(model(image)["semantic"][-1], image.shape[-2:], mode="bilinear")


@pytest.mark.parametrize("name", cases.few(ROWS, QUICK))
def test_it_predicts_before_any_training(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, _, rest = name.partition(":")
    asked, image = list[str](), torch.randint(0, 256, (3, 64, 96), dtype=torch.uint8)
    path = tmp_path / ("model.safetensors" if hub == "hf" else "model.pth")

    def fetch(file: Published, otherwise: str) -> Path:
        asked.append(file.url)
        return path

    monkeypatch.setattr(published, "fetch", fetch)
    monkeypatch.setattr(published, "folder", lambda: tmp_path)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    with torch.no_grad():
        logits = (
            segformers(name, image[None] / 255, path) if hub == "hf" else torchvisions(rest, image[None] / 255, path)
        )
    write_png(image, str(tmp_path / "a.png"))
    code, _, errors = forked.run("predict", f"ckpt={name}", "input=a.png", "output=made", folder=tmp_path)
    assert code == 0, errors
    made = decode_image(str(tmp_path / "made" / "labels" / "a.png"), ImageReadMode.UNCHANGED)
    assert (made[0] == logits[0].argmax(0)).float().mean() >= 0.999  # two equal logits may change places
    assert logits[0].argmax(0).unique().numel() > 1
    assert f"{name}: licence {zoo.entries()[name].licence}" in errors
