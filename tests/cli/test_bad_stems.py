"""Stems that are not as they should be: a clear message, or the right result."""

import numpy as np
import pytest

from levada.data import annotated_spans, load_corpus
from levada.io import audio
from levada.separation.metrics import stem_scores
from levada.separation.separator import Separator

RATE = 22050


def strokes(hz, seconds=6.0, every_s=0.5, rate=RATE, seed=0):
    """Decaying tones of one pitch at irregular times."""
    rng, out = np.random.default_rng(seed), np.zeros(round(seconds * rate), np.float32)
    time_s = np.arange(round(0.2 * rate)) / rate
    firsts = np.arange(0.1, seconds - 0.4, every_s)
    for first in np.rint((firsts + rng.uniform(0, 0.1, len(firsts))) * rate).astype(int):
        out[first : first + len(time_s)] += 0.3 * np.exp(-time_s / 0.05) * np.sin(2 * np.pi * hz * time_s)
    return out[None]


STEMS = {"surdo": strokes(80), "agogo": strokes(1500, every_s=0.3, seed=1)}


@pytest.fixture
def songs(tmp_path):
    def write(rates=(), **files):
        given = {**STEMS, "mixture": sum(STEMS.values())} | files
        for name, samples in given.items():
            if samples is not None:
                audio.write(tmp_path / "songs" / "roda" / f"{name}.wav", samples, rate=dict(rates).get(name, RATE))
        return tmp_path / "songs"

    return write


def improvement_db(folder):
    """Mean SI-SDR improvement of dictionaries that were learnt from a folder, on the song as it should be."""
    corpus = load_corpus(folder, labels="stems")
    spans = [span for song in corpus.tracks for span in annotated_spans(song)]
    separator = Separator.from_pretrained("base").adapt(spans, strategy="nmf")
    mixture = sum(STEMS.values())
    estimates = separator.separate(mixture, RATE)
    scores = stem_scores(STEMS, {name: estimates[name] for name in STEMS}, mixture)
    return float(np.mean([scores[name]["si_sdr_i"] for name in STEMS]))


class TestSeparatedAsFromGoodStems:
    def test_the_song_as_it_should_be(self, songs):
        assert improvement_db(songs()) > 15

    def test_stems_that_do_not_sum_to_the_mixture(self, songs, levada):
        noise = np.random.default_rng(2).normal(0, 0.2, STEMS["surdo"].shape).astype(np.float32)
        folder = songs(mixture=noise)
        (song,) = load_corpus(folder, labels="stems").tracks
        stems, mixture = song.read(song.instruments, rate=RATE)
        np.testing.assert_allclose(mixture, stems.sum(0), atol=1e-6)  # that recording is not of these stems
        assert improvement_db(folder) > 15
        assert "mixture" in levada("corpus", "check", folder)[2] + levada("corpus", "check", folder)[1]

    def test_a_silent_stem(self, songs):
        folder = songs(caixa=np.zeros_like(STEMS["surdo"]))
        assert load_corpus(folder, labels="stems").instruments == ("agogo", "surdo")
        assert improvement_db(folder) > 15

    def test_stems_of_other_lengths_and_rates(self, songs):
        half = audio.resample(STEMS["surdo"], rate=RATE, to=2 * RATE)
        folder = songs(rates={"surdo": 2 * RATE}, surdo=half, agogo=STEMS["agogo"][:, : 4 * RATE], mixture=None)
        (song,) = load_corpus(folder, labels="stems").tracks
        stems, _ = song.read(("surdo", "agogo"), rate=RATE)
        np.testing.assert_allclose(stems[0], STEMS["surdo"], atol=5e-3)
        assert stems.shape[-1] == 6 * RATE
        assert not stems[1, :, 4 * RATE :].any()
        assert improvement_db(folder) > 15

    def test_two_takes_of_one_name_are_one_stem(self, songs):
        other = strokes(80, seed=3)
        parts = {"surdo-1": STEMS["surdo"], "surdo-2": other, "surdo": None}
        folder = songs(**parts, mixture=STEMS["surdo"] + other + STEMS["agogo"])
        (song,) = load_corpus(folder, labels="stems").tracks
        stems, _ = song.read(("surdo",), rate=RATE)
        assert song.instruments == ("agogo", "surdo")
        np.testing.assert_allclose(stems[0], STEMS["surdo"] + other, atol=1e-3)
        assert improvement_db(folder) > 15


class TestMessages:
    def test_labels_of_one_instrument(self, songs, levada, tmp_path):
        folder = songs(agogo=None, mixture=None)
        code, _, said = levada("adapt", folder, "--labels", "stems", "--strategy", "nmf", "-o", tmp_path / "model")
        assert code == 2
        assert "instrument" in said
        assert "Traceback" not in said
        assert not (tmp_path / "model").exists()

    def test_an_instrument_that_is_not_in_the_tradition(self, songs, levada, tmp_path):
        mixture = songs() / "roda" / "mixture.wav"
        code, _, said = levada(
            "separate", mixture, "-m", "candombe", "--instruments", "chico,cuica", "-o", tmp_path / "out"
        )
        assert code == 2
        assert "candombe does not know cuica: it can separate" in said
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("is_sum", [True, False])
    def test_adapt_says_where_the_mixture_is_not_the_sum(self, songs, levada, tmp_path, is_sum):
        noise = np.random.default_rng(2).normal(0, 0.2, STEMS["surdo"].shape).astype(np.float32)
        folder = songs() if is_sum else songs(mixture=noise)
        code, _, said = levada("adapt", folder, "--labels", "stems", "--strategy", "nmf", "-o", tmp_path / "model")
        assert code == 0, said
        assert ("mixture.wav: is not the sum of its stems" in said) != is_sum

    def test_adapt_refuses_one_recording_as_two_stems(self, songs, levada, tmp_path):
        folder = songs(caixa=STEMS["surdo"], mixture=None)
        code, _, said = levada("adapt", folder, "--labels", "stems", "--strategy", "nmf", "-o", tmp_path / "model")
        assert code == 2
        assert "is the same recording as" in said
        assert "caixa.wav" in said
        assert "surdo.wav" in said
        assert not (tmp_path / "model").exists()
