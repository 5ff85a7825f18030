"""The launcher of `densepred/cli/sweep.py`, in the only place where Hydra looks for launchers."""

from densepred.cli import sweep


class Processes(sweep.Processes):
    """`hydra/launcher=process`."""
