"""Decoders: feature pyramid to maps.

To add one: a file here with a subclass of `contracts.Decoder`, and `configs/decoder/<name>.yaml` with its `_target_`,
`_partial_: true`, `upsample: ${upsample}` and every argument with its default.
"""
