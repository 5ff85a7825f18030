"""torchvision's lraspp_mobilenet_v3_large, for model=lraspp_mobilenet_v3_large.

Its two classifiers, of which the outputs are added, are one convolution here.
"""

from densepred.hub.renaming import Merge

NAME = "torchvision LRASPP"
MARKS = (r"backbone\.0\.0\.weight", r"classifier\.cbr\.0\.weight", r"classifier\.low_classifier\.weight")
_BOTH = tuple(rf"classifier\.{one}_classifier\." for one in ("high", "low"))
MERGES = (
    Merge(tuple(f"{one}weight" for one in _BOTH), "heads.semantic.convs.0.weight", "columns"),
    Merge(tuple(f"{one}bias" for one in _BOTH), "heads.semantic.convs.0.bias", "sum"),
)
RULES = (
    (r"backbone\.(\d.+)", r"encoder.body.features.\1"),
    (r"classifier\.((?:cbr|scale)\..+)", r"decoder.\1"),
)
EXPECTS = {
    "align_corners": False,
    "encoder.output_stride": 16,
    "encoder.level_blocks": "first",
    "upsample": "bilinear",
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
