"""Named semaphores of multiprocessing, of which Python warns if a process ends without its usual end."""

from __future__ import annotations

import sys


def unlink() -> None:
    """Remove the names of semaphores now; `os._exit` would leave them to the resource tracker, which warns.

    Only the start methods forkserver and spawn keep the names. Processes that hold a semaphore go on with it.
    """
    synchronize, util = sys.modules.get("multiprocessing.synchronize"), sys.modules.get("multiprocessing.util")
    if synchronize is None or util is None:
        return
    for finalizer in list(util._finalizer_registry.values()):
        if finalizer._callback is synchronize.SemLock._cleanup:
            finalizer()
