"""Codecs: annotations to targets and outputs to annotations, both ways in one file.

To add one: a file here with a subclass of `contracts.Codec`, and `configs/task/<name>.yaml` that names it, one loss per
head and the metrics. A test checks `decode(perfect_outputs(encode(a))) == a`.
"""
