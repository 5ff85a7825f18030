"""torchvision's deeplabv3_resnet50 and deeplabv3_resnet101, for model=deeplabv3_resnet50 and deeplabv3_resnet101."""

NAME = "torchvision DeepLabV3"
MARKS = (r"backbone\.conv1\.weight", r"classifier\.0\.project\.0\.weight", r"classifier\.4\.bias")
RULES = (
    (r"backbone\.(.+)", r"encoder.body.\1"),
    (r"classifier\.0\.(.+)", r"decoder.aspp.\1"),
    (r"classifier\.1\.(.+)", r"decoder.mix.0.\1"),
    (r"classifier\.2\.(.+)", r"decoder.mix.1.\1"),
    (r"classifier\.4\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"aux_classifier\.([01])\.(.+)", r"auxiliary_decoder.conv.\1.\2"),
    (r"aux_classifier\.4\.(.+)", r"auxiliary_heads.semantic.convs.0.\1"),
)
EXPECTS = {
    "align_corners": False,
    "encoder.output_stride": 8,
    "encoder.multi_grid": None,
    "decoder.atrous_rates": [6, 12, 18],
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
