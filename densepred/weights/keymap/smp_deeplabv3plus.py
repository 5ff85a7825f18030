"""segmentation_models.pytorch's DeepLabV3Plus on a ResNet, for model=deeplabv3plus with that library's settings.

For its defaults: `decoder_aspp_separable=True`, output stride 16 and its rates.
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
EXPECTS = {
    "align_corners": True,
    "encoder.output_stride": 16,
    "encoder.multi_grid": [1, 1, 1],
    "decoder.atrous_rates": [12, 24, 36],
    "upsample": "bilinear_corners",
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
