"""Names in a configuration become objects: the user's own config, and what a foreign file may name."""
