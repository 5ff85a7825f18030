"""One training or one evaluation, from its settings to its closing table."""
