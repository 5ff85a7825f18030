"""SegFormer as NVIDIA published it, encoder alone or whole, and as segmentation_models.pytorch saves it."""

NAME = "SegFormer"
MARKS = (r"(?:backbone\.|encoder\.)?patch_embed1\.proj\.weight", r"(?:backbone\.|encoder\.)?block1\.0\.attn\.q\.weight")
_OF = r"(?:backbone\.|encoder\.)?"
RULES = (
    # Stages count from 1 there and from 0 here.
    *(
        rule
        for i in range(4)
        for rule in (
            (rf"{_OF}patch_embed{i + 1}\.proj\.(.*)", rf"encoder.stages.{i}.embed.\1"),
            (rf"{_OF}patch_embed{i + 1}\.norm\.(.*)", rf"encoder.stages.{i}.enter.\1"),
            (rf"{_OF}norm{i + 1}\.(.*)", rf"encoder.stages.{i}.leave.\1"),
            (rf"{_OF}block{i + 1}\.(\d+)\.attn\.sr\.(.*)", rf"encoder.stages.{i}.blocks.\1.attention.reduce.\2"),
            (rf"{_OF}block{i + 1}\.(\d+)\.attn\.(.*)", rf"encoder.stages.{i}.blocks.\1.attention.\2"),
            (rf"{_OF}block{i + 1}\.(\d+)\.mlp\.dwconv\.dwconv\.(.*)", rf"encoder.stages.{i}.blocks.\1.conv.\2"),
            (rf"{_OF}block{i + 1}\.(\d+)\.mlp\.(.*)", rf"encoder.stages.{i}.blocks.\1.\2"),
            (rf"{_OF}block{i + 1}\.(\d+)\.(norm\d\..*)", rf"encoder.stages.{i}.blocks.\1.\2"),
            (rf"decode_head\.linear_c{i + 1}\.proj\.(.*)", rf"decoder.linears.{3 - i}.\1"),
            (rf"decoder\.mlp_stage\.{i}\.linear\.(.*)", rf"decoder.linears.{i}.\1"),
        )
    ),
    (r"decode_head\.linear_fuse\.conv\.(.*)", r"decoder.fuse.0.\1"),
    (r"decode_head\.linear_fuse\.bn\.(.*)", r"decoder.fuse.1.\1"),
    (r"decoder\.fuse_stage\.(.*)", r"decoder.fuse.\1"),
    (r"segmentation_head\.0\.(.*)", r"heads.semantic.convs.0.\1"),
    (r"decode_head\.linear_pred\.(.*)", r"heads.semantic.convs.0.\1"),
    (r"decode_head\.conv_seg\..*", None),
    (r"head\..*", None),
)
EXPECTS = {"upsample": "bilinear"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
