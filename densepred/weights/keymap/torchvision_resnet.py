"""ResNet classifiers of torchvision, and of other programs that kept its names."""

NAME = "torchvision ResNet"
MARKS = (r"conv1\.weight", r"bn1\.running_mean", r"layer1\.0\.conv1\.weight", r"layer4\.\d+\.conv2\.weight")
RULES = (
    (r"fc\..*", None),
    (r"((?:conv1|bn1|layer\d)\..*)", r"encoder.body.\1"),
)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
