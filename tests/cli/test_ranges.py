"""Numbers that no setting takes, refused by their keys; a crop of one number."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from densepred.cli.ranges import out_of_range
from densepred.errors import UserError
from tests.conftest import composed


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("optimizer.lr=-1", r"optimizer\.lr: -1; give a number from 0"),
        ("optimizer.lr=nan", r"optimizer\.lr: nan; give a finite number"),
        ("optimizer.lr=inf", r"optimizer\.lr: inf; give a finite number"),
        ("optimizer.lr=1e38", r"optimizer\.lr: 1e\+38; give a number from 0 to 1e\+06"),
        ("optimizer.weight_decay=-0.1", r"optimizer\.weight_decay: -0\.1"),
        ("optimizer.betas=[0.9,1.0]", r"optimizer\.betas: .*below 1"),
        ("trainer.clip=0", r"trainer\.clip: 0\.0; give a number above 0"),
        ("trainer.clip=inf", r"trainer\.clip: inf; give a finite number"),
        ("trainer.ema=1", r"trainer\.ema: 1\.0; give a number from 0 to below 1"),
        ("trainer.max_minutes=nan", r"trainer\.max_minutes: nan; give a finite number"),
        ("data.timeout_s=0", r"data\.timeout_s: 0\.0; give a number above 0, at most 1e\+06"),
        ("transform.train.0.low=nan", r"transform\.train\.0\.low: nan; give a finite number"),
        ("data.crop=0", r"data\.crop: \[0, 0\]; give 1 or more"),
        ("data.crop=big", r"data\.crop: big; give two lengths, 'data.crop=\[HEIGHT,WIDTH\]', or one for a square"),
        ("data.crop=[32]", r"data\.crop: \[32\]; give two lengths"),
        ("data.crop=1.5", r"data\.crop: 1\.5; give two lengths"),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_key(word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed(word)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("decoder.width=0", "model=fpn"), r"decoder\.width: 0; give a number above 0"),
        (("task=autoencoder", "model.latent_channels=0"), r"model\.latent_channels: 0; give a number above 0"),
        (("decoder.low_width=-1", "model=deeplabv3plus"), r"decoder\.low_width: -1"),
        (("decoder.low_widths=[64,0]", "model=panoptic_deeplab"), r"decoder\.low_widths: \[64, 0\]"),
        (("decoder.stride=0", "model=fpn"), r"decoder\.stride: 0; give a number above 0"),
        (("decoder.dropout=1.5", "model=unet"), r"decoder\.dropout: 1\.5; give a number from 0 to 1"),
        (("encoder.widths=[4,0,8]",), r"encoder\.widths: \[4, 0, 8\]"),
        (("encoder.drop_path=1", "encoder=mit_b0"), r"encoder\.drop_path: 1; give a number from 0 to below 1"),
        (("model.hidden=-1",), r"model\.hidden: -1; give 0 or more"),
        (("model.auxiliary_decoder.width=-8", "model=auxiliary"), r"model\.auxiliary_decoder\.width: -8"),
        (("upsample.compressed=0", "upsample=carafe"), r"upsample\.compressed: 0"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_sizes_that_no_layer_has_are_refused_by_their_key(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        composed(*words)


def test_sizes_of_a_network_from_elsewhere_are_its_own() -> None:
    config = OmegaConf.create({"model": {"_target_": "elsewhere.Net", "width": -1, "decoder": {"stride": 0}}})
    assert list(out_of_range(config)) == []
    config.model._target_ = "densepred.model.fcn.FCN"
    assert list(out_of_range(config)) == ["model.width: -1; give a number above 0"]


@pytest.mark.parametrize("word", ["overlap=nan", "scales=[nan]", "threshold=-inf", "box_threshold=nan"])
def test_numbers_of_predict_are_finite(word: str) -> None:
    with pytest.raises(UserError, match=r"give a finite number"):
        composed("ckpt=x", word, name="predict")


def test_one_number_is_a_square_crop() -> None:
    square, pair = composed("data.crop=64"), composed("data.crop=[64,64]")
    assert square == pair
    assert list(square.transform.train[0].size) == [64, 64]
