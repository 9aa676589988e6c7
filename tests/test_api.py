"""The public API: ten lines from a corpus to an adapted model, lazily imported, and the examples of its docstrings."""

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import levada
from levada.errors import InputError
from levada.io import audio

SRC = Path(levada.__file__).parent
WITH_EXAMPLES = [
    ".".join(path.relative_to(SRC.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(SRC.rglob("*.py"))
    if re.search(r">>> (?!.*doctest: \+SKIP)", path.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four rendered recordings of candombe with their beats."""
    root = tmp_path_factory.mktemp("recordings")
    for seed in range(4):
        rendering = levada.render("candombe", duration_s=12, seed=seed, stems=False)
        audio.write(root / f"take{seed}.wav", rendering.mixture, rate=rendering.rate)
        rendering.beats.save(root / f"take{seed}.beats")
    return root


@pytest.mark.slow
def test_ten_lines(folder, tmp_path):
    corpus = levada.load_corpus(folder)
    train, test = corpus.split(test_size=0.5, seed=0)
    assert {track.id for track in train}.isdisjoint(track.id for track in test)
    labels = train.sample(minutes=0.3, seed=0)
    flux, base = (levada.BeatTracker.from_pretrained(name) for name in ("flux", "base"))
    steps = []
    mine = base.adapt(labels, strategy="finetune", steps=2, progress=lambda *done: steps.append(done[0]))
    patterns = base.adapt(labels, strategy="bayes", out=tmp_path / "patterns")
    assert steps[-1] >= 2
    result = levada.evaluate({"flux": flux, "mine": mine, "patterns": patterns}, test)
    assert set(result.summary()) == {"flux", "mine", "patterns"}
    assert result.summary()["patterns"]["beat_f"].mean > 0.8
    song = folder / "take0.wav"
    beats = mine.track(song)
    samples, rate = audio.read(song)
    np.testing.assert_allclose(beats.times_s, mine.track(samples, rate).times_s, atol=0.02)
    beats.save(tmp_path / "song.beats")
    np.testing.assert_allclose(levada.read_beats(tmp_path / "song.beats").times_s, beats.times_s, atol=1e-3)
    mine.save(tmp_path / "mine")
    again = levada.BeatTracker.from_pretrained(tmp_path / "mine")
    assert again.track(song) == beats
    assert again.card.minutes == pytest.approx(mine.card.minutes)
    assert levada.BeatTracker.from_pretrained(tmp_path / "patterns").track(song) == patterns.track(song)


@pytest.mark.slow
def test_a_network_of_ones_own(folder):
    import torch
    from torch import nn

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Conv1d(81, 8, 9, padding=4), nn.ELU(), nn.Conv1d(8, 2, 1))

        def forward(self, spectrogram):
            return self.layers(spectrogram.transpose(1, 2)).transpose(1, 2)

    torch.manual_seed(0)
    labels = levada.load_corpus(folder).sample(minutes=0.4, seed=0)
    base = levada.BeatTracker.from_pretrained("flux")
    mine = base.adapt(labels, strategy="scratch", network=Small(), steps=3)
    assert mine.activations(folder / "take1.wav").shape[1] == 2
    with pytest.raises(InputError, match="Small cannot be saved"):
        mine.save(folder / "never")

    def never(*_):
        raise AssertionError("training has begun")

    with pytest.raises(InputError, match="Small cannot be saved"):
        base.adapt(labels, strategy="scratch", network=Small(), out=folder / "never", progress=never)


def test_stems_sum_to_the_recording(tmp_path):
    song = levada.render("candombe", duration_s=3, seed=0)
    separator = levada.Separator.from_pretrained("candombe")
    stems = separator.separate(song.mixture, song.rate)
    assert tuple(stems) == separator.instruments
    np.testing.assert_allclose(sum(stems.values()), song.mixture, atol=1e-5)
    paths = stems.save(tmp_path / "stems")
    assert {path.stem for path in paths} == set(stems)
    with pytest.raises(InputError, match="exists already"):
        stems.save(tmp_path / "stems")


@pytest.mark.slow
def test_a_separator_adapts_evaluates_and_is_saved(tmp_path):
    root = tmp_path / "songs"
    for seed in range(2):
        song = levada.render("candombe", duration_s=4, seed=seed)
        for name, stem in song.stems.items():
            (root / str(seed)).mkdir(parents=True, exist_ok=True)
            audio.write(root / str(seed) / f"{name}.wav", stem, rate=song.rate)
    corpus = levada.load_corpus(root)
    assert corpus.labels == "stems"
    train, test = corpus.split(seed=0)
    base = levada.Separator.from_pretrained("base")
    mine = base.adapt(train.sample(minutes=None), strategy="nmf")
    result = levada.evaluate({"mine": mine}, test)
    assert result.rows
    mine.save(tmp_path / "mine")
    song = levada.render("candombe", duration_s=3, seed=5)
    first, again = (
        one.separate(song.mixture, song.rate) for one in (mine, levada.Separator.from_pretrained(tmp_path / "mine"))
    )
    for name in first:
        np.testing.assert_allclose(first[name], again[name], atol=1e-6)


@pytest.mark.parametrize("load", [levada.BeatTracker.from_pretrained, levada.Separator.from_pretrained])
def test_no_such_model(load):
    with pytest.raises(InputError, match="no-such-model"):
        load("no-such-model")


def test_arrays_need_their_rate():
    tracker = levada.BeatTracker.from_pretrained("flux")
    with pytest.raises(InputError, match="rate"):
        tracker.track(np.zeros(1000, np.float32))


def test_progress_cancels(folder):
    class Cancelled(Exception):
        pass

    def cancel(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        levada.BeatTracker.from_pretrained("base").track(folder / "take0.wav", progress=cancel)


def test_models_of_the_other_task_are_refused(folder):
    with pytest.raises(InputError, match="labels of beats"):
        levada.evaluate({"x": levada.Separator.from_pretrained("base")}, levada.load_corpus(folder))


def test_import_is_light():
    code = "import levada, sys; print(sorted({'torch', 'scipy', 'numpy'} & set(sys.modules))); dir(levada)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_name_is_documented_and_found():
    for name in levada.__all__:
        assert getattr(levada, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        levada.nothing  # noqa: B018


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_of_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_notebooks_show_corpora_and_scores_in_a_line(folder):
    corpus = levada.load_corpus(folder)
    assert repr(corpus) == f"Corpus('{folder.name}': 4 recordings, 4 with beats, 4 groups)"
    (folder / "take3.beats").rename(folder / "take3.hidden")
    try:
        assert repr(levada.load_corpus(folder)).endswith(": 4 recordings, 3 with beats, 3 groups)")
    finally:
        (folder / "take3.hidden").rename(folder / "take3.beats")
    result = levada.evaluate({"flux": levada.BeatTracker.from_pretrained("flux")}, corpus)
    assert repr(result) == "Evaluation(flux: 4 recordings)"
    assert repr(result.summary()) == str(result.summary())
    assert str(result.summary()).startswith("model  beat_f ")
