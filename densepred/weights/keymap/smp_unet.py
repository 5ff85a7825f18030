"""segmentation_models.pytorch's Unet of depth 5 on a ResNet, and on timm's encoders that keep their own names.

Ours is `model=encoder_decoder decoder=unet upsample=nearest decoder.widths=[256,128,64,32,16] decoder.narrow=false
model.kernel=3`, and `decoder.attention=scse` where theirs has decoder_attention_type="scse".
"""

NAME = "segmentation_models.pytorch Unet"
MARKS = (r"decoder\.blocks\.0\.conv1\.0\.weight", r"segmentation_head\.0\.weight", r"encoder\..+")
RULES = (
    (r"encoder\.model\.(.+)", r"encoder.body.\1"),
    (r"encoder\.(.+)", r"encoder.body.\1"),
    (r"decoder\.blocks\.(\d+)\.conv1\.([01]\..+)", r"decoder.blocks.\1.0.\2"),
    (r"decoder\.blocks\.(\d+)\.conv2\.([01]\..+)", r"decoder.blocks.\1.1.\2"),
    (r"decoder\.blocks\.4\.attention1\..+", None),  # in the file but never used: that step has no skip
    (r"decoder\.blocks\.(\d+)\.attention1\.attention\.cSE\.(.+)", r"decoder.enter.\1.channel.\2"),
    (r"decoder\.blocks\.(\d+)\.attention1\.attention\.sSE\.(.+)", r"decoder.enter.\1.space.\2"),
    (r"decoder\.blocks\.(\d+)\.attention2\.attention\.cSE\.(.+)", r"decoder.leave.\1.channel.\2"),
    (r"decoder\.blocks\.(\d+)\.attention2\.attention\.sSE\.(.+)", r"decoder.leave.\1.space.\2"),
    (r"segmentation_head\.0\.(weight|bias)", r"heads.semantic.convs.0.\1"),
    (r"classification_head\..+", None),
)
EXPECTS = {"upsample": "nearest"}
