"""Downloads from a local server: verified, whole, or refused in one line."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from densepred import distributed
from densepred.errors import Notice, UserError
from densepred.hub import download
from densepred.hub.download import Published, fetch
from tests.conftest import PATIENCE

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()
remedy = "set encoder.pretrained=false"


class Handler(BaseHTTPRequestHandler):
    """Serves CONTENT whole, cut off, or behind a redirect that tells its digest as Hugging Face does."""

    asked: list[str] = []
    tag = DIGEST

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(302 if self.path == "/linked" else 200)
        if self.path == "/linked":
            self.send_header("X-Linked-ETag", f'"{self.tag}"')
            self.send_header("Location", "/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:100] if self.path == "/cut" else CONTENT)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(Handler, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=partial(running.serve_forever, 0.01), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_file_is_downloaded_once_and_verified(server: str, tmp_path: Path) -> None:
    file = Published(f"{server}/file", tmp_path / "new" / "file.pth", DIGEST[:8])
    assert fetch(file, remedy).read_bytes() == CONTENT
    assert fetch(file, remedy) == file.path
    assert Handler.asked == ["/file"]
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["file.pth", "file.pth.sha256"]


def test_a_cached_file_that_changed_is_refused_though_its_name_holds_no_digest(server: str, tmp_path: Path) -> None:
    file = Published(f"{server}/file", tmp_path / "file.pth")
    fetch(file, remedy).write_bytes(CONTENT[:-1])
    with pytest.raises(UserError, match=r"file\.pth: its SHA-256 begins with .*remove it"):
        fetch(file, remedy)


def test_a_cached_file_with_the_digest_of_another_is_refused(tmp_path: Path) -> None:
    file = Published("http://127.0.0.1:9/x-00000000.pth", tmp_path / "x-00000000.pth", "00000000")
    file.path.write_bytes(CONTENT)
    with pytest.raises(UserError, match=rf"begins with {DIGEST[:8]}, that of http.*x-00000000\.pth with 00000000"):
        fetch(file, remedy)


def test_a_cached_file_without_a_known_digest_is_named(tmp_path: Path) -> None:
    file = Published("http://127.0.0.1:9/x.pth", tmp_path / "x.pth")
    file.path.write_bytes(CONTENT)
    with pytest.warns(Notice, match="no checksum of it is known"):
        fetch(file, remedy)


@pytest.mark.parametrize(
    ("place", "digest", "fact"),
    [
        ("absent", "", "the server answered 404"),
        ("cut", "", "cut off after 100 of 10240 bytes"),
        ("file", "0123", f"SHA-256 begins with {DIGEST[:16]}, where 0123 is published"),
    ],
)
def test_a_failed_download_leaves_nothing_and_names_address_and_place(
    server: str, tmp_path: Path, place: str, digest: str, fact: str
) -> None:
    file = Published(f"{server}/{place}", tmp_path / "file.pth", digest)
    with pytest.raises(UserError) as raised:
        fetch(file, remedy)
    text = str(raised.value)
    assert fact in text
    assert "\n" not in text
    assert text.startswith(f"{server}/{place}: ")
    assert text.endswith(f"; put the file at {file.path}, or {remedy}")
    assert not list(tmp_path.iterdir())


def test_the_digest_that_hugging_face_sends_is_compared(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch(Published(f"{server}/linked", tmp_path / "whole"), remedy)
    monkeypatch.setattr(Handler, "tag", "0" * 64)
    with pytest.raises(UserError, match="0000000000000000 is published"):
        fetch(Published(f"{server}/linked", tmp_path / "other"), remedy)


def test_a_host_that_does_not_answer_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download.reach, "CONNECT_S", 0.05)
    released = threading.Event()

    def hang(*_: Any, **__: Any) -> None:
        released.wait(60)
        raise OSError("released")

    monkeypatch.setattr(download.reach.socket, "create_connection", hang)
    begun = time.monotonic()
    with pytest.raises(UserError, match=r"nowhere\.invalid did not answer within"):
        fetch(Published("https://nowhere.invalid/x.pth", tmp_path / "x.pth"), remedy)
    assert time.monotonic() - begun < 50
    released.set()


def test_only_the_first_process_of_a_node_works_and_all_raise_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distributed, "world", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(distributed, "gather", lambda value: ["", value])
    file = Published("http://127.0.0.1:9/x", tmp_path / "x")
    assert fetch(file, remedy) == file.path  # nothing was asked
    monkeypatch.setattr(distributed, "gather", lambda value: ["of rank 0", value])
    with pytest.raises(UserError, match="of rank 0"):
        fetch(file, remedy)


def node_process(rank: int, local: int, meeting: Path, url: str, cache: Path) -> None:
    """Fetch as one of three processes, in the cache of its node; exit with 0 if the file is whole there."""
    os.environ["LOCAL_RANK"] = str(local)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=3)
    path = fetch(Published(url, cache / "file", DIGEST), remedy)
    whole = path.read_bytes() == CONTENT
    dist.barrier()
    os._exit(0 if whole else 1)


@pytest.mark.slow
def test_two_nodes_without_a_common_disk_download_once_each(server: str, tmp_path: Path) -> None:
    """Processes that only wait find the file whole: those of one node share its cache."""
    context = multiprocessing.get_context("fork")
    places = ((0, 0, "a"), (1, 1, "a"), (2, 0, "b"))
    arguments = [(rank, local, tmp_path / "meeting", f"{server}/file", tmp_path / node) for rank, local, node in places]
    processes = [context.Process(target=node_process, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert Handler.asked == ["/file", "/file"]


def test_a_download_tells_what_goes_where_and_how_far_it_is(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(download, "EVERY", 0.0)
    file = Published(f"{server}/file", tmp_path / "file.pth", DIGEST)
    fetch(file, remedy)
    fetch(file, remedy)  # from the disk, without a word
    assert capsys.readouterr().err.splitlines() == [
        f"downloading {server}/file (0.0 MB) to {file.path}",
        "  file.pth: 0.0 MB of 0.0 MB",
    ]
