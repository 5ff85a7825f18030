"""Inspection of a dataset before training: what every sample holds, findings with their remedies, reports of them."""
