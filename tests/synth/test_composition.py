"""Pieces for pre-training: exact beats, frequent metres, and what they are made of."""

from collections import Counter
from dataclasses import asdict, replace
from types import SimpleNamespace

import mido
import numpy as np
import pytest

from levada.errors import InputError
from levada.synth import composition as composing
from levada.synth.composition import Material, compose, kit_styles
from levada.synth.instruments import PITCHED

KITS = Material(groove_share=0, pop909_share=0, tunes_share=0, drumless=0, piece_s=20)
ODD = ("five", "seven", "five-swing", "seven-fast")


def rng(seed=0):
    return np.random.default_rng(seed)


def tune(**changes):
    """A scale up and down, a note a beat, with a pickup of one beat."""
    notes = tuple(
        SimpleNamespace(beat=float(beat), length=1.0, midi=60 + beat % 12, velocity=0.5) for beat in range(48)
    )
    chords = tuple(SimpleNamespace(beat=1.0 + 3 * bar, length=3.0, pitches=(0, 4, 7)) for bar in range(15))
    song = SimpleNamespace(
        name="scale",
        metre=3,
        first=3,
        tempo_bpm=120.0,
        parts={"melody": notes},
        chords=chords,
        beats=48,
        compound=False,
    )
    return SimpleNamespace(**{**vars(song), **changes})


def struck(played):
    return {voice for voice in played.voices.values() if voice not in PITCHED}


class TestMaterial:
    def test_kept_beside_the_weights(self):
        assert asdict(Material(styles={"rock": 2}))["styles"] == {"rock": 2}

    def test_what_is_held_out_is_never_trained_on(self):
        material = Material(hold_out_every=5)
        items = list(range(23))
        chosen = {part.part: {part.choose(items, rng(seed)) for seed in range(300)}
                  for part in (material, material.held_out())}  # fmt: skip
        assert chosen == {"held out": {0, 5, 10, 15, 20}, "train": set(items) - {0, 5, 10, 15, 20}}
        assert Material().held_out() == Material()

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"part": "test"}, "part must be"),
            ({"groove": 3}, "groove must be the name of a folder"),
            ({"pop909": None}, "pop909 must be the name of a folder"),
            ({"piece_s": 0.5}, "piece_s must be 1 s or more"),
            ({"piece_s": True}, "piece_s must be a number"),
            ({"drumless": -0.1}, "drumless must be a number, 0 or above"),
            ({"tunes_share": float("nan")}, "tunes_share must be a number"),
            ({"groove_share": 0.7, "pop909_share": 0.4}, "add up to"),
            ({"styles": ["rock"]}, "styles must be a table"),
            ({"styles": {"polkka": 1}}, "there is no style polkka; there are .*polka"),
            ({"styles": {"rock": -1}}, "the weight of rock"),
            ({"styles": {"rock": "much"}}, "the weight of rock"),
        ],
    )
    def test_nonsense(self, wrong, told):
        with pytest.raises(InputError, match=told):
            Material(**wrong)

    def test_nothing_to_play(self):
        with pytest.raises(InputError, match="nothing to play"):
            Material(styles=dict.fromkeys((kit.name for kit in kit_styles()), 0))

    def test_sources_name_who_made_it(self):
        told = Material(groove="somewhere", pop909="elsewhere").sources()
        assert "somewhere" not in told
        assert all(name in told for name in ("Groove MIDI Dataset", "CC BY 4.0", "POP909", "public domain", "rock"))
        assert "Groove" not in Material().sources()


class TestKits:
    def test_genres(self):
        names = {kit.name for kit in kit_styles()}
        assert {"blues-shuffle", "country-two", "disco", "boom-bap", "swing-medium", "heavy-metal", "pop"} <= names
        assert {"one-drop", "rock", "soul", "house", "ballad", "latin-pop", "bossa-slow", "gospel-six"} <= names
        assert len(names) > 60

    @pytest.mark.parametrize("kit", kit_styles(), ids=lambda kit: kit.name)
    def test_every_style_has_a_band(self, kit):
        assert any(part.voice in PITCHED for part in kit.instruments)
        assert any(part.voice not in PITCHED for part in kit.instruments)
        assert 50 <= kit.tempo_bpm[0] <= 215


