"""Transforms: augmentation and geometry, for every kind of annotation at once.

To add one: a file here with a callable `(sample, generator) -> sample`, and a line in a YAML list of `configs/transform`.
"""
