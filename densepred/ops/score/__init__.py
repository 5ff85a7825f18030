"""Counts, matches and average precision, from which metrics are computed."""