@pytest.mark.slow
class TestCompose:
    def test_the_same_seed_is_the_same_piece(self):
        one, same, other = (compose(rng(seed), KITS) for seed in (1, 1, 2))
        assert one == same != other

    def test_beats_lie_inside_and_somebody_plays(self):
        for seed in range(30):
            played = compose(rng(seed), KITS)
            assert played.strokes
            assert played.beats.times_s[-1] < played.duration_s <= 20
            assert all(0 <= stroke.time_s < played.duration_s for stroke in played.strokes)
            assert {stroke.part for stroke in played.strokes} <= set(played.voices) == set(played.levels_db)

    def test_metres_are_as_frequent_as_in_music(self):
        metres = Counter(
            next(iter(compose(rng(seed), replace(KITS, piece_s=8)).beats.metres), 0) for seed in range(300)
        )
        assert 0.68 < metres[4] / 300 < 0.86
        assert 0.04 < metres[3] / 300 < 0.17
        assert 0.04 < metres[2] / 300 < 0.2

    def test_styles(self):
        waltzes = replace(KITS, styles={kit.name: float(kit.name == "waltz") for kit in kit_styles()}, piece_s=10)
        found = Counter(max(compose(rng(seed), waltzes).beats.positions) for seed in range(20))
        assert found[3] >= 18

    def test_kick_and_chords_meet_on_the_beat(self):
        """Onsets lie on the beats far more often than between them, and most of all on the one."""
        level = np.zeros(4)
        rocks = replace(KITS, styles={kit.name: float(kit.name in ("rock", "pop", "soul")) for kit in kit_styles()})
        for seed in range(25):
            played = compose(rng(seed), rocks)
            low = np.array([stroke.time_s for stroke in played.strokes if stroke.part in ("kick", "bass")])
            heard = np.array([(np.abs(low - beat) < 0.05).sum() for beat in played.beats.times_s])
            for position in range(4):
                level[position] += heard[played.beats.positions == position + 1].mean()
        assert level[0] > 1.2 * max(level[1:])

    def test_pieces_without_drums(self):
        chamber = replace(KITS, drumless=1.0)
        assert all(not struck(compose(rng(seed), chamber)) for seed in range(15))
        assert all(struck(compose(rng(seed), KITS)) for seed in range(15))

    def test_no_beat_comes_before_the_first_stroke(self):
        leads_s = []
        for seed in range(60):
            played = compose(rng(seed), KITS)
            leads_s.append(played.beats.times_s[0] - played.strokes[0].time_s)
        assert min(leads_s) > -0.1

    def test_the_bar_can_be_found(self):
        """Bass and bass drum, cymbals or changes of harmony mark the downbeat of nearly every piece."""
        assert sum(composing._equal_halves(compose(rng(seed), KITS)) for seed in range(80)) <= 4

    def test_some_pieces_begin_with_a_pickup_or_without_drums(self):
        waltzes = replace(KITS, styles={kit.name: float(kit.name == "rock") for kit in kit_styles()})
        pickups, late = 0, 0
        for seed in range(120):
            played = compose(rng(seed), waltzes)
            drums = [stroke.time_s for stroke in played.strokes if played.voices[stroke.part] not in PITCHED]
            late += drums[0] > played.strokes[0].time_s + 2
            lead_s = played.beats.times_s[0] - played.strokes[0].time_s
            pickups += played.beats.positions[0] == 4 and abs(lead_s) < 0.08 and played.beats.times_s[0] > 0.6
        assert late >= 8
        assert pickups >= 1

    @pytest.mark.parametrize(("style", "heavy"), [("samba-two", 2), ("marcha", 1), ("polka", 1)])
    def test_two_beats_a_bar_as_written(self, style, heavy):
        """The low drums of samba are heavier on two, those of marches and polkas not lighter on one."""
        material = replace(KITS, styles={kit.name: float(kit.name == style) for kit in kit_styles()})
        level = np.zeros(2)
        for seed in range(25):
            played = compose(rng(seed), material)
            if int(played.beats.positions.max()) != 2:
                continue
            low = [s for s in played.strokes if played.voices[s.part] in ("kick", "surdo")]
            for position in (1, 2):
                at = played.beats.times_s[played.beats.positions == position]
                level[position - 1] += sum(s.velocity for s in low if np.abs(at - s.time_s).min() < 0.05) / len(at)
        assert level[heavy - 1] > 1.05 * level[2 - heavy]

    def test_a_missing_folder(self, tmp_path):
        with pytest.raises(InputError, match=r"no info\.csv"):
            compose(rng(), replace(KITS, groove=str(tmp_path), groove_share=1.0))
        with pytest.raises(InputError):
            compose(rng(), replace(KITS, pop909=str(tmp_path / "none"), pop909_share=1.0))


