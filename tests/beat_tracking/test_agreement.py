"""Several annotators and several outputs: one is chosen on purpose, and two are compared beat by beat."""

import json
import math

import mir_eval
import numpy as np
import pytest

from levada.beat_tracking.agreement import compare_beats
from levada.data import check, load_corpus
from levada.data.folder import annotations_of
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import write_beats

BEATS = Beats(np.arange(0.5, 10.5, 0.5), np.arange(20) % 4 + 1)


class TestAgreement:
    def test_of_the_same(self):
        found = compare_beats(BEATS, BEATS)
        assert (found.f_measure, found.median_ms, found.mad_ms, found.positions, found.tempo_ratio) == (1, 0, 0, 1, 1)
        assert found.is_same

    def test_of_a_lag_and_another_downbeat(self):
        gaps_s = np.tile([0.01, 0.02, 0.03, 0.02], 5)
        late = Beats(BEATS.times_s + gaps_s, np.where(np.arange(20) < 10, BEATS.positions, BEATS.positions % 4 + 1))
        found = compare_beats(BEATS, late)
        assert found.median_ms == pytest.approx(np.median(1000 * gaps_s))
        assert found.mad_ms == pytest.approx(np.median(np.abs(1000 * gaps_s - 20)))
        assert (found.f_measure, found.positions) == (1, 0.5)
        assert not found.is_same

    @pytest.mark.parametrize("seed", range(20))
    def test_matches_as_many_as_mir_eval(self, seed):
        rng = np.random.default_rng(seed)
        one, other = (np.unique(np.round(rng.uniform(0, 6, rng.integers(1, 40)), 3)) for _ in range(2))
        found = compare_beats(Beats(one), Beats(other))
        assert found.f_measure == pytest.approx(mir_eval.beat.f_measure(one, other))

    def test_of_twice_the_tempo_of_nothing_and_of_unknown_positions(self):
        half = Beats(BEATS.times_s[::2])
        found = compare_beats(half, BEATS)
        assert found.f_measure == pytest.approx(2 * 10 / 30)
        assert found.tempo_ratio == pytest.approx(2)
        assert math.isnan(found.positions)
        empty = compare_beats(Beats([]), BEATS)
        assert empty.f_measure == 0
        assert math.isnan(empty.median_ms)
        assert compare_beats(Beats([]), Beats([])).is_same


@pytest.fixture
def corpus(rendered, tmp_path):
    """Two recordings; ana annotated both, bea the first, 20 ms later."""
    root = tmp_path / "corpus"
    (root / "annotations" / "ana").mkdir(parents=True)
    for name in "ab":
        (root / f"{name}.wav").write_bytes((rendered / f"{name}.wav").read_bytes())
    write_beats(root / "annotations" / "ana" / "a.svl", BEATS)
    write_beats(root / "annotations" / "ana" / "b.beats", BEATS)
    write_beats(root / "a.bea.svl", BEATS.shift(0.02))
    return root


class TestAnnotators:
    def test_are_found_and_none_is_used_by_chance(self, corpus):
        opened = load_corpus(corpus, labels="beats")
        assert not opened.annotated
        notes = [problem for problem in check(opened).problems if "annotations of ana, bea" in str(problem)]
        assert [problem.severity for problem in notes] == ["note"]

    def test_one_is_chosen_in_corpus_toml(self, corpus):
        (corpus / "corpus.toml").write_text('[labels]\nannotator = "bea"\n')
        opened = load_corpus(corpus, labels="beats")
        assert [track.id for track in opened.annotated] == ["a"]
        np.testing.assert_allclose(opened.annotated[0].beats().times_s, BEATS.times_s + 0.02, atol=1e-4)
        (corpus / "corpus.toml").write_text('[labels]\nannotator = "ana"\n')
        assert [track.id for track in load_corpus(corpus, labels="beats").annotated] == ["a", "b"]

    def test_that_is_not_there_is_refused(self, corpus):
        (corpus / "corpus.toml").write_text('[labels]\n\nannotator = "eva"\n')
        with pytest.raises(InputError, match=r"corpus.toml, line 3: .*'eva'; annotators: ana, bea"):
            load_corpus(corpus, labels="beats")

    def test_are_no_other_files_of_a_recording(self, corpus):
        for name in ("b.onsets.svl", "b.2.svl", "b.wav.beats", "b.beats.txt", "b.sv.csv"):
            (corpus / name).write_bytes((corpus / "annotations" / "ana" / "b.beats").read_bytes())
        assert "annotations of ana, bea," in str(load_corpus(corpus, labels="beats").notes[-1])

    def test_are_compared(self, levada, corpus):
        code, out, _ = levada("corpus", "agreement", "ana", "bea", "--corpus", corpus, "--json")
        assert code == 0
        one, two = json.loads(out)["recordings"]
        assert (one["recording"], one["f_measure"], one["median_ms"], one["positions"]) == ("a", 1, 20, 1)
        assert (two["recording"], two["error"]) == ("b", "only in ana")


class TestOutputs:
    def test_which_recordings_changed_and_how(self, levada, tmp_path):
        for place, beats in (("old", BEATS), ("new", Beats(BEATS.times_s[::2]))):
            (tmp_path / place / "tape").mkdir(parents=True)
            write_beats(tmp_path / place / "same.beats", BEATS)
            write_beats(tmp_path / place / "tape" / f"1.{'svl' if place == 'new' else 'beats'}", beats)
        write_beats(tmp_path / "new" / "more.beats", BEATS)
        code, out, _ = levada("corpus", "agreement", tmp_path / "old", tmp_path / "new")
        assert code == 0
        rows = [line.split() for line in out.splitlines()]
        assert rows[1][0] == "more"
        assert rows[2][:5] == ["tape/1", "20", "/", "10", "0.67"]
        assert rows[-1] == ["2", "of", "3", "recordings", "differ"]

    def test_of_beat_files_alone(self, tmp_path):
        write_beats(tmp_path / "x.beats", BEATS)
        assert annotations_of(tmp_path) == {"x": tmp_path / "x.beats"}
        with pytest.raises(InputError, match="there is no such folder"):
            annotations_of(tmp_path / "none")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="holds no beat files"):
            annotations_of(tmp_path / "empty")
