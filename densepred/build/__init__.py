"""From names in a config to objects: the user's own config, and the list of names that a file may use."""
