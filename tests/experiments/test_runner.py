"""Studies from spec to last run: killed and resumed, stopped, crowded, full, no run lost or done twice."""

import errno
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking.evaluation import Row
from levada.beat_tracking.metrics import SCORES
from levada.errors import InputError
from levada.experiments import grid
from levada.experiments.report.caveats import study_notes
from levada.experiments.run import failure
from levada.experiments.runner import plan_study, run_study
from levada.experiments.spec import read_spec
from levada.experiments.store import read_runs
from levada.io import audio, workers
from levada.io.beats import Beats
from levada.io.files import lock_folder
from levada.io.formats import write_beats

STRATEGIES = 'strategies = ["pretrained", "decoder"]\nminutes = [0.1, 0.2]\nexternal = ["flux"]\nseeds = 3\n'


def played(job):
    """The files of a run, without its work."""
    record = json.loads(failure(job, ValueError())["run.json"])
    record |= {"error": "", "costs": {"wall_s": 0.5, "cpu_s": 0.5}}
    rows = [Row(name, name, "mine", scores=dict.fromkeys(SCORES, 0.5)).flat() for name in "ab"]
    table = [",".join(rows[0]), *(",".join(str(cell) for cell in row.values()) for row in rows), ""]
    return {"run.json": json.dumps(record).encode(), "scores.csv": "\n".join(table).encode()}


def dies(job):
    """One run kills its process whenever it is tried; the others play."""
    if job.plan.base == "flux" and job.plan.seed == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return played(job)


def playing(_, jobs):
    yield from ((job, played(job)) for job in jobs)


@pytest.fixture
def spec(tmp_path):
    """Three recordings of clicks, and a grid of 12 runs on them."""
    beats = Beats(np.arange(0.5, 15.8, 0.5), np.arange(31) % 4 + 1)
    for longer_s, name in enumerate("abc"):
        folder = tmp_path / "clicks"
        folder.mkdir(exist_ok=True)
        sound = audio.clicks(beats, rate=8000, duration_s=16 + longer_s)
        audio.write(folder / f"{name}.wav", sound[None], rate=8000)
        write_beats(folder / f"{name}.beats", beats)
    path = tmp_path / "mine.toml"
    path.write_text(STRATEGIES + '[corpora]\nclicks = "clicks"\n')
    return path


def stamps(out):
    return {path.parent.name: path.stat().st_mtime_ns for path in (out / "runs").glob("[!.]*/run.json")}


