"""The launcher of `densepred/sweep/slurm.py`, in the only place where Hydra looks for launchers."""

from densepred.sweep import slurm


class Slurm(slurm.Slurm):
    """`hydra/launcher=slurm`."""
