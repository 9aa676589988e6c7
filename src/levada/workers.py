"""Processes that work for another one: a core each, deaf to Ctrl-C, and gone when it is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process

__all__ = ["pool"]


@contextmanager
def pool(count: int) -> Iterator[ProcessPoolExecutor]:
    """Lend a pool of processes; what nobody has begun is dropped at the end.

    Ctrl-C is for the process that waits for them. Where that one is killed, they end by themselves.

    Parameters
    ----------
    count : int
        How many.

    Yields
    ------
    concurrent.futures.ProcessPoolExecutor
        Its processes are spawned: forking one that runs torch may hang.
    """
    lent = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield lent
    finally:
        lent.shutdown(cancel_futures=True)


def _begin() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch or a BLAS is first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
