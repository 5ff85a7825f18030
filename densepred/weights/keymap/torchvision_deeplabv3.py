"""torchvision's deeplabv3_resnet50 and deeplabv3_resnet101, for model=deeplabv3_resnet50 and deeplabv3_resnet101."""

from densepred.weights.keymap import torchvision_fcn

NAME = "torchvision DeepLabV3"
MARKS = (r"backbone\.conv1\.weight", r"classifier\.0\.project\.0\.weight", r"classifier\.4\.bias")
RULES = (
    *torchvision_fcn.OUTER_RULES,
    (r"classifier\.0\.(.+)", r"decoder.aspp.\1"),
    (r"classifier\.1\.(.+)", r"decoder.mix.0.\1"),
    (r"classifier\.2\.(.+)", r"decoder.mix.1.\1"),
)
EXPECTS = {**torchvision_fcn.EXPECTS, "decoder.atrous_rates": [6, 12, 18]}
MEAN, STD = torchvision_fcn.MEAN, torchvision_fcn.STD
