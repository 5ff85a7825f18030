"""segmentation_models.pytorch's DeepLabV3Plus on a ResNet, for model=deeplabv3plus with that library's settings.

For `decoder_aspp_separable=True`, its default.
"""

NAME = "segmentation_models.pytorch DeepLabV3+"
MARKS = (
    r"encoder\.layer4\.0\.conv1\.weight",
    r"decoder\.aspp\.0\.project\.0\.weight",
    r"decoder\.block1\.0\.weight",
    r"segmentation_head\.0\.weight",
)
RULES = (
    (r"encoder\.(.+)", r"encoder.body.\1"),
    (r"decoder\.aspp\.0\.(.+)", r"decoder.aspp.\1"),
    (r"decoder\.aspp\.1\.(.+)", r"decoder.mix.0.\1"),
    (r"decoder\.aspp\.2\.(.+)", r"decoder.mix.1.\1"),
    (r"decoder\.block1\.(.+)", r"decoder.reduce.\1"),
    (r"decoder\.block2\.(.+)", r"decoder.convs.0.\1"),
    (r"segmentation_head\.0\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"classification_head\..+", None),
)
