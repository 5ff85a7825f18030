"""segmentation_models.pytorch's FPN of depth 5 on a ResNet, and on timm's encoders that keep their own names.

Ours is `model=encoder_decoder decoder=semantic_fpn upsample=nearest decoder.smooth=false decoder.align_corners=true
model.align_corners=true`, and `decoder.merge=concatenate` where theirs has decoder_merge_policy="cat".
"""

NAME = "segmentation_models.pytorch FPN"
MARKS = (
    r"decoder\.p5\.weight",
    r"decoder\.seg_blocks\.0\.block\.0\.block\.0\.weight",
    r"segmentation_head\.0\.weight",
)
ENCODER_RULES = (
    (r"encoder\.model\.(.+)", r"encoder.body.\1"),
    (r"encoder\.(.+)", r"encoder.body.\1"),
)
"""That library holds a model of timm as `model`; its ResNets have the names of torchvision."""

HEAD_RULES = (
    (r"segmentation_head\.0\.(weight|bias)", r"heads.semantic.convs.0.\1"),
    (r"classification_head\..+", None),
)
RULES = (
    *ENCODER_RULES,
    (r"decoder\.p5\.(.+)", r"decoder.laterals.0.\1"),
    *((rf"decoder\.p{4 - i}\.skip_conv\.(.+)", rf"decoder.laterals.{1 + i}.\1") for i in range(3)),
    (r"decoder\.seg_blocks\.(\d)\.block\.(\d)\.block\.([01]\..+)", r"decoder.branches.\1.convs.\2.\3"),
    *HEAD_RULES,
)
EXPECTS = {"align_corners": True, "decoder.align_corners": True, "upsample": "nearest"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
