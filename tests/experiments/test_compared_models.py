"""What a study compares: recordings that a model knows are not scored, duplicates count once, places do not matter."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from levada.beat_tracking import networks
from levada.data import load_corpus
from levada.experiments.compared_models import display_names
from levada.experiments.corpora import OpenCorpus, data_digest, open_source, without_duplicates
from levada.experiments.grid import make_grid
from levada.experiments.runner import open_corpora, run_study
from levada.experiments.spec import Source, Study, read_spec
from levada.experiments.store import read_runs
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats
from levada.learning import weights


def record(folder, name, *, seed):
    beats = Beats(np.arange(0.5, 15.8, 0.5), np.arange(31) % 4 + 1)
    noise = 0.01 * np.random.default_rng(seed).standard_normal((1, 16 * 8000)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    audio.write(folder / f"{name}.wav", audio.clicks(beats, rate=8000, duration_s=16)[None] + noise, rate=8000)
    write_beats(folder / f"{name}.beats", beats)


@pytest.fixture
def clicks(tmp_path):
    for seed, name in enumerate("abcdef"):
        record(tmp_path / "clicks", name, seed=seed)
    return tmp_path / "clicks"


def model(tiny_model, folder, recordings):
    """A model whose card says that it was trained on these."""
    made = networks.load(tiny_model)
    known = {audio.content_hash(path): [(0.0, 5.0)] for path in recordings}
    folder.parent.mkdir(parents=True, exist_ok=True)
    weights.save(folder, replace(made, card=replace(made.card, trained_on=known)))
    return str(folder)


def opened(folder, **said):
    source = Source("clicks", path=str(folder), **said)
    corpus = load_corpus(folder, labels="beats")
    return OpenCorpus(source, corpus, data_digest(corpus))


def scored(plan, there):
    """Ids that a run scores."""
    from levada.experiments.corpora import split_corpus

    split = split_corpus(there.source, there.corpus, seed=plan.seed, test=plan.test_share)
    return {getattr(item, "track", item).id for item in split.test} - set(plan.unscored)


@pytest.mark.slow
class TestTrained:
    def test_what_one_model_knows_no_model_is_scored_on(self, clicks, tiny_model, tmp_path):
        knows = model(tiny_model, tmp_path / "knows", [clicks / "a.wav", clicks / "b.wav", clicks / "c.wav"])
        study = Study(
            "mine", (Source("clicks", path=str(clicks)),), ("pretrained", "decoder"), (0.1,), (knows,),
            external=("flux",), seeds=tuple(range(4)),
        )  # fmt: skip
        there = opened(clicks)
        grid = make_grid(study, [there])
        assert {plan.base for plan in grid.plans} == {"knows", "flux"}
        for seed in {plan.seed for plan in grid.plans}:
            sets = {frozenset(scored(plan, there)) for plan in grid.plans if plan.seed == seed}
            assert len(sets) == 1
            assert not sets.pop() & set("abc")
        (note,) = [note for note in grid.notes if "trained on" in note]
        left = {one for plan in grid.plans for one in plan.unscored}
        assert left
        assert left <= set("abc")
        assert all(f"{one} (knows)" in note for one in left)

    def test_others_of_its_group_are_left_out_too(self, clicks, tiny_model, tmp_path):
        (clicks / "corpus.toml").write_text('[groups]\n"[ab]" = "one"\n"[cd]" = "two"\n"[ef]" = "three"\n')
        knows = model(tiny_model, tmp_path / "knows", [clicks / "a.wav"])
        study = Study(
            "mine", (Source("clicks", path=str(clicks)),), ("pretrained",), bases=(knows,), seeds=(0, 1, 2, 3)
        )
        there = opened(clicks)
        for plan in make_grid(study, [there]).plans:
            assert not scored(plan, there) & set("ab")

    def test_a_model_that_knows_all_leaves_nothing_to_score(self, clicks, tiny_model, tmp_path):
        knows = model(tiny_model, tmp_path / "knows", sorted(clicks.glob("*.wav")))
        study = Study("mine", (Source("clicks", path=str(clicks)),), ("pretrained",), bases=(knows,))
        with pytest.raises(ValueError, match=r"leaves nothing to run: clicks, seed 0: models were trained on all"):
            make_grid(study, [opened(clicks)])

    def test_runs_score_only_the_others(self, clicks, tiny_model, tmp_path):
        model(tiny_model, tmp_path / "knows", [clicks / "a.wav", clicks / "b.wav"])
        spec = tmp_path / "mine.toml"
        spec.write_text(
            'external = ["./knows", "flux"]\nseeds = [0, 1]\ntrim_s = 0\n[corpora]\nclicks = "clicks"\n'
        )  # fmt: skip
        summary = run_study(spec, out=tmp_path / "out")
        assert not summary.failed
        rows = {run.id: {row["track"] for row in run.scores} for run in read_runs(tmp_path / "out")}
        assert len(rows) == 4
        assert all(tracks and not tracks & {"a", "b"} for tracks in rows.values())


class TestDuplicates:
    def test_count_once_whatever_their_files_are_called(self, clicks):
        samples, rate = audio.read(clicks / "c.wav")
        audio.write(clicks / "copy.flac", samples, rate=rate)
        shutil.copy(clicks / "c.beats", clicks / "copy.beats")
        shutil.copy(clicks / "a.wav", clicks / "again.wav")
        shutil.copy(clicks / "a.beats", clicks / "again.beats")
        study = Study("mine", (Source("clicks", path=str(clicks)),), external=("flux",), strategies=())
        (there,), _, notes = open_corpora(study, out=clicks.parent)
        assert {track.id for track in there.corpus.annotated} == set("abcdef")
        assert {track.id for track in open_source(there.source).annotated} == set("abcdef")
        (note,) = notes
        assert "again (the same as a)" in note
        assert "copy (the same as c)" in note

    def test_songs(self, tmp_path):
        rng = np.random.default_rng(0)
        for song in ("one", "two"):
            (tmp_path / "songs" / song).mkdir(parents=True)
            for name in ("surdo", "caixa"):
                sound = rng.normal(0, 0.1, (1, 44100 * 2)).astype(np.float32)
                audio.write(tmp_path / "songs" / song / f"{name}.wav", sound, rate=44100)
        shutil.copytree(tmp_path / "songs" / "one", tmp_path / "songs" / "three")
        source, note = without_duplicates(Source("songs", path=str(tmp_path / "songs"), task="stems"))
        assert [song.id for song in load_corpus(tmp_path / "songs", labels="stems").tracks] == ["one", "three", "two"]
        assert [song.id for song in open_source(source).tracks] == ["one", "two"]
        assert "three (the same as one)" in note


@pytest.mark.slow
class TestPlaces:
    def test_a_study_that_is_moved_goes_on(self, clicks, tiny_model, tmp_path):
        """Spec, corpus, models, a sampled rendering and runs, all of them elsewhere: nothing is done again."""
        home = tmp_path / "home"
        home.mkdir()
        shutil.move(clicks, home / "clicks")
        shutil.copytree(tiny_model, home / "models" / "mine")
        (home / "shots").mkdir()
        audio.write(home / "shots" / "chico-open.wav", np.full((1, 400), 0.5, np.float32), rate=44100)
        (home / "mine.toml").write_text(
            'strategies = ["pretrained", "decoder"]\nbases = ["models/mine"]\nexternal = ["flux"]\nminutes = [0.05]\n'
            '[corpora]\nclicks = "clicks"\n'
            'made = { render = "candombe", recordings = 2, seconds = 8, sounds = "shots" }\n'
        )
        first = run_study(home / "mine.toml", out=home / "out")
        assert (first.done, first.failed) == (6, {})
        away = tmp_path / "away" / "deeper"
        away.parent.mkdir()
        shutil.move(home, away)
        again = run_study(
            away / "mine.toml", out=away / "out", executor=lambda *_: pytest.fail("nothing is to be done")
        )
        assert (again.done, again.kept) == (0, 6)
        assert len(list((away / "out" / "corpora").iterdir())) == 1
        told = json.dumps([run.config for run in read_runs(away / "out")])
        assert str(tmp_path) not in told

    def test_weights_that_change_in_their_place_are_another_model(self, clicks, tiny_model, tmp_path):
        ids, made = set(), networks.load(tiny_model)
        for shift in (0.0, 0.1):
            folder = str(tmp_path / "mine")
            with torch.no_grad():
                next(made.net.parameters()).add_(shift)
            weights.save(folder, made)
            study = Study("mine", (Source("clicks", path=str(clicks)),), ("pretrained",), bases=(folder,))
            ids |= {plan.id for plan in make_grid(study, [opened(clicks)]).plans}
            shutil.rmtree(folder)
        assert len(ids) == 2

    def test_names_of_models(self, tiny_model, tmp_path):
        for name in ("a/weights", "b/weights", "base"):
            shutil.copytree(tiny_model, tmp_path / name)
        (tmp_path / "b" / "weights" / "more").write_text("another")
        folders = [str(tmp_path / name) for name in ("a/weights", "b/weights", "base")]
        study = Study("mine", (Source("c", path="c"),), ("pretrained",), bases=("base", *folders), external=("flux",))
        labels = display_names(study)
        assert labels["base"] == "base"
        assert labels["flux"] == "flux"
        assert labels[folders[0]] == "weights"
        assert labels[folders[1]].startswith("weights (")
        assert labels[folders[2]].startswith("base (")
        assert len(set(labels.values())) == 5

    @pytest.mark.parametrize("name", ["beat_this:./x.ckpt", "demucs:./x", "bayes:./x", "./x"])
    def test_paths_of_models_are_beside_the_spec(self, tmp_path, name):
        spec = tmp_path / "mine.toml"
        spec.write_text(f'external = ["{name}"]\n[corpora]\nclicks = "clicks"\n')
        (external,) = read_spec(spec).external
        assert Path(external.rpartition(":")[2]).parent == tmp_path
        assert external.rpartition(":")[0] == name.rpartition(":")[0]