class TestDrummers:
    @pytest.fixture
    def drummers(self, tmp_path):
        midi = mido.MidiFile(ticks_per_beat=480)
        track = mido.MidiTrack()
        for beat in range(96):
            track.append(mido.Message("note_on", channel=9, note=36, velocity=60 if beat % 4 else 120, time=0))
            track.append(mido.Message("note_on", channel=9, note=36, velocity=0, time=480))
        midi.tracks.append(track)
        midi.save(tmp_path / "four.mid")
        head = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split"
        (tmp_path / "info.csv").write_text(f"{head}\nd,s,i,rock,120,beat,4-4,four.mid,,48.0,train\n")
        return replace(KITS, groove=str(tmp_path), groove_share=1.0)

    def test_beats_go_where_the_drummer_goes(self, drummers):
        sizes = set()
        for seed in range(20):
            played = compose(rng(seed), drummers)
            kicks = np.array([stroke.time_s for stroke in played.strokes if stroke.part == "kick"])
            assert np.abs(kicks[:, None] - played.beats.times_s).min(1).max() < 1e-6
            assert set(played.beats.metres) <= {4}
            sizes.add(len(played.voices) > 1)
        assert sizes == {True, False}


class TestSongs:
    @pytest.fixture
    def tunes(self, monkeypatch):
        monkeypatch.setattr(composing, "_tunes", lambda: ("scale",))
        monkeypatch.setattr(composing, "_read_tune", lambda _: tune())
        return replace(KITS, tunes_share=1.0)

    def test_notes_are_on_the_beats_and_places_are_the_songs(self, tunes):
        for seed in range(12):
            played = compose(rng(seed), tunes)
            melody = [stroke for stroke in played.strokes if stroke.part == "melody"]
            assert len(melody) > 20
            for stroke in melody:
                assert np.abs(played.beats.times_s - stroke.time_s).min() < 0.09
            assert played.beats.positions[0] == 3
            assert set(played.beats.metres) == {3}

    def test_a_short_tune_comes_again(self, tunes):
        played = compose(rng(3), replace(tunes, piece_s=60))
        times = [stroke.time_s for stroke in played.strokes if stroke.part == "melody"]
        assert len(times) > 50
        assert max(np.diff(times)) < 3

    def test_some_have_drums(self, tunes):
        with_drums = sum(bool(struck(compose(rng(seed), tunes))) for seed in range(60))
        assert 10 <= with_drums <= 38

    def test_pop(self, monkeypatch):
        read = []
        monkeypatch.setattr(composing, "_pop909", lambda folder: (f"{folder}/001",))
        monkeypatch.setattr(composing, "_read_pop909", lambda path: read.append(path) or tune(metre=4, first=1))
        played = compose(rng(1), replace(KITS, pop909="songs", pop909_share=1.0))
        assert read == ["songs/001"]
        assert set(played.beats.metres) == {4}
