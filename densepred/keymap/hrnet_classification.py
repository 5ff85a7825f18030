"""HRNet classifiers, as github.com/HRNet/HRNet-Image-Classification and timm save them: our encoder and a head."""

NAME = "HRNet classification"
WRAPPED = r"(?:module\.)?"
MARKS = (
    rf"{WRAPPED}stage4\.0\.fuse_layers\.0\.1\.0\.weight",
    rf"{WRAPPED}incre_modules\.0\.0\.conv1\.weight",
    rf"{WRAPPED}classifier\.weight",
)
RULES = (
    (rf"{WRAPPED}(?:incre_modules|downsamp_modules|final_layer|classifier)\..+", None),
    (rf"{WRAPPED}((?:conv1|bn1|conv2|bn2|layer1|transition[123]|stage[234])\..+)", r"encoder.\1"),
)