class TestResume:
    def test_what_is_done_is_kept(self, spec, tmp_path):
        out = tmp_path / "out"
        first = run_study(spec, out=out, executor=playing)
        assert (first.done, first.kept, first.failed) == (12, 0, {})
        before = stamps(out)
        second = run_study(spec, out=out, executor=lambda *_: pytest.fail("there is nothing to do"))
        assert (second.done, second.kept) == (0, 12)
        assert stamps(out) == before

    def test_a_larger_grid_does_what_is_new(self, spec, tmp_path):
        out = tmp_path / "out"
        run_study(spec, out=out, executor=playing)
        spec.write_text(spec.read_text().replace("seeds = 3", "seeds = 4"))
        again = run_study(spec, out=out, executor=playing)
        assert (again.done, again.kept) == (4, 12)
        spec.write_text(spec.read_text().replace("seeds = 4", "seeds = 1"))
        assert run_study(spec, out=out, executor=playing).kept == 4
        assert len(read_runs(out)) == 4
        assert len(read_runs(out, stale=True)) == 16

    def test_finished_runs_that_the_spec_no_longer_has_are_said(self, spec, tmp_path):
        out, said = tmp_path / "out", []
        run_study(spec, out=out, executor=playing, log=said.append)
        assert not any("left out of reports" in sentence for sentence in said)
        spec.write_text(spec.read_text().replace(', "decoder"]', "]"))
        summary = run_study(spec, out=out, executor=playing, log=said.append)
        (told,) = [sentence for sentence in said if "left out of reports" in sentence]
        assert told.startswith("6 finished runs are")
        assert "6 of decoder from base, clicks" in told
        assert told in summary.notes
        assert told in json.loads((out / "studies" / "mine.json").read_text())["notes"]
        assert told.rstrip(".") + "." in study_notes(read_runs(out))
        spec.write_text(spec.read_text().replace('"pretrained"]', '"pretrained", "decoder"]'))
        assert not any("left out of reports" in note for note in run_study(spec, out=out, executor=playing).notes)

    def test_runs_of_another_version_are_told_apart(self, spec, tmp_path, monkeypatch):
        out = tmp_path / "out"
        with monkeypatch.context() as patched:
            patched.setattr(grid, "code_digest", lambda: "older")
            run_study(spec, out=out, executor=playing)
        (told,) = [note for note in run_study(spec, out=out, executor=playing).notes if "left out of reports" in note]
        assert "12 of another version of levada" in told

    def test_another_study_shares_what_they_have_in_common(self, spec, tmp_path):
        out = tmp_path / "out"
        run_study(spec, out=out, executor=playing)
        other = spec.with_name("other.toml")
        other.write_text(spec.read_text().replace('"pretrained", ', "").replace('["flux"]', '["flux", "librosa"]'))
        assert run_study(other, out=out, executor=playing).kept == 9
        assert len(read_runs(out)) == 15

    def test_force_does_all_again(self, spec, tmp_path):
        out = tmp_path / "out"
        run_study(spec, out=out, executor=playing)
        before = stamps(out)
        assert run_study(spec, out=out, executor=playing, force=True).done == 12
        assert all(stamps(out)[name] > since for name, since in before.items())

    def test_weights_that_were_not_kept_are_made(self, spec, tmp_path):
        out = tmp_path / "out"
        run_study(spec, out=out, executor=playing)
        spec.write_text("keep_weights = true\n" + spec.read_text())
        assert run_study(spec, out=out, executor=playing).done == 6  # models as they are have none

    def test_what_is_damaged_is_done_again(self, spec, tmp_path, caplog):
        out = tmp_path / "out"
        run_study(spec, out=out, executor=playing)
        victim = next((out / "runs").iterdir())
        (victim / "scores.csv").write_text("nothing")
        with caplog.at_level(logging.WARNING):
            assert run_study(spec, out=out, executor=playing).done == 1
        assert victim.name in caplog.text
        assert victim.with_name(f"{victim.name}.damaged-1").is_dir()
        assert len(read_runs(out)) == 12

    @pytest.mark.slow
    def test_killed_in_the_middle(self, spec, tmp_path, monkeypatch):
        """The real thing: real runs in another process, and kill -9."""
        out, log = tmp_path / "out", tmp_path / "log"
        code = (
            "import sys\nfrom levada.experiments import grid, run_study\n"
            "grid.code_digest = lambda: 'the same'\nrun_study(sys.argv[1], out=sys.argv[2])\n"
        )
        monkeypatch.setattr(grid, "code_digest", lambda: "the same")  # whoever edits the sources meanwhile
        with log.open("w") as said:
            child = subprocess.Popen([sys.executable, "-c", code, str(spec), str(out)], stderr=said)
            deadline = time.monotonic() + 900
            while len(stamps(out)) < 3 and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert child.returncode == -signal.SIGKILL, log.read_text()
        done = read_runs(out)
        before = stamps(out)
        assert 3 <= len(done) < 12
        (out / "runs" / ".levada-1234").mkdir()  # what a kill in the middle of writing leaves
        summary = run_study(spec, out=out)
        assert (summary.done, summary.kept, summary.failed) == (12 - len(done), len(done), {})
        after = stamps(out)
        assert {name: after[name] for name in before} == before
        assert len(after) == len(read_runs(out)) == 12
        same = run_study(spec, out=tmp_path / "whole", executor=playing)
        assert same.done == 12
        assert stamps(tmp_path / "whole").keys() == after.keys()


