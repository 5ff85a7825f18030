"""Images smaller than the deepest level are predicted as their mirrored continuation is, cropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from densepred.build.instantiate import build
from densepred.types import HeadSpec

INFO: dict[str, Any] = {"channels": 3, "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
PLAIN = ("encoder=plain", "encoder.widths=[4,4,4,6,6]")
VGG = ("encoder=vgg16", "encoder.width=0.0625")


@pytest.mark.parametrize(
    "words",
    [
        ("model=unet", *PLAIN),
        ("model=unet", *VGG),
        ("model=unet", *PLAIN, "upsample=unpool"),
        ("model=attention_unet", *PLAIN),
        ("model=unetplusplus", *PLAIN),
        ("model=segnet", *VGG, "model.kernel=1"),  # heads of 3x3 see the crop's edge
        ("model=fpn", *PLAIN, "decoder.width=8"),
        ("model=deeplabv3", *PLAIN, "decoder.width=8"),
        ("model=deeplabv3plus", *VGG, "decoder.width=8", "decoder.low_width=4"),
        ("model=pspnet", *PLAIN, "decoder.width=8"),
        ("model=upernet", *PLAIN, "decoder.width=8"),
        ("model=auxiliary", *PLAIN),
        ("model=fcn", *PLAIN),
        ("model=fcn", *VGG),
    ],
    ids=" ".join,
)
def test_a_small_image_is_predicted_as_its_mirror_image(plain: Callable[..., Any], words: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    model = build(plain(*words)["model"], heads={"semantic": HeadSpec(3, kind="classes")}, **INFO)
    model(torch.rand(2, 3, 32, 32))  # running statistics
    image = torch.rand(2, 3, 10, 12)
    model.train()(image)["semantic"][-1].sum().backward()
    model.eval()
    side = max(model.encoder.strides)
    whole = reflected(image, side)
    with torch.no_grad():
        found, expected = model(image)["semantic"][-1], model(whole)["semantic"][-1]
    stride = round(side / expected.shape[-1])
    rows, columns = -(-10 // stride), -(-12 // stride)
    assert found.shape[-2:] == (rows, columns)
    assert torch.allclose(found, expected[..., :rows, :columns], atol=1e-6)


def reflected(image: torch.Tensor, side: int) -> torch.Tensor:
    """Mirror twice: an image of n pixels gives at most 2 n - 1 at once."""
    while min(image.shape[-2:]) < side:
        more = [min(side - length, length - 1) for length in (image.shape[-1], image.shape[-2])]
        image = F.pad(image, (0, more[0], 0, more[1]), mode="reflect")
    return image
