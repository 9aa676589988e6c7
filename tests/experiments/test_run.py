"""One run: what it learns from, what it scores, what it costs, and what happens when a tracker fails."""

import json

import numpy as np
import pytest

from levada.beat_tracking import task
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.pretrained import EXTERNAL, load_tracker
from levada.data import load_corpus
from levada.errors import InputError
from levada.experiments import runner
from levada.experiments.corpora import OpenCorpus, data_digest
from levada.experiments.grid import make_grid
from levada.experiments.run import Job, failure, peak_mb, reset_peak, run
from levada.experiments.spec import Source, Study
from levada.experiments.store import read_run, write_run
from levada.io.beats import Beats


@pytest.fixture
def plans(rendered, tiny_model):
    """From strategies to the jobs of a study of three short recordings."""

    def made(*strategies, **said):
        source = Source("small", path=str(rendered))
        settings = {"steps": 3, "batch": 1, "excerpt_s": 2.0}
        study = Study("mine", (source,), strategies, (0.1,), (str(tiny_model),), settings=settings, **said)
        corpus = load_corpus(rendered, labels="beats")
        grid = make_grid(study, [OpenCorpus(source, corpus, data_digest(corpus))])
        return [Job(plan, source, "mine", study.keep_weights, grid.models.get(plan.base, "")) for plan in grid.plans]

    return made


def about(files):
    return json.loads(files["run.json"])


@pytest.mark.slow
class TestRun:
    def test_a_model_is_scored_on_other_corpora_too(self, rendered, tiny_model, tmp_path):
        corpus = load_corpus(rendered, labels="beats")
        sources = [Source("small", path=str(rendered)), Source("other", path=str(rendered), adapt=False)]
        opened = [OpenCorpus(source, corpus, data_digest(corpus)) for source in sources]
        study = Study(
            "mine", tuple(sources), ("pretrained", "decoder"), bases=(str(tiny_model),), also=("small", "other"),
            files=(1,),
        )  # fmt: skip
        grid = make_grid(study, opened)
        (plan,) = [plan for plan in grid.plans if plan.strategy == "decoder"]
        job = Job(plan, sources[0], "mine", model=grid.models[plan.base], also=(sources[1],))
        written = write_run(tmp_path, run(job))
        assert {row["track"] for row in written.also["other"]} == set("abc")
        assert {row["track"] for row in written.scores} == set(written.record["test"])
        assert written.budget.text == "1 file"
        (name,) = {name for name, _, _ in written.record["labels"]}
        (trained,) = [row for row in written.also["other"] if row["track"] == name]
        assert trained["trained_on"] == "True"
        assert written.record["labels_minutes"] > 0
        (written.folder / "also" / "other.csv").unlink()
        with pytest.raises(InputError, match="damaged"):
            read_run(written.folder)

    def test_a_strategy_learns_on_one_side_and_is_scored_on_the_other(self, plans, tmp_path):
        (job,) = plans("finetune+augment", keep_weights=True, test=0.4)
        files = run(job)
        told = about(files)
        written = write_run(tmp_path, files)
        taught = {name for name, _, _ in told["labels"]}
        assert taught
        assert not taught & set(told["test"])
        assert taught | set(told["test"]) <= set("abc")
        assert 0 < told["labels_minutes"] <= 0.1
        assert told["labels_minutes"] == pytest.approx(
            sum(end - start for _, start, end in told["labels"]) / 60, abs=1e-3
        )
        assert {row["track"] for row in written.scores} == set(told["test"])
        assert all(0 <= row["beat_f"] <= 1 and row["trained_on"] == "False" for row in written.scores)
        assert files["log.csv"].decode().startswith("step,")
        assert files["log.csv"].count(b"\n") == 4
        assert load_tracker(written.folder / "weights").card.minutes == pytest.approx(told["labels_minutes"])
        assert told["config"] == job.plan.config()
        assert told["model"]["card"]["minutes"] == pytest.approx(told["labels_minutes"])
        assert isinstance(told["model"]["fell_back"], bool)

    def test_the_same_run_again_gives_the_same_scores(self, plans):
        (job,) = plans("finetune")
        first, second = run(job)["scores.csv"], run(job)["scores.csv"]

        def without_times(table):
            rows = [line.split(",") for line in table.decode().splitlines()]
            at = rows[0].index("cpu_s")
            return [row[:at] + row[at + 1 :] for row in rows]

        assert without_times(first) == without_times(second)

    def test_a_model_as_it_is(self, plans):
        base, flux = plans("pretrained", external=("flux",))
        for job in (base, flux):
            files = run(job)
            told = about(files)
            assert set(files) == {"run.json", "scores.csv", "beats.json"}
            assert set(json.loads(files["beats.json"])) == set(told["test"])
            assert told["source"]["path"] == job.source.path
            assert (told["labels"], told["labels_minutes"], told["model"]["card"]) == ([], 0, None)
            assert told["costs"]["adapt_cpu_s"] == 0
            assert told["config"]["minutes"] == 0

    def test_costs(self, plans):
        (job,) = plans("finetune")
        costs = about(run(job))["costs"]
        assert set(costs) == {"wall_s", "cpu_s", "adapt_s", "adapt_cpu_s", "score_cpu_s", "peak_mb"}
        assert costs["cpu_s"] == pytest.approx(costs["adapt_cpu_s"] + costs["score_cpu_s"], abs=0.01)
        assert 0 < costs["adapt_s"] < costs["wall_s"]
        assert costs["peak_mb"] > 50

    def test_memory_is_that_of_this_run(self):
        held = np.ones(40_000_000)  # 320 MB
        reset_peak()
        assert peak_mb() > 320
        del held
        reset_peak()
        before = peak_mb()
        held = np.ones(20_000_000)
        assert 150 < peak_mb() - before < 200
        del held
        assert 150 < peak_mb() - before < 200

    def test_one_thread_and_as_many_as_before_afterwards(self, plans, monkeypatch):
        import torch

        seen = []
        monkeypatch.setattr(task, "score", lambda *_, **__: seen.append(torch.get_num_threads()) or pytest.fail("done"))
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            (job,) = plans("pretrained")
            with pytest.raises(pytest.fail.Exception):
                run(job)
            assert seen == [1]
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)

    def test_environment(self, plans):
        (job,) = plans("decoder")
        environment = about(run(job))["environment"]
        assert {"python", "torch", "levada", "platform", "threads", "cores"} <= set(environment)


