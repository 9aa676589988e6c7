"""SoundFonts as instruments: at once, in tune, the same every time, and plain words where they fail."""

import hashlib
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError, MissingExtra
from levada.io.beats import Beats
from levada.synth.instruments import PITCHED, RATE, STROKES, STRUCK, mix_sources, synthesise
from levada.synth.instruments.fluidsynth_font import open_font
from levada.synth.instruments.general_midi import DRUMS, PERCUSSION, PROGRAMS
from levada.synth.instruments.soundfont import SoundFont, find_soundfont, list_soundfonts
from levada.synth.performance import Performance, Stroke
from levada.synth.render import synthesise_stems


def rng(seed=0):
    return np.random.default_rng(seed)


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def write_font(path, *, programs=(0, 32), kits=(0,), keys=(35, 81), lead_s=0.01):
    """A SoundFont with one sample, of which `lead_s` are silence: 441 Hz on A4, falling by 60 dB in half a second."""
    at = np.arange(RATE // 2) / RATE
    wave = np.concatenate([np.zeros(round(lead_s * RATE)), np.sin(2 * np.pi * 441 * at) * np.exp(-13.8 * at)])
    samples = (wave * 30000).astype("<i2").tobytes() + b"\0" * 92
    presets = [(f"p{number}", number, 0, 0) for number in programs] + [(f"k{kit}", kit, DRUMS, 1) for kit in kits]
    # Generators: 43 is the range of keys, 56 how far keys are apart in pitch, 53 the sample, 41 the instrument.
    zones = [[(43, 0 | 127 << 8), (53, 0)], [(43, keys[0] | keys[1] << 8), (56, 0), (53, 0)]]
    name20 = lambda text: text.encode().ljust(20, b"\0")  # noqa: E731
    phdr = b"".join(name20(name) + struct.pack("<HHHIII", number, bank, index, 0, 0, 0)
                    for index, (name, number, bank, _) in enumerate(presets))  # fmt: skip
    phdr += name20("EOP") + struct.pack("<HHHIII", 0, 0, len(presets), 0, 0, 0)
    pbag = b"".join(struct.pack("<HH", index, 0) for index in range(len(presets) + 1))
    pgen = b"".join(struct.pack("<HH", 41, instrument) for *_, instrument in presets) + bytes(4)
    starts = np.cumsum([0, *(len(zone) for zone in zones)])
    inst = b"".join(name20(f"i{index}") + struct.pack("<H", index) for index in range(len(zones) + 1))
    ibag = b"".join(struct.pack("<HH", start, 0) for start in starts)
    igen = b"".join(struct.pack("<HH", *one) for zone in zones for one in zone) + bytes(4)
    shdr = name20("tone") + struct.pack("<IIIIIBbHH", 0, len(wave), 0, len(wave) - 1, RATE, 69, 0, 0, 1)
    shdr += name20("EOS") + bytes(26)
    parts = {b"phdr": phdr, b"pbag": pbag, b"pmod": bytes(10), b"pgen": pgen, b"inst": inst, b"ibag": ibag,
             b"imod": bytes(10), b"igen": igen, b"shdr": shdr}  # fmt: skip
    info = chunk(b"ifil", struct.pack("<HH", 2, 1)) + chunk(b"INAM", b"tone\0\0")
    body = b"sfbk" + chunk(b"LIST", b"INFO" + info) + chunk(b"LIST", b"sdta" + chunk(b"smpl", samples))
    body += chunk(b"LIST", b"pdta" + b"".join(chunk(name, part) for name, part in parts.items()))
    path.write_bytes(chunk(b"RIFF", body))
    return path


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    pytest.importorskip("fluidsynth", reason="the library FluidSynth is not installed", exc_type=ImportError)
    return write_font(tmp_path_factory.mktemp("fonts") / "tone.sf2")


def played(instrument, *, stroke="open", velocity=0.8, pitch_hz=440.0, duration_s=0.4, seed=1):
    return instrument.play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=duration_s, rng=rng(seed))


