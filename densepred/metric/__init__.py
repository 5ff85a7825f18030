"""Metrics: exact numbers over a dataset.

To add one: a file here with a subclass of `contracts.Metric`, and a line under `metrics` in the YAML of its tasks.
"""
