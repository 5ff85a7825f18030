"""segmentation_models.pytorch's DeepLabV3 on a ResNet, for model=deeplabv3 with that library's settings.

For its defaults: `decoder_aspp_separable=False`, output stride 8 and its rates there.
"""

NAME = "segmentation_models.pytorch DeepLabV3"
MARKS = (
    r"encoder\.layer4\.0\.conv1\.weight",
    r"decoder\.aspp\.convs\.1\.0\.weight",
    r"decoder\.conv\.weight",
    r"segmentation_head\.0\.weight",
)
RULES = (
    (r"encoder\.(.+)", r"encoder.body.\1"),
    (r"decoder\.(aspp\..+)", r"decoder.\1"),
    (r"decoder\.conv\.(.+)", r"decoder.mix.0.\1"),
    (r"decoder\.bn\.(.+)", r"decoder.mix.1.\1"),
    (r"segmentation_head\.0\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"classification_head\..+", None),
)
EXPECTS = {
    "align_corners": True,
    "encoder.output_stride": 8,
    "encoder.multi_grid": [1, 1, 1],
    "decoder.atrous_rates": [6, 12, 18],
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
