"""HRNet classifiers, as github.com/HRNet/HRNet-Image-Classification and timm save them.

All but the head becomes our encoder.
"""

NAME = "HRNet classification"
MARKS = (
    r"stage4\.0\.fuse_layers\.0\.1\.0\.weight",
    r"incre_modules\.0\.0\.conv1\.weight",
    r"classifier\.weight",
)
RULES = (
    (r"(?:incre_modules|downsamp_modules|final_layer|classifier)\..+", None),
    (r"((?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+)", r"encoder.\1"),
)
EXPECTS = {"encoder.fuse": "nearest"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
