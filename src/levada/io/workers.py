"""Worker processes: one core each; they ignore Ctrl-C and end with their parent."""

from __future__ import annotations

import atexit
import math
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
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

__all__ = ["ProcessPool", "WorkerDied", "parallel_map", "private_numba_cache", "process_pool", "usable_cores"]

Job = TypeVar("Job")
Result = TypeVar("Result")

_Watched = tuple[Result | Exception, list[Warned]]
"""What came of a job, and what it warned of."""


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class WorkerDied(BrokenExecutor):
    """A worker process ended before its job; the message has the signal or exit code."""


class ProcessPool(ProcessPoolExecutor):
    """A pool of spawned processes that records how they ended; see `process_pool`."""

    def __init__(self, count: int) -> None:
        context = _Context()
        self._started = context.started
        super().__init__(count, mp_context=context, initializer=_begin)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a job; exceptions that cannot be pickled are converted."""
        return super().submit(_with_portable_errors, fn, *args, **kwargs)

    def terminate(self) -> None:
        """Terminate the processes."""
        for process in self._started:
            with suppress(ValueError, AttributeError):  # not started, or closed
                process.terminate()

    def kill(self) -> None:
        """End the processes whatever they do."""
        for process in self._started:
            with suppress(ValueError, AttributeError):
                process.kill()

    def worker_error(self) -> WorkerDied:
        """Return the error of the process that broke the pool, and shut the pool down."""
        self.shutdown(cancel_futures=True)
        codes = {process.exitcode for process in self._started} - {0, None}
        first = codes - {-signal.SIGTERM} or codes  # by which the executor ends the others
        return WorkerDied(f"its process {_exit_text(min(first, default=None, key=lambda code: code or 0))}")


class _Context(SpawnContext):
    """A spawn context that records its processes (forking a process that runs torch may hang)."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]
        """Create a process, as multiprocessing expects."""
        self.started.append(SpawnProcess(*args, **kwargs))
        return self.started[-1]


@contextmanager
def process_pool(count: int) -> Iterator[ProcessPool]:
    """Open a pool of processes; jobs that have not started are cancelled at the end.

    Only the parent process handles Ctrl-C: if the block ends by an interrupt, the workers are terminated. If the parent
    is killed, they end by themselves.

    Parameters
    ----------
    count : int
        Number of processes.

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
    executor = ProcessPool(count)
    try:
        yield executor
    except BrokenExecutor as error:
        raise executor.worker_error() from error
    except BaseException as error:
        if not isinstance(error, Exception):
            executor.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def parallel_map(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    *,
    processes: int,
    isolate: bool = False,
    timeout_s: float | None = None,
) -> Iterator[tuple[Job, Result | Exception]]:
    """Apply a function to every job in parallel; results come in the order of completion.

    Parameters
    ----------
    work : callable
        The function. For more than one process it must be picklable, as must jobs and results.
    jobs : sequence
    processes : int
        Number of processes; 1 runs in this process.
    isolate : bool
        Whether to use a separate process even for one, so that a crash in a library loses one job only.
    timeout_s : float, optional
        A job that takes longer, the start of its process included, is ended, and its result is an `InputError`. Every
        job then runs in a separate process.

    Yields
    ------
    job, result
        An exception is a result. What a job warned of in its process is logged here, just before. Where a process dies
        (killed for memory, say), what was being done is tried once more, alone; then its result is a `WorkerDied`, and
        the others go on.
    """
    if not isolate and timeout_s is None and (processes <= 1 or len(jobs) <= 1):
        yield from ((job, _outcome(lambda job=job: work(job))) for job in jobs)  # type: ignore[misc]
        return
    waiting, suspects = deque(range(len(jobs))), deque[int]()
    while waiting or suspects:
        alone = bool(suspects)  # any of them may have broken the pool
        queue = deque([suspects.popleft()]) if alone else waiting
        broken, late = list[int](), list[int]()
        with process_pool(max(1, min(processes, len(queue)))) as executor:
            running, deadlines = dict[Future[_Watched[Result]], int](), dict[int, float]()
            while running or (queue and not broken):
                while queue and not broken and len(running) < max(1, processes):
                    index = queue.popleft()
                    deadlines[index] = time.monotonic() + (math.inf if timeout_s is None else timeout_s)
                    try:
                        running[executor.submit(_watched, work, jobs[index])] = index
                    except BrokenExecutor:
                        broken.append(index)
                first = min((deadlines[index] for index in running.values()), default=math.inf)
                left_s = None if first == math.inf else max(0.0, first - time.monotonic())
                done, _ = wait(running, left_s, FIRST_COMPLETED)
                for future in done:
                    index, result = running.pop(future), _received(future.result)
                    if isinstance(result, BrokenExecutor):
                        broken.append(index)
                    else:
                        yield jobs[index], result
                late = [index for index in running.values() if deadlines[index] <= time.monotonic()]
                if late:  # the others begin again
                    queue.extendleft(index for index in running.values() if index not in late)
                    executor.kill()
                    break
        for index in late:
            yield (
                jobs[index],
                InputError(f"is left out: it was not done after {timeout_s:g} s", path=_path_of(jobs[index])),
            )
        for index in broken:
            if alone:
                yield jobs[index], executor.worker_error()
            else:
                suspects.append(index)


def private_numba_cache() -> Path:
    """Set a cache folder of numba for this process only; call it before numba compiles.

    Two processes that write one cache at the same time can corrupt it, and every later process that loads it crashes;
    librosa has its cache beside its sources.

    Returns
    -------
    Path
        The folder, which numba creates; it is removed when the process ends.
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


def _exit_text(code: int | None) -> str:
    """Describe how a process ended, from its exit code."""
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


def _path_of(job: object) -> Path | None:
    return job if isinstance(job, Path) else None


def _watched(work: Callable[[Job], Result], job: Job) -> _Watched[Result]:
    """Do a job in a process of its own, whose log is not read."""
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
