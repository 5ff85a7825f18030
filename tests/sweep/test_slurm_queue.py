"""Jobs of a cluster without accounts, by commands that stand in for those of Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("submitit")

from densepred.sweep import slurm_queue


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that are found before any other: `sacct` fails, `squeue` prints a file."""
    for name, text in (
        ("sacct", "echo accounting storage is disabled >&2; exit 1"),
        ("squeue", f"cat {tmp_path}/jobs"),
    ):
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{text}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_a_cluster_without_accounts_is_noticed(cluster: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert not slurm_queue.has_accounts("7")
    assert capfd.readouterr().err == ""
    (cluster / "sacct").write_text("#!/bin/sh\n")
    assert slurm_queue.has_accounts("7")


def test_without_slurm_there_are_no_accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm_queue.has_accounts("7")


def test_a_job_that_left_the_queue_is_done(cluster: Path) -> None:
    queue = slurm_queue.Queue()
    for job in ("7", "8"):
        queue.register_job(job)
    for jobs, ended in (("7\n8\n", []), ("8\n", ["7"]), ("", ["7", "8"])):
        (cluster / "jobs").write_text(jobs)
        queue.update()
        assert [job for job in ("7", "8") if queue.is_done(job, mode="cache")] == ended
