"""HRNetV2 for semantic segmentation, as mmsegmentation saves it (`fcn_hr18`, `fcn_hr48`; without OCR).

Its head has no bias before the norm: `decoder.bias=false`.
"""

from densepred.weights.keymap import hrnet_segmentation

NAME = "mmsegmentation HRNet"
MARKS = (r"backbone\.stage4\.0\.fuse_layers\.0\.1\.0\.weight", r"decode_head\.convs\.0\.conv\.weight")
RULES = (
    (r"decode_head\.conv_seg\.(\w+)", r"heads.semantic.convs.0.\1"),
    (r"decode_head\.convs\.0\.conv\.(\w+)", r"decoder.mix.0.\1"),
    (r"decode_head\.convs\.0\.bn\.(\w+)", r"decoder.mix.1.\1"),
    (r"backbone\.((?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+)", r"encoder.\1"),
)
EXPECTS = {**hrnet_segmentation.EXPECTS, "decoder.bias": False}
MEAN, STD = hrnet_segmentation.MEAN, hrnet_segmentation.STD
