"""Recorded strokes, of a folder or listed: the right take for the right stroke, and plain words for what is none."""

import pickle

import numpy as np
import pytest

from levada.errors import InputError
from levada.io import audio
from levada.synth.instruments import RATE, STROKES, STRUCK, mix_sources, synthesise
from levada.synth.instruments.one_shots import OneShots, one_shots_digest


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(hz, *, seconds=0.3, level=0.5, lead_s=0.0, rate=RATE):
    at = np.arange(int(seconds * rate)) / rate
    return np.concatenate([np.zeros(int(lead_s * rate)), level * np.sin(2 * np.pi * hz * at) * np.exp(-20 * at)])


def write(folder, name, sound, *, rate=RATE):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    audio.write(path, np.atleast_2d(sound).astype(np.float32), rate=rate)
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "conga-open.wav", tone(300))
    write(tmp_path, "conga-slap 1.wav", tone(1000, level=0.5))
    write(tmp_path, "conga-slap_2.flac", tone(2000, level=0.05))
    write(tmp_path, "piano-drum-open3.wav", tone(100, lead_s=0.3))
    write(tmp_path, "Open-Hat-Open.WAV", tone(6000))
    write(tmp_path, "chico/muted.wav", tone(500))
    (tmp_path / "README.txt").write_text("mine")
    (tmp_path / ".conga-kiss.wav").write_text("left by a file manager")
    return tmp_path


def played(instrument, *, stroke="open", velocity=0.8, seed=1):
    return instrument.play(stroke, velocity=velocity, pitch_hz=0.0, duration_s=0.0, rng=rng(seed))


def pitch_of(result):
    return float(np.fft.rfftfreq(1 << 17, 1 / RATE)[np.abs(np.fft.rfft(result, 1 << 17)).argmax()])


