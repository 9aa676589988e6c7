"""Jobs on a Ray cluster: a pretended one for what is handed out and when, a real one of two machines for what dies."""

import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
import types
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from levada.errors import InputError, MissingExtra
from levada.experiments import cluster

REAL_S = 240.0
"""How long a real cluster may take on a machine with much else to do; six seconds are usual."""


class Died(Exception):
    pass


class Pretended:
    """Ray as far as `each` knows it: a task is done when somebody waits for it, the last one handed out first."""

    def __init__(self, *, cores=1.0, store=1e9, memory=4 * 2**30):
        self.resources = {"CPU": cores, "object_store_memory": store}
        self.machines = [
            {"Alive": True, "Resources": {"memory": memory}},
            {"Alive": False, "Resources": {"memory": 1e15}},
        ]
        self.running, self.most, self.cancelled, self.asked, self.dying = [], 0, [], [], []
        self.cloudpickle = pickle
        self.exceptions = types.SimpleNamespace(RayError=Died, RayTaskError=ZeroDivisionError)
        self.done = {}

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return self.resources

    def nodes(self):
        return self.machines

    def put(self, value):
        return value

    def remote(self, function):
        def options(**asked):
            self.asked.append(asked)
            return types.SimpleNamespace(remote=lambda *given: self.hand_out(function, given))

        return types.SimpleNamespace(options=options)

    def hand_out(self, function, given):
        reference = object()
        self.running.append((reference, function, given))
        self.most = max(self.most, len(self.running))
        return reference

    def wait(self, references, *, num_returns, timeout):
        assert references == [reference for reference, *_ in self.running]
        assert (num_returns, timeout > 0) == (1, True)
        reference, function, given = self.running.pop()
        self.done[reference] = Died("its machine is gone") if self.dying and self.dying.pop() else function(*given)
        return [reference], []

    def get(self, reference):
        result = self.done.pop(reference)
        if isinstance(result, Exception):
            raise result
        return result

    def cancel(self, reference, *, force):
        assert force
        self.cancelled.append(reference)


@pytest.fixture
def pretended(monkeypatch):
    def begin(*, poll_s=None, **has):
        ray = Pretended(**has)
        if poll_s is not None:
            monkeypatch.setattr(cluster, "POLL_S", poll_s)
        monkeypatch.setitem(sys.modules, "ray", ray)
        return ray

    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(cluster, "_works", {})
    return begin


def square(number):
    return number * number


def threads(_):
    return os.environ["OMP_NUM_THREADS"]


def size(content):
    return len(content)


class Unfit(Exception):
    """Pickles, and cannot be read again."""

    def __init__(self, what, *, why):
        super().__init__(f"{what}: {why}")


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def fails(number):
    if number == 0:
        raise ValueError("of its own")
    if number == 1:
        raise Unfit("this", why="that")
    if number == 2:
        raise MissingExtra("something", extra="much", purpose="do this")
    if number == 3:
        return Unreadable()
    return (part for part in "cannot be pickled")


