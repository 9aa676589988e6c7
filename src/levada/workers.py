"""Processes that work for another one: a core each, deaf to Ctrl-C, and gone when it is gone."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import TypeVar

__all__ = ["each", "pool"]

Job = TypeVar("Job")
Result = TypeVar("Result")


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


def each(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int
) -> Iterator[tuple[Job, Result | Exception]]:
    """Do every job, in processes of their own if more than one; each comes back once, as soon as it is done.

    Parameters
    ----------
    work : callable
        What is done. For more than one process it must be picklable, as jobs and results must.
    jobs : sequence
    processes : int
        How many work at once; 1 works here.

    Yields
    ------
    job, result
        An exception is a result. Where a process dies (killed for memory, say), what was being done is tried once more,
        alone; then its result is a `BrokenExecutor`, and the others go on.
    """
    if processes <= 1 or len(jobs) <= 1:
        yield from ((job, _outcome(lambda job=job: work(job))) for job in jobs)  # type: ignore[misc]
        return
    waiting = deque(range(len(jobs)))
    while waiting:
        broken = list[int]()
        with pool(min(processes, len(waiting))) as lent:
            running = dict[Future[Result], int]()
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < processes:
                    index = waiting.popleft()
                    try:
                        running[lent.submit(work, jobs[index])] = index
                    except BrokenExecutor:
                        broken.append(index)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index, result = running.pop(future), _outcome(future.result)
                    if isinstance(result, BrokenExecutor):
                        broken.append(index)
                    else:
                        yield jobs[index], result
        for index in broken:  # whose fault it was nobody can say
            with pool(1) as lent:
                yield jobs[index], _outcome(lent.submit(work, jobs[index]).result)


def _outcome(of: Callable[[], Result]) -> Result | Exception:
    try:
        return of()
    except Exception as error:
        return error


def _begin() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch or a BLAS is first imported
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
