"""The names that other people's checkpoints give to tensors, one module a family of checkpoints.

A module holds NAME, as people call the family; MARKS, patterns each of which must fully match a name of the file for it
to be of this family; and RULES, pairs (pattern, replacement): the first pattern that fully matches a name renames it as
`re.Match.expand` does, or, where the replacement is None, says that a model needs no such tensor. Wrappers such as
`module.` are gone by then.

Optional: EXPECTS, attributes of our model, such as {"encoder.fuse": "bilinear"}, without which equal weights give other
answers; MEAN and STD, the statistics of images in [0, 1] that the weights were trained with.
"""
