"""mmsegmentation's DeepLabV3 on a ResNet-v1c with its auxiliary head.

Ours is `model=deeplabv3_resnet50 'encoder.stem=[32,32,64]' decoder.width=512 decoder.kernel=3 decoder.mix=false`.
"""

NAME = "mmsegmentation DeepLabV3"
MARKS = (
    r"backbone\.stem\.0\.weight",
    r"decode_head\.aspp_modules\.1\.conv\.weight",
    r"decode_head\.image_pool\.1\.conv\.weight",
    r"decode_head\.bottleneck\.conv\.weight",
)
RULES = (
    (r"backbone\.stem\.7\.(.+)", r"encoder.body.bn1.\1"),
    (r"backbone\.stem\.(.+)", r"encoder.body.conv1.\1"),
    (r"backbone\.(layer\d\..+)", r"encoder.body.\1"),
    # A ConvModule holds a convolution and its norm by name; a Sequential of ours holds them by number.
    (r"decode_head\.aspp_modules\.(\d)\.conv\.(.+)", r"decoder.aspp.convs.\1.0.\2"),
    (r"decode_head\.aspp_modules\.(\d)\.bn\.(.+)", r"decoder.aspp.convs.\1.1.\2"),
    (r"decode_head\.image_pool\.1\.conv\.(.+)", r"decoder.aspp.convs.4.1.\1"),
    (r"decode_head\.image_pool\.1\.bn\.(.+)", r"decoder.aspp.convs.4.2.\1"),
    (r"decode_head\.bottleneck\.conv\.(.+)", r"decoder.aspp.project.0.\1"),
    (r"decode_head\.bottleneck\.bn\.(.+)", r"decoder.aspp.project.1.\1"),
    (r"decode_head\.conv_seg\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"auxiliary_head\.convs\.0\.conv\.(.+)", r"auxiliary_decoder.conv.0.\1"),
    (r"auxiliary_head\.convs\.0\.bn\.(.+)", r"auxiliary_decoder.conv.1.\1"),
    (r"auxiliary_head\.conv_seg\.(.+)", r"auxiliary_heads.semantic.convs.0.\1"),
)
# The mean of the image comes first there and last here.
ORDERS = ((r"decoder\.aspp\.project\.0\.weight", (1, 2, 3, 4, 0)),)
EXPECTS = {
    "align_corners": False,
    "encoder.output_stride": 8,
    "encoder.multi_grid": None,
    "decoder.atrous_rates": [6, 12, 18],
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
