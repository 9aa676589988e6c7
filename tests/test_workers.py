import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from levada.workers import pool


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
from levada.workers import pool

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
