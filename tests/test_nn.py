"""Normalisation inside models, and how their heads begin."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from densepred.contracts import Model
from densepred.decoder.fpn import FPN
from densepred.decoder.unet import UNet
from densepred.encoder.plain import Plain
from densepred.model.autoencoder import Autoencoder
from densepred.model.encoder_decoder import EncoderDecoder
from densepred.model.fcn import FCN
from densepred.model.fcos import FCOS
from densepred.model.openpose import OpenPose
from densepred.model.panoptic_deeplab import PanopticDeepLab
from densepred.model.unet_first import UNetFirst
from densepred.nn import BatchNorm2d, Normalise, initialise_head, require_at_least_zero, require_fraction, require_odd
from densepred.types import HeadSpec, UserError
from densepred.upsample.bilinear import Bilinear

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)
ENCODER = partial(Plain, widths=(4, 4, 6))
UNET = partial(UNet, upsample=Bilinear)
CLASSES = {"semantic": HeadSpec(2, kind="classes")}


def models() -> dict[str, Callable[..., Model]]:
    """Return a factory of every kind of model that normalises its input."""
    fcos = partial(FCOS, ENCODER, partial(FPN, upsample=Bilinear, width=4), {"class": HeadSpec(2)})
    return {
        "encoder_decoder": partial(EncoderDecoder, ENCODER, UNET, CLASSES),
        "fcn": partial(FCN, ENCODER, CLASSES, stride=2),
        "fcos": partial(fcos, towers=[["class"]], depth=1),
        "openpose": partial(OpenPose, ENCODER, CLASSES, stages=1, features=(4,), width=4, first_hidden=4),
        "panoptic_deeplab": partial(PanopticDeepLab, ENCODER, UNET, UNET, CLASSES, head_width=4),
        "autoencoder": partial(Autoencoder, ENCODER, partial(UNET, skips=False), {"image": HeadSpec(3)}),
        "unet_first": partial(UNetFirst, CLASSES, upsample=Bilinear, width=2, depth=1),
    }


@pytest.mark.parametrize("name", models())
def test_models_keep_their_statistics_under_the_names_of_old_checkpoints(name: str) -> None:
    model = models()[name](channels=3, mean=MEAN, std=STD)
    state = model.state_dict()
    old = {key: value for key, value in state.items() if key not in ("mean", "std")}
    old |= {"mean": torch.full((3, 1, 1), 0.25), "std": torch.full((3, 1, 1), 2.0)}
    model.load_state_dict(old)
    assert isinstance(model, Normalise)
    torch.testing.assert_close(model.normalise(torch.ones(1, 3, 2, 2)), torch.full((1, 3, 2, 2), 0.375))
    assert not any(key.endswith((".mean", ".std")) for key in state)


class Bare(Normalise):
    """A model that is nothing but its normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.register_statistics(MEAN, STD)


def test_images_are_normalised_per_channel_and_back() -> None:
    image, bare = torch.rand(2, 3, 5, 4), Bare()
    found = bare.normalise(image)
    for k in range(3):
        torch.testing.assert_close(found[:, k], (image[:, k] - MEAN[k]) / STD[k])
    torch.testing.assert_close(bare.denormalise(found), image)


def test_the_statistics_of_pretrained_weights_win_over_the_datasets() -> None:
    class Pretrained(Plain):
        mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)

    seen: list[Tensor] = []
    model = EncoderDecoder(partial(Pretrained, widths=(4, 4, 6)), UNET, CLASSES, 3, MEAN, STD)
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(torch.full((1, 3, 8, 8), 0.5))
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([0.4, 0.15, 0.2 / 3])


@pytest.mark.parametrize("spec", [HeadSpec(64), HeadSpec(64, kind="classes"), HeadSpec(64, prior=0.01)])
@pytest.mark.parametrize("std", [None, 0.5])
def test_a_head_begins_at_its_prior_with_weights_of_its_kind(spec: HeadSpec, std: float | None) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3)
    initialise_head(conv, spec, std)
    xavier = (2 / (64 * 9 + 64 * 9)) ** 0.5
    wanted = std or (xavier if spec.kind == "classes" else 0.001)
    assert conv.weight.std().item() == pytest.approx(wanted, rel=0.02)
    assert conv.bias is not None
    torch.testing.assert_close(conv.bias.sigmoid(), torch.full((64,), spec.prior or 0.5))


@pytest.mark.parametrize("name", ["fcn", "openpose", "panoptic_deeplab"])
def test_a_head_of_sigmoids_predicts_its_prior_before_training(name: str) -> None:
    heads = {"class": HeadSpec(2, prior=0.1)}
    build = models()[name]
    assert isinstance(build, partial)
    given = [heads if one is CLASSES else one for one in build.args]
    model = build.func(*given, **build.keywords, channels=3, mean=MEAN, std=STD)
    found = model(torch.full((1, 3, 16, 16), 0.4))["class"][-1].sigmoid()
    torch.testing.assert_close(found, torch.full_like(found, 0.1), rtol=0.05, atol=0)


@pytest.mark.parametrize("kernel", [0, 2, 4, -1])
def test_a_kernel_without_a_center_is_refused(kernel: int) -> None:
    with pytest.raises(UserError, match=rf"decoder\.kernel: {kernel}; give an odd number"):
        require_odd("decoder.kernel", kernel)
    require_odd("decoder.kernel", 3)


def test_statistics_without_momentum_are_means_over_all_batches() -> None:
    torch.manual_seed(0)
    batches, norms = torch.randn(3, 4, 2, 5, 6), (BatchNorm2d(2), torch.nn.BatchNorm2d(2))
    for norm in norms:
        torch.optim.swa_utils.update_bn(batches, norm)  # which takes the momentum away
    ours, theirs = (norm.state_dict() for norm in norms)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    for norm in norms:
        norm.momentum = None
        norm.train()(batches[0])
    assert torch.equal(norms[0].running_var, norms[1].running_var)  # type: ignore[arg-type]


def test_settings_out_of_range_are_refused_by_key() -> None:
    assert [require_fraction(x, "loss.k") for x in (0, 0.5, 1)] == [0, 0.5, 1]
    assert require_at_least_zero(0, "loss.k") == 0
    for value in (-0.1, 1.1, float("nan")):
        with pytest.raises(UserError, match=r"loss\.k: .*give a number from 0 to 1"):
            require_fraction(value, "loss.k")
    for value in (-0.1, float("nan")):
        with pytest.raises(UserError, match=r"loss\.k: .*give 0 or more"):
            require_at_least_zero(value, "loss.k")
