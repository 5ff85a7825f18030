"""SegFormer of Hugging Face's transformers, as it saves it, has the outputs of ours with the renamed weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from densepred.build.instantiate import build
from densepred.contracts import Model
from densepred.encoder.mit import MixTransformer
from densepred.hub import published
from densepred.types import HeadSpec
from densepred.weights.families import family, matching_families

Plain = Callable[..., dict[str, Any]]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TABLE = "huggingface_segformer"


def ours(plain: Plain, classes: int) -> Model:
    node = plain("model=segformer", "encoder.depths=[1,2,1,1]", "upsample=bilinear")["model"]
    return build(node, heads={"semantic": HeadSpec(classes, kind="classes")}, channels=3, mean=MEAN, std=STD).eval()


def theirs_of(ours: MixTransformer) -> dict[str, Tensor]:
    """Return the tensors of an encoder under the names of Hugging Face, keys and values apart."""
    found = {}
    for name, value in ours.state_dict().items():
        _, stage, *rest = name.split(".")
        block = f"block.{stage}.{rest[1]}." if rest[0] == "blocks" else ""
        last = rest[-1]
        if ".attention.kv." in name:
            for word, half in zip(("key", "value"), value.chunk(2), strict=True):
                found[f"{block}attention.self.{word}.{last}"] = half
        elif ".attention." in name:
            word = {"q": "self.query", "reduce": "self.sr", "norm": "self.layer_norm", "proj": "output.dense"}[rest[3]]
            found[f"{block}attention.{word}.{last}"] = value
        elif block:
            words = {"norm1": "layer_norm_1", "norm2": "layer_norm_2", "fc1": "mlp.dense1", "fc2": "mlp.dense2"}
            found[f"{block}{words.get(rest[2], 'mlp.dwconv.dwconv')}.{last}"] = value
        else:
            word = {"embed": "patch_embeddings.{}.proj", "enter": "patch_embeddings.{}.layer_norm"}
            found[f"{word.get(rest[0], 'layer_norm.{}').format(stage)}.{last}"] = value
    return {f"segformer.encoder.{name}": value for name, value in found.items()}


def test_a_pretrained_encoder_takes_the_repository_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    want = MixTransformer(3)
    state, asked = theirs_of(want), list[str]()

    def repository(name: str) -> published.State:
        asked.append(name)
        return published.State({**state, "classifier.weight": torch.ones(3)}, Path(name))

    monkeypatch.setattr(published, "from_hugging_face", repository)
    have = MixTransformer(3, pretrained=True)
    assert asked == ["nvidia/mit-b0"]
    assert have.mean == MEAN
    assert all(torch.equal(value, want.state_dict()[name]) for name, value in have.state_dict().items())


def test_half_of_a_joined_tensor_keeps_its_name() -> None:
    name = "segformer.encoder.block.0.0.attention.self.key.weight"
    assert family(TABLE).rename({name: torch.ones(2, 2)})[0].keys() == {name}


def test_it_predicts_as_transformers(plain: Plain, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(depths=[1, 2, 1, 1], num_labels=5)
    theirs = transformers.SegformerForSemanticSegmentation(config).eval()
    for part in theirs.modules():
        if isinstance(part, nn.LayerNorm | nn.BatchNorm2d | nn.Linear | nn.Conv2d) and part.bias is not None:
            nn.init.uniform_(part.bias, -0.1, 0.1)
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.1, 0.1)  # pyright: ignore[reportArgumentType]
    theirs.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert matching_families(state) == [TABLE]
    renamed, extras = family(TABLE).rename(state)
    assert not extras
    model = ours(plain, 5)
    renamed = {
        name: value[..., None, None] if name.startswith("decoder.linears") and value.ndim == 2 else value
        for name, value in renamed.items()
    }
    left = model.load_state_dict(renamed, strict=False)
    assert set(left.missing_keys) == {"mean", "std"}
    assert not left.unexpected_keys
    for part in model.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-5  # as theirs; see the table
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        want = theirs((image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]).logits
        have = model(image)["semantic"][-1]
    assert have.shape == want.shape
    assert (have - want).abs().max() <= 1e-5 * want.abs().max()