def pitch_of(result):
    return float(np.fft.rfftfreq(1 << 17, 1 / RATE)[np.abs(np.fft.rfft(result, 1 << 17)).argmax()])


class TestTables:
    def test_voices_are_voices_and_strokes_are_strokes(self):
        assert set(PERCUSSION) <= set(STRUCK)
        assert set(PROGRAMS) == set(PITCHED)
        for voice, ways in PERCUSSION.items():
            for way in ways:
                assert set(way.strokes) <= set(STROKES), voice
                assert way.strokes["open"], voice
                assert all(27 <= key <= 87 or way.program for keys in way.strokes.values() for key in keys), voice
                assert -12 <= way.semitones[0] <= way.semitones[1] <= 15
                assert way.ring_s > 0.1

    def test_strokes_have_the_keys_of_general_midi(self):
        of = {voice: PERCUSSION[voice][0].strokes for voice in PERCUSSION}
        assert of["conga"]["open"] == (63,)
        assert of["conga"]["muted"] == (62,)
        assert of["conga"]["low"] == (64,)
        assert of["agogo"] == {"open": (67,), "high": (67,), "low": (68,)}
        assert of["cuica"]["open"] == (79,)
        assert of["cuica"]["muted"] == (78,)
        assert of["surdo"] == {"open": (87,), "muted": (86,)}
        assert of["triangle"] == {"open": (81,), "muted": (80,)}


