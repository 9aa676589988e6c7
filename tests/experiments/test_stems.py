"""What runs of stems keep, what is scored beside them, and what a spec of stems may say."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levada.data import load_corpus
from levada.errors import InputError
from levada.experiments.corpora import OpenCorpus, data_digest
from levada.experiments.cost import guess_s
from levada.experiments.grid import make_grid
from levada.experiments.run import Job, run
from levada.experiments.run_loggers import log_run
from levada.experiments.runner import plan_study, run_study
from levada.experiments.spec import Source, Study, read_spec
from levada.experiments.store import read_runs, write_run
from levada.io import audio
from levada.separation.augmentation import NO_AUGMENTATION, StemAugmentation
from levada.separation.nmf import NmfSettings
from levada.separation.pretrained import load_separator

RATE = 22050
DRUMS = {"surdo": 80, "tamborim": 1500}


def song(folder, seed, *, silent=(), seconds=4.0):
    """A folder of drums that are struck at times of their own, and their sum; of the silent ones there is a tick."""
    rng, folder = np.random.default_rng(seed), folder / f"song-{seed}"
    folder.mkdir(parents=True)
    time, whole = np.arange(2000) / RATE, 0
    for name, hz in DRUMS.items():
        stem = np.zeros(round(seconds * RATE), np.float32)
        for start in np.arange(rng.uniform(0, 0.2), seconds - 0.2, 0.4) if name not in silent else ():
            stroke = np.exp(-time / 0.03) * np.sin(2 * np.pi * hz * (1 + 0.05 * rng.random()) * time)
            stem[round(start * RATE) :][:2000] += np.float32(0.3) * stroke.astype(np.float32)
        if name in silent:
            stem[100 + seed] = 3e-4
        audio.write(folder / f"{name}.wav", stem[None], rate=RATE)
        whole = whole + stem
    audio.write(folder / "mixture.wav", whole[None], rate=RATE)


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "songs"
    for seed in range(4):
        song(folder, seed)
    return folder


@pytest.fixture(scope="module")
def tiny_separator(tmp_path_factory):
    """A folder of a network that knows two drums, and one that nobody plays."""
    import torch

    from levada.learning.card import Card
    from levada.learning.weights import Weights, save
    from levada.separation.networks.mask_net import tiny

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    card = Card("tiny", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})
    save(folder, Weights(tiny(("surdo", "tamborim", "cuica")), card))
    return folder


@pytest.fixture
def jobs(songs, tiny_separator):
    """From strategies to the jobs of a study of four short songs."""

    def made(*strategies, **said):
        source = Source("drums", path=str(songs), task="stems")
        said = {"settings": {"steps": 3, "batch": 2, "excerpt_s": 0.5}} | said
        study = Study("mine", (source,), strategies, (0.1,), (str(tiny_separator),), task="stems", **said)
        corpus = load_corpus(songs, labels="stems")
        grid = make_grid(study, [OpenCorpus(source, corpus, data_digest(corpus))])
        return [Job(plan, source, "mine", study.keep_weights, grid.models.get(plan.base, "")) for plan in grid.plans]

    return made


def table(files, name="scores.csv"):
    return list(csv.DictReader(files[name].decode().splitlines()))


@pytest.mark.slow
class TestRuns:
    def test_a_row_a_song_and_instrument(self, jobs, tmp_path):
        (job,) = jobs("finetune+augment", keep_weights=True)
        files = run(job)
        told = json.loads(files["run.json"])
        rows = table(files)
        assert {(row["track"], row["instrument"]) for row in rows} == {(n, d) for n in told["test"] for d in DRUMS}
        assert not {name for name, _, _ in told["labels"]} & set(told["test"])
        assert all(float(row["si_sdr_i"]) > -60 for row in rows)
        assert files["log.csv"].count(b"\n") == 4
        written = write_run(tmp_path, files)
        assert {row["instrument"] for row in written.scores} == set(DRUMS)
        assert set(load_separator(written.folder / "weights").instruments) == set(DRUMS)
        assert {(row["stem"], row["instrument"]) for row in table(files, "leaks.csv")} == {
            (stem, drum) for stem in DRUMS for drum in DRUMS
        }

    def test_the_same_run_again_gives_the_same_scores(self, jobs):
        for strategy in ("finetune", "nmf"):
            (job,) = jobs(strategy)
            first, second = (table(run(job)) for _ in range(2))
            assert [row | {"cpu_s": ""} for row in first] == [row | {"cpu_s": ""} for row in second]

    def test_doing_nothing_and_the_ceiling(self, jobs):
        nothing, ideal = jobs(external=("mixture", "oracle"))
        assert [job.plan.base for job in (nothing, ideal)] == ["mixture", "oracle"]
        assert [float(row["si_sdr_i"]) for row in table(run(nothing))] == pytest.approx([0.0] * 4, abs=1e-6)
        assert all(float(row["si_sdr_i"]) > 10 for row in table(run(ideal)))

    def test_a_base_as_it_is_knows_what_plays(self, jobs):
        (job,) = jobs("pretrained")
        assert {row["instrument"] for row in table(run(job))} == set(DRUMS)  # and not the cuica

    def test_dictionaries_are_kept(self, jobs, tmp_path):
        (job,) = jobs("nmf", keep_weights=True)
        written = write_run(tmp_path, run(job))
        assert set(load_separator(written.folder / "weights").instruments) == set(DRUMS)
        assert not (written.folder / "log.csv").exists()

    def test_a_silent_stem_leaks_and_has_no_improvement(self, tmp_path):
        for seed in range(4):
            song(tmp_path / "songs", seed, silent=("surdo",) if seed % 2 else ())
        spec = tmp_path / "mine.toml"
        spec.write_text(
            'task = "stems"\nstrategies = ["nmf"]\nminutes = [0.1]\nseeds = 2\n[corpora]\nsongs = "songs"\n'
        )
        run_study(spec, out=tmp_path / "runs")
        rows = [row for one in read_runs(tmp_path / "runs") for row in one.scores]
        silent = [row for row in rows if row["instrument"] == "surdo" and np.isnan(row["si_sdr_i"])]
        assert silent
        assert all(np.isfinite(row["leak_db"]) for row in silent)
        assert all(np.isfinite(row["si_sdr_i"]) for row in rows if row["instrument"] == "tamborim")

    def test_shown_elsewhere(self, jobs, tmp_path):
        (job,) = jobs("finetune", keep_weights=True)
        written = write_run(tmp_path, run(job))
        log_run(written, job, names=["csv"], out=tmp_path)
        said = (tmp_path / "logs" / written.id / "scalars.csv").read_text()
        assert {"loss", "si_sdr_i", "cpu_s"} <= {line.split(",")[1] for line in said.splitlines()}


class TestPlans:
    def plan(self, jobs, strategy, **said):
        (job,) = jobs(strategy, **said)
        return job.plan

    def test_the_task_decides(self, jobs):
        plan = self.plan(jobs, "nmf")
        assert plan.config()["task"] == "stems"
        assert replace(plan, task="beats").id != plan.id

    def test_what_is_of_beats_alone_decides_nothing(self, jobs):
        assert self.plan(jobs, "nmf", trim_s=3.0).id == self.plan(jobs, "nmf").id

    def test_kinds_of_augmentation(self, jobs):
        plan = self.plan(jobs, "finetune+augment", augmentation=(("pitch", "remix"),))
        usual = StemAugmentation()
        assert plan.settings.augmentation == replace(NO_AUGMENTATION, remix=usual.remix, semitones=usual.semitones)
        assert set(plan.augmentation) == {"pitch", "remix"}
        assert self.plan(jobs, "finetune+augment", augmentation=(("none",),)).strategy == "finetune"
        assert self.plan(jobs, "scratch", augmentation=(("none",),)).settings.augmentation == NO_AUGMENTATION

    def test_layers(self, jobs):
        assert self.plan(jobs, "finetune", layers=(("head",),)).settings.layers == ("head",)
        assert self.plan(jobs, "nmf", layers=(("head",),)).layers == ()

    def test_steps_of_networks_are_not_those_of_dictionaries(self, jobs):
        assert self.plan(jobs, "finetune", settings={"steps": 7}).settings.steps == 7
        assert self.plan(jobs, "nmf", settings={"steps": 7}).settings == NmfSettings()
        assert self.plan(jobs, "nmf", settings={"nmf": {"bases": 3}}).settings.bases == 3

    def test_a_guess_grows_with_the_work(self, jobs):
        guesses = [guess_s(self.plan(jobs, name, settings={}), scored_min=2.0) for name in ("nmf", "finetune")]
        assert guesses == sorted(guesses)
        assert guesses[1] > 30


class TestWrong:
    @pytest.mark.parametrize(
        ("strategy", "said", "told"),
        [
            ("nmf", {"settings": {"nmf": {"bass": 3}}}, "'bass' is not a setting of nmf; did you mean 'bases'"),
            ("nmf", {"settings": {"exponent": 3}}, "'exponent' is not a setting of any strategy"),
            ("nmf", {"settings": {"nmf": {"bases": 0}}}, "bases must be a whole number from 1"),
            ("nmf", {"external": ("orakel",)}, "there is no separator 'orakel'"),
            ("nmf", {"external": ("latin",)}, "latin is a tracker"),
            ("finetune", {"layers": (("hed",),)}, "has no layers 'hed'; did you mean 'head'"),
            ("decoder", {}, "there is no strategy 'decoder'"),
        ],
    )
    def test_is_told(self, jobs, strategy, said, told):
        with pytest.raises(InputError, match=told):
            jobs(strategy, **said)

    def test_solos(self, tmp_path):
        for name in DRUMS:
            (tmp_path / "songs" / name).mkdir(parents=True)
            audio.write(tmp_path / "songs" / name / "take.wav", np.full((1, RATE), 0.1, np.float32), rate=RATE)
        spec = tmp_path / "mine.toml"
        spec.write_text('task = "stems"\nstrategies = ["nmf"]\nminutes = [0.1]\n[corpora]\nsongs = "songs"\n')
        with pytest.raises(InputError, match="levada remix makes mixtures"):
            run_study(spec, out=tmp_path / "runs")

    def test_one_song(self, tmp_path):
        song(tmp_path / "songs", 0)
        spec = tmp_path / "mine.toml"
        spec.write_text('task = "stems"\nstrategies = ["nmf"]\nminutes = [0.01]\n[corpora]\nsongs = "songs"\n')
        with pytest.raises(InputError, match="a split into training and test needs 2"):
            run_study(spec, out=tmp_path / "runs")

    def test_a_budget_that_does_not_fit(self, songs, tmp_path):
        spec = tmp_path / "mine.toml"
        spec.write_text(f'task = "stems"\nstrategies = ["nmf"]\nminutes = [0.05, 9]\n[corpora]\ndrums = "{songs}"\n')
        (sentence,) = plan_study(read_spec(spec), out=tmp_path / "runs").grid.left_out
        assert sentence.startswith("drums, 9 minutes of stems")


def test_what_was_assumed_of_stems_is_told_once(songs, tmp_path):
    folder = Path(shutil.copytree(songs, tmp_path / "songs"))
    shutil.copy(folder / "song-0" / "surdo.wav", folder / "song-0" / "click.wav")
    (folder / "corpus.toml").write_text('exclude = ["*click*"]\n')
    spec = tmp_path / "mine.toml"
    spec.write_text('task = "stems"\nstrategies = ["nmf"]\nminutes = [0.1]\nseeds = 2\n[corpora]\ndrums = "songs"\n')
    said = []
    summary = run_study(
        spec, out=tmp_path / "runs", executor=lambda _, jobs: ((job, InputError("no")) for job in jobs), log=said.append
    )
    (note,) = load_corpus(folder, labels="stems").notes
    assert note.message == "exclude leaves out 1 of 13 recordings"
    assert [sentence for sentence in said if sentence.startswith("note: ")] == [f"note: {note}"]
    assert f"note: {note}" in summary.notes
    assert f"note: {note}" in plan_study(read_spec(spec), out=tmp_path / "runs").grid.notes


def test_the_study_that_ships_has_the_baselines():
    study = read_spec(Path(__file__).parents[2] / "studies" / "stems.toml")
    assert study.task == "stems"
    assert {"pretrained", "nmf", "nmf-conv", "scratch", "finetune", "finetune+augment"} == set(study.strategies)
    assert study.external == ("mixture", "oracle")
