"""torchvision's fcn_resnet50 and fcn_resnet101, for model=fcn_resnet50 and fcn_resnet101."""

NAME = "torchvision FCN"
MARKS = (r"backbone\.conv1\.weight", r"classifier\.0\.weight", r"classifier\.1\.running_mean", r"classifier\.4\.bias")
OUTER_RULES = (
    (r"backbone\.(.+)", r"encoder.body.\1"),
    (r"classifier\.4\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"aux_classifier\.([01])\.(.+)", r"auxiliary_decoder.conv.\1.\2"),
    (r"aux_classifier\.4\.(.+)", r"auxiliary_heads.semantic.convs.0.\1"),
)
"""Encoder, last layer and auxiliary head: torchvision's DeepLabV3 has the same around its decoder."""

RULES = (*OUTER_RULES, (r"classifier\.([01])\.(.+)", r"decoder.conv.\1.\2"))
EXPECTS = {
    "align_corners": False,
    "encoder.output_stride": 8,
    "encoder.multi_grid": None,
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
