"""Corpora of stems: how folders may look, what is read of them, and everything that may be wrong with one."""

import json
import logging
import pickle
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from levada.data import REST, Corpus, Multitrack, Span, check, load_corpus, sample
from levada.data.medleydb import read_metadata
from levada.errors import InputError
from levada.io import audio

RATE = 8000


def sound(seed, *, seconds=4.0, rate=RATE, channels=1, level=0.1):
    """Strokes of a drum of one's own: noise that dies away, six times in four seconds."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((channels, round(seconds * rate)))
    time_s = np.arange(samples.shape[1]) / rate
    return (level * samples * np.exp(-8 * (time_s % (0.5 + 0.06 * (seed % 5))))).astype(np.float32)


def put(path, samples, *, rate=RATE, subtype="PCM_24"):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.atleast_2d(samples).T, rate, subtype=subtype)
    return path


def song(folder, names, *, mixture=True, seed=0, **changes):
    """A song of these files, each a drum of its own, and their sum."""
    stems = {name: sound(seed + index, **changes) for index, name in enumerate(names)}
    for name, samples in stems.items():
        put(folder / f"{name}.wav", samples, rate=changes.get("rate", RATE))
    if mixture:
        put(folder / "mixture.wav", sum(stems.values()), rate=changes.get("rate", RATE))
    return stems


def said(corpus, severity=None):
    return [str(p) for p in check(corpus).problems if severity in (None, p.severity)]


@pytest.fixture(scope="module")
def rodas(tmp_path_factory):
    """Three songs that nobody changes: tamborim has two takes, and agogo is in the second only."""
    root = tmp_path_factory.mktemp("stems") / "rodas"
    song(root / "one", ["surdo", "tamborim-1", "tamborim-2"])
    song(root / "two", ["Surdo", "tamborim", "Agogô"], seed=10)
    song(root / "three", ["surdo", "tamborim"], seed=20, mixture=False)
    (root / "one" / "mixture.beats").write_text("0.5\t1\n1.0\t2\n")
    (root / "three" / "three.beats").write_text("0.5\t1\n1.0\t2\n1.5\t1\n")
    return root


class TestFolders:
    def test_a_folder_a_song(self, rodas):
        corpus = load_corpus(rodas, labels="stems")
        assert (corpus.name, corpus.is_solos, corpus.notes) == ("rodas", False, ())
        assert [song.id for song in corpus.tracks] == ["one", "three", "two"]
        assert corpus.instruments == ("surdo", "tamborim", "agogo")
        one, three, two = corpus.tracks
        assert [path.name for path in one.stems["tamborim"]] == ["tamborim-1.wav", "tamborim-2.wav"]
        assert (one.mixture, three.mixture, two.mixture) == (
            rodas / "one" / "mixture.wav",
            None,
            rodas / "two" / "mixture.wav",
        )
        assert two.instruments == ("agogo", "surdo", "tamborim")
        assert [len(song.beats()) for song in (one, three)] == [2, 3]
        with pytest.raises(InputError, match="no beat annotation"):
            two.beats()
        assert said(corpus) == [f"{rodas}: has instruments that only some of its 3 songs have: agogo (1)"]

    def test_the_folder_of_one_song(self, rodas):
        corpus = load_corpus(rodas / "one", labels="stems")
        assert [(song.id, song.instruments) for song in corpus.tracks] == [("one", ("surdo", "tamborim"))]

    def test_solos_named_by_instrument(self, tmp_path):
        for index, name in enumerate(["surdo-1", "surdo-2", "Tamborim 1", "caixa"]):
            put(tmp_path / f"{name}.wav", sound(index, seconds=2 + index))
        corpus = load_corpus(tmp_path, labels="stems")
        assert corpus.is_solos
        assert [(song.id, song.instruments, song.group) for song in corpus.tracks] == [
            ("Tamborim 1", ("tamborim",), "Tamborim 1"),
            ("caixa", ("caixa",), "caixa"),
            ("surdo-1", ("surdo",), "surdo-1"),
            ("surdo-2", ("surdo",), "surdo-2"),
        ]
        assert [problem.split(": ", 1)[1] for problem in said(corpus)] == [
            "is read as solos, as lengths differ (surdo-1.wav 2.00 s, caixa.wav 5.00 s); if they play together: "
            'layout = "songs" in corpus.toml'
        ]
        (tmp_path / "corpus.toml").write_text('layout = "solos"\n')
        assert said(load_corpus(tmp_path, labels="stems")) == []

    def test_a_song_of_which_a_program_trimmed_one_of_two_surdos(self, tmp_path):
        for index, name in enumerate(["surdo-1", "surdo-2", "caixa", "tamborim"]):
            put(tmp_path / "roda" / f"{name}.wav", sound(index, seconds=2.5 if name == "surdo-2" else 4))
        corpus = load_corpus(tmp_path, labels="stems")
        assert [(one.id, one.instruments) for one in corpus.tracks] == [("roda", ("caixa", "surdo", "tamborim"))]
        stems, mixture = corpus.tracks[0].read(["surdo", "caixa", "tamborim"], rate=RATE)
        padded = sound(0)[0] + np.pad(sound(1, seconds=2.5)[0], (0, round(1.5 * RATE)))
        np.testing.assert_allclose(stems[0, 0], padded, atol=1e-6)
        np.testing.assert_allclose(stems.sum(axis=0), mixture, atol=1e-6)
        assert "is read as one song, in which shorter files are silent at the end (surdo-2.wav 2.50 s" in str(
            corpus.notes[0]
        )

    def test_files_named_as_those_of_a_song_with_a_mixture_are_a_song(self, tmp_path):
        song(tmp_path / "one", ["surdo-1", "surdo-2", "caixa"])
        for index, name in enumerate(["surdo-1", "surdo-2", "caixa"]):
            put(tmp_path / "two" / f"{name}.wav", sound(index + 10, seconds=2 + index))
        assert [(one.id, one.instruments) for one in load_corpus(tmp_path, labels="stems").tracks] == [
            ("one", ("caixa", "surdo")),
            ("two", ("caixa", "surdo")),
        ]

    def test_solos_of_one_length_with_beats_of_their_own_are_solos(self, tmp_path):
        for index, name in enumerate(["surdo-1", "surdo-2", "caixa-1", "caixa-2"]):
            put(tmp_path / "ana" / f"{name}.wav", sound(index, seconds=3 if index else 2))
            (tmp_path / "ana" / f"{name}.beats").write_text("0.5\t1\n1.0\t2\n")
        assert load_corpus(tmp_path, labels="stems").is_solos

    def test_files_that_are_left_out(self, tmp_path):
        song(tmp_path / "one", ["surdo", "caixa", "Overheads", "OH_L", "Room-mic"], mixture=False)
        song(tmp_path / "two", ["surdo", "caixa", "drum room"], mixture=False, seed=9)
        assert [one for one in said(load_corpus(tmp_path, labels="stems"), "note") if "microphones" in one] == [
            f"{tmp_path}: has microphones that record all instruments at once (OH_L.wav, Overheads.wav, Room-mic.wav): "
            'exclude = ["*oh_l", "*overheads*", "*room*"] in corpus.toml leaves them out'
        ]
        (tmp_path / "corpus.toml").write_text('exclude = ["*oh_l", "*overhead*", "*room*"]\n')
        corpus = load_corpus(tmp_path, labels="stems")
        assert [one.instruments for one in corpus.tracks] == [("caixa", "surdo")] * 2
        assert [path.name for one in corpus.tracks for path in one.files] == ["caixa.wav", "surdo.wav"] * 2
        assert [one.split(": ", 1)[1] for one in said(corpus)] == ["exclude leaves out 4 of 8 recordings"]
        (tmp_path / "corpus.toml").write_text('exclude = ["*"]\n')
        with pytest.raises(InputError, match="exclude leaves out every recording"):
            load_corpus(tmp_path, labels="stems")

    def test_solos_in_folders_of_instruments_and_of_players(self, tmp_path):
        put(tmp_path / "ansina" / "chico" / "take-1.wav", sound(1))
        put(tmp_path / "ansina" / "piano" / "whatever.wav", sound(2))
        put(tmp_path / "cuareim" / "chico" / "chico-3.wav", sound(3))
        put(tmp_path / "cuareim" / "repique" / "repique-3.wav", sound(4))
        corpus = load_corpus(tmp_path, labels="stems")
        assert [(song.id, *song.instruments, song.group) for song in corpus.tracks] == [
            ("ansina/chico/take-1", "chico", "ansina"),
            ("ansina/piano/whatever", "piano", "ansina"),
            ("cuareim/chico/chico-3", "chico", "cuareim"),
            ("cuareim/repique/repique-3", "repique", "cuareim"),
        ]
        assert corpus.grouping == "the folder a song lies in"

    def test_files_of_one_length_are_a_song_and_others_are_solos(self, tmp_path):
        song(tmp_path / "alike", ["surdo", "caixa"], mixture=False)
        assert [len(one.stems) for one in load_corpus(tmp_path / "alike", labels="stems").tracks] == [2]
        put(tmp_path / "others" / "surdo.wav", sound(0))
        put(tmp_path / "others" / "caixa.wav", sound(0, seconds=5))
        assert [len(one.stems) for one in load_corpus(tmp_path / "others", labels="stems").tracks] == [1, 1]
        (tmp_path / "others" / "corpus.toml").write_text('layout = "songs"\n')
        assert [len(one.stems) for one in load_corpus(tmp_path / "others", labels="stems").tracks] == [2]
        (tmp_path / "alike" / "corpus.toml").write_text('layout = "solos"\n')
        assert [len(one.stems) for one in load_corpus(tmp_path / "alike", labels="stems").tracks] == [1, 1]

    def test_brid_solos_by_their_ids(self, tmp_path):
        for name in ("[0216] S2-TB3-02-SE", "[0230] S1-SU1-01-SA", "[0231] S1-TT1-01-PA", "[0042] M3-23-SE"):
            put(tmp_path / f"{name}.wav", sound(len(name), seconds=1 + len(name) / 10))
        corpus = load_corpus(tmp_path, labels="stems")
        assert [song.instruments for song in corpus.tracks] == [("tamborim",), ("surdo",), ("tanta",)]
        assert corpus.notes[-1].path.name == "[0042] M3-23-SE.wav"

    METADATA = """artist: {artist}
