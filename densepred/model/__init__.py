"""Models: image to the stages of every head.

To add one: a file here with a subclass of `contracts.Model`, and `configs/model/<name>.yaml`. A new encoder-decoder
pair needs a YAML only: inherit `encoder_decoder` and override the groups.
"""
