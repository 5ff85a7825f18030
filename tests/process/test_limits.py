"""Paths of sockets that the system cannot hold."""

from __future__ import annotations

import os
import socket

import pytest

from densepred.errors import UserError
from densepred.process import limits


def test_a_folder_is_refused_exactly_if_a_socket_of_a_worker_cannot_be_bound_there() -> None:
    for length in range(60, 90):
        folder = "/tmp/" + "x" * (length - 5)
        path = f"{folder}/pymp-{os.getpid():08}/listener-00000000"
        with socket.socket(socket.AF_UNIX) as one, pytest.raises(OSError) as failure:  # noqa: PT011 - the folder is absent
            one.bind(path)
        if "too long" not in str(failure.value):
            limits.require_sockets(folder)
            continue
        with pytest.raises(UserError, match=rf"^TMPDIR={folder}: {length} characters are too long .*; set TMPDIR to"):
            limits.require_sockets(folder)