has_bleed: 'no'
mix_filename: A_MIX.wav
stem_dir: A_STEMS
stems:
  S01:
    component: ''
    filename: A_STEM_01.wav
    instrument: drum set
    raw:
      R01:
        filename: A_RAW_01_01.wav
        instrument: kick drum
  S02:
    component: bass
    filename: A_STEM_02.wav
    instrument:
    - electric bass
    raw: {{}}
title: A
"""

    @pytest.mark.parametrize(("artist", "group"), [("Grupo", "Grupo"), ("MusicDelta", "A"), ("''", "A")])
    def test_medleydb(self, tmp_path, artist, group):
        stems = [sound(1), sound(2)]
        for number, samples in enumerate(stems, start=1):
            put(tmp_path / "A" / "A_STEMS" / f"A_STEM_0{number}.wav", samples)
            put(tmp_path / "A" / "A_RAW" / f"A_RAW_0{number}_01.wav", samples)
        put(tmp_path / "A" / "A_MIX.wav", sum(stems))
        (tmp_path / "A" / "A_METADATA.yaml").write_text(self.METADATA.format(artist=artist))
        corpus = load_corpus(tmp_path, labels="stems")
        assert [(song.id, song.group, song.instruments) for song in corpus.tracks] == [
            ("A", group, ("drum-set", "electric-bass"))
        ]
        assert corpus.tracks[0].mixture == tmp_path / "A" / "A_MIX.wav"
        assert said(corpus, "warning") == []

    def test_medleydb_without_metadata_has_numbers_and_is_told_so(self, tmp_path):
        for number in (1, 2):
            put(tmp_path / "A_STEMS" / f"A_STEM_0{number}.wav", sound(number))
        corpus = load_corpus(tmp_path, labels="stems")
        assert corpus.tracks[0].instruments == ("stem-1", "stem-2")
        assert "[instruments]" in said(corpus, "warning")[0]

    @pytest.mark.parametrize("text", [b"stems: none\n", b"\xff\xfe\x00", b""])
    def test_metadata_without_stems(self, tmp_path, text):
        (tmp_path / "A_METADATA.yaml").write_bytes(text)
        with pytest.raises(InputError, match=r"names no stems|not YAML"):
            read_metadata(tmp_path / "A_METADATA.yaml")

    def test_stems_beside_recordings_as_rendered_for_beats(self, tmp_path):
        stems = song(tmp_path / "a.stems", ["chico", "repique"], mixture=False)
        put(tmp_path / "a.wav", sum(stems.values()))
        (tmp_path / "a.beats").write_text("0.5\t1\n1.0\t2\n")
        only = load_corpus(tmp_path, labels="stems").tracks[0]
        assert (only.id, only.instruments, only.mixture, len(only.beats())) == (
            "a",
            ("chico", "repique"),
            tmp_path / "a.wav",
            2,
        )

    def test_names_that_all_files_begin_with_are_cut(self, tmp_path):
        song(tmp_path / "x", ["Roda 3 - lead voice", "Roda 3 - zurna", "Roda 3 - Surdo"], mixture=False)
        assert load_corpus(tmp_path, labels="stems").tracks[0].instruments == ("lead-voice", "surdo", "zurna")

    def test_instruments_that_files_do_not_name(self, tmp_path):
        song(tmp_path / "one", ["stem_01", "stem_02"])
        song(tmp_path / "two", ["stem_01", "stem_02"], seed=5)
        toml = tmp_path / "corpus.toml"
        toml.write_text('name = "X"\nlicence = "CC0"\n[instruments]\n"*/stem_01" = "Caixa"\n"two/stem_02" = "surdo"\n')
        corpus = load_corpus(tmp_path, labels="stems", instruments={"one/stem_02": "chico"})
        assert (corpus.name, corpus.licence) == ("X", "CC0")
        assert [song.instruments for song in corpus.tracks] == [("caixa", "chico"), ("caixa", "surdo")]
        toml.write_text('[instruments]\n"three/*" = "caixa"\n')
        with pytest.raises(InputError, match="no stem is called 'three/") as caught:
            load_corpus(tmp_path, labels="stems")
        assert caught.value.line == 2

    def test_numbered_names_that_are_given_stay_apart(self, tmp_path):
        song(tmp_path / "one", ["surdo-1", "surdo-2", "caixa"])
        song(tmp_path / "two", ["surdo-1", "caixa"], seed=10)
        song(tmp_path / "three", ["surdo-2", "caixa"], seed=20)
        assert load_corpus(tmp_path, labels="stems").instruments == ("caixa", "surdo")
        (tmp_path / "corpus.toml").write_text('[instruments]\n"*/surdo-1" = "Surdo 1"\n"*/surdo-2" = "Surdo 2"\n')
        corpus = load_corpus(tmp_path, labels="stems")
        assert {one.id: one.instruments for one in corpus.tracks} == {
            "one": ("caixa", "surdo-1", "surdo-2"), "two": ("caixa", "surdo-1"), "three": ("caixa", "surdo-2"),
        }  # fmt: skip
        assert corpus.notes == ()
        stems, _ = corpus.tracks[0].read(["surdo-1", "surdo-2"], rate=RATE)
        np.testing.assert_allclose(stems[:, 0], [sound(0)[0], sound(1)[0]], atol=1e-6)

    def test_names_given_are_kept_where_others_of_their_voice_are_changed(self, tmp_path):
        for index, name in enumerate(["tamborim", "tamborim", "stem_01"]):
            song(tmp_path / f"song-{index}", ["surdo", name], seed=10 * index)
        (tmp_path / "corpus.toml").write_text('[instruments]\n"*/stem_01" = "tamborin"\n')
        corpus = load_corpus(tmp_path, labels="stems")
        assert corpus.instruments == ("surdo", "tamborin")
        assert "tamborin is used for both" in str(*corpus.notes)

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ('layout = "both"\n', "layout must be songs or solos"),
            ("instruments = 3\n", "instruments must be a table"),
            ('[instruments]\n"a" = 3\n', "the instrument of 'a' must be a name"),
            ("tempo = 3\n", "'tempo' is not known"),
            ('exclude = "*room*"\n', "exclude must be a list of patterns"),
        ],
    )
    def test_wrong_corpus_toml(self, tmp_path, text, problem):
        song(tmp_path / "one", ["surdo", "caixa"])
        (tmp_path / "corpus.toml").write_text(text)
        with pytest.raises(InputError, match=problem):
            load_corpus(tmp_path, labels="stems")

    def test_groups_by_hand(self, tmp_path):
        (tmp_path / "corpus.toml").write_text('[groups]\n"t*" = "both"\n')
        for name in ("one", "two", "three"):
            song(tmp_path / name, ["surdo", "caixa"], seed=ord(name[1]))
        corpus = load_corpus(tmp_path, labels="stems")
        assert {name: len(songs) for name, songs in corpus.groups.items()} == {"both": 2, "one": 1}
        assert corpus.grouping.startswith("corpus.toml; otherwise")

    def test_the_better_of_two_formats_is_used(self, tmp_path):
        stems = song(tmp_path / "one", ["surdo", "caixa"])
        soundfile.write(tmp_path / "one" / "surdo.mp3", stems["surdo"][0], RATE)
        soundfile.write(tmp_path / "one" / "mixture.ogg", stems["surdo"][0], RATE)
        corpus = load_corpus(tmp_path, labels="stems")
        assert [path.name for path in corpus.tracks[0].stems["surdo"]] == ["surdo.wav"]
        (note,) = corpus.notes
        assert note.path.name == "mixture.ogg"
        assert "(and 1 more)" in note.message

    @pytest.mark.parametrize(
        ("files", "problem"),
        [
            ((), "has no audio files; looked for"),
            (("notes.txt",), "has no audio files"),
            (("one/mixture.wav", "two/mix.wav"), "has recordings but no stems: looked for"),
            (("first.wav", "second.wav"), "has recordings but no stems"),
            (("one/somewhere.wav", "two/elsewhere.wav"), "has recordings but no stems"),
        ],
    )
    def test_without_stems(self, tmp_path, files, problem):
        for index, name in enumerate(files):
            put(tmp_path / name, sound(index, seconds=1 + index)) if name.endswith("wav") else (
                tmp_path / name
            ).write_text("")
        with pytest.raises(InputError, match=problem) as caught:
            load_corpus(tmp_path, labels="stems")
        assert Path(caught.value.path) == tmp_path

    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError, match="there is no such folder"):
            load_corpus(tmp_path / "nowhere", labels="stems")
        with pytest.raises(InputError, match="is a file"):
            load_corpus(put(tmp_path / "a.wav", sound(0)), labels="stems")


class TestChannels:
    """Mono files x_L and x_R are the two channels of one stem, and no two takes of it."""

    def stereo(self, folder, *, mixture=True):
        left, right, caixa = sound(1), sound(2), sound(3)
        put(folder / "surdo_L.wav", left)
        put(folder / "surdo_R.wav", right)
        put(folder / "caixa.wav", caixa)
        if mixture:
            put(folder / "mixture L.wav", left + caixa)
            put(folder / "mixture R.wav", right + caixa)
        return np.concatenate([left, right]), np.repeat(caixa, 2, axis=0)

    @pytest.mark.parametrize("mixture", [True, False])
    def test_a_pair_is_one_stem(self, tmp_path, mixture):
        surdo, caixa = self.stereo(tmp_path / "one", mixture=mixture)
        corpus = load_corpus(tmp_path, labels="stems")
        (one,) = corpus.tracks
        assert one.instruments == ("caixa", "surdo")
        assert corpus.notes == ()
        stems, mixed = one.read(["surdo", "caixa"], rate=RATE, channels=None)
        assert stems[0] == pytest.approx(surdo, abs=1e-6)
        assert stems[1] == pytest.approx(caixa, abs=1e-6)
        assert mixed == pytest.approx(surdo + caixa, abs=1e-6)
        assert not mixture or str(one.fit) == "recording"
        mono, _ = one.read(["surdo"], rate=RATE)
        assert mono[0, 0] == pytest.approx(surdo.mean(axis=0), abs=1e-6)
        assert len(one.stem_hashes) == 3

    def test_files_of_two_channels_are_takes(self, tmp_path):
        both = [sound(seed, channels=2) for seed in (1, 2)]
        for name, samples in zip(("surdo_L", "surdo_R", "caixa"), (*both, sound(3)), strict=True):
            put(tmp_path / "one" / f"{name}.wav", samples)
        stems, _ = load_corpus(tmp_path, labels="stems").tracks[0].read(["surdo"], rate=RATE, channels=None)
        assert stems[0] == pytest.approx(sum(both), abs=1e-6)

    def test_a_solo(self, tmp_path):
        self.stereo(tmp_path / "solos", mixture=False)
        (tmp_path / "corpus.toml").write_text('layout = "solos"\n')
        corpus = load_corpus(tmp_path, labels="stems")
        assert [(song.id, song.instruments, len(song.files)) for song in corpus.tracks] == [
            ("solos/caixa", ("caixa",), 1), ("solos/surdo", ("surdo",), 2),
        ]  # fmt: skip


class TestGroups:
    def three(self, root):
        for index, name in enumerate(("one", "two", "three")):
            song(root / name, ["surdo", "caixa"], seed=10 * index, mixture=False)
        return root

    def test_songs_that_share_a_take_are_one(self, tmp_path):
        root = self.three(tmp_path)
        (root / "two" / "agogo.wav").write_bytes((root / "one" / "surdo.wav").read_bytes())
        corpus = load_corpus(root, labels="stems")
        assert {group: len(songs) for group, songs in corpus.groups.items()} == {"one": 2, "three": 1}
        assert corpus.grouping.endswith("; those that share a take or a solo are one")
        assert any("holds the same take as" in problem for problem in said(corpus, "warning"))

    def test_silence_is_shared_by_all_and_says_nothing(self, tmp_path):
        root = self.three(tmp_path)
        for name in ("one", "two"):
            put(root / name / "agogo.wav", 0 * sound(0))
        assert len(load_corpus(root, labels="stems").groups) == 3

    def test_mixtures_of_one_solo(self, tmp_path):
        """As `levada remix` leaves them, whatever the stems themselves are."""
        root = self.three(tmp_path)
        for name, digests in {"one": ["a", "b"], "two": ["c"], "three": ["b"]}.items():
            solos = {digest: {"sha256": [digest], "duration_s": 4.0} for digest in digests}
            (root / name / "solos.json").write_text(json.dumps(solos))
        assert {group: len(songs) for group, songs in load_corpus(root, labels="stems").groups.items()} == {
            "one": 2,
            "two": 1,
        }


class TestNames:
    def test_two_names_of_one_instrument_become_the_more_frequent(self, tmp_path):
        for index, names in enumerate([("tamborim", "caixa"), ("tamborin", "snare"), ("tamborim", "caixa")]):
            song(tmp_path / f"song-{index}", ["surdo", *names], seed=10 * index)
        corpus = load_corpus(tmp_path, labels="stems")
        assert corpus.instruments == ("caixa", "surdo", "tamborim")
        assert said(corpus, "warning") == [
            f"{tmp_path}: calls one instrument snare and caixa: caixa is used for both",
            f"{tmp_path}: calls one instrument tamborin and tamborim: tamborim is used for both",
        ]

    def test_those_that_play_together_are_kept_apart(self, tmp_path):
        song(tmp_path / "one", ["primeira", "segunda", "caixa"])
        corpus = load_corpus(tmp_path, labels="stems")
        assert (corpus.instruments, corpus.notes) == (("caixa", "primeira", "segunda"), ())
        assert "has songs with primeira, segunda, which are all surdo: they are kept apart" in said(corpus, "note")[0]

    def test_one_name_of_two_traditions_is_two_instruments(self, tmp_path):
        """The repique of candombe is another drum than that of samba, a repinique."""
        song(tmp_path / "cuareim", ["chico", "repique", "piano"])
        song(tmp_path / "mangueira", ["surdo", "tamborim", "repique"], seed=10)
        song(tmp_path / "portela", ["surdo", "tamborim", "repinique"], seed=20)
        corpus = load_corpus(tmp_path, labels="stems")
        assert [one.instruments for one in corpus.tracks] == [
            ("chico", "piano", "repique"), ("repinique", "surdo", "tamborim"), ("repinique", "surdo", "tamborim"),
        ]  # fmt: skip

    def test_singers_and_guitars_are_not_one(self, tmp_path):
        song(tmp_path / "one", ["singer", "caixa"])
        song(tmp_path / "two", ["guitar", "caixa"], seed=5)
        assert load_corpus(tmp_path, labels="stems").instruments == ("caixa", "guitar", "singer")


class TestReading:
    def test_stems_sum_to_the_mixture_and_takes_are_one(self, rodas):
        corpus = load_corpus(rodas, labels="stems")
        stems, mixture = corpus.tracks[0].read(corpus.instruments, rate=RATE)
        assert (stems.shape, mixture.shape, stems.dtype) == ((3, 1, 4 * RATE), (1, 4 * RATE), np.float32)
        assert np.abs(stems.sum(axis=0) - mixture).max() < 1e-6
        assert not stems[2].any()
        takes = [audio.read(rodas / "one" / f"tamborim-{number}.wav")[0] for number in (1, 2)]
        assert stems[1] == pytest.approx(sum(takes), abs=1e-7)

    def test_a_stretch_is_a_stretch_of_the_whole_and_only_it_is_read(self, rodas, monkeypatch):
        only = load_corpus(rodas, labels="stems").tracks[0]
        stems, mixture = only.read(["surdo"], rate=RATE)
        asked, read = [], audio.read
        monkeypatch.setattr(audio, "read", lambda path, **how: asked.append(how) or read(path, **how))
        part, result = Span(only, 1.25, 2.5).read(["surdo"], rate=RATE)
        assert np.array_equal(part, stems[:, :, 10000:20000])
        assert np.array_equal(result, mixture[:, 10000:20000])
        assert asked == [{"start_s": 1.25, "duration_s": 1.25}] * 4

    def test_what_is_not_asked_for_is_in_the_mixture_only(self, rodas):
        only = load_corpus(rodas, labels="stems").tracks[2]
        stems, mixture = only.read(["tamborim", "cuica"], rate=RATE)
        assert stems[0].any()
        assert not stems[1].any()
        assert np.abs(mixture - stems.sum(axis=0)).max() > 0.05
        assert only.read([], rate=RATE)[0].shape == (0, 1, 4 * RATE)

    def test_rates_are_resampled_without_edges(self, tmp_path):
        time_s = np.arange(4 * 44100) / 44100
        put(tmp_path / "one" / "surdo.wav", 0.4 * np.sin(2 * np.pi * 200 * time_s)[None], rate=44100)
        put(tmp_path / "one" / "caixa.wav", sound(1))
        only = load_corpus(tmp_path, labels="stems").tracks[0]
        stems, mixture = Span(only, 1.0, 2.0).read(["surdo", "caixa"], rate=16000)
        expected = 0.4 * np.sin(2 * np.pi * 200 * (1 + np.arange(16000) / 16000))
        assert np.abs(stems[0, 0] - expected).max() < 1e-3
        assert mixture == pytest.approx(stems.sum(axis=0), abs=1e-6)
        assert "has rates that differ: " in said(load_corpus(tmp_path, labels="stems"), "warning")[0]

    def test_a_mono_stem_in_a_stereo_song_is_heard_in_both_channels(self, tmp_path):
        left_right, centre = sound(1, channels=2), sound(2)
        put(tmp_path / "one" / "surdo.wav", left_right)
        put(tmp_path / "one" / "caixa.wav", centre)
        put(tmp_path / "one" / "mixture.wav", left_right + centre)
        only = load_corpus(tmp_path, labels="stems").tracks[0]
        stems, mixture = only.read(["surdo", "caixa"], rate=RATE, channels=None)
        assert stems.shape == (2, 2, 4 * RATE)
        assert stems[1] == pytest.approx(np.repeat(centre, 2, axis=0), abs=1e-6)
        assert np.abs(stems.sum(axis=0) - mixture).max() < 1e-6
        mono, mixed = only.read(["surdo", "caixa"], rate=RATE)
        assert mono == pytest.approx(stems.mean(axis=1, keepdims=True), abs=1e-6)
        assert np.abs(mono.sum(axis=0) - mixed).max() < 1e-6
        assert said(load_corpus(tmp_path, labels="stems")) == [
            f"{tmp_path / 'one'}: is mono and in every channel: caixa.wav"
        ]

    def test_stems_that_end_early_are_silent_then_and_longer_ones_are_told(self, tmp_path):
        short, full, long = sound(1, seconds=2.0), sound(2), sound(3, seconds=5.0)
        put(tmp_path / "one" / "surdo.wav", short)
        put(tmp_path / "one" / "caixa.wav", full)
        put(tmp_path / "one" / "agogo.wav", long)
        mixture = full + long[:, : 4 * RATE]
        mixture[:, : 2 * RATE] += short
        put(tmp_path / "one" / "mixture.wav", mixture)
        only = load_corpus(tmp_path, labels="stems").tracks[0]
        assert only.duration_s == 4.0
        stems, result = only.read(["surdo", "caixa", "agogo"], rate=RATE)
        assert not stems[0, :, 2 * RATE :].any()
        assert stems[0, :, : 2 * RATE] == pytest.approx(short, abs=1e-6)
        assert result == pytest.approx(mixture, abs=1e-6)
        assert not Span(only, 3.0, 4.0).read(["surdo"], rate=RATE)[0].any()
        problems = said(load_corpus(tmp_path, labels="stems"))
        assert any("agogo.wav: is 1.00 s longer than its mixture" in one for one in problems)
        assert any("surdo.wav: is 2.00 s shorter than its mixture" in one for one in problems)

    def test_a_mixture_that_is_not_made_of_them_is_not_used(self, tmp_path):
        stems = song(tmp_path / "one", ["surdo", "caixa"], mixture=False)
        put(tmp_path / "one" / "mixture.wav", 0.5 * sum(stems.values()) + sound(99))
        one = load_corpus(tmp_path, labels="stems").tracks[0]
        assert not one.fit.is_used
        assert "sum of the stems" in str(one.fit)
        assert one.read([], rate=RATE)[1] == pytest.approx(sum(stems.values()), abs=1e-6)

    @pytest.mark.parametrize("delay", [80, -80])
    def test_a_mixture_that_is_late_and_limited_is_used(self, tmp_path, delay):
        """What is separated is the recording, moved by its delay: 10 ms at 8 kHz."""
        stems = {name: np.pad(sound(seed), [(0, 0), (800, 800)]) for seed, name in enumerate(("surdo", "caixa"))}
        for name, samples in stems.items():
            put(tmp_path / "one" / f"{name}.wav", samples)
        total = sum(stems.values())
        limited = np.tanh(4 * total) / 4
        put(tmp_path / "one" / "mixture.wav", np.roll(limited, delay), subtype="FLOAT")
        one = load_corpus(tmp_path, labels="stems").tracks[0]
        assert (one.fit.is_used, one.fit.delay, one.fit.delay_s) == (True, delay, delay / RATE)
        gain = np.sum(limited * total) / np.sum(total**2)
        error_db = 10 * np.log10(np.sum((limited - gain * total) ** 2) / np.sum(limited**2))
        assert one.fit.residual_db == pytest.approx(error_db, abs=0.5)
        assert "10.0 ms" in str(one.fit)
        assert any("is 10.0 ms" in problem for problem in said(load_corpus(tmp_path, labels="stems")))
        played, mixture = Span(one, 1.0, 3.0).read(["surdo"], rate=RATE)
        assert mixture == pytest.approx(limited[:, RATE : 3 * RATE], abs=1e-6)
        assert played[0] == pytest.approx(gain * stems["surdo"][:, RATE : 3 * RATE], abs=1e-3)

    def test_stems_are_used_at_the_levels_of_the_mixture(self, tmp_path):
        stems = song(tmp_path / "one", ["surdo", "caixa"], mixture=False)
        put(tmp_path / "one" / "mixture.wav", 0.5 * stems["surdo"] + 2 * stems["caixa"], subtype="FLOAT")
        played, mixture = load_corpus(tmp_path, labels="stems").tracks[0].read(["surdo", "caixa"], rate=RATE)
        assert played[0] == pytest.approx(0.5 * stems["surdo"], abs=1e-5)
        assert played[1] == pytest.approx(2 * stems["caixa"], abs=1e-5)
        assert mixture == pytest.approx(played.sum(axis=0), abs=1e-5)

    def test_the_delay_of_a_mixture_with_a_rest(self, tmp_path):
        surdo, caixa = sound(1), sound(2)
        late = np.pad(surdo + caixa, [(0, 0), (80, 0)])[:, : 4 * RATE]
        put(tmp_path / "one" / "mixture.wav", late)
        put(tmp_path / "one" / "surdo.wav", surdo)
        played, _ = Span(load_corpus(tmp_path, labels="stems").tracks[0], 0.0, 3.5).read(["surdo", REST], rate=RATE)
        assert played[1] == pytest.approx(caixa[:, :28000], abs=1e-6)

    def test_one_stem_beside_each_mixture_leaves_a_rest(self, tmp_path):
        surdo, caixa = sound(1), sound(2)
        put(tmp_path / "one" / "mixture.wav", surdo + caixa)
        put(tmp_path / "one" / "surdo.wav", surdo)
        corpus = load_corpus(tmp_path, labels="stems")
        assert corpus.instruments == (REST, "surdo")
        stems, mixture = corpus.tracks[0].read(["surdo", REST], rate=RATE)
        assert stems[1] == pytest.approx(caixa, abs=1e-6)
        assert mixture == pytest.approx(surdo + caixa, abs=1e-6)
        assert said(corpus) == []

    @pytest.mark.parametrize(("start_s", "end_s"), [(1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (0.0, float("nan"))])
    def test_stretches_that_are_none(self, rodas, start_s, end_s):
        with pytest.raises(InputError, match="has no stretch"):
            Span(load_corpus(rodas, labels="stems").tracks[0], start_s, end_s).read(["surdo"], rate=RATE)

    def test_hashes_follow_the_content_and_not_the_names(self, tmp_path):
        song(tmp_path / "one", ["surdo", "caixa"])
        song(tmp_path / "two", ["caixa", "surdo"])
        song(tmp_path / "three", ["surdo", "caixa"], seed=7)
        one, three, two = load_corpus(tmp_path, labels="stems").tracks
        assert one.content_hash == two.content_hash != three.content_hash
        assert one.stem_hashes == two.stem_hashes
        assert len(one.stem_hashes) == 2
        assert hash(one) != hash(two)
        assert pickle.loads(pickle.dumps(one)) == one

    def test_an_unreadable_file_is_named(self, tmp_path):
        song(tmp_path / "one", ["surdo", "caixa"])
        (tmp_path / "one" / "caixa.wav").write_text("not a sound")
        with pytest.raises(InputError) as caught:
            load_corpus(tmp_path, labels="stems").tracks[0].read(["surdo"], rate=RATE)
        assert Path(caught.value.path).name == "caixa.wav"


class TestChecks:
    def test_nothing_is_wrong_with_what_is_right(self, tmp_path):
        song(tmp_path / "one", ["surdo", "caixa"])
        song(tmp_path / "two", ["surdo", "caixa"], seed=5)
        assert said(load_corpus(tmp_path, labels="stems")) == []

    def one(self, tmp_path, change, *, mixture=None):
        """A song of three drums whose last stem is changed after the mixture was made."""
        stems = song(tmp_path / "one", ["surdo", "agogo", "caixa"], mixture=False)
        total = sum(stems.values())
        put(tmp_path / "one" / "mixture.wav", total if mixture is None else mixture(total), subtype="FLOAT")
        put(tmp_path / "one" / "caixa.wav", change(stems["caixa"]), subtype="FLOAT")
        return said(load_corpus(tmp_path, labels="stems"))

    def test_polarity(self, tmp_path):
        assert self.one(tmp_path, lambda stem: -stem) == [
            f"{tmp_path}/one/caixa.wav: has the opposite polarity of what it has in the mixture"
        ]

    def test_level(self, tmp_path):
        (problem,) = self.one(tmp_path, lambda stem: 0.25 * stem)
        assert "mixture.wav: has its stems at other levels than their files: caixa +12.0 dB" in problem

    def test_a_mixture_of_something_else(self, tmp_path):
        (problem,) = self.one(tmp_path, lambda stem: stem, mixture=lambda total: sound(99) + 0.1 * total)
        assert "mixture.wav: is not the sum of its stems, at whatever levels (" in problem

    def test_a_mixture_that_is_almost_it(self, tmp_path):
        (problem,) = self.one(tmp_path, lambda stem: stem, mixture=lambda total: total + 0.1 * sound(99))
        assert "is not quite the sum of its stems (-2" in problem

    def test_silent_throughout(self, tmp_path):
        problems = self.one(tmp_path, lambda stem: 0 * stem, mixture=lambda total: 0 * total)
        assert [one.split(": ", 1)[1] for one in problems] == [
            "is silent",
            "is silent throughout, and is left out",
        ]
        stems, mixture = load_corpus(tmp_path, labels="stems").tracks[0].read(["caixa", "surdo"], rate=RATE)
        assert not stems[0].any()
        assert np.isfinite(mixture).all()

    def test_clipped_and_not_finite(self, tmp_path):
        def spoilt(stem):
            loud = np.clip(40 * stem, -1, 1)
            loud[0, 5000:5010] = np.nan
            return loud

        problems = self.one(tmp_path, spoilt)
        assert any("caixa.wav: is clipped: " in one for one in problems)
        assert any("caixa.wav: samples from 0.625 s on are not finite; silence is used" in one for one in problems)
        assert np.isfinite(load_corpus(tmp_path, labels="stems").tracks[0].read(["caixa"], rate=RATE)[0]).all()

    def test_two_samples(self, tmp_path):
        problems = self.one(tmp_path, lambda stem: stem[:, :2])
        assert any("caixa.wav: lasts 0.00025 s (2 samples)" in one for one in problems)
        assert load_corpus(tmp_path, labels="stems").tracks[0].read(["caixa"], rate=44100)[0].shape == (1, 1, 4 * 44100)

    def test_unreadable(self, tmp_path):
        song(tmp_path / "one", ["surdo", "agogo", "caixa"])
        (tmp_path / "one" / "caixa.wav").write_text("not a sound")
        errors = said(load_corpus(tmp_path, labels="stems"), "error")
        assert len(errors) == 1
        assert errors[0].startswith(f"{tmp_path}/one/caixa.wav: ")

    def test_the_same_take_twice_in_a_song_upside_down_or_not(self, tmp_path):
        stems = song(tmp_path / "one", ["surdo", "agogo"], mixture=False)
        put(tmp_path / "one" / "caixa.wav", -0.5 * stems["surdo"])
        (error,) = said(load_corpus(tmp_path, labels="stems"), "error")
        assert "is the same recording as " in error
        assert error.endswith("opposite polarity")

    @pytest.mark.parametrize(("gain", "subtype"), [(-1, "PCM_24"), (0.7, "FLOAT"), (-2, "PCM_16")])
    def test_the_same_take_in_two_songs(self, tmp_path, gain, subtype):
        stems = song(tmp_path / "one", ["surdo", "agogo"], mixture=False)
        song(tmp_path / "two", ["surdo", "agogo"], mixture=False, seed=8)
        put(tmp_path / "two" / "surdo.wav", gain * stems["surdo"], subtype=subtype)
        (error,) = said(load_corpus(tmp_path, labels="stems"), "error")
        what = f"holds the same take as {tmp_path}/one/surdo.wav in another group: it may be trained and tested on"
        assert error == f"{tmp_path}/two/surdo.wav: {what}"

    def test_one_instrument(self, tmp_path):
        put(tmp_path / "surdo-1.wav", sound(1))
        put(tmp_path / "surdo-2.wav", sound(2, seconds=3))
        assert said(load_corpus(tmp_path, labels="stems")) == [
            f"{tmp_path}: has one instrument, surdo: there is nothing to separate it from"
        ]


def corpus_of(*songs):
    """A corpus that is nowhere on the disk: id, group and instruments of each song."""
    found = [Multitrack(own, {name: (Path(f"{own}/{name}.wav"),) for name in names}, None, group) for own, group, names in songs]  # fmt: skip  # noqa: E501
    return Corpus("x", tuple(found), Path("x"))


class TestBudgets:
    @pytest.fixture(scope="class")
    def four(self, tmp_path_factory):
        """Four songs of 30 s; a caixa plays in the second half only."""
        root = tmp_path_factory.mktemp("budget")
        for index in range(4):
            stems = song(root / f"s{index}", ["surdo", "agogo"], seed=10 * index, seconds=30.0, mixture=False)
            caixa = stems["agogo"][:, ::-1].copy()
            caixa[:, : 15 * RATE] = 0
            put(root / f"s{index}" / "caixa.wav", caixa)
        return load_corpus(root, labels="stems").tracks

    @pytest.mark.parametrize("minutes", [0.05, 0.5, 1.1, 1.7, 2.0])
    def test_are_spent_to_the_second_and_never_twice(self, four, minutes):
        spans = sample(four, minutes=minutes, seed=np.random.default_rng(3))
        assert sum(span.duration_s for span in spans) == pytest.approx(60 * minutes, abs=2e-3)
        for song in four:
            mine = [span for span in spans if span.track is song]
            assert all(0 <= span.start_s < span.end_s <= 30 + 1e-9 for span in mine)
            assert all(a.end_s <= b.start_s for a, b in pairwise(mine))
        assert spans == sorted(spans, key=lambda span: (span.track.id, span.start_s))

    def test_all_there_is_gives_whole_songs(self, four):
        assert sample(four, minutes=2.0, seed=np.random.default_rng(0)) == sample(four, minutes=None)

    def test_the_same_seed_draws_the_same_and_another_others(self, four):
        drawn = [sample(four, minutes=0.5, seed=np.random.default_rng(seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1] != drawn[2]

    def test_places_where_all_stems_sound_are_preferred(self, four):
        result = 0
        for seed in range(8):
            (span,) = sample(four, minutes=0.1, seed=np.random.default_rng(seed))
            result += span.end_s > 16
        assert result >= 6

    def test_solos_of_every_instrument_take_turns(self, tmp_path):
        for index, name in enumerate(["surdo-1", "surdo-2", "surdo-3", "surdo-4", "surdo-5", "caixa-1", "agogo-1"]):
            put(tmp_path / f"{name}.wav", sound(index, seconds=20.0 + index))
        for seed in range(5):
            spans = sample(load_corpus(tmp_path, labels="stems").tracks, minutes=0.8, seed=np.random.default_rng(seed))
            assert Counter(span.track.instruments[0] for span in spans) == {"surdo": 1, "caixa": 1, "agogo": 1}

    @pytest.mark.parametrize(("minutes", "problem"), [(0, "above 0"), (-1, "above 0"), (3, "has 2.00 labelled minutes")])  # fmt: skip  # noqa: E501
    def test_impossible_budgets(self, four, minutes, problem):
        with pytest.raises(InputError, match=problem):
            sample(four, minutes=minutes, seed=np.random.default_rng(0))


class TestSplits:
    def test_groups_stay_together_and_shares_are_met(self):
        songs = [(f"s{n}", f"g{n // 2}", ("surdo", "caixa")) for n in range(10)]
        train, test = corpus_of(*songs).split(test_size=0.4, seed=np.random.default_rng(0))
        assert len(test) == 4
        assert not {song.group for song in train} & {song.group for song in test}
        assert len({corpus_of(*songs).split(test_size=0.4, seed=np.random.default_rng(n))[1] for n in range(9)}) > 1

    def test_solos_of_every_instrument_are_on_both_sides(self):
        solos = [(f"{name}-{n}", f"{name}-{n}", (name,)) for name in ("surdo", "caixa", "agogo") for n in range(3)]
        for seed in range(5):
            train, test = corpus_of(*solos).split(test_size=0.34, seed=np.random.default_rng(seed))
            assert Counter(song.instruments[0] for song in test) == {"surdo": 1, "caixa": 1, "agogo": 1}
            assert len(train) == 6

    def test_the_only_song_of_an_instrument_is_trained_on(self):
        songs = [("a", "a", ("surdo", "cuica")), *((f"s{n}", f"s{n}", ("surdo", "caixa")) for n in range(4))]
        for seed in range(8):
            train, _ = corpus_of(*songs).split(test_size=0.5, seed=np.random.default_rng(seed))
            assert "a" in [song.id for song in train]

    def test_two_songs_of_other_instruments_are_split_all_the_same(self):
        train, test = corpus_of(("a", "a", ("x", "y")), ("b", "b", ("z",))).split(
            test_size=0.4, seed=np.random.default_rng(0)
        )
        assert len(train) == len(test) == 1

    @pytest.mark.parametrize(
        ("songs", "test", "problem"),
        [
            ([("a", "a", "x"), ("b", "b", "x")], 0.0, "between 0 and 1"),
            ([("a", "a", "x"), ("b", "b", "x")], 1.0, "between 0 and 1"),
            ([("a", "a", "x")], 0.4, "has 1 annotated recordings"),
            ([("a", "g", "x"), ("b", "g", "x")], 0.4, "all 2 annotated recordings in one group \\(g\\)"),
        ],
    )
    def test_impossible_splits(self, songs, test, problem):
        with pytest.raises(InputError, match=problem):
            corpus_of(*songs).split(test_size=test, seed=np.random.default_rng(0))


class TestMirdata:
    @pytest.fixture
    def pretend(self, monkeypatch):
        """Let mirdata have a dataset with these members."""
        from levada.data import mirdata

        facts = {"bibtex": "@x", "_license_info": "CC0", "_multitrack_class": None, "track_ids": [], "mtrack_ids": []}

        def let(**what):
            monkeypatch.setattr(mirdata, "_dataset", lambda *_: SimpleNamespace(**{**facts, **what}))

        return let

    def test_songs_with_tracks(self, tmp_path, pretend, caplog):
        paths = {name: put(tmp_path / f"{name}.wav", sound(index)) for index, name in enumerate("abc")}
        tracks = {
            "song-1": SimpleNamespace(audio_path=str(paths["a"]), instrument="Surdo"),
            "song-2": SimpleNamespace(audio_paths=[str(paths["b"]), str(paths["c"])], instrument="caixa"),
            "song-tambora": SimpleNamespace(audio_path=str(tmp_path / "missing.wav")),
        }
        songs = {"song": SimpleNamespace(tracks=tracks, mix_path=str(paths["a"]), artist="They"),
                 "later": SimpleNamespace(tracks={}, artist=None)}  # fmt: skip
        pretend(_multitrack_class=object, mtrack_ids=["song", "later"], multitrack=songs.__getitem__)
        with caplog.at_level(logging.WARNING):
            corpus = load_corpus("mirdata:any", labels="stems", home=tmp_path)
        only = corpus.tracks[0]
        assert (only.id, only.group, only.mixture) == ("song", "They", paths["a"])
        assert only.stems == {"caixa": (paths["b"], paths["c"]), "surdo": (paths["a"],)}
        assert "any: 1 of 2 recordings are here" in caplog.text

    def test_solos_that_name_their_instrument(self, tmp_path, pretend):
        class Broken:
            audio_path = str(put(tmp_path / "surdo.wav", sound(0)))

            @property
            def instrument(self):
                raise FileNotFoundError("no metadata")

        known = {"surdo_2": Broken(), "x": SimpleNamespace(audio_path=None, instrument="cuica"), "mix": Broken()}
        pretend(track_ids=list(known), track=known.__getitem__)
        corpus = load_corpus("mirdata:any", labels="stems", home=tmp_path)
        assert [(song.id, song.instruments) for song in corpus.tracks] == [("surdo_2", ("surdo",))]

    def test_datasets_without_stems(self, tmp_path, pretend):
        known = {"a": SimpleNamespace(audio_path="a.wav"), "b": SimpleNamespace(audio_path="b.wav")}
        pretend(track_ids=list(known), track=known.__getitem__)
        with pytest.raises(InputError, match="has neither stems nor solos that name their instrument"):
            load_corpus("mirdata:any", labels="stems", home=tmp_path)

    def test_stems_that_are_not_here(self, tmp_path, pretend):
        known = {"a": SimpleNamespace(audio_path="nowhere/a.wav", instrument="surdo")}
        pretend(track_ids=list(known), track=known.__getitem__)
        with pytest.raises(InputError, match="none of the 1 recordings of any are here; run: levada corpus get any"):
            load_corpus("mirdata:any", labels="stems", home=tmp_path)


class TestCommand:
    def test_songs_with_mixtures_are_checked_as_stems(self, rodas, levada):
        code, _, err = levada("corpus", "check", rodas)
        assert code == 2
        assert "--labels beats or --labels stems" in err  # its mixtures have beats too
        code, out, _ = levada("corpus", "check", rodas, "--labels", "stems")
        assert code == 0
        assert "rodas: 3 songs, 0.2 minutes, 3 instruments; each song is its own group" in out
        code, out, _ = levada("corpus", "check", rodas, "--labels", "stems", "--json")
        assert json.loads(out)["recordings"][0]["instruments"] == ["surdo", "tamborim"]

    def test_solos_where_it_is_asked_and_an_error_is_told(self, tmp_path, levada):
        put(tmp_path / "surdo-1.wav", sound(1))
        code, out, _ = levada("corpus", "check", tmp_path)
        assert code == 2
        assert "error: " in out
        assert "has one instrument, surdo" in out
        assert levada("corpus", "check", tmp_path, "--labels", "beats")[1].startswith("recording")

    def test_nothing_there(self, tmp_path, levada):
        code, _, err = levada("corpus", "check", tmp_path / "nowhere", "--labels", "stems")
        assert code == 2
        assert "there is no such folder" in err
