"""The meeting of the processes of a run, in the store of their launcher or in one that rank 0 makes.

Every wait is a loop of short looks: a signal is answered within one, and processes that do not come are named.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Collection
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from densepred.errors import MachineError, PeerLost
from densepred.process import ranks, supervisor

MEETING = "densepred/meeting"
"""Keys of a store by which the ranks of an attempt find each other."""

SOON = 30.0
"""Seconds after which processes that have not joined are named; the wait goes on."""

LOOPBACK = "127.0.0.1"
EVERY = 0.01
"""Seconds between two looks into the store."""


class Patience:
    """A wait for other processes: it names them after SOON seconds, and ends after `seconds`, the setting `key`."""

    def __init__(self, seconds: float, key: str) -> None:
        self.seconds, self.key = seconds, key
        self._begin, self._told = time.monotonic(), False

    def look(self, absent: Collection[int], world_size: int, fact: str = "") -> None:
        """Wait for a moment. Raises PeerLost if it has taken too long; `fact` is what else is known of it."""
        waited = time.monotonic() - self._begin
        who = ranks.unjoined(absent, world_size)
        if waited > self.seconds:
            remedy = f"see its own message, check that it was started, or raise {self.key}"
            raise PeerLost(f"{who} within {self.key}={self.seconds:g}{fact}; {remedy}")
        if waited > SOON and not self._told:
            self._told = True
            text = f"{who} after {SOON:g} s{fact}; waiting up to {self.key}={self.seconds:g} s for it"
            print(f"warning: {text}", file=sys.stderr, flush=True)
        time.sleep(EVERY)

    def look_beside(self, world_size: int) -> None:
        """Wait for a moment while rank 0 waits for others, which it names. Raises PeerLost if it does not end."""
        if time.monotonic() - self._begin > self.seconds + SOON:
            fact = f"not all {world_size} processes of this run have joined within {self.key}={self.seconds:g}"
            raise PeerLost(f"{fact}; see the message of process 0, or raise {self.key}")
        time.sleep(EVERY)


def of_launcher(wait: timedelta = timedelta(minutes=5)) -> TCPStore:
    """Return the store of a launcher that outlives its processes: torchrun's, or that of `trainer.devices`."""
    return TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=wait)


def of_first(rank: int, world_size: int, patience: Patience) -> Store:
    """Return the store that rank 0 makes at MASTER_ADDR and MASTER_PORT, as tasks of srun have no launcher's.

    Its keys begin with the ids of job and step. Raises PeerLost if rank 0 does not answer.
    """
    address, port, wait = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), timedelta(seconds=patience.seconds)
    if rank == 0:  # by the loopback: its own name may lead to an address that nothing can reach
        try:
            store = TCPStore(LOOPBACK, port, is_master=True, wait_for_workers=False, timeout=wait)
        except RuntimeError as error:
            if "EADDRINUSE" not in str(error):
                raise
            remedy = "another program or run has it; set MASTER_PORT to another port"
            raise MachineError(f"MASTER_PORT={port}: address already in use: {remedy}") from error
    else:
        while (fact := _silence(address, port)) is not None:
            patience.look([0], world_size, f" ({fact})")
        stranger = threading.Timer(min(patience.seconds, SOON), _end_before_stranger, (port,))
        stranger.daemon = True
        stranger.start()
        store = TCPStore(address, port, is_master=False, timeout=timedelta(seconds=SOON))
        stranger.cancel()
        store.set_timeout(wait)
    step = [os.environ.get(name, "0") for name in ("SLURM_JOB_ID", "SLURM_STEP_ID")]
    return PrefixStore(".".join(step), store)


def _end_before_stranger(port: int) -> None:
    """End this process: torch waits without an end for the greeting of a store, which another program never gives."""
    fact = "another program answers there, none of this run"
    print(f"error: MASTER_PORT={port}: {fact}; set MASTER_PORT to another port", file=sys.stderr, flush=True)
    supervisor.told()
    os._exit(2)


def _silence(address: str, port: int) -> str | None:
    """Return why nothing answers at an address; None if something does."""
    try:
        socket.create_connection((address, port), timeout=1.0).close()
    except socket.gaierror as error:
        why = (error.strerror or "unknown name").lower()
        return f"MASTER_ADDR={address}: {why}; set MASTER_ADDR to an address of the first node that this one knows"
    except OSError:
        return f"nothing answers at MASTER_ADDR={address} MASTER_PORT={port}"
    return None


def of_this_attempt(store: Store, rank: int, world_size: int, patience: Patience) -> Store:
    """Return a part of a store that holds nothing of former attempts, the same one on every rank.

    torchrun starts a group again with the same store, where a rank could read the address of a process that has died.
    Each rank leaves a word of its own, and rank 0 answers to that word, so answers to former processes reach no rank.
    """
    word = uuid.uuid4().hex
    if rank > 0:
        store.set(f"{MEETING}/{rank}", word)
        while not store.check([f"{MEETING}/{word}"]):
            patience.look([0], world_size)
        attempt = store.get(f"{MEETING}/{word}").decode()
        store.set(f"{MEETING}/{attempt}/{rank}", word)
        while not store.check([f"{MEETING}/{attempt}/all"]):
            patience.look_beside(world_size)
        return PrefixStore(attempt, store)
    absent = set(range(1, world_size))
    while absent:
        for other in absent:
            if store.check([f"{MEETING}/{other}"]):
                store.set(f"{MEETING}/{store.get(f'{MEETING}/{other}').decode()}", word)
        patience.look(absent, world_size)
        absent = {other for other in absent if not store.check([f"{MEETING}/{word}/{other}"])}
    store.set(f"{MEETING}/{word}/all", "")
    return PrefixStore(word, store)
