"""Metrics: exact numbers over a dataset.

To add one: a file here with a subclass of `contracts.Metric`, and `configs/metric/<name>.yaml` (a node under its name).
"""
