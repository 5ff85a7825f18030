"""HRNetV2 for semantic segmentation, as github.com/HRNet/HRNet-Semantic-Segmentation saves it (without OCR).

Files from its training hold the network under `model.`, and the loss with its class weights beside it. No file records
if a network was trained with `align_corners`: see docs/models.md.
"""

NAME = "HRNet segmentation"
WRAPPED = r"(?:model\.)?"
MARKS = (rf"{WRAPPED}stage4\.0\.fuse_layers\.0\.1\.0\.weight", rf"{WRAPPED}last_layer\.3\.weight")
RULES = (
    (rf"{WRAPPED}last_layer\.3\.(\w+)", r"heads.semantic.convs.0.\1"),
    (rf"{WRAPPED}last_layer\.([01])\.(\w+)", r"decoder.mix.\1.\2"),
    (rf"{WRAPPED}((?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+)", r"encoder.\1"),
    (r"loss\..+", None),
)
EXPECTS = {"encoder.fuse": "bilinear"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
