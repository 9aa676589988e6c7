"""Jobs on a Ray cluster: a task for each, with results in the order of completion, and retries of lost ones.

Every machine needs the same installation of levada; a machine with other code is refused, since its results could not
be distinguished from the others. Files are not shared: what a job needs is sent with it. Scheduling, retries and
transfers are Ray's.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

from levada.errors import InputError, MissingExtra, Warned, collected_warnings, log_again, to_picklable
from levada.io.package_digest import package_digest
from levada.io.workers import usable_cores

__all__ = ["check", "parallel_map"]

Job = TypeVar("Job")
Result = TypeVar("Result")

JOBS_PER_CORE = 2
"""Submitted jobs for every core: one that is executed, and one whose bytes are transferred meanwhile."""

ANSWER_S, CONNECT_S = 5.0, 20.0
"""How long a port, and then a cluster, may take to answer: together under the half minute that people wait."""

POLL_S = 5.0
"""Seconds between two queries of the size of the cluster."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or it warns of a change to come
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_task_oom_retries": "3",  # or a job too large for its machine is tried for ever
}

_CONNECT = """
import logging, sys, ray
try:
    ray.init(address=sys.argv[1], log_to_driver=False, logging_level=logging.CRITICAL)
except Exception as error:
    print(str(error))
    sys.exit(1)
"""

_log = logging.getLogger(__name__)


def check(address: str) -> None:
    """Make sure that a cluster answers.

    Parameters
    ----------
    address : str
        As for `each`.

    Raises
    ------
    InputError
        In less than half a minute, if it does not, or the address is invalid.
    MissingExtra
        If Ray is not installed.
    """
    at = _host_and_port(address)
    _ray()
    if address == "local":
        return
    if at is not None:
        try:
            socket.create_connection(at, timeout=ANSWER_S).close()
        except OSError as error:
            what = error.strerror or error
            raise InputError(f"no Ray cluster answers at {address}: {str(what).lower()}") from None
    # Ray may wait for minutes where there is no cluster, or end the process: so in another process.
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _CONNECT, address], capture_output=True, text=True, timeout=CONNECT_S, check=False
        )
    except subprocess.TimeoutExpired as late:
        _refuse(address, "timed out", late.stderr)
    if tried.returncode:
        _refuse(address, tried.stdout.strip() or "the connection was refused", tried.stderr)


def _refuse(address: str, reason: str, noise: str | bytes | None) -> None:
    noise = noise.decode(errors="replace") if isinstance(noise, bytes) else noise or ""
    if "Unauthenticated" in noise or "AuthToken" in noise + reason:
        reason = "it asks for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
    elif address == "auto":
        reason = "none runs here: 'ray start --head' starts one, and RAY_ADDRESS names one on another machine"
    elif "Failed to connect" in reason or "time" in reason:
        reason = (
            "nothing there is Ray, or lets us in: its ports are HOST:6379, or what 'ray start' says, and "
            "ray://HOST:10001 for clients; one that asks for a token needs RAY_AUTH_MODE=token"
        )
    raise InputError(f"no Ray cluster answers at {address}: {reason}") from None


def _host_and_port(address: str) -> tuple[str, int] | None:
    """Host and port of an address, where it has them."""
    if address in ("auto", "local"):
        return None
    match = re.fullmatch(r"(ray://)?(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+)(?::(\d{1,5}))?", address)
    port = None if match is None else int(match[3]) if match[3] else 10001 if match[1] else None
    if match is None or port is None or not 0 < port < 65536:
        raise InputError(
            f"{address!r} is not the address of a Ray cluster: use auto, local, HOST:PORT or ray://HOST:PORT"
        )
    return match[2].strip("[]"), port


def parallel_map(
    work: Callable[[Any], Result],
    jobs: Iterable[Job],
    *,
    address: str,
    load: Callable[[Job], Any] | None = None,
    retries: int = 3,
    memory_mb: float | None = None,
) -> Iterator[tuple[Job, Result | Exception]]:
    """Do every job, each on one core of a Ray cluster; each comes back once, as soon as it is done.

    Only as many are handed out as the cluster can soon begin, and no more bytes than half of its object stores hold, so
    that a hundred thousand recordings fit. What is running when the caller stops, or presses Ctrl-C, is cancelled.

    Parameters
    ----------
    work : callable
        What is done. It, jobs and results must be picklable.
    jobs : iterable
        Taken one by one, as there is capacity.
    address : str
        "auto" (the cluster of this machine or of RAY_ADDRESS), "HOST:PORT", "ray://HOST:PORT", or "local" for one that
        is started for the purpose and uses the cores of this machine. Where this process is connected already, that
        connection is used.
    load : callable, optional
        What `work` gets for a job, read here just before it is submitted: the bytes of a file, where the job is its
        path. By default the job itself.
    retries : int
        How often a job is tried again whose process or machine died. What `work` raises is never tried again.
    memory_mb : float, optional
        What a job needs; no more are begun on a machine than have capacity.

    Yields
    ------
    job, result
        What a job warned of is logged here, just before. An exception is a result: what `work` or `load` raised, or a
        `BrokenExecutor` for a job that was lost with its process once too often.

    Raises
    ------
    InputError
        If the cluster cannot be reached, has no core, too little memory for a job, or another levada.
    MissingExtra
        If Ray is not installed.
    """
    memory = None if memory_mb is None else round(memory_mb * 2**20)
    with _connected(address) as ray:
        yield from _execute(ray, work, jobs, load, retries, memory)


