"""segmentation_models.pytorch's PSPNet on a ResNet, and on timm's encoders that keep their own names.

Ours is `model=pspnet encoder=resnet34 encoder.levels=3 decoder.kernel=1 decoder.align_corners=true
decoder.image_norm=false model.kernel=3 model.align_corners=true`; `encoder.levels` is their encoder_depth.
"""

from densepred.weights.keymap import smp_fpn

NAME = "segmentation_models.pytorch PSPNet"
MARKS = (r"decoder\.psp\.blocks\.0\.pool\.1\.0\.weight", r"decoder\.conv\.0\.weight", r"segmentation_head\.0\.weight")
RULES = (
    *smp_fpn.ENCODER_RULES,
    (r"decoder\.psp\.blocks\.(\d)\.pool\.1\.([01]\..+)", r"decoder.pool.convs.\1.\2"),
    (r"decoder\.conv\.([01]\..+)", r"decoder.mix.\1"),
    *smp_fpn.HEAD_RULES,
)
# The map follows its four means there and stands before them here; they have a quarter of its channels each.
ORDERS = ((r"decoder\.mix\.0\.weight", (4, 5, 6, 7, 0, 1, 2, 3)),)
# Its ResNets hold all stages, those too that encoder_depth=3 never runs.
UNUSED = (r"encoder\.body\.layer[34]\..+",)
EXPECTS = {"align_corners": True, "decoder.align_corners": True, "decoder.image_norm": False}
MEAN, STD = smp_fpn.MEAN, smp_fpn.STD
