"""Processes that work for another one: a core each, deaf to Ctrl-C, and gone when it is gone."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import connection, current_process, parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any, TypeVar

from levada.errors import InputError, Warned, collected_warnings, log_again, to_picklable

__all__ = ["ProcessPool", "WorkerDied", "parallel_map", "private_numba_cache", "process_pool"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_Watched = tuple[Result | Exception, list[Warned]]
"""What came of a job, and what it warned of."""


class WorkerDied(BrokenExecutor):
    """A process ended before its job did; the message says by which signal, or with which exit code."""


class ProcessPool(ProcessPoolExecutor):
    """Spawned processes, of which it is known afterwards how they ended; `process_pool` lends one."""

    def __init__(self, count: int) -> None:
        context = _Context()
        self._started = context.started
        super().__init__(count, mp_context=context, initializer=_begin)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have it done by a process; an exception that cannot be pickled comes back as one that can."""
        return super().submit(_with_portable_errors, fn, *args, **kwargs)

    def terminate(self) -> None:
        """End the processes now."""
        for process in self._started:
            with suppress(ValueError, AttributeError):  # not started, or closed
                process.terminate()

    def death(self) -> WorkerDied:
        """How the process ended that broke the pool. Shuts the pool down."""
        self.shutdown(cancel_futures=True)
        codes = {process.exitcode for process in self._started} - {0, None}
        first = codes - {-signal.SIGTERM} or codes  # by which the executor ends the others
        return WorkerDied(f"its process {_in_words(min(first, default=None, key=lambda code: code or 0))}")


class _Context(SpawnContext):
    """Starts processes by spawning (forking one that runs torch may hang), and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]
        """As multiprocessing calls it."""
        self.started.append(SpawnProcess(*args, **kwargs))
        return self.started[-1]


@contextmanager
def process_pool(count: int) -> Iterator[ProcessPool]:
    """Lend a pool of processes; what nobody has begun is dropped at the end.

    Ctrl-C is for the process that waits for them: where the block is left for it, or because nobody wants more results,
    they are ended in the middle of their work. Where that process is killed, they end by themselves.

    Parameters
    ----------
    count : int
        How many.

    Yields
    ------
    Pool

    Raises
    ------
    WorkerDied
        In place of any `BrokenExecutor` that leaves the block.
    """
    if getattr(current_process(), "_inheriting", False):  # this process is being started by importing the script
        raise InputError(
            "a script that starts processes is imported by each of them: put what it does under "
            'if __name__ == "__main__":'
        )
    lent = ProcessPool(count)
    try:
        yield lent
    except BrokenExecutor as error:
        raise lent.death() from error
    except BaseException as error:
        if not isinstance(error, Exception):
            lent.terminate()
        raise
    finally:
        lent.shutdown(cancel_futures=True)


def parallel_map(
    work: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int, isolate: bool = False
) -> Iterator[tuple[Job, Result | Exception]]:
    """Do every job, in processes of their own if more than one; each comes back once, as soon as it is done.

    Parameters
    ----------
    work : callable
        What is done. For more than one process it must be picklable, as jobs and results must.
    jobs : sequence
    processes : int
        How many work at once; 1 works here.
    isolate : bool
        Whether even one alone is a process of its own: a crash inside a library then costs one job, and not all.

    Yields
    ------
    job, result
        An exception is a result. What a job warned of in its process is logged here, just before. Where a process dies
        (killed for memory, say), what was being done is tried once more, alone; then its result is a `WorkerDied`, and
        the others go on.
    """
    if not isolate and (processes <= 1 or len(jobs) <= 1):
        yield from ((job, _outcome(lambda job=job: work(job))) for job in jobs)  # type: ignore[misc]
        return
    waiting = deque(range(len(jobs)))
    while waiting:
        broken = list[int]()
        with process_pool(max(1, min(processes, len(waiting)))) as lent:
            running = dict[Future[_Watched[Result]], int]()
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < max(1, processes):
                    index = waiting.popleft()
                    try:
                        running[lent.submit(_watched, work, jobs[index])] = index
                    except BrokenExecutor:
                        broken.append(index)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index, result = running.pop(future), _received(future.result)
                    if isinstance(result, BrokenExecutor):
                        broken.append(index)
                    else:
                        yield jobs[index], result
        for index in broken:  # whose fault it was nobody can say
            with process_pool(1) as lent:
                again = _received(lent.submit(_watched, work, jobs[index]).result)
                yield jobs[index], lent.death() if isinstance(again, BrokenExecutor) else again


def private_numba_cache() -> Path:
    """Give numba a folder of this process alone for what libraries have it compile and keep; call it before they do.

    Two processes that fill one cache at a time can leave machine code in it that crashes whoever loads it, every time
    from then on; librosa keeps its own beside its sources.

    Returns
    -------
    Path
        The folder; numba makes it, and it goes when the process ends.
    """
    return _numba_cache_of(os.getpid())


@lru_cache(maxsize=1)
def _numba_cache_of(pid: int) -> Path:
    folder = Path(tempfile.gettempdir()) / f"levada-numba-{pid}-{secrets.token_hex(8)}"
    os.environ["NUMBA_CACHE_DIR"] = str(folder)  # read when numba is first imported
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _in_words(code: int | None) -> str:
    """How a process ended, from its exit code."""
    if code is None or code >= 0:
        return "ended early" if code is None else f"ended early, with exit code {code}"
    if -code == getattr(signal, "SIGKILL", None):
        return "was killed (SIGKILL), perhaps for lack of memory"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _outcome(of: Callable[[], Result]) -> Result | Exception:
    try:
        return of()
    except Exception as error:
        return error


def _watched(work: Callable[[Job], Result], job: Job) -> _Watched[Result]:
    """Do a job in a process of its own, whose log nobody reads."""
    with collected_warnings() as warned:
        try:
            return work(job), warned
        except Exception as error:
            sent = to_picklable(error)
            sent.add_note("".join(traceback.format_exception(error)))
            return sent, warned


def _received(of: Callable[[], _Watched[Result]]) -> Result | Exception:
    """What came of a job, after logging what it warned of."""
    found = _outcome(of)
    if isinstance(found, Exception):
        return found
    result, warned = found
    log_again(warned)
    return result


def _with_portable_errors(work: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    try:
        return work(*args, **kwargs)
    except Exception as error:
        other = to_picklable(error)
        if other is error:
            raise
        raise other from error


def _begin() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch or a BLAS is first imported
    private_numba_cache()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        shutil.rmtree(private_numba_cache(), ignore_errors=True)
        os._exit(1)
