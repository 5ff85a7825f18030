"""SegFormer and its encoder as Hugging Face's transformers saves them; keys and values stand apart there.

Its norms have an epsilon of 1e-5, where the published code has 1e-6 in blocks and stages: outputs differ by about 1e-5.
"""

from densepred.hub import renaming

NAME = "Hugging Face SegFormer"
MARKS = (
    r"segformer\.encoder\.patch_embeddings\.0\.proj\.weight",
    r"segformer\.encoder\.block\.0\.0\.attention\.self\.key\.weight",
)
RULES = (
    *renaming.prefixed(renaming.MIT_RULES, r"segformer\.encoder\.", "encoder."),
    (r"decode_head\.linear_c\.0\.proj\.(.+)", r"decoder.linears.3.\1"),
    (r"decode_head\.linear_c\.1\.proj\.(.+)", r"decoder.linears.2.\1"),
    (r"decode_head\.linear_c\.2\.proj\.(.+)", r"decoder.linears.1.\1"),
    (r"decode_head\.linear_c\.3\.proj\.(.+)", r"decoder.linears.0.\1"),
    (r"decode_head\.linear_fuse\.(.+)", r"decoder.fuse.0.\1"),
    (r"decode_head\.batch_norm\.(.+)", r"decoder.fuse.1.\1"),
    (r"decode_head\.classifier\.(.+)", r"heads.semantic.convs.0.\1"),
    (r"classifier\..+", None),
)
MERGES = renaming.prefixed_merges(renaming.MIT_MERGES, r"segformer\.encoder\.", "encoder.")
EXPECTS = {"align_corners": False, "upsample": "bilinear"}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