class TestOneShots:
    def test_voices(self, folder):
        assert set(OneShots(folder).voices) == {"conga", "piano-drum", "open-hat", "chico"}

    @pytest.mark.parametrize(
        ("name", "voice"),
        [
            ("Ganzá-shake 1.wav", "shaker"),
            ("Hi-Hat-open.wav", "hat"),
            ("agogô/high.wav", "agogo"),
            ("surdo de primeira/open_2.wav", "surdo"),
        ],
    )
    def test_names_of_traditions(self, tmp_path, name, voice):
        write(tmp_path, name, tone(300))
        assert OneShots(tmp_path).voices == (voice,)

    @pytest.mark.parametrize(("voice", "hz"), [("conga", 300), ("piano-drum", 100), ("open-hat", 6000)])
    def test_plays_what_was_recorded(self, folder, voice, hz):
        result = [played(OneShots(folder)(voice, rng(seed))) for seed in range(5)]
        assert all(pitch_of(one) == pytest.approx(hz, rel=0.09) for one in result)  # up to a semitone
        assert all(np.abs(one).max() == pytest.approx(0.8 * STRUCK[voice].level, rel=0.13) for one in result)
        assert all(np.abs(one[: RATE // 100]).max() > 0.5 * np.abs(one).max() for one in result)  # no silence before

    def test_harder_strokes_are_the_louder_takes(self, folder):
        instrument = OneShots(folder)("conga", rng())
        assert pitch_of(played(instrument, stroke="slap", velocity=1.0)) == pytest.approx(1000, rel=0.09)
        assert pitch_of(played(instrument, stroke="slap", velocity=0.1)) == pytest.approx(2000, rel=0.09)

    def test_takes_about_as_loud_take_turns(self, tmp_path):
        for number, hz in enumerate((300, 500, 800)):
            write(tmp_path, f"bongo-open-{number}.wav", tone(hz))
        instrument, one = OneShots(tmp_path)("bongo", rng()), rng(3)
        result = {
            round(pitch_of(instrument.play("open", velocity=0.9, pitch_hz=0, duration_s=0, rng=one)), -2)
            for _ in range(40)
        }
        assert len(result) >= 2

    @pytest.mark.parametrize("stroke", STROKES)
    def test_every_stroke_sounds(self, folder, stroke):
        for voice in ("conga", "chico"):
            assert played(OneShots(folder)(voice, rng()), stroke=stroke).any()

    def test_other_rates_and_stereo(self, tmp_path):
        write(tmp_path, "tom-open.wav", np.stack([tone(200, rate=48000), tone(200, rate=48000)]), rate=48000)
        assert pitch_of(played(OneShots(tmp_path)("tom", rng()))) == pytest.approx(200, rel=0.09)

    def test_long_ones_are_faded(self, tmp_path):
        write(tmp_path, "crash-open.wav", 0.3 * rng().standard_normal(8 * RATE).clip(-3, 3))
        result = played(OneShots(tmp_path)("crash", rng()))
        assert len(result) < 4.4 * RATE
        assert np.abs(result[-20:]).max() < 0.01

    def test_the_same_seed_gives_the_same_bytes(self, folder):
        one, same, other = (played(OneShots(folder)("conga", rng(seed)), seed=seed).tobytes() for seed in (4, 4, 5))
        assert one == same != other

    def test_is_handed_to_other_processes(self, folder):
        assert pickle.loads(pickle.dumps(OneShots(folder))) == OneShots(folder)

    def test_voices_it_lacks(self, folder):
        with pytest.raises(LookupError, match="has no surdo"):
            OneShots(folder)("surdo", rng())
        assert played(mix_sources([(1.0, OneShots(folder)), (0.0, synthesise)])("surdo", rng())).any()


@pytest.fixture
def listed(tmp_path):
    for name, hz in {"BD [1].wav": 60, "BD_02.wav": 90, "floor hit.wav": 100, "floor mute.wav": 150}.items():
        write(tmp_path / "library", name, tone(hz))
    path = tmp_path / "drums.toml"
    path.write_text("""folder = "library"
[[kick]]
each = ["BD [1].wav", "BD_*.wav"]
[Surdo]
open = "floor hit.wav"
muted = ["floor mute.wav"]
semitones = [-12, -12]
""")
    return path


class TestListed:
    def test_files_keep_their_names(self, listed):
        assert OneShots(listed).voices == ("kick", "surdo")
        assert [path.name for path in OneShots(listed).files] == [
            "BD [1].wav", "BD_02.wav", "floor hit.wav", "floor mute.wav"
        ]  # fmt: skip

    def test_each_is_an_instrument_of_its_own(self, listed):
        kicks = [OneShots(listed)("kick", rng(seed)) for seed in range(12)]
        result = [[pitch_of(played(kick, seed=seed)) for seed in range(3)] for kick in kicks]
        assert all(max(three) < 1.1 * min(three) for three in result)  # one kick for the whole performance
        assert {round(three[0] / 30) for three in result} == {2, 3}  # and not always the same one

    def test_strokes_and_transposition(self, listed):
        instrument = OneShots(listed)("surdo", rng())
        assert pitch_of(played(instrument)) == pytest.approx(50, rel=0.03)
        assert pitch_of(played(instrument, stroke="muted")) == pytest.approx(75, rel=0.03)

    def test_the_digest_is_of_what_it_names(self, listed):
        before = one_shots_digest(listed)
        write(listed.parent / "library", "unused.wav", tone(300))
        assert one_shots_digest(listed) == before
        (listed.parent / "library" / "BD_02.wav").unlink()
        write(listed.parent / "library", "BD_02.wav", tone(91))
        assert one_shots_digest(listed) != before

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "names no instrument"),
            ("folder = 1\n", "1: folder must be a path, not 1"),
            ("\n[[kazoo]]\nopen = 'a.wav'", r"2.*: 'kazoo' is not an instrument; there are kick"),
            ("[[piano]]\nopen = 'a.wav'", "'piano' plays notes, and is not struck"),
            ("kick = 'a.wav'", r"kick must be a table, \[\[kick\]\]"),
            ("[[kick]]", "kick has no recordings"),
            ("[[kick]]\nsemitones = [0, 1]", "kick has no recordings"),
            ("[[kick]]\nopen = 'a.wav'\nkiss = 'a.wav'", "kick has 'kiss'; there are each, semitones, open"),
            ("[[kick]]\nopen = 'none*.wav'", r"there is no recording 'none\*\.wav' in "),
            ("[[kick]]\nopen = 'notes.txt'", r"there is no recording 'notes\.txt' in "),
            ("[[kick]]\nopen = 3", "recordings are a name, a pattern or a list of them, not 3"),
            ("[[kick]]\neach = []", r"a list of them, not \[\]"),
            ("[[kick]]\nopen = 'a.wav'\nsemitones = [2, 1]", r"must be a range such as \[-3, 1\] .*, not \[2, 1\]"),
            ("[[kick]]\nopen = 'a.wav'\nsemitones = 3", "must be a range .*, not 3"),
            ("[[kick]]\nopen = 'a.wav'\nsemitones = [-99, 0]", "within 24"),
            ("[[kick\n", "is not valid TOML"),
        ],
    )
    def test_wrong_entries(self, tmp_path, text, message):
        write(tmp_path, "a.wav", tone(300))
        (tmp_path / "notes.txt").write_text("mine")
        path = tmp_path / "drums.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            OneShots(path)
        assert "drums.toml" in str(caught.value)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(InputError, match=r"drums\.toml"):
            OneShots(tmp_path / "drums.toml")

    @pytest.mark.parametrize(("sound", "message"), [(np.zeros(900), "is silent"), (None, r"broken\.wav")])
    def test_recordings_that_cannot_be_used(self, tmp_path, sound, message):
        if sound is None:
            (tmp_path / "broken.wav").write_text("not a recording")
        else:
            write(tmp_path, "broken.wav", sound)
        (tmp_path / "drums.toml").write_text("[[kick]]\nopen = 'broken.wav'")
        with pytest.raises(InputError, match=message):
            OneShots(tmp_path / "drums.toml")("kick", rng())


