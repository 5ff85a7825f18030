"""VGG-16 classifiers of torchvision, with and without BatchNorm."""

NAME = "torchvision VGG"
MARKS = (r"features\.0\.weight", r"features\.(28|40)\.weight", r"classifier\.6\.weight")
RULES = (
    (r"classifier\..*", None),
    (r"(features\..*)", r"encoder.body.\1"),
)
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
