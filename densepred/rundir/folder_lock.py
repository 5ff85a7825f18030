"""A lock on an existing folder, which leaves no file: for commands that write into it one at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def take(folder: Path) -> int | None:
    """Return a descriptor that holds the folder until it is closed; None if another command holds it.

    On file systems without locks nothing is held.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        pass
    return handle
