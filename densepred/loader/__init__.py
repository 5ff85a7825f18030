"""Samples to batches: transforms and codec in loader workers, crops of instances, order, loaders."""
