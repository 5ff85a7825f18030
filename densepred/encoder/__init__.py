"""Encoders: image to feature pyramid.

To add one: a file here with a subclass of `contracts.Encoder`, and `configs/encoder/<name>.yaml` with its `_target_`,
`_partial_: true` and every argument with its default. The contract tests find the YAML by themselves.
"""
