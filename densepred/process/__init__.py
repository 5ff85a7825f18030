"""The process of a command among others: signals, its parent, and its place in a job of Slurm."""
