import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from levada.errors import InputError, MissingExtra
from levada.io.workers import WorkerDied, parallel_map, private_numba_cache, process_pool


def square(number: int) -> int:
    return number * number


def threads() -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def interrupted() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def test_a_pool_works_on_one_core_each_and_ignores_ctrl_c():
    with process_pool(1) as lent:
        assert list(lent.map(square, range(5))) == [0, 1, 4, 9, 16]
        assert lent.submit(threads).result() == "1"
        assert lent.submit(interrupted).result() == "still here"


@pytest.mark.slow
def test_what_nobody_has_begun_is_dropped():
    with process_pool(1) as lent:
        waiting = [lent.submit(time.sleep, 0.5) for _ in range(40)]
    assert sum(future.cancelled() for future in waiting) > 30


PARENT = """
import os, time
from levada.errors import InputError, MissingExtra
from levada.io.workers import WorkerDied, parallel_map, private_numba_cache, process_pool

if __name__ == "__main__":
    with process_pool(1) as lent:
        print(lent.submit(os.getpid).result(), flush=True)
        lent.submit(time.sleep, 600)
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes as Linux shows them")
def test_a_killed_parent_leaves_no_workers(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not alive(worker):
            break
        time.sleep(0.1)
    assert not alive(worker)


def killed_at_three(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def refused_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("two is too many")
    return number * number


class TestEach:
    @pytest.mark.parametrize("processes", [1, 2])
    def test_every_job_comes_back_once_and_an_exception_is_a_result(self, processes):
        found = dict(parallel_map(refused_at_two, range(5), processes=processes))
        error = found.pop(2)
        assert isinstance(error, ValueError)
        assert str(error) == "two is too many"
        assert found == {0: 0, 1: 1, 3: 9, 4: 16}

    def test_a_process_that_dies_costs_no_other_job(self):
        pairs = list(parallel_map(killed_at_three, range(8), processes=2))
        assert sorted(job for job, _ in pairs) == list(range(8))
        found = dict(pairs)
        assert isinstance(found.pop(3), WorkerDied)
        assert found == {job: job * job for job in range(8) if job != 3}

    def test_nothing_to_do(self):
        assert list(parallel_map(square, [], processes=2)) == []

    def test_it_can_be_left_in_the_middle(self):
        assert next(iter(parallel_map(square, range(100), processes=2)))[1] in {0, 1}


def warns(number: int) -> int:
    log = logging.getLogger("levada.io.audio_backends")
    log.info("nobody wants to know")
    log.warning("%s: damaged", f"{number}.wav")
    log.warning("%s: damaged", f"{number}.wav")
    if number == 1:
        raise InputError("cannot be read")
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_what_jobs_warn_of_is_logged_here_once(processes, caplog, capfd):
    results = parallel_map(warns, range(3), processes=processes)
    for job, _ in results:
        assert f"{job}.wav: damaged" in caplog.messages  # before its result, not after all of them
    assert set(caplog.record_tuples) == {
        ("levada.io.audio_backends", logging.WARNING, f"{number}.wav: damaged") for number in range(3)
    }
    assert processes == 1 or len(caplog.records) == 3
    assert capfd.readouterr().err == ""


class KeywordOnly(Exception):
    """As many libraries write them: it cannot be unpickled."""

    def __init__(self, *, value: int) -> None:
        super().__init__(f"{value} is wrong")


def fails(kind: str) -> None:
    if kind == "extra":
        raise MissingExtra("ray", extra="cluster", purpose="use more machines")
    if kind == "input":
        raise InputError("is no number", path="a.beats", line=7)
    raise KeywordOnly(value=3)


class TestErrors:
    def test_cross_a_process_whatever_their_arguments(self):
        found = dict(parallel_map(fails, ["extra", "input", "other"], processes=2))
        assert type(found["extra"]) is MissingExtra
        assert str(found["extra"]) == "ray is needed to use more machines: pip install 'levada[cluster]'"
        assert (found["input"].path, found["input"].line) == ("a.beats", 7)
        assert str(found["other"]) == "KeywordOnly: 3 is wrong"

    def test_of_a_pool_too(self):
        with process_pool(1) as lent:
            with pytest.raises(RuntimeError, match="3 is wrong"):
                lent.submit(fails, "other").result()
            assert list(lent.map(square, [2])) == [4]


def ends(how: int) -> int:
    if how < 0:
        os.kill(os.getpid(), -how)
    elif how:
        os._exit(how)
    return how


@pytest.mark.slow
class TestDeath:
    @pytest.mark.parametrize(
        ("how", "named"),
        [(-signal.SIGSEGV, "SIGSEGV"), (-signal.SIGABRT, "SIGABRT"), (-signal.SIGTERM, "SIGTERM"), (7, "exit code 7")],
    )
    def test_is_named(self, how, named):
        ((_, why),) = parallel_map(ends, [how], processes=1, isolate=True)
        assert isinstance(why, WorkerDied)
        assert named in str(why)
        assert "memory" not in str(why)

    def test_only_a_kill_may_be_for_lack_of_memory(self):
        found = dict(parallel_map(ends, [0, -signal.SIGKILL], processes=2))
        assert found[0] == 0
        assert "SIGKILL" in str(found[-signal.SIGKILL])
        assert "memory" in str(found[-signal.SIGKILL])

    def test_of_a_pool_is_named_where_it_leaves_the_block(self):
        with pytest.raises(WorkerDied, match="SIGSEGV"), process_pool(2) as lent:
            list(lent.map(ends, [0, 0, -signal.SIGSEGV, 0]))

    def test_one_job_apart_is_not_done_here(self):
        ((_, where),) = parallel_map(pid_of, [0], processes=1, isolate=True)
        assert where != os.getpid()


def never_done_for_one(number: int) -> int:
    if number == 1:
        time.sleep(600)
    return number * number


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_takes_too_long_is_ended_and_the_others_go_on(processes):
    found = dict(parallel_map(never_done_for_one, range(5), processes=processes, timeout_s=6.0))
    late = found.pop(1)
    assert isinstance(late, InputError)
    assert "6 s" in str(late)
    assert found == {0: 0, 2: 4, 3: 9, 4: 16}


def pid_of(_: int) -> int:
    return os.getpid()


def cache_of(_: int) -> tuple[str, str]:
    return str(private_numba_cache()), os.environ["NUMBA_CACHE_DIR"]


def test_every_process_has_a_cache_of_numba_of_its_own():
    with process_pool(1) as one, process_pool(1) as other:
        first, second = one.submit(cache_of, 0).result(), other.submit(cache_of, 0).result()
    assert first[0] == first[1] != second[0] == second[1]
    assert str(private_numba_cache()) not in (first[0], second[0])


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, GeneratorExit])
def test_whoever_stops_waiting_ends_the_processes(error):
    began = time.monotonic()
    pids = []

    def stop(lent):
        pids.append(lent.submit(os.getpid).result())
        lent.submit(time.sleep, 600)
        raise error

    with pytest.raises(error), process_pool(1) as lent:
        stop(lent)
    assert time.monotonic() - began < 300
    assert not alive(pids[0])


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from levada.io.workers import parallel_map\nlist(parallel_map(len, ['a', 'bc'], processes=2))\n")
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True, timeout=600)
    assert 'if __name__ == "__main__":' in done.stderr
