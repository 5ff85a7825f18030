"""Loggers: where the numbers and images of a run go beside metrics.jsonl.

To add one: a file here with the methods of `rundir.log.Logger`, and `configs/logger/<name>.yaml` (a node under its
name).
"""
