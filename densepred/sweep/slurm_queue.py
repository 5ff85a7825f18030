"""States of jobs on a cluster that keeps no accounts: submitit asks `sacct`, which fails there."""

from __future__ import annotations

import subprocess

from submitit.slurm.slurm import SlurmInfoWatcher

QUEUED, LEFT = "RUNNING", "COMPLETED"
"""States for submitit. A job that left without a result has failed, whatever ended it."""


def has_accounts(job: str) -> bool:
    """Return True if the cluster answers about a job."""
    try:
        return subprocess.run(["sacct", "--noheader", "--jobs", job], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


class Queue(SlurmInfoWatcher):
    """The jobs of this user that wait or run, from `squeue`."""

    def _make_command(self) -> list[str] | None:
        # With --jobs the command fails once Slurm has forgotten a job
        return ["squeue", "--noheader", "--me", "--format=%A"] if self._registered - self._finished else None

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """Return the state by job number."""
        queued = {*(string if isinstance(string, str) else string.decode()).split()}
        return {job: {"State": QUEUED if job in queued else LEFT} for job in self._registered - self._finished}