class TestHandingOut:
    def test_every_job_comes_back_once(self, pretended):
        pretended(cores=3)
        done = list(cluster.parallel_map(square, range(100), address="auto"))
        assert sorted(done) == [(number, number * number) for number in range(100)]
        assert done != sorted(done)  # as they are done

    def test_no_jobs_are_no_results(self, pretended):
        pretended()
        assert list(cluster.parallel_map(square, [], address="auto")) == []

    def test_no_more_jobs_wait_than_two_a_core(self, pretended):
        ray, taken = pretended(cores=3), []

        def jobs():
            for number in range(1000):
                taken.append(number)
                yield number

        results = cluster.parallel_map(square, jobs(), address="auto")
        next(results)
        assert len(taken) == 6
        assert len(list(results)) == 999
        assert ray.most == 6

    def test_no_more_bytes_wait_than_half_of_the_stores_hold(self, pretended):
        ray = pretended(cores=50, store=10_000)
        done = list(cluster.parallel_map(size, range(20), address="auto", load=lambda _: b"x" * 2000))
        assert [result for _, result in done] == [2000] * 20
        assert ray.most == 3  # the third is handed out when two are on their way: 4 kB of 5

    def test_a_job_larger_than_all_stores_is_handed_out_alone(self, pretended):
        ray = pretended(cores=50, store=1000)
        assert len(list(cluster.parallel_map(size, range(3), address="auto", load=lambda _: b"x" * 5000))) == 3
        assert ray.most == 1

    def test_what_is_loaded_is_sent_and_the_job_comes_back(self, pretended, tmp_path):
        pretended(cores=4)
        paths = [tmp_path / name for name in ("a", "missing", "b")]
        paths[0].write_bytes(b"12")
        paths[2].write_bytes(b"123")
        done = dict(cluster.parallel_map(size, paths, address="auto", load=Path.read_bytes))
        assert (done[paths[0]], done[paths[2]]) == (2, 3)
        assert isinstance(done[paths[1]], FileNotFoundError)

    def test_a_task_has_a_core_its_retries_and_its_memory(self, pretended):
        ray = pretended()
        list(cluster.parallel_map(square, [1], address="auto", retries=5, memory_mb=512))
        assert ray.asked == [{"num_cpus": 1, "max_retries": 5, "memory": 512 * 2**20}]

    def test_a_task_has_one_thread(self, pretended):
        pretended()
        assert list(cluster.parallel_map(threads, [1], address="auto")) == [(1, "1")]

    def test_whoever_stops_cancels_what_is_running(self, pretended):
        ray = pretended(cores=3)
        results = cluster.parallel_map(square, range(100), address="auto")
        next(results)
        left = [reference for reference, *_ in ray.running]
        results.close()
        assert ray.cancelled == left
        assert len(left) == 5

    def test_a_cluster_that_grows_gets_more(self, pretended):
        ray = pretended(cores=1, poll_s=1e-9)
        results = cluster.parallel_map(square, range(100), address="auto")
        next(results)
        ray.resources["CPU"] = 4
        assert len(list(results)) == 99
        assert ray.most == 8

    def test_a_cluster_that_is_gone_is_waited_for(self, pretended, caplog):
        ray = pretended(cores=1, poll_s=1e-9)
        results = cluster.parallel_map(square, range(10), address="auto")
        next(results)
        del ray.resources["CPU"]
        with caplog.at_level(logging.WARNING):
            assert len(list(results)) == 9
        assert caplog.text.count("no machine is left") == 1


def warns(number):
    logging.getLogger("levada.io.audio_backends").warning("%s: damaged", f"{number}.wav")
    if number == 1:
        raise ValueError("of its own")


class TestWhatGoesWrong:
    def test_what_jobs_warn_of_is_logged_here(self, pretended, caplog):
        pretended(cores=2)
        list(cluster.parallel_map(warns, range(3), address="auto"))
        assert sorted(caplog.record_tuples) == [
            ("levada.io.audio_backends", logging.WARNING, f"{number}.wav: damaged") for number in range(3)
        ]

    def test_exceptions_are_results(self, pretended):
        pretended(cores=2)
        done = dict(cluster.parallel_map(fails, range(5), address="auto"))
        assert isinstance(done[0], ValueError)
        assert str(done[0]) == "of its own"
        assert 'raise ValueError("of its own")' in done[0].__notes__[0]
        assert isinstance(done[1], RuntimeError)
        assert str(done[1]) == "Unfit: this: that"
        assert isinstance(done[2], InputError)
        assert "levada[" + "much]" in str(done[2])
        assert isinstance(done[3], RuntimeError)
        assert "cannot be read here: ValueError" in str(done[3])
        assert isinstance(done[4], TypeError)

    def test_a_job_that_is_lost_is_its_own_failure(self, pretended):
        ray = pretended(cores=2)
        ray.dying = [False, True, False]
        done = list(cluster.parallel_map(square, range(8), address="auto", retries=2))
        lost = [(job, result) for job, result in done if isinstance(result, Exception)]
        assert len(done) == len(dict(done)) == 8
        assert len(lost) == 1
        assert isinstance(lost[0][1], BrokenExecutor)
        assert "lost 3 times" in str(lost[0][1])

    def test_a_job_that_cannot_be_sent_is_its_own_failure(self, pretended):
        pretended()
        done = list(cluster.parallel_map(square, [1, lambda: None, 2], address="auto"))
        assert sorted(result for _, result in done if not isinstance(result, Exception)) == [1, 4]
        assert len(done) == 3

    def test_another_levada_is_refused(self, pretended, monkeypatch):
        ray, codes = pretended(cores=2), iter("aaaa")
        monkeypatch.setattr(cluster, "package_digest", lambda: next(codes, "b"))
        with pytest.raises(InputError, match="another levada"):
            list(cluster.parallel_map(square, range(10), address="auto"))
        assert len(ray.cancelled) == 4

    def test_no_levada_is_refused(self, pretended, monkeypatch):
        ray = pretended()
        ray.exceptions.RayTaskError = Died
        ray.dying = [True]
        monkeypatch.setattr(Died, "__str__", lambda _: "The remote function failed to import on the worker.")
        with pytest.raises(InputError, match="no levada"):
            list(cluster.parallel_map(square, range(10), address="auto"))

    def test_a_cluster_without_cores(self, pretended):
        pretended(cores=0)
        with pytest.raises(InputError, match="no core"):
            list(cluster.parallel_map(square, [1], address="auto"))

    def test_a_job_larger_than_every_machine(self, pretended):
        pretended(memory=1000 * 2**20)
        with pytest.raises(InputError, match="needs 2000 MB, and no machine of the Ray cluster has more than 1000 MB"):
            list(cluster.parallel_map(square, [1], address="auto", memory_mb=2000))

    def test_a_connection_that_is_lost(self, pretended):
        def reset(*_, **__):
            raise ConnectionError("reset")

        pretended().wait = reset
        with pytest.raises(InputError, match=r"lost on the way \(reset\)"):
            list(cluster.parallel_map(square, [1], address="auto"))