class TestFailures:
    def test_a_run_that_fails_is_told_and_tried_again(self, spec, tmp_path, caplog):
        def each(_, jobs):
            for job in jobs:
                failing = job.plan.strategy == "decoder" and job.plan.seed == 0
                yield job, InputError("it would not learn") if failing else played(job)

        out = tmp_path / "out"
        with caplog.at_level(logging.WARNING):
            summary = run_study(spec, out=out, executor=each)
        told = {f"clicks, decoder from base, {minutes} min, seed 0": "it would not learn" for minutes in (0.1, 0.2)}
        assert (summary.done, summary.failed) == (10, told)
        assert caplog.text.count("it would not learn") == 2
        assert sum(bool(run.error) for run in read_runs(out)) == 2
        again = run_study(spec, out=out, executor=playing)
        assert (again.done, again.kept, again.failed) == (2, 10, {})
        assert not any(run.error for run in read_runs(out))

    @pytest.mark.slow
    def test_a_process_that_dies_costs_its_run_alone(self, spec, tmp_path):
        def each(_, jobs):
            return workers.parallel_map(dies, jobs, processes=2)

        summary = run_study(spec, out=tmp_path / "out", executor=each)
        assert summary.done == 11
        (why,) = summary.failed.values()
        assert list(summary.failed) == ["clicks, flux, seed 1"]
        assert why == "its process was ended by SIGSEGV"

    def test_a_pool_that_breaks(self, spec, tmp_path):
        def each(_, jobs):
            yield from ((job, BrokenExecutor("gone")) for job in jobs)

        assert len(run_study(spec, out=tmp_path / "out", executor=each).failed) == 12

    def test_a_full_disk_ends_it_with_a_sentence(self, spec, tmp_path, monkeypatch):
        out, write = tmp_path / "out", Path.write_bytes

        def full(path, content):
            if path.name == "scores.csv" and len(stamps(out)) == 4:
                write(path, content[:7])
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return write(path, content)

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="the disk is full"):
            run_study(spec, out=out, executor=playing)
        monkeypatch.undo()
        assert len(read_runs(out)) == 4
        assert not [path for path in (out / "runs").iterdir() if path.name.startswith(".")]
        assert run_study(spec, out=out, executor=playing).kept == 4

    def test_ctrl_c_leaves_what_is_done(self, spec, tmp_path):
        def each(_, jobs):
            for number, job in enumerate(jobs):
                if number == 5:
                    os.kill(os.getpid(), signal.SIGINT)
                yield job, played(job)

        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as stop:
            run_study(spec, out=tmp_path / "out", executor=each)
        assert stop.value.report == {"done": 5, "kept": 0, "failed": {}}
        assert signal.getsignal(signal.SIGINT) is before
        assert len(read_runs(tmp_path / "out")) == 5
        assert run_study(spec, out=tmp_path / "out", executor=playing).kept == 5

    def test_ctrl_c_does_not_wait_for_what_is_being_done(self, spec, tmp_path):
        def each(_, jobs):
            lent = workers.parallel_map(time.sleep, [600.0, 600.0], processes=2)
            started = time.monotonic()
            while len(multiprocessing.active_children()) < 2 and time.monotonic() - started < 240:
                import threading

                threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
                yield from ((jobs[0], result) for _, result in lent)

        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run_study(spec, out=tmp_path / "out", executor=each)
        assert time.monotonic() - began < 300
        assert not multiprocessing.active_children()

    def test_two_studies_at_once(self, spec, tmp_path):
        (tmp_path / "out").mkdir()
        with lock_folder(tmp_path / "out"), pytest.raises(InputError, match=r"another process .*process"):
            run_study(spec, out=tmp_path / "out", executor=playing)

    def test_nothing_is_made_for_a_spec_that_is_wrong(self, spec, tmp_path):
        spec.write_text("stratgies = 3\n")
        with pytest.raises(InputError, match="stratgies"):
            run_study(spec, out=tmp_path / "out", executor=playing)
        assert not (tmp_path / "out").exists()


