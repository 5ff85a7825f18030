"""Pure functions on tensors: no classes, no config, one file an idea."""
