"""HRNet for pose (V1), as github.com/leoxiaobin/deep-high-resolution-net.pytorch saves it.

The encoder is one of `fuse: nearest` and `single: true`.
"""

NAME = "HRNet pose"
WRAPPED = r"(?:module\.)?"
MARKS = (rf"{WRAPPED}stage4\.0\.fuse_layers\.0\.1\.0\.weight", rf"{WRAPPED}final_layer\.weight")
RULES = (
    (rf"{WRAPPED}final_layer\.(weight|bias)", r"heads.heatmap.convs.0.\1"),
    (rf"{WRAPPED}((?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+)", r"encoder.\1"),
)
