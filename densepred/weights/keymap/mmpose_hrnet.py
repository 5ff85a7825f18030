"""HRNet for pose (V1), as mmpose saves it: `keypoint_head.` up to version 0.x, `head.` from 1.0 on.

The encoder needs `fuse: nearest` and `single: true`.
"""

from densepred.weights.keymap import hrnet_pose

NAME = "mmpose HRNet"
MARKS = (r"backbone\.stage4\.0\.fuse_layers\.0\.1\.0\.weight", r"(?:keypoint_)?head\.final_layer\.weight")
RULES = (
    (r"(?:keypoint_)?head\.final_layer\.(weight|bias)", r"heads.heatmap.convs.0.\1"),
    (rf"backbone\.({hrnet_pose.BODY})", r"encoder.\1"),
)
EXPECTS = hrnet_pose.EXPECTS
MEAN, STD = hrnet_pose.MEAN, hrnet_pose.STD
