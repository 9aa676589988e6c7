"""Work in the background: one thread, the most urgent job first, each with progress and a way to cancel it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from itertools import count
from queue import PriorityQueue
from typing import Any

from levada.errors import InputError

__all__ = ["Cancelled", "Jobs"]

_log = logging.getLogger(__name__)

Progress = Callable[..., None]


class Cancelled(Exception):
    """Raised in a job that was cancelled, by its progress."""


class Jobs:
    """A queue of jobs and the thread that does them.

    A job is a function of a `progress` that takes steps done and steps in all, and raises `Cancelled` where the job is
    to stop.
    """

    def __init__(self) -> None:
        self._queue: PriorityQueue[tuple[int, int, str, Callable[[Progress], object]]] = PriorityQueue()
        self._numbers, self._cancelled = count(1), set[int]()
        self._running: dict[str, Any] = {}
        self._errors: list[dict[str, Any]] = []
        self._idle = threading.Condition()
        self._waiting, self._stopped = 0, False
        self._thread = threading.Thread(target=self._work, name="studio-jobs", daemon=True)
        self._thread.start()

    def add(self, name: str, work: Callable[[Progress], object], *, urgent: bool = False) -> int:
        """Queue a job; urgent ones go before the others.

        Returns
        -------
        int
            Its number.
        """
        number = next(self._numbers)
        with self._idle:
            self._waiting += 1
        self._queue.put((0 if urgent else 1, number, name, work))
        return number

    def cancel(self, number: int) -> None:
        """Cancel a job, whether it runs or waits."""
        self._cancelled.add(number)

    def status(self) -> dict[str, Any]:
        """Return the running job, how many wait, and the last errors, as JSON values."""
        return {"running": dict(self._running), "waiting": self._waiting, "errors": self._errors[-5:]}

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until all jobs are done; returns whether they are."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting, timeout_s)

    def stop(self) -> None:
        """Cancel everything, and wait for the running job to notice."""
        self._stopped = True
        self._queue.put((-1, 0, "", lambda _: None))
        self._thread.join(timeout=5)

    def _work(self) -> None:
        while not self._stopped:
            _, number, name, work = self._queue.get()
            if not number:
                return

            def progress(done: float, total: float, *_: object, number: int = number) -> None:
                if self._stopped or number in self._cancelled:
                    raise Cancelled
                self._running.update(done=float(done), total=float(total))

            self._running = {"number": number, "name": name, "done": 0.0, "total": 0.0}
            try:
                progress(0, 0)
                work(progress)
            except Cancelled:
                pass
            except InputError as error:
                self._errors.append({"job": number, "name": name, "error": str(error)})
            except Exception as error:
                _log.exception("the job %s failed", name)
                self._errors.append({"job": number, "name": name, "error": f"{type(error).__name__}: {error}"})
            finally:
                self._running = {}
                with self._idle:
                    self._waiting -= 1
                    self._idle.notify_all()
