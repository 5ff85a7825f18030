"""segmentation_models.pytorch's UnetPlusPlus of depth 5 on a ResNet.

Ours is `model=encoder_decoder decoder=unetplusplus upsample=nearest decoder.widths=[256,128,64,32,16]
decoder.narrow=false model.kernel=3`. Their node x_d_l ends in row l and begins at level d, both counted from the
deepest, so ours is (3 - l, l - d + 1); x_0_4 is the step after the triangle.
"""

NAME = "segmentation_models.pytorch UnetPlusPlus"
MARKS = (r"decoder\.blocks\.x_0_0\.conv1\.0\.weight", r"segmentation_head\.0\.weight", r"encoder\..+")
PLACES = {
    **{f"x_{d}_{row}": rf"decoder.nodes.{3 - row}_{row - d + 1}" for row in range(4) for d in range(row + 1)},
    "x_0_4": "decoder.climb.0",
}
PARTS = (
    (r"conv1\.([01]\..+)", r"block.0.\1"),
    (r"conv2\.([01]\..+)", r"block.1.\1"),
    (r"attention1\.attention\.cSE\.(.+)", r"enter.channel.\1"),
    (r"attention1\.attention\.sSE\.(.+)", r"enter.space.\1"),
    (r"attention2\.attention\.cSE\.(.+)", r"leave.channel.\1"),
    (r"attention2\.attention\.sSE\.(.+)", r"leave.space.\1"),
)
RULES = (
    (r"encoder\.model\.(.+)", r"encoder.body.\1"),
    (r"encoder\.(.+)", r"encoder.body.\1"),
    (r"decoder\.blocks\.x_0_4\.attention1\..+", None),  # in the file but never used: that step has no skip
    *((rf"decoder\.blocks\.{x}\.{part}", f"{node}.{to}") for x, node in PLACES.items() for part, to in PARTS),
    (r"segmentation_head\.0\.(weight|bias)", r"heads.semantic.convs.0.\1"),
    (r"classification_head\..+", None),
)
EXPECTS = {"upsample": "nearest"}
