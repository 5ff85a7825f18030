"""SegFormer as mmsegmentation saves it, the encoder alone too; its head has a norm after each linear layer.

Ours is `model=segformer decoder.linear_norm=true`. All its norms of tokens have an epsilon of 1e-6, where the published
code has 1e-5 after patches and in attention: outputs differ by about 1e-5.
"""

from densepred.hub.renaming import Split

NAME = "mmsegmentation SegFormer"
_OF = r"(?:backbone\.)?layers\.(\d)\."
_BLOCK = rf"{_OF}1\.(\d+)\."
MARKS = (
    r"(?:backbone\.)?layers\.0\.0\.projection\.weight",
    r"(?:backbone\.)?layers\.0\.1\.0\.attn\.attn\.in_proj_weight",
)
RULES = (
    (rf"{_OF}0\.projection\.(.+)", r"encoder.stages.\1.embed.\2"),
    (rf"{_OF}0\.norm\.(.+)", r"encoder.stages.\1.enter.\2"),
    (rf"{_OF}2\.(.+)", r"encoder.stages.\1.leave.\2"),
    (rf"{_BLOCK}(norm\d\..+)", r"encoder.stages.\1.blocks.\2.\3"),
    (rf"{_BLOCK}attn\.attn\.out_proj\.(.+)", r"encoder.stages.\1.blocks.\2.attention.proj.\3"),
    (rf"{_BLOCK}attn\.sr\.(.+)", r"encoder.stages.\1.blocks.\2.attention.reduce.\3"),
    (rf"{_BLOCK}attn\.norm\.(.+)", r"encoder.stages.\1.blocks.\2.attention.norm.\3"),
    (rf"{_BLOCK}ffn\.layers\.0\.(.+)", r"encoder.stages.\1.blocks.\2.fc1.\3"),
    (rf"{_BLOCK}ffn\.layers\.1\.(.+)", r"encoder.stages.\1.blocks.\2.conv.\3"),
    (rf"{_BLOCK}ffn\.layers\.4\.(.+)", r"encoder.stages.\1.blocks.\2.fc2.\3"),
    *((rf"decode_head\.convs\.{i}\.conv\.(.+)", rf"decoder.linears.{3 - i}.0.\1") for i in range(4)),
    *((rf"decode_head\.convs\.{i}\.bn\.(.+)", rf"decoder.linears.{3 - i}.1.\1") for i in range(4)),
    (r"decode_head\.fusion_conv\.conv\.(.+)", r"decoder.fuse.0.\1"),
    (r"decode_head\.fusion_conv\.bn\.(.+)", r"decoder.fuse.1.\1"),
    (r"decode_head\.conv_seg\.(.+)", r"heads.semantic.convs.0.\1"),
)
_QKV = tuple(rf"encoder.stages.\1.blocks.\2.attention.{part}.\3" for part in ("q", "kv"))
SPLITS = (Split(rf"{_BLOCK}attn\.attn\.in_proj_(weight|bias)", _QKV, (1, 2)),)
# The finest map comes first there and last here.
ORDERS = ((r"decoder\.fuse\.0\.weight", (3, 2, 1, 0)),)
EXPECTS = {"align_corners": False, "decoder.linear_norm": True, "upsample": "bilinear"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