def _ray() -> Any:
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # else it holds messages back, and prints them when it shuts down
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)  # read when Ray is imported
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise MissingExtra("ray", extra="cluster", purpose="work on more than one machine") from None
    return ray


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    ray = _ray()
    stdout, sys.stdout = sys.stdout, _QuietStdout(sys.stdout)
    try:
        if ray.is_initialized():
            yield ray
            return
        check(address)
        options = {"num_cpus": usable_cores(), "include_dashboard": False} if address == "local" else {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
        except Exception as error:
            raise InputError(f"Ray cannot be started at {address}: {error}") from error
        try:
            yield ray
        finally:
            ray.shutdown()
            for thread in threading.enumerate():  # they may print once more
                if thread.name.startswith(_THREADS):
                    thread.join(timeout=10)
    finally:
        sys.stdout = stdout


_THREADS = "ray_"
"""How the names of Ray's threads begin."""


class _QuietStdout:
    """Standard output without the messages of Ray about lost workers, which `log_to_driver=False` does not stop."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if not threading.current_thread().name.startswith(_THREADS):
            return int(self._stream.write(text))
        if text.strip():
            _log.debug("Ray: %s", text.strip())
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Capacity(NamedTuple):
    jobs: int
    size: float  # bytes


def _capacity(ray: Any) -> _Capacity:
    has = ray.cluster_resources()
    return _Capacity(JOBS_PER_CORE * int(has.get("CPU", 0)), has.get("object_store_memory", 0) / 2)


def _need(ray: Any, memory: int | None) -> _Capacity:
    capacity = _capacity(ray)
    if not capacity.jobs:
        raise InputError("the Ray cluster has no core to work on: was it started with --num-cpus=0?")
    if memory is not None:
        most = max(node["Resources"].get("memory", 0) for node in ray.nodes() if node["Alive"])
        if most < memory:
            raise InputError(
                f"a job needs {memory / 2**20:.0f} MB, and no machine of the Ray cluster has more than "
                f"{most / 2**20:.0f} MB"
            )
    return capacity


def _execute(
    ray: Any,
    work: Callable[[Any], Result],
    jobs: Iterable[Job],
    load: Callable[[Job], Any] | None,
    retries: int,
    memory: int | None,
) -> Iterator[tuple[Job, Result | Exception]]:
    capacity, looked = _need(ray, memory), time.monotonic()
    packed = ray.cloudpickle.dumps(work)
    name, held = hashlib.sha256(packed).hexdigest(), ray.put(packed)
    task = ray.remote(_task).options(num_cpus=1, max_retries=retries, memory=memory)
    waiting, more = iter(jobs), True
    running = dict[Any, tuple[Job, int]]()  # with the bytes on their way
    try:
        while more or running:
            if more and _fits(running.values(), capacity):
                try:
                    job = next(waiting)
                except StopIteration:
                    more = False
                    continue
                try:
                    given = ray.cloudpickle.dumps(job if load is None else load(job))
                except Exception as error:
                    yield job, error
                else:
                    running[task.remote(held, name, given, package_digest())] = job, len(given)
                continue
            try:
                done, _ = ray.wait(list(running), num_returns=1, timeout=POLL_S)
                results = [_result(ray, reference, retries) for reference in done]
            except ConnectionError as error:
                problem = f"the Ray cluster was lost on the way ({error}): start it, and call this again"
                raise InputError(problem) from None
            for reference, result in zip(done, results, strict=True):
                job, _ = running.pop(reference)
                yield job, result
            if time.monotonic() - looked > POLL_S:
                before, capacity, looked = capacity, _capacity(ray), time.monotonic()
                if before.jobs and not capacity.jobs:
                    _log.warning("no machine is left in the Ray cluster: waiting for one")
    finally:
        for reference in running:
            with suppress(Exception):
                ray.cancel(reference, force=True)


def _fits(running: Collection[tuple[Any, int]], capacity: _Capacity) -> bool:
    """Whether another job may be handed out; one always may, however large."""
    return not running or (len(running) < capacity.jobs and sum(size for _, size in running) < capacity.size)


def _result(ray: Any, reference: Any, retries: int) -> Any:
    """What came of a job."""
    try:
        packed = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if "failed to import" in str(error):
            raise InputError("a machine of the Ray cluster has no levada: install the same on all of them") from None
        return RuntimeError(str(error).strip().splitlines()[-1])
    except ray.exceptions.RayError as error:
        why = str(error).strip().splitlines()[0]
        return BrokenExecutor(f"its process was lost {retries + 1} times, or there was too little memory: {why}")
    try:
        how, value, warned = ray.cloudpickle.loads(packed)
    except Exception as error:
        return RuntimeError(f"its result cannot be read here: {type(error).__name__}: {error}")
    log_again(warned)
    if how == "other":
        raise InputError(
            f"{value} has another levada than this run began with: install the same on all of them, and change nothing "
            "while it runs"
        )
    return value


def _task(work: bytes, name: str, job: bytes, code: str) -> bytes:
    """Do one job, on whatever machine this is."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch or a BLAS is first imported
    from ray import cloudpickle

    if package_digest() != code:
        return bytes(cloudpickle.dumps(("other", platform.node(), [])))
    warned = list[Warned]()
    try:
        if name not in _works:
            _works.clear()
            _works[name] = cloudpickle.loads(work)
        with collected_warnings() as warned:
            value = _works[name](cloudpickle.loads(job))
        return bytes(cloudpickle.dumps(("done", value, warned)))
    except Exception as error:
        error.add_note(f"on {platform.node()}:\n{''.join(traceback.format_exception(error))}")
        return bytes(cloudpickle.dumps(("failed", to_picklable(error), warned)))


_works: dict[str, Callable[[Any], Any]] = {}
"""What this process does job after job, unpacked once."""
