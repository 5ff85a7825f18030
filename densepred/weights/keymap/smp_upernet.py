"""segmentation_models.pytorch's UPerNet of depth 5 on a ResNet, and on timm's encoders that keep their own names.

Ours is `model=upernet encoder=resnet34 upsample=bilinear decoder.width=256 decoder.level_norm=layer
model.align_corners=true`.
"""

from densepred.weights.keymap import smp_fpn

NAME = "segmentation_models.pytorch UPerNet"
MARKS = (r"decoder\.psp\.out_conv\.0\.weight", r"decoder\.fusion_block\.0\.weight", r"segmentation_head\.0\.weight")
RULES = (
    *smp_fpn.ENCODER_RULES,
    *((rf"decoder\.feature_norms\.{i}\.(.+)", rf"decoder.norms.{3 - i}.\1") for i in range(4)),
    (r"decoder\.psp\.blocks\.(\d)\.1\.([01]\..+)", r"decoder.pool.convs.\1.\2"),
    (r"decoder\.psp\.out_conv\.(.+)", r"decoder.deepest.\1"),
    (r"decoder\.fpn_lateral_blocks\.(\d)\.conv_norm_relu\.(.+)", r"decoder.laterals.\1.\2"),
    (r"decoder\.fpn_conv_blocks\.(\d)\.(.+)", r"decoder.smooth.\1.\2"),
    (r"decoder\.fusion_block\.(.+)", r"decoder.fuse.\1"),
    *smp_fpn.HEAD_RULES,
)
# The finest map comes first there and last here.
ORDERS = ((r"decoder\.fuse\.0\.weight", (3, 2, 1, 0)),)
EXPECTS = {"align_corners": True, "decoder.level_norm": "layer", "upsample": "bilinear"}
MEAN, STD = smp_fpn.MEAN, smp_fpn.STD