class TestFailures:
    @pytest.fixture
    def external(self, monkeypatch):
        """Let the external tracker fail on some recordings, by their number."""

        def let(fails_on):
            numbers = iter(range(100))

            def find(_samples, _rate):
                if next(numbers) in fails_on:
                    raise ZeroDivisionError("alas")
                return Beats(np.arange(0.5, 12, 0.5))

            monkeypatch.setitem(EXTERNAL, "librosa", lambda: ExternalTracker("librosa", find, identity="mine"))

        return let

    def test_a_tracker_that_crashes_on_one_recording_is_scored_on_the_rest(self, plans, external, tmp_path):
        external({0})
        job = plans("pretrained", external=("librosa",), test=0.6)[-1]
        failed, scored = write_run(tmp_path, run(job)).scores
        assert failed["error"] == "ZeroDivisionError: alas"
        assert np.isnan(failed["beat_f"])
        assert scored["error"] == ""
        assert scored["beat_f"] >= 0

    def test_one_that_crashes_on_all_of_them_has_no_scores(self, plans, external):
        external({0, 1})
        job = plans("pretrained", external=("librosa",), test=0.6)[-1]
        with pytest.raises(InputError, match="none of 2 recordings could be scored"):
            run(job)

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (InputError("not enough"), "not enough"),
            (ZeroDivisionError("alas"), "ZeroDivisionError: alas"),
            (KeyError(), "KeyError: no reason given"),
        ],
    )
    def test_why_is_written(self, plans, tmp_path, error, told):
        (job,) = plans("decoder")
        written = write_run(tmp_path, failure(job, error))
        assert (written.error, written.id, written.scores) == (told, job.plan.id, ())


class TestMemory:
    @pytest.mark.parametrize(("free_mb", "asked", "expected"), [(4000, 8, 3), (4000, 2, 2), (500, 4, 1), (1e6, 1, 1)])
    def test_no_more_processes_than_fit(self, free_mb, asked, expected):
        assert runner.processes_that_fit(asked, free_mb=free_mb) == expected

    def test_as_many_as_cores_by_default(self):
        assert runner.processes_that_fit(free_mb=float("inf")) >= runner.processes_that_fit() >= 1
