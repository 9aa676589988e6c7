import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

from levada.workers import each, pool


def square(number: int) -> int:
    return number * number


def threads() -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def interrupted() -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "still here"


def test_a_pool_works_on_one_core_each_and_ignores_ctrl_c():
    with pool(1) as lent:
        assert list(lent.map(square, range(5))) == [0, 1, 4, 9, 16]
        assert lent.submit(threads).result() == "1"
        assert lent.submit(interrupted).result() == "still here"


def test_what_nobody_has_begun_is_dropped():
    began = time.monotonic()
    with pool(1) as lent:
        waiting = [lent.submit(time.sleep, 0.5) for _ in range(40)]
    assert time.monotonic() - began < 10
    assert any(future.cancelled() for future in waiting)


PARENT = """
import os, time
from levada.workers import each, pool

if __name__ == "__main__":
    with pool(1) as lent:
        print(lent.submit(os.getpid).result(), flush=True)
        lent.submit(time.sleep, 600)
        time.sleep(600)
"""


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


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
        found = dict(each(refused_at_two, range(5), processes=processes))
        error = found.pop(2)
        assert isinstance(error, ValueError)
        assert str(error) == "two is too many"
        assert found == {0: 0, 1: 1, 3: 9, 4: 16}

    def test_a_process_that_dies_costs_no_other_job(self):
        pairs = list(each(killed_at_three, range(8), processes=2))
        assert sorted(job for job, _ in pairs) == list(range(8))
        found = dict(pairs)
        assert isinstance(found.pop(3), BrokenExecutor)
        assert found == {job: job * job for job in range(8) if job != 3}

    def test_nothing_to_do(self):
        assert list(each(square, [], processes=2)) == []

    def test_it_can_be_left_in_the_middle(self):
        assert next(iter(each(square, range(100), processes=2)))[1] in {0, 1}
