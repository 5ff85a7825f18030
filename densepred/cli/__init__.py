"""The command line: composition by Hydra, help, error messages, recorded overrides, sweeps."""
