"""The meeting of processes at a port that another program has."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from densepred.process import meeting


def test_another_program_at_the_port_ends_the_process_by_one_line(tmp_path: Path) -> None:
    with socket.create_server((meeting.LOOPBACK, 0)) as stranger, (tmp_path / "err").open("w") as out:
        port = stranger.getsockname()[1]
        child = os.fork()
        if child == 0:  # TCPStore waits there for ever, so the process ends itself
            os.environ.update(MASTER_ADDR=meeting.LOOPBACK, MASTER_PORT=str(port))
            sys.stderr = out
            meeting.of_first(1, 2, meeting.Patience(0.2, "trainer.timeout_s"))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    told = (
        f"error: MASTER_PORT={port}: another program answers there, none of this run; set MASTER_PORT to another port\n"
    )
    assert (tmp_path / "err").read_text() == told