@pytest.mark.slow
class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        ["", "here", "host:", "host:0", "host:70000", "http://host:6379", "ray://", "a b:6379", "host:port", "Auto"],
    )
    def test_what_is_none(self, address):
        with pytest.raises(InputError, match="is not the address of a Ray cluster"):
            cluster.check(address)

    def test_ray_is_missing(self, hide_module):
        hide_module("ray")
        for address in ("auto", "local", "127.0.0.1:6379"):
            with pytest.raises(MissingExtra, match=r"levada\[cluster\]"):
                list(cluster.parallel_map(square, [1], address=address))

    @pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "ray://[::1]:{}"])
    def test_nobody_listens(self, address):
        _need_ray()
        address = address.format(free_port())
        began = time.monotonic()
        with pytest.raises(InputError, match="no Ray cluster answers at") as refused:
            list(cluster.parallel_map(square, [1], address=address))
        assert address in str(refused.value)
        assert time.monotonic() - began < 120

    def test_somebody_else_listens(self, monkeypatch):
        _need_ray()
        assert cluster.ANSWER_S + cluster.CONNECT_S < 30
        monkeypatch.setattr(cluster, "CONNECT_S", 3.0)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            began = time.monotonic()
            with pytest.raises(InputError, match="nothing there is Ray"):
                cluster.check(f"127.0.0.1:{silent.getsockname()[1]}")
            assert time.monotonic() - began < 60

    def test_auto_where_nothing_runs(self, monkeypatch, tmp_path_factory):
        _need_ray()
        monkeypatch.delenv("RAY_ADDRESS", raising=False)
        monkeypatch.setattr(cluster, "CONNECT_S", 25.0)
        with one_at_a_time(tmp_path_factory):
            from ray._private.services import find_gcs_addresses

            if find_gcs_addresses():
                pytest.skip("a Ray cluster runs on this machine, and auto finds it")
            with pytest.raises(InputError, match="'ray start --head' starts one"):
                list(cluster.parallel_map(square, [1], address="auto"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def _need_ray() -> None:
    pytest.importorskip("ray", reason="Ray is not installed (levada[cluster])")


@contextmanager
def one_at_a_time(tmp_path_factory):
    """Keep the test processes of one run from starting clusters at the same time."""
    fcntl = pytest.importorskip("fcntl", reason="real clusters are tested where files can be locked")
    folder = tmp_path_factory.getbasetemp()
    with open((folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "ray.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


BEGIN = """
import json, logging, os, signal, sys, threading, time
from pathlib import Path

from levada.experiments import cluster

folder = Path(sys.argv[1])
cluster.CONNECT_S = 120.0  # a machine may have much else to do


def wait_for(what, of=lambda: True):
    for _ in range(2000):
        found = what()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"waited in vain for {what}")
"""

MACHINE_DIES = """
from ray.cluster_utils import Cluster


def work(given):
    number, content = given
    raylet = os.getppid()
    (folder / f"began-{number}-{raylet}").touch()
    wait_for((folder / "go").exists)
    if (folder / f"dies-{raylet}").exists():
        time.sleep(600)  # it lives until somebody notices
    return number * number, len(content), bytes(200_000)  # too large to travel with the answer


def kill_the_other():
    def both():
        found = {int(path.name.split("-")[2]) for path in folder.glob("began-*")}
        return found if len(found) == 2 else None

    (other,) = wait_for(both) - {head.all_processes["raylet"][0].process.pid}
    (folder / f"dies-{other}").touch()
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)  # as the machine's first process would: what is not reaped passes for alive
    (folder / "go").touch()


if __name__ == "__main__":
    two = Cluster(shutdown_at_exit=True)
    small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_log_monitor": False}
    head = two.add_node(**small, include_dashboard=False, no_monitor=True)
    two.add_node(**small)
    killer = threading.Thread(target=kill_the_other, daemon=True)
    killer.start()
    results = cluster.parallel_map(work, range(8), address=two.address, load=lambda job: (job, bytes(10**5 * job)))
    done = [[job, result[:2] if isinstance(result, tuple) else repr(result)] for job, result in results]
    killer.join()
    (folder / "done.json").write_text(json.dumps(done))
    two.shutdown()
"""

LOCAL = """
def work(job):
    if job == 0:
        raise ValueError("of its own")
    if job == 1:
        with open(folder / "tried", "a") as tried:
            tried.write("1")
        os._exit(1)
    sys.stdout.write("a job says something")
    logging.getLogger("levada.io.audio_backends").warning("%d.wav: damaged", job)
    return os.environ["OMP_NUM_THREADS"]


def rest(job):
    (folder / f"began-{os.getpid()}-{os.getppid()}").touch()
    time.sleep(600)


if __name__ == "__main__":
    done = [
        [job, result if isinstance(result, str) else type(result).__name__]
        for job, result in cluster.parallel_map(work, range(4), address="local", retries=1)
    ]
    (folder / "done.json").write_text(json.dumps(done))
    for _ in cluster.parallel_map(rest, range(50), address="local"):
        pass
"""


@contextmanager
def started(folder: Path, script: str):
    """A process with a group of its own, as a shell would start it; nothing of it is left at the end."""
    (folder / "script.py").write_text(BEGIN + script)
    environment = os.environ | {
        "RAY_raylet_start_wait_time_s": "120",
        "RAY_gcs_server_request_timeout_seconds": "120",
        "RAY_health_check_initial_delay_ms": "0",
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_timeout_ms": "5000",
        "RAY_AUTH_MODE": "disabled",
    }
    environment.pop("RAY_ADDRESS", None)
    with open(folder / "out", "w") as out, open(folder / "err", "w") as err:
        running = subprocess.Popen(
            [sys.executable, str(folder / "script.py"), str(folder)],
            stdout=out, stderr=err, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@pytest.mark.slow
class TestRealCluster:
    @pytest.fixture(autouse=True)
    def _here(self, tmp_path_factory):
        _need_ray()
        with one_at_a_time(tmp_path_factory):
            yield

    def test_a_machine_dies_and_nothing_is_lost_or_counted_twice(self, tmp_path):
        with started(tmp_path, MACHINE_DIES) as running:
            running.wait(REAL_S)
        assert running.returncode == 0, (tmp_path / "err").read_text()
        done = json.loads((tmp_path / "done.json").read_text())
        assert sorted(done) == [[job, [job * job, 100_000 * job]] for job in range(8)]
        began = [path.name.split("-")[1:] for path in tmp_path.glob("began-*")]
        (dead,) = [path.name.split("-")[1] for path in tmp_path.glob("dies-*")]
        lost = {job for job, raylet in began if raylet == dead}
        assert lost
        assert lost <= {job for job, raylet in began if raylet != dead}  # done again where there is life
        assert (tmp_path / "out").read_text() == ""

    def test_a_cluster_of_ones_own_and_ctrl_c(self, tmp_path):
        with started(tmp_path, LOCAL) as running:
            began, end = None, time.monotonic() + REAL_S
            while not began and time.monotonic() < end and running.poll() is None:
                began = next(tmp_path.glob("began-*"), None)
                time.sleep(0.1)
            assert began, (tmp_path / "err").read_text()
            os.killpg(running.pid, signal.SIGINT)
            assert running.wait(REAL_S) != 0
            worker, raylet = map(int, began.name.split("-")[1:])
            end = time.monotonic() + REAL_S
            while (alive(worker) or alive(raylet)) and time.monotonic() < end:
                time.sleep(0.1)
            assert (alive(worker), alive(raylet)) == (False, False)
        said = (tmp_path / "err").read_text()
        assert "KeyboardInterrupt" in said
        assert [said.count(f"{job}.wav: damaged") for job in range(4)] == [0, 0, 1, 1]
        done = json.loads((tmp_path / "done.json").read_text())
        assert sorted(done) == [[0, "ValueError"], [1, "BrokenExecutor"], [2, "1"], [3, "1"]]
        assert (tmp_path / "tried").read_text() == "11"
        assert (tmp_path / "out").read_text() == ""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" not in status.read_text()
