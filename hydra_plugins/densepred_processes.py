"""The launcher of `densepred/sweep.py`, in the only place where Hydra looks for launchers."""

from densepred import sweep


class Processes(sweep.Processes):
    """`hydra/launcher=process`."""
