"""Transforms: augmentation and geometry, for every kind of annotation at once.

To add one: a file here with a class, and a line in a YAML list of `configs/transform`. The class has one of
`params(size, generator) -> Warp` (it moves pixels), `colour(mean, generator) -> matrix` (it maps colours linearly), or
`__call__(sample, generator) -> sample` (anything else). `pipeline.py` fuses neighbours of the first two kinds.
"""