class TestTold:
    def test_progress_has_a_time_left(self, spec, tmp_path):
        seen, runs, out = [], [], tmp_path / "out"

        def told(run, _job):
            runs.append(run)

        run_study(spec, out=out, executor=playing, max_workers=2, progress=lambda *said: seen.append(said), on_run=told)
        assert [done for done, _, _ in seen] == list(range(13))
        assert {total for _, total, _ in seen} == {12}
        assert seen[0][2] > 0
        assert [left for _, _, left in seen[1:]] == pytest.approx(
            [*(0.5 * left / 2 for left in range(11, 1, -1)), 0.5, 0]
        )
        assert {run.id for run in runs} == set(stamps(tmp_path / "out"))

    def test_what_is_left_out_is_said_and_kept(self, spec, tmp_path):
        spec.write_text(spec.read_text().replace("0.2]", "20]"))
        said = []
        summary = run_study(spec, out=tmp_path / "out", executor=playing, log=said.append)
        assert summary.left_out[0].startswith("clicks, 20 minutes")
        assert any("left out: clicks, 20 minutes" in sentence for sentence in said)
        kept = json.loads((tmp_path / "out" / "studies" / "mine.json").read_text())
        assert kept["left_out"] == list(summary.left_out)
        assert kept["spec"] == spec.read_text()
        assert len(kept["runs"]) == 9


class TestAhead:
    def test_nothing_is_done_or_written(self, spec, tmp_path):
        look = plan_study(read_spec(spec), out=tmp_path / "out")
        assert len(look.runs) == 12
        assert all(seconds > 0 for _, seconds in look.runs)
        assert look.done == frozenset()
        assert not (tmp_path / "out").exists()

    def test_what_is_done_and_what_was_learnt_from_it(self, spec, tmp_path):
        run_study(spec, out=tmp_path / "out", executor=playing)
        spec.write_text(spec.read_text().replace("seeds = 3", "seeds = 4"))
        look = plan_study(read_spec(spec), out=tmp_path / "out")
        assert (len(look.runs), len(look.done)) == (16, 12)
        assert {seconds for _, seconds in look.runs} == {0.5}

    def test_corpora_to_be_rendered(self, tmp_path):
        spec = tmp_path / "mine.toml"
        spec.write_text(STRATEGIES + '[corpora]\nmade = { render = "candombe", recordings = 4, seconds = 20 }\n')
        look = plan_study(read_spec(spec), out=tmp_path / "out")
        assert len(look.runs) == 12
        assert look.grid.left_out == ()
        assert not (tmp_path / "out").exists()


class TestRendering:
    def test_once(self, tmp_path):
        spec = tmp_path / "mine.toml"
        spec.write_text(
            'external = ["flux"]\n[corpora]\nmade = { render = "candombe", recordings = 2, seconds = 5, seed = 3 }\n'
        )
        said, out = [], tmp_path / "out"
        run_study(spec, out=out, executor=playing, log=said.append)
        assert said == ["rendering 2 recordings of candombe"]
        (folder,) = (out / "corpora").iterdir()
        assert len(list(folder.glob("*.wav"))) == len(list(folder.glob("*.beats"))) == 2
        (folder / "candombe-002.wav").unlink()  # as a kill in the middle leaves it
        run_study(spec, out=out, executor=playing, log=said.append)
        assert len(list(folder.glob("*.wav"))) == 2
        said.clear()
        assert run_study(spec, out=out, executor=playing, log=said.append).kept == 1
        assert said == []
        spec.write_text(spec.read_text().replace("seed = 3", "seed = 4"))
        assert run_study(spec, out=out, executor=playing).done == 1
        assert len(list((out / "corpora").iterdir())) == 2


def test_one_after_the_other_is_the_default(spec, tmp_path):
    spec.write_text('external = ["flux"]\n[corpora]\nclicks = "clicks"\n')
    assert run_study(spec, out=tmp_path / "out").done == 1
    assert run_study(spec, out=tmp_path / "more", executor=partial(workers.parallel_map, processes=1)).done == 1
