"""The commit of a checkout, compared with what git tells."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from densepred.rundir import commit, provenance


def git(folder: Path, *words: str) -> str:
    names = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b.c",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b.c",
    }
    env = {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(
        ["git", *words], cwd=folder, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q", "-b", "some/branch")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    git(folder, "commit", "-q", "--allow-empty", "-m", "second")
    return folder


def test_the_commit_is_the_one_that_git_tells(repository: Path, tmp_path: Path) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    head = git(repository, "rev-parse", "HEAD")
    assert len(head) == 40
    assert commit.current(repository) == commit.current(repository / "deep" / "er") == head
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git" / "refs" / "heads" / "some" / "branch").exists()
    assert commit.current(repository) == head
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"), "HEAD~1")
    assert commit.current(tmp_path / "tree") == git(tmp_path / "tree", "rev-parse", "HEAD") != head
    git(repository, "checkout", "-q", "--detach")
    assert commit.current(repository) == head


def test_without_a_commit_there_is_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert commit.current(tmp_path) is None


@pytest.mark.parametrize(
    "head", ["", "ref: ../../secret", "ref: refs/../../secret", "ref: /etc/passwd", "ref: refs/a", "x" * 40, "\0"]
)
def test_a_hostile_head_reads_no_other_file(tmp_path: Path, head: str) -> None:
    (tmp_path / "secret").write_text("0" * 40)
    (tmp_path / "a" / ".git" / "refs").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "HEAD").write_text(head)
    (tmp_path / "a" / ".git" / "refs" / "a").write_text("ref: refs/a")
    assert commit.current(tmp_path / "a") is None


def test_the_configuration_of_a_hostile_repository_runs_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    with (repository / ".git" / "config").open("a") as file:
        file.write(f'[core]\n\tfsmonitor = "touch {canary}"\n[alias]\n\trev-parse = "!touch {canary}"\n')
    (tmp_path / "git").write_text(f"#!/bin/sh\ntouch {canary}\n")  # also the program itself is not started
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(repository)
    assert provenance.environment()["commit"] is not None
    assert not canary.exists()
