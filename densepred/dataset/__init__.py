"""Datasets: files to samples. The only components that may open files.

To add one: a file here with a subclass of `contracts.Dataset`, and `configs/dataset/<name>.yaml` with its `_target_`,
`_partial_: true` and every argument with its default.
"""
