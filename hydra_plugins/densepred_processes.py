"""The launcher of `densepred/sweep/launcher.py`, in the only place where Hydra looks for launchers."""

from densepred.sweep import launcher


class Processes(launcher.Processes):
    """`hydra/launcher=process`."""
