"""Names of tensors in other programs' checkpoints, one module per family of checkpoints.

NAME is the usual name of the family. MARKS are patterns: a file is of this family if each of them fully matches one of
its names. RULES are pairs (pattern, replacement). The first pattern that fully matches a name renames it, as
`re.Match.expand` does; the replacement None marks tensors that no model needs. Wrappers such as `module.` are removed
before.

Optional: EXPECTS, attributes of our model, such as {"encoder.fuse": "bilinear"}, without which the same weights give
other outputs, and "upsample", the option of the decoder's upsampling; MEAN and STD, the statistics of images in [0, 1]
that the weights were trained with; MERGES and SPLITS of `hub.renaming`, tensors that are several there and one here, or
one there and several here; ORDERS, pairs (pattern of our name, order of blocks of input channels); CHANGES,
pairs (pattern of our name, function of its tensor); UNUSED, patterns of our names that a file may hold though its own
model does not run them.
"""
