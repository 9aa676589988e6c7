"""One front door for every corpus: folders, mirdata, rendered traditions; beats or stems by what is there."""

import numpy as np
import pytest
import soundfile

from levada.data import load_corpus
from levada.errors import InputError


def put(*paths, seconds=2.0):
    for seed, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.random.default_rng(seed).standard_normal(round(8000 * seconds))
        soundfile.write(path, 0.1 * samples, 8000)


def label(path):
    path.write_text("0.5\t1\n1.0\t2\n1.5\t1\n")


class TestFolders:
    def test_recordings_with_beats(self, tmp_path):
        put(tmp_path / "a.wav", tmp_path / "b.wav")
        label(tmp_path / "a.beats")
        corpus = load_corpus(tmp_path)
        assert corpus.labels == "beats"
        assert [track.id for track in corpus.annotated] == ["a"]

    def test_recordings_without_labels_can_be_tracked(self, tmp_path):
        put(tmp_path / "a.wav", tmp_path / "b.wav")
        assert not load_corpus(tmp_path).annotated

    @pytest.mark.parametrize("names", [("roda/mixture", "roda/surdo"), ("roda/surdo", "roda/caixa"), ("surdo-1",)])
    def test_stems_without_beats(self, names, tmp_path):
        put(*(tmp_path / f"{name}.wav" for name in names))
        corpus = load_corpus(tmp_path)
        assert corpus.labels == "stems"
        assert "surdo" in corpus.instruments

    def test_mixtures_with_beats_need_a_choice(self, tmp_path):
        put(tmp_path / "roda" / "mixture.wav", tmp_path / "roda" / "surdo.wav")
        label(tmp_path / "roda" / "mixture.beats")
        with pytest.raises(InputError, match='labels="stems"'):
            load_corpus(tmp_path)
        assert load_corpus(tmp_path, labels="stems").labels == "stems"
        assert len(load_corpus(tmp_path, labels="beats").annotated) == 1

    def test_solos_with_beats_and_stems_beside_a_recording_are_beats(self, tmp_path):
        put(tmp_path / "surdo-1.wav", tmp_path / "a.wav", tmp_path / "a.stems" / "surdo.wav")
        label(tmp_path / "surdo-1.beats")
        assert load_corpus(tmp_path).labels == "beats"

    @pytest.mark.parametrize("options", [
        {"labels": "stems", "convention": "positions"}, {"labels": "beats", "instruments": {"a": "surdo"}},
        {"minutes": 1.0}, {"seed": 1}, {"home": "."}, {"labels": "chords"},
    ])  # fmt: skip
    def test_options_that_do_not_apply_are_refused(self, options, tmp_path):
        put(tmp_path / "a.wav")
        with pytest.raises(InputError, match=r"appl|labels must be"):
            load_corpus(tmp_path, **options)

    def test_groups_and_annotators_of_the_caller(self, tmp_path):
        put(tmp_path / "a.wav", tmp_path / "b.wav", tmp_path / "c.wav")
        for name in "abc":
            label(tmp_path / f"{name}.ana.beats")
        (tmp_path / "corpus.toml").write_text('[groups]\n"*" = "x"\n')
        corpus = load_corpus(tmp_path, annotator="ana", groups={"[ab]": "y"})
        assert [track.group for track in corpus.annotated] == ["y", "y", "c"]
        (tmp_path / "groups.csv").write_text("recording,group\na,u\nb,v\nc,v\n")
        assert set(load_corpus(tmp_path, annotator="ana", groups=tmp_path / "groups.csv").groups) == {"u", "v"}
        with pytest.raises(InputError, match="no labels of an annotator 'eva'; annotators: ana"):
            load_corpus(tmp_path, annotator="eva")

    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            load_corpus(tmp_path / "nothing")


class TestRendered:
    def test_a_tradition_is_rendered_once(self, cache_in_tmp_path):
        corpus = load_corpus("rendered:candombe", minutes=0.1, seed=3)
        assert corpus.root.is_relative_to(cache_in_tmp_path)
        assert len(corpus.annotated) == 1
        before = corpus.tracks[0].audio.stat().st_mtime_ns
        again = load_corpus("rendered:candombe", minutes=0.1, seed=3)
        assert again.tracks == corpus.tracks
        assert again.tracks[0].audio.stat().st_mtime_ns == before
        stems = load_corpus("rendered:candombe", labels="stems", minutes=0.1, seed=3)
        assert stems.labels == "stems"
        assert stems.root != corpus.root
        assert len(stems.instruments) > 1

    def test_no_such_tradition(self):
        with pytest.raises(InputError, match="nothing"):
            load_corpus("rendered:nothing")