class TestWhatIsWrong:
    def test_no_such_folder(self, tmp_path):
        with pytest.raises(InputError, match="mine: there is no such folder"):
            OneShots(tmp_path / "mine")

    def test_nothing_in_it(self, tmp_path):
        (tmp_path / "notes.txt").write_text("nothing")
        with pytest.raises(InputError, match=r"no recordings in it: name them like conga-open\.wav"):
            OneShots(tmp_path)

    @pytest.mark.parametrize("name", ["kazoo-open.wav", "open.wav", "congaopen.wav", "kazoo/open.wav", "-open.wav"])
    def test_no_instrument(self, tmp_path, name):
        write(tmp_path, name, tone(300))
        with pytest.raises(InputError, match=r"open\.wav: .*is not an instrument; there are kick, snare"):
            OneShots(tmp_path)

    @pytest.mark.parametrize("name", ["piano", "cavaquinho", "tuba"])
    def test_an_instrument_that_is_not_struck(self, tmp_path, name):
        write(tmp_path, f"{name}-open.wav", tone(300))
        with pytest.raises(InputError, match=rf"{name}-open\.wav: '{name}' plays notes, and is not struck"):
            OneShots(tmp_path)

    @pytest.mark.parametrize("name", ["conga-kiss.wav", "conga-opened.wav", "conga/1.wav", "conga-.wav"])
    def test_no_stroke(self, tmp_path, name):
        write(tmp_path, name, tone(300))
        with pytest.raises(InputError, match=r"\.wav: '.*' begins with no stroke; there are open, muted"):
            OneShots(tmp_path)

    def test_not_a_recording(self, tmp_path):
        (tmp_path / "conga-open.wav").write_text("not a recording")
        with pytest.raises(InputError, match=r"conga-open\.wav"):
            OneShots(tmp_path)("conga", rng())

    def test_silence(self, tmp_path):
        write(tmp_path, "conga-open.wav", np.zeros(1000))
        with pytest.raises(InputError, match=r"conga-open\.wav: is silent"):
            OneShots(tmp_path)("conga", rng())

    def test_stroke_that_is_none(self, folder):
        with pytest.raises(InputError, match="no stroke 'kiss'"):
            played(OneShots(folder)("conga", rng()), stroke="kiss")
