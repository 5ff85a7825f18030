"""HRNet for pose (V1), as github.com/leoxiaobin/deep-high-resolution-net.pytorch saves it.

The encoder needs `fuse: nearest` and `single: true`.
"""

NAME = "HRNet pose"
MARKS = (r"stage4\.0\.fuse_layers\.0\.1\.0\.weight", r"final_layer\.weight")
BODY = r"(?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+"
"""Keys of the network without its last convolution."""
RULES = (
    (r"final_layer\.(weight|bias)", r"heads.heatmap.convs.0.\1"),
    (f"({BODY})", r"encoder.\1"),
)
EXPECTS = {"encoder.fuse": "nearest", "encoder.single": True}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
