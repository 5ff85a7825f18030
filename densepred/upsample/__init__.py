"""Upsampling: a map to a larger size.

To add one: a file here with a subclass of `contracts.Upsample`, and `configs/upsample/<name>.yaml` with its `_target_`,
`_partial_: true` and every argument with its default. Every decoder can use it at once.
"""
