"""Batch norms that are folded into the convolutions before them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from densepred.cli import compose
from densepred.contracts import Model
from densepred.engine.folding import fold, folded
from densepred.jobs import parts
from densepred.nn import BatchNorm2d, ConvNormAct
from densepred.types import Info
from tests.cases import few
from tests.conftest import composed

MODELS = {
    "unet": "model=unet encoder=resnet18 decoder.widths=[8,8,8,8,8]",
    "deeplabv3": "model=deeplabv3_resnet50",
    "hrnet": "model=hrnet encoder=hrnet_w18_small",
    "fcn": "model=fcn8s encoder=vgg16 encoder.width=0.1 encoder.batch_norm=true",
    "separable": "model=deeplabv3plus encoder=resnet18",
    "timm": "model=unet encoder=timm encoder.name=mobilenetv3_small_050",
}
UNFOLDED = {"timm": 34}
"""Norms of timm's that compute their activation too."""


def network(words: str) -> Model:
    """Return a model in evaluation with statistics as training leaves them: far from means of 0 and variances of 1."""
    settings = compose.settings(composed(*words.split()))
    _, model = parts.task_and_model(settings.task, settings.model, Info(("a", "b", "c"), provides=("semantic",)))
    generator = torch.Generator().manual_seed(3)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.3, generator=generator)
            part.running_var.uniform_(0.3, 3, generator=generator)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0, 0.3)
    return model.eval()


def norms(model: nn.Module) -> list[nn.Module]:
    return [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]


@pytest.mark.parametrize("name", few(MODELS, ("unet", "hrnet", "fcn")))
def test_every_norm_is_folded_and_outputs_change_by_rounding(name: str) -> None:
    torch.manual_seed(0)
    model, image = network(MODELS[name]), torch.rand(1, 3, 70, 45)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.inference_mode():
        plain = model(image)
        with folded(model):
            changed = [part for part in norms(model) if "forward" in vars(part)]
            found = model(image)
        again = model(image)
    assert len(norms(model)) - len(changed) == UNFOLDED.get(name, 0)
    assert len(changed) >= 10
    for head, (*_, expected) in plain.items():
        torch.testing.assert_close(found[head][-1], expected, rtol=0, atol=1e-4 * float(expected.abs().max()))
        assert not torch.equal(found[head][-1], expected)
        assert torch.equal(again[head][-1], expected)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())


def test_a_pair_is_folded_to_the_textbook_formula() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 4, 3, 2, padding=1, padding_mode="reflect"), BatchNorm2d(4)
    weight, mean, variance = torch.randn(4), torch.randn(4), torch.rand(4) + 0.5
    norm.load_state_dict({**norm.state_dict(), "weight": weight, "running_mean": mean, "running_var": variance})
    pair, x = nn.Sequential(conv, norm).eval(), torch.randn(2, 3, 9, 8)
    of_channel = [
        (plane - mean[i]) / (variance[i] + 1e-5).sqrt() * weight[i] for i, plane in enumerate(conv(x).unbind(1))
    ]
    assert len(fold(pair)) == 2
    torch.testing.assert_close(pair(x), torch.stack(of_channel, 1))
    assert fold(pair) == []


class Twice(nn.Sequential):
    """A sequence that computes something of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + self[0](input)


class Squared(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) ** 2


def with_hook() -> nn.Module:
    pair = ConvNormAct(3, 4)
    pair[0].register_forward_hook(lambda module, inputs, output: -output)
    return pair


def with_a_norm_per_level() -> nn.Module:
    conv = nn.Conv2d(3, 3, 1)
    return nn.ModuleList([nn.Sequential(conv, BatchNorm2d(3)), nn.Sequential(conv, BatchNorm2d(3))])


def compiled() -> nn.Module:
    pair = ConvNormAct(3, 4)
    pair.compile(backend="eager")
    return pair


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(Twice(nn.Conv2d(3, 4, 1), BatchNorm2d(4)), id="forward of its own"),
        pytest.param(nn.Sequential(Squared(3, 4, 1), BatchNorm2d(4)), id="kind of its own"),
        pytest.param(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), BatchNorm2d(4)), id="something between"),
        pytest.param(
            nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), id="no statistics"
        ),
        pytest.param(ConvNormAct(3, 4, norm="group"), id="group norm"),
        pytest.param(ConvNormAct(3, 4).double(), id="double"),
        pytest.param(with_hook(), id="hook"),
        pytest.param(with_a_norm_per_level(), id="shared"),
        pytest.param(compiled(), id="compiled"),
    ],
)
def test_what_computes_otherwise_is_left_alone(model: nn.Module) -> None:
    assert fold(model.eval()) == []


def test_norms_in_training_are_left_alone() -> None:
    assert fold(ConvNormAct(3, 4)) == []


def test_an_error_within_restores_the_model() -> None:
    model = ConvNormAct(3, 4).eval()
    with pytest.raises(KeyError), folded(model):
        raise KeyError
    assert not any("forward" in vars(part) for part in model.modules())
