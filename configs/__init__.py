"""The configuration files, shipped with the package as `densepred.configs`."""