class TestStruck:
    def test_begins_with_the_onset_and_ends_in_silence(self, tone):
        result = played(SoundFont(tone)("rim", rng()))
        assert result.dtype == np.float32
        size = np.abs(result)
        assert size[:20].max() > 0.003 * size.max()  # 10 ms of silence are gone
        assert size[: RATE // 100].max() > 0.9 * size.max()
        assert 0.3 * RATE < len(result) < 0.6 * RATE
        assert size[-1] < 1e-5

    @pytest.mark.parametrize("velocity", [0.05, 0.3, 0.8, 1.0])
    def test_as_loud_as_its_voice_and_velocity(self, tone, velocity):
        for seed in range(4):
            peak = np.abs(played(SoundFont(tone)("rim", rng(seed)), velocity=velocity, seed=seed)).max()
            assert peak == pytest.approx(velocity * STRUCK["rim"].level, rel=0.13)  # 1 dB

    def test_silent_at_velocity_nought(self, tone):
        assert not played(SoundFont(tone)("rim", rng()), velocity=0.0).any()

    def test_tuned_to_its_voice(self, tone):
        result = [pitch_of(played(SoundFont(tone)("tamborim", rng(seed)), seed=seed)) for seed in range(20)]
        assert min(result) > 441 * 2 ** (-10 / 12) * 0.98
        assert max(result) < 441 * 2 ** (15 / 12) * 1.02
        assert np.std(result) > 20

    def test_rings_no_longer_than_its_voice(self, tone):
        """The tone rings for half a second; a tamborim does not."""
        rim, tamborim = (played(SoundFont(tone)(voice, rng())) for voice in ("rim", "tamborim"))
        assert len(tamborim) < 0.5 * len(rim)

    def test_strokes_that_are_missing_are_made_of_open_ones(self, tone):
        instrument = SoundFont(tone)("rim", rng())
        result = {stroke: played(instrument, stroke=stroke) for stroke in STROKES}
        assert len(result["muted"]) < 0.5 * len(result["open"])
        assert len(result["slap"]) < 0.6 * len(result["open"])
        assert pitch_of(result["high"]) == pytest.approx(pitch_of(result["open"]) * 2 ** (3 / 12), rel=0.03)
        assert pitch_of(result["low"]) == pytest.approx(pitch_of(result["open"]) * 2 ** (-3 / 12), rel=0.03)
        assert pitch_of(result["bass"]) < pitch_of(result["low"])

    def test_never_twice_the_same_but_within_a_few_takes(self, tone):
        instrument, one = SoundFont(tone)("rim", rng()), rng(2)
        takes = [
            instrument.play("open", velocity=0.8, pitch_hz=0, duration_s=0, rng=one)[:2000].tobytes()
            for _ in range(100)
        ]
        assert 3 <= len(set(takes)) <= 4

    def test_voices_the_font_lacks(self, tone):
        for voice in ("pandeiro", "tuba"):
            with pytest.raises(LookupError, match=rf"tone\.sf2 has no {voice}"):
                SoundFont(tone)(voice, rng())

    @pytest.mark.usefixtures("tone")
    def test_keys_the_font_lacks(self, tmp_path):
        few = SoundFont(write_font(tmp_path / "few.sf2", keys=(35, 50)))
        assert played(few("kick", rng())).any()
        with pytest.raises(LookupError, match="no conga"):
            few("conga", rng())
        assert played(few("djembe", rng())).any()  # on a tom
        assert played(mix_sources([(1.0, few), (0.0, synthesise)])("conga", rng())).any()

    @pytest.mark.usefixtures("tone")
    def test_a_font_without_drums(self, tmp_path):
        notes = SoundFont(write_font(tmp_path / "notes.sf2", kits=(), programs=(0, 117)))
        with pytest.raises(LookupError, match="no kick"):
            notes("kick", rng())
        assert played(notes("tambora", rng())).any()  # melodic toms
        with pytest.raises(LookupError, match="no bass"):
            notes("bass", rng())

    def test_stroke_that_is_none(self, tone):
        with pytest.raises(InputError, match="no stroke 'kiss'; there are open"):
            played(SoundFont(tone)("rim", rng()), stroke="kiss")


class TestNotes:
    @pytest.mark.parametrize("pitch_hz", [110.0, 233.08, 440.0, 1000.0])
    def test_in_tune(self, tone, pitch_hz):
        result = played(SoundFont(tone)("piano", rng(3)), pitch_hz=pitch_hz)
        assert pitch_of(result) == pytest.approx(pitch_hz, rel=0.015)  # a quarter of a semitone

    def test_level_and_length(self, tone):
        instrument = SoundFont(tone)("bass", rng())
        short, long = (played(instrument, duration_s=duration_s) for duration_s in (0.1, 0.5))
        assert len(short) < 0.3 * RATE < len(long)
        assert np.abs(long).max() == pytest.approx(0.8 * PITCHED["bass"].level, rel=0.09)

    @pytest.mark.parametrize(("pitch_hz", "duration_s"), [(20.0, 0.0), (9000.0, 0.3), (30000.0, 0.1), (440.0, 100.0)])
    def test_notes_nobody_plays(self, tone, pitch_hz, duration_s):
        result = played(SoundFont(tone)("piano", rng()), pitch_hz=pitch_hz, duration_s=duration_s)
        assert np.isfinite(result).all()
        assert 0 < len(result) < 10 * RATE


class TestSoundFont:
    def test_is_handed_to_other_processes(self, tone):
        sounds = pickle.loads(pickle.dumps(SoundFont(tone)))
        assert sounds == SoundFont(tone)
        assert played(sounds("rim", rng())).tobytes() == played(SoundFont(tone)("rim", rng())).tobytes()

    def test_is_opened_once(self, tone):
        assert open_font(str(tone)) is open_font(str(tone))

    def test_the_same_in_any_order_and_in_another_process(self, tone):
        """FluidSynth remembers: what is heard must not depend on what was."""
        code = f"""
import sys, hashlib, numpy as np
from pathlib import Path
from levada.synth.instruments.soundfont import SoundFont
sounds = SoundFont(Path({str(tone)!r}))
rng = np.random.default_rng
heard = {{}}
for voice in sys.argv[1:]:
    played = sounds(voice, rng(1)).play("open", velocity=0.7, pitch_hz=300.0, duration_s=0.3, rng=rng(2))
    heard[voice] = hashlib.sha256(played.tobytes()).hexdigest()
print(sorted(heard.items()))
"""
        voices = ["kick", "piano", "rim", "bass", "cowbell"]
        told = {
            subprocess.run([sys.executable, "-c", code, *order], capture_output=True, text=True, check=True).stdout
            for order in (voices, voices[::-1])
        }
        assert len(told) == 1
        assert hashlib.sha256(b"").hexdigest() not in told.pop()

    def test_what_is_remembered_is_bounded(self, tone, monkeypatch):
        monkeypatch.setattr("levada.synth.instruments.fluidsynth_font.CACHE_BYTES", 200_000)
        opened = open_font.__wrapped__(str(tone))
        first = opened.note(0, 0, 60, velocity=100, duration_s=0.5)
        for key in range(40, 80):
            opened.note(0, 0, key, velocity=100, duration_s=0.5)
        assert opened._bytes == sum(note.nbytes for note in opened._notes.values()) <= 200_000
        np.testing.assert_array_equal(first, opened.note(0, 0, 60, velocity=100, duration_s=0.5))

    @pytest.mark.usefixtures("tone")
    def test_more_programs_than_channels(self, tmp_path):
        many = open_font(str(write_font(tmp_path / "many.sf2", programs=tuple(range(100)), kits=())))
        first, again = (
            [many.note(0, program, 69, velocity=velocity) for program in range(100)] for velocity in (100, 101)
        )
        assert all(one.size for one in (*first, *again))

    def test_a_dense_piece_is_quick(self, tone):
        """Forty seconds with ten parts in semiquavers, once the font is warm: half a second."""
        parts = {f"{voice} {number}": voice for number in range(2) for voice in ("conga", "hat", "kick", "cowbell")}
        parts |= {"notes": "piano", "low": "bass"}
        strokes = tuple(
            Stroke(0.125 * step, part, 0.7, "open", 220.0 * 2 ** (step % 12 / 12), 0.25)
            for step in range(320)
            for part in parts
        )
        piece = Performance(strokes, Beats([0.0, 0.5]), parts, dict.fromkeys(parts, 0.0), 40.0)
        synthesise_stems(piece, rng=rng(), sounds=SoundFont(tone))
        began = time.process_time()
        stems = synthesise_stems(piece, rng=rng(), sounds=SoundFont(tone))
        assert time.process_time() - began < 1.5  # of slow machines too
        assert all(np.abs(stem).max() > 0.1 for stem in stems.values())


class TestFiles:
    @pytest.mark.usefixtures("tone")
    def test_no_such_file(self, tmp_path):
        with pytest.raises(InputError, match=r"lost\.sf2: cannot be read: No such file"):
            SoundFont(tmp_path / "lost.sf2")("kick", rng())

    @pytest.mark.usefixtures("tone")
    @pytest.mark.parametrize("content", [b"", b"RIFF", b"nonsense" * 100, b"RIFF\x10\0\0\0WAVEfmt "])
    def test_something_else(self, tmp_path, content):
        path = tmp_path / "no.sf2"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"no\.sf2: is no SoundFont"):
            SoundFont(path)("kick", rng())

    def test_cut_short(self, tone, tmp_path, capfd):
        path = tmp_path / "half.sf2"
        path.write_bytes(tone.read_bytes()[:20000])
        with pytest.raises(InputError, match=rf"half\.sf2: has 20000 bytes of the {tone.stat().st_size} "):
            SoundFont(path)("kick", rng())
        assert capfd.readouterr() == ("", "")

    def test_nonsense_in_a_soundfont(self, tone, tmp_path):
        path = tmp_path / "bad.sf2"
        whole = tone.read_bytes()
        path.write_bytes(whole[:12] + bytes(len(whole) - 12))
        with pytest.raises(InputError, match=r"bad\.sf2: cannot be read as a SoundFont"):
            SoundFont(path)("kick", rng())

    @pytest.mark.usefixtures("tone")
    def test_a_folder(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read: Is a directory"):
            SoundFont(tmp_path)("kick", rng())

    def test_without_the_binding(self, tone, hide_module):
        hide_module("fluidsynth")
        with pytest.raises(MissingExtra, match=r"pip install 'levada\[soundfont\]'"):
            open_font.__wrapped__(str(tone))

    def test_without_the_library(self, tone, monkeypatch, tmp_path):
        (tmp_path / "fluidsynth.py").write_text("raise ImportError('there is no library')")
        monkeypatch.delitem(sys.modules, "fluidsynth", raising=False)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(InputError, match="install libfluidsynth3"):
            open_font.__wrapped__(str(tone))
        sys.modules.pop("fluidsynth", None)


class TestFind:
    @pytest.fixture(autouse=True)
    def places(self, tmp_path, monkeypatch):
        for name in ("One.sf2", "MuseScore_General_Full.sf3", "notes.txt"):
            (tmp_path / name).write_bytes(b"")
        monkeypatch.setattr("levada.synth.instruments.soundfont.PLACES", (str(tmp_path), str(tmp_path / "missing")))
        monkeypatch.delenv("LEVADA_SOUNDFONTS", raising=False)

    def test_by_path(self, tmp_path):
        assert find_soundfont(tmp_path / "notes.txt") == tmp_path / "notes.txt"

    @pytest.mark.parametrize("name", ["One.sf2", "one", "ONE.SF2", "one.sf3"])
    def test_by_name(self, name, tmp_path):
        assert find_soundfont(name) == tmp_path / "One.sf2"

    def test_the_full_one_does(self, tmp_path):
        assert find_soundfont("MuseScore_General.sf3") == tmp_path / "MuseScore_General_Full.sf3"

    def test_own_folder_first(self, tmp_path, monkeypatch):
        mine = tmp_path / "mine"
        mine.mkdir()
        (mine / "one.SF2").write_bytes(b"")
        monkeypatch.setenv("LEVADA_SOUNDFONTS", f"{tmp_path / 'nowhere'}:{mine}")
        assert find_soundfont("One.sf2") == mine / "one.SF2"
        assert set(list_soundfonts()) == {"one", "musescore_general_full"}

    def test_none(self):
        with pytest.raises(InputError, match=r"LEVADA_SOUNDFONTS.*fluid-soundfont-gm; there are MuseScore.*, One\.sf2"):
            find_soundfont("FluidR3_GM.sf2")
        with pytest.raises(InputError, match=r"no SoundFont 'my\.sf2': give its path, or name its folder"):
            find_soundfont("my.sf2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["FluidR3_GM.sf2", "MuseScore_General.sf3", "TimGM6mb.sf2"])
class TestReal:
    def font(self, name):
        pytest.importorskip("fluidsynth", reason="the library FluidSynth is not installed", exc_type=ImportError)
        found = list_soundfonts().get(Path(name).stem.lower())
        if found is None:
            pytest.skip(f"{name} is not installed")
        return SoundFont(found)

    def test_plays_nearly_every_voice(self, name):
        sounds, missing = self.font(name), set()
        for voice in STRUCK:
            try:
                result = played(sounds(voice, rng(1)))
            except LookupError:
                missing.add(voice)
                continue
            size = np.abs(result)
            assert np.isfinite(result).all()
            assert size.max() == pytest.approx(0.8 * STRUCK[voice].level, rel=0.13)
            assert size[: round(0.03 * RATE)].max() > 0.25 * size.max(), voice
        assert missing == {"pandeiro", "cajon"}

    @pytest.mark.parametrize("voice", ["bass", "piano", "guitar", "flute", "strings"])
    def test_notes_are_in_tune(self, name, voice):
        result = played(self.font(name)(voice, rng(2)), pitch_hz=220.0, duration_s=0.8)
        partials = pitch_of(result) / 220
        assert partials == pytest.approx(max(1, round(2 * partials) / 2), rel=0.03)
