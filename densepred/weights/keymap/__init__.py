"""Names of tensors in other programs' checkpoints, one module per family of checkpoints.

NAME is the usual name of the family. MARKS are patterns: a file is of this family if each of them fully matches one of
its names. RULES are pairs (pattern, replacement). The first pattern that fully matches a name renames it, as
`re.Match.expand` does; the replacement None marks tensors that no model needs. Wrappers such as `module.` are removed
before.

Optional: EXPECTS, attributes of our model, such as {"encoder.fuse": "bilinear"}, without which the same weights give
other outputs; MEAN and STD, the statistics of images in [0, 1] that the weights were trained with; MERGES, pairs
(patterns, replacement) of tensors that one of ours joins along its first dimension.
"""
