"""Panoptic-DeepLab as github.com/bowenc0221/panoptic-deeplab saves it, on a ResNet.

Ours is model=panoptic_deeplab with these settings: encoder.output_stride=32 (or 16), decoder.low_widths=[128,64,32] (or
[64,32]), model.value_decoder.low_widths=[64,32,16] (or [32,16]), decoder.image_norm=false,
model.value_decoder.image_norm=false, upsample=bilinear_corners and model.align_corners=true.
"""

from torch import Tensor

NAME = "Panoptic-DeepLab"
MARKS = (
    r"backbone\.layer4\.0\.conv1\.weight",
    r"decoder\.semantic_decoder\.aspp\.convs\.4\.aspp_pooling\.1\.weight",
    r"decoder\.instance_head\.classifier\.offset\.1\.weight",
)
SEPARABLE = ((r"0\.0\.0\.", "0.0."), (r"0\.0\.1\.", "0.1."), (r"0\.1\.", "0.3."), (r"0\.2\.", "1."))
"""Depthwise convolution, its norm, 1x1 convolution and its norm: the last one stands one sequence further out here."""

RULES = (
    (r"backbone\.(.+)", r"encoder.body.\1"),
    *(
        rule
        for theirs, ours in (("semantic", "decoder"), ("instance", "value_decoder"))
        for rule in (
            (rf"decoder\.{theirs}_decoder\.aspp\.convs\.4\.aspp_pooling\.1\.(.+)", rf"{ours}.aspp.convs.4.1.\1"),
            (rf"decoder\.{theirs}_decoder\.((?:aspp|project)\..+)", rf"{ours}.\1"),
            *((rf"decoder\.{theirs}_decoder\.fuse\.(\d)\.{a}(.+)", rf"{ours}.fuse.\1.{b}\2") for a, b in SEPARABLE),
        )
    ),
    *((rf"decoder\.\w+_head\.classifier\.(\w+)\.0\.{a}(.+)", rf"heads.\1.0.{b}\2") for a, b in SEPARABLE),
    (r"decoder\.\w+_head\.classifier\.(\w+)\.1\.(.+)", r"heads.\1.1.\2"),
)


def offsets(rows: Tensor) -> Tensor:
    """Return offsets x, y in pixels of the image from y, x in pixels of the map of stride 4."""
    return 4 * rows.flip(0)


CHANGES = ((r"heads\.offset\.1\.(?:weight|bias)", offsets),)
EXPECTS = {
    "align_corners": True,
    "upsample": "bilinear_corners",
    "encoder.multi_grid": None,
    "decoder.atrous_rates": [6, 12, 18],
    "decoder.image_norm": False,
    "value_decoder.atrous_rates": [6, 12, 18],
    "value_decoder.image_norm": False,
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
