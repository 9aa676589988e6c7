"""Recordings become files of their instruments: as they were, adding up, whole or not at all."""

import numpy as np
import pytest
import soundfile

from levada.errors import InputError
from levada.io import audio, files
from levada.separation.files import _rounded, outputs, separate_file
from levada.separation.folder import separate_folder
from levada.separation.masking import MaskSeparator

RATE = 44100
FULL = 1 << 23


def shares(power, level, _rate):
    """More of what is loud to the first; the same at any place, so that pieces need no context."""
    loud = power / (power + 100 * level + 1e-20)
    return np.stack([loud, 0.25 * (1 - loud), 0.75 * (1 - loud)]).astype(np.float32)


def apart(power, *_):
    """Stems that cancel each other, and are louder than what they sum to."""
    ones = np.ones_like(power)
    return np.stack([3 * ones, -ones, -ones])


SEPARATOR = MaskSeparator("made", ("surdo", "caixa", "shaker"), shares, identity="1")
LOUD = MaskSeparator("loud", ("surdo", "caixa", "shaker"), apart)


def noise(seconds=1.5, *, rate=RATE, channels=2, loudness=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0, loudness, (channels, max(1, round(seconds * rate)))), -1, 1).astype(np.float32)


def recorded(path, samples, *, rate=RATE, subtype="PCM_16"):
    container = "AIFF" if path.suffix == ".aif" else None
    soundfile.write(path, samples.T, rate, subtype=subtype, format=container)
    return path


def integers(path):
    return soundfile.read(path, dtype="int32", always_2d=True)[0].T.astype(np.int64) >> 8


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestFormats:
    @pytest.mark.parametrize(
        ("name", "subtype", "written", "codec"),
        [
            ("song.wav", "PCM_16", ".wav", "PCM_16"),
            ("song.wav", "PCM_U8", ".wav", "PCM_16"),
            ("song.WAV", "PCM_24", ".wav", "PCM_24"),
            ("song.wav", "FLOAT", ".wav", "FLOAT"),
            ("song.wav", "DOUBLE", ".wav", "FLOAT"),
            ("song.flac", "PCM_16", ".flac", "PCM_16"),
            ("song.flac", "PCM_24", ".flac", "PCM_24"),
            ("song.aiff", "PCM_16", ".aiff", "PCM_16"),
            ("song.aif", "FLOAT", ".aif", "FLOAT"),
            ("song.caf", "PCM_16", ".wav", "PCM_16"),
            ("song.ogg", "VORBIS", ".flac", "PCM_24"),
            ("song.mp3", "MPEG_LAYER_III", ".flac", "PCM_24"),
        ],
    )
    def test_are_those_of_the_recording_where_nothing_is_lost(self, tmp_path, name, subtype, written, codec):
        source = recorded(tmp_path / name, noise(), subtype=subtype)
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        assert names(tmp_path / "out") == sorted(f"{one}{written}" for one in SEPARATOR.instruments)
        mixture, rate = audio.read(source)
        total = sum(audio.read(path)[0].astype(float) for path in made.files.values())
        for path in made.files.values():
            about = audio.info(path)
            assert (about.rate, about.channels, about.samples) == (rate, 2, mixture.shape[1])
            assert about.codec == codec == made.codec
        missing = 10 * np.log10(np.sum((total - mixture) ** 2) / np.sum(mixture.astype(float) ** 2) + 1e-30)
        assert missing < -110

    @pytest.mark.parametrize("suffix", [".flac", "wav", ".AIFF"])
    def test_can_be_chosen(self, tmp_path, suffix):
        source = recorded(tmp_path / "song.wav", noise())
        made = separate_file(source, SEPARATOR, tmp_path / "out", suffix=suffix)
        assert {path.suffix for path in made.files.values()} == {f".{suffix.lower().removeprefix('.')}"}

    @pytest.mark.parametrize("suffix", [".mp3", ".doc", ""])
    def test_that_lose_something_are_refused(self, tmp_path, suffix):
        source = recorded(tmp_path / "song.wav", noise())
        with pytest.raises(InputError, match=r"use a lossless format, \.wav, \.flac"):
            separate_file(source, SEPARATOR, tmp_path / "out", suffix=suffix)
        assert names(tmp_path) == ["song.wav"]


class TestSums:
    @pytest.mark.parametrize("suffix", [".wav", ".flac"])
    @pytest.mark.parametrize("loudness", [1e-4, 1e-2, 0.1])
    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
    def test_are_exact(self, tmp_path, suffix, loudness, subtype):
        source = recorded(tmp_path / f"song{suffix}", noise(loudness=loudness), subtype=subtype)
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        most = 0 if subtype == "PCM_16" else 1  # float32, in which it is worked, has no more than 24 bits
        assert np.abs(sum(map(integers, made.files.values())) - integers(source)).max() <= most

    @pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11025, 2), (48000, 8), (96000, 2)])
    def test_at_any_rate_with_any_channels(self, tmp_path, rate, channels):
        source = recorded(tmp_path / "song.wav", noise(0.7, rate=rate, channels=channels), rate=rate)
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        assert (made.rate, made.channels) == (rate, channels)
        assert np.abs(sum(map(integers, made.files.values())) - integers(source)).max() <= 1

    @pytest.mark.parametrize("samples", [1, 2, 3000])
    def test_of_however_little(self, tmp_path, samples):
        source = recorded(tmp_path / "song.wav", noise(samples / RATE))
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        assert np.abs(sum(map(integers, made.files.values())) - integers(source)).max() <= 1

    def test_of_silence(self, tmp_path):
        source = recorded(tmp_path / "song.wav", np.zeros((2, RATE), np.float32))
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        assert all(not integers(path).any() for path in made.files.values())

    def test_of_a_clipped_recording(self, tmp_path):
        source = recorded(tmp_path / "song.wav", noise(loudness=3))
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        total = sum(audio.read(path)[0] for path in made.files.values())
        assert np.abs(total - audio.read(source)[0]).max() < 1e-5

    def test_of_a_recording_with_nan_in_it(self, tmp_path, caplog):
        sound = noise()
        sound[0, 1000:2000] = np.nan
        source = recorded(tmp_path / "song.wav", sound, subtype="FLOAT")
        made = separate_file(source, SEPARATOR, tmp_path / "out")
        total = sum(audio.read(path)[0] for path in made.files.values())
        np.testing.assert_allclose(total, np.nan_to_num(sound), atol=1e-6)
        assert [record.getMessage() for record in caplog.records] == [
            f"{source}: samples from 0.023 s on are not finite; silence is used instead"
        ]

    def test_stems_beyond_full_scale_are_kept_in_floating_point(self, tmp_path):
        sound = noise(loudness=0.3)
        made = separate_file(recorded(tmp_path / "song.wav", sound), LOUD, tmp_path / "out")
        assert made.codec == audio.info(made.files["surdo"]).codec == "FLOAT"
        np.testing.assert_allclose(audio.read(made.files["surdo"])[0], 3 * sound, atol=1e-3)
        assert names(tmp_path / "out") == ["caixa.wav", "shaker.wav", "surdo.wav"]

    def test_stems_beyond_full_scale_in_flac_still_sum(self, tmp_path, caplog):
        source = recorded(tmp_path / "song.flac", noise(loudness=0.3))
        made = separate_file(source, LOUD, tmp_path / "out")
        assert np.abs(sum(map(integers, made.files.values())) - integers(source)).max() < 16  # of float32, not of flac
        assert "which flac cannot represent" in caplog.text

    def test_rounding_leaves_no_rest(self):
        sounds = list(np.random.default_rng(0).uniform(-0.3, 0.3, (9, 2, 1000)).astype(np.float32))
        sounds[0] += 1
        held, beyond = _rounded(sounds, FULL, exact=True)
        assert beyond > 0
        assert all(sound.min() >= -FULL and sound.max() < FULL for sound in held)
        total = np.clip(np.sum(sounds, axis=0), -1, 1) * FULL
        assert np.abs(np.sum(held, axis=0) - total).max() <= 2


class TestChoice:
    @pytest.fixture
    def source(self, tmp_path):
        return recorded(tmp_path / "song.wav", noise())

    def test_one_alone(self, source, tmp_path):
        every = separate_file(source, SEPARATOR, tmp_path / "every")
        made = separate_file(source, SEPARATOR, tmp_path / "out", only=["Surdo"])
        assert names(tmp_path / "out") == ["surdo.wav"]
        assert np.abs(integers(made.files["surdo"]) - integers(every.files["surdo"])).max() <= 1 << 8

    def test_the_mixture_without_one(self, source, tmp_path):
        made = separate_file(source, SEPARATOR, tmp_path / "out", without=["ganzá"])
        assert names(tmp_path / "out") == ["without-shaker.wav"]
        every = separate_file(source, SEPARATOR, tmp_path / "every")
        rest = integers(every.files["surdo"]) + integers(every.files["caixa"])
        assert np.abs(integers(made.files["without-shaker"]) - rest).max() <= 2 << 8  # two steps of 16 bits

    def test_both(self, source, tmp_path):
        separate_file(source, SEPARATOR, tmp_path / "out", only=["surdo"], without=["surdo"])
        assert names(tmp_path / "out") == ["surdo.wav", "without-surdo.wav"]
        total = sum(integers(tmp_path / "out" / name) for name in names(tmp_path / "out"))
        assert np.abs(total - integers(source)).max() <= 1

    def test_several_come_into_a_folder_one_after_the_other(self, source, tmp_path):
        separate_file(source, SEPARATOR, tmp_path / "out", only=["surdo"])
        separate_file(source, SEPARATOR, tmp_path / "out", without=["surdo", "caixa"])
        assert names(tmp_path / "out") == ["surdo.wav", "without-surdo-caixa.wav"]

    @pytest.mark.parametrize("choice", ["only", "without"])
    def test_of_what_is_not_known(self, source, tmp_path, choice):
        with pytest.raises(InputError, match=r"has no stem of 'cuica': its stems are surdo, caixa, sh"):
            separate_file(source, SEPARATOR, tmp_path / "out", **{choice: ["cuica"]})
        assert names(tmp_path) == ["song.wav"]

    def test_of_nothing(self, source, tmp_path):
        with pytest.raises(InputError, match="nothing is left without surdo, caixa, shaker"):
            separate_file(source, SEPARATOR, tmp_path / "out", without=SEPARATOR.instruments)

    def test_names_that_are_no_names_of_files(self):
        odd = MaskSeparator("odd", ("mid/high", "..", "a:b"), shares)
        assert list(outputs(odd)) == ["mid-high", "stem", "a-b"]
        with pytest.raises(InputError, match="files of the same name"):
            outputs(MaskSeparator("odd", ("a/b", "a:b"), shares))


class TestWhole:
    @pytest.fixture
    def source(self, tmp_path):
        return recorded(tmp_path / "song.wav", noise())

    def test_what_exists_is_kept(self, source, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "caixa.wav").write_text("mine")
        with pytest.raises(InputError, match="exists already") as told:
            separate_file(source, SEPARATOR, tmp_path / "out")
        assert told.value.path == tmp_path / "out" / "caixa.wav"
        assert names(tmp_path / "out") == ["caixa.wav"]
        separate_file(source, SEPARATOR, tmp_path / "out", force=True)
        assert names(tmp_path / "out") == ["caixa.wav", "shaker.wav", "surdo.wav"]
        assert audio.info(tmp_path / "out" / "caixa.wav").channels == 2

    def test_others_in_the_folder_are_left_alone(self, source, tmp_path):
        made = separate_file(source, SEPARATOR, tmp_path)
        assert names(tmp_path) == ["caixa.wav", "shaker.wav", "song.wav", "surdo.wav"]
        assert made.files["caixa"] == tmp_path / "caixa.wav"

    def test_the_recording_is_never_overwritten(self, tmp_path):
        source = recorded(tmp_path / "surdo.wav", noise())
        before = source.read_bytes()
        (tmp_path / "link").symlink_to(tmp_path)
        for out in (tmp_path, tmp_path / "link"):
            with pytest.raises(InputError, match="is the input and would be overwritten"):
                separate_file(source, SEPARATOR, out, force=True)
        assert source.read_bytes() == before

    def test_folders_that_cannot_be(self, source):
        with pytest.raises(InputError, match="is a file, not a folder"):
            separate_file(source, SEPARATOR, source / "out")
        with pytest.raises(InputError, match="is a file: give the name of a folder"):
            separate_file(source, SEPARATOR, source)

    @pytest.mark.parametrize("existing", [False, True])
    def test_a_full_disk_leaves_nothing(self, source, tmp_path, full_disk, existing):
        if existing:
            (tmp_path / "out").mkdir()
        many = MaskSeparator("made", SEPARATOR.instruments, shares, piece_frames=8)
        with full_disk(source.stat().st_size // 2), pytest.raises(InputError, match=r"/out/\w+\.wav: .*larger than"):
            separate_file(source, many, tmp_path / "out")
        assert names(tmp_path) == (["out", "song.wav"] if existing else ["song.wav"])
        assert not existing or names(tmp_path / "out") == []

    def test_what_breaks_on_the_way_leaves_nothing(self, source, tmp_path):
        def broken(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            separate_file(source, MaskSeparator("x", ("a", "b"), broken), tmp_path / "out")
        assert names(tmp_path) == ["song.wav"]

    @pytest.mark.parametrize(
        ("content", "said"), [(None, "no such file"), (b"", "empty file"), (b"words", "is not audio")]
    )
    @pytest.mark.usefixtures("no_ffmpeg")
    def test_what_is_no_recording(self, tmp_path, content, said):
        source = tmp_path / "song.wav"
        if content is not None:
            source.write_bytes(content)
        with pytest.raises(InputError, match=said) as told:
            separate_file(source, SEPARATOR, tmp_path / "out")
        assert told.value.path == source
        assert not (tmp_path / "out").exists()

    def test_a_recording_without_samples(self, tmp_path):
        source = recorded(tmp_path / "song.wav", np.zeros((1, 0), np.float32))
        with pytest.raises(InputError, match="has no audio samples"):
            separate_file(source, SEPARATOR, tmp_path / "out")

    def test_a_rate_that_nobody_records_at(self, tmp_path):
        source = recorded(tmp_path / "song.wav", noise(rate=1000), rate=1000)
        with pytest.raises(InputError, match="recordings of 1000 Hz cannot be separated") as told:
            separate_file(source, SEPARATOR, tmp_path / "out")
        assert told.value.path == source

    def test_tells_how_far_it_is(self, tmp_path):
        told = []
        source = recorded(tmp_path / "song.wav", noise(20, channels=1))
        separate_file(source, SEPARATOR, tmp_path / "out", progress=lambda *at: told.append(at))
        assert told[-1] == (20, 20)
        assert 0 < told[0][0] < 20


class TestFolder:
    @pytest.fixture
    def songs(self, tmp_path):
        folder = tmp_path / "songs"
        (folder / "street").mkdir(parents=True)
        for number, name in enumerate(("a.wav", "street/b.flac", "street/b.wav")):
            recorded(folder / name, noise(0.5, seed=number))
        return folder

    def test_each_has_its_own(self, songs, tmp_path):
        told = []
        report = separate_folder(songs, SEPARATOR, tmp_path / "out", progress=lambda *at: told.append(at))
        out = tmp_path / "out"
        assert report.written == (out / "a", out / "street" / "b.flac", out / "street" / "b.wav")
        assert (report.kept, report.failed) == ((), {})
        assert names(out / "street" / "b.flac") == ["caixa.flac", "shaker.flac", "surdo.flac"]
        assert len(told) >= 3

    def test_goes_on_where_it_was(self, songs, tmp_path):
        out = tmp_path / "out"
        first = separate_folder(songs, SEPARATOR, out)
        (out / "street" / "b.wav" / "caixa.wav").unlink()
        before = (out / "a" / "surdo.wav").stat().st_mtime_ns
        again = separate_folder(songs, SEPARATOR, out)
        assert again.written == (out / "street" / "b.wav",)
        assert again.kept == first.written[:2]
        assert (out / "a" / "surdo.wav").stat().st_mtime_ns == before
        practice = separate_folder(songs, SEPARATOR, out, without=["surdo"])
        assert len(practice.written) == 3
        assert "without-surdo.wav" in names(out / "a")
        assert len(separate_folder(songs, SEPARATOR, out, force=True).written) == 3

    def test_stems_inside_the_folder_are_no_recordings(self, songs):
        assert len(separate_folder(songs, SEPARATOR, songs / "stems").written) == 3
        again = separate_folder(songs, SEPARATOR, songs / "stems")
        assert (len(again.written), len(again.kept)) == (0, 3)

    def test_two_models_never_mix(self, songs, tmp_path):
        separate_folder(songs, SEPARATOR, tmp_path / "out")
        other = MaskSeparator("made", SEPARATOR.instruments, shares, identity="2")
        with pytest.raises(InputError, match=r"stems of a run that differs in separator \(\"1\" before, \"2\" now\)"):
            separate_folder(songs, other, tmp_path / "out")
        assert len(separate_folder(songs, other, tmp_path / "out", force=True).written) == 3
        with pytest.raises(InputError, match=r"\(\"2\" before, \"1\" now\)"):
            separate_folder(songs, SEPARATOR, tmp_path / "out")

    def test_a_recording_replaced_under_its_name_is_separated_again(self, songs, tmp_path):
        separate_folder(songs, SEPARATOR, tmp_path / "out")
        (songs / "a.wav").write_bytes((songs / "street" / "b.wav").read_bytes())
        again = separate_folder(songs, SEPARATOR, tmp_path / "out")
        assert [path.name for path in again.written] == ["a"]

    def test_what_a_person_changed_is_kept_even_with_force(self, songs, tmp_path):
        out = tmp_path / "out"
        separate_folder(songs, SEPARATOR, out)
        (out / "a" / "surdo.wav").write_bytes(b"edited in an editor")
        other = MaskSeparator("made", SEPARATOR.instruments, shares, identity="2")
        report = separate_folder(songs, other, out, force=True)
        assert len(report.written) == 2
        assert "was changed after levada wrote it" in report.failed[songs / "a.wav"]
        assert (out / "a" / "surdo.wav").read_bytes() == b"edited in an editor"

    def test_stems_of_another_model_do_not_stay_beside_the_new_ones(self, songs, tmp_path):
        out = tmp_path / "out"
        separate_folder(songs, SEPARATOR, out)
        renamed = MaskSeparator("made", ("bombo", *SEPARATOR.instruments[1:]), shares, identity="2")
        separate_folder(songs, renamed, out, force=True)
        assert {path.stem for path in (out / "a").iterdir()} == set(renamed.instruments)

    @pytest.mark.usefixtures("no_ffmpeg")
    def test_one_that_is_damaged_costs_itself_alone(self, songs, tmp_path):
        (songs / "a.wav").write_bytes(b"words")
        report = separate_folder(songs, SEPARATOR, tmp_path / "out", progress=lambda *_: None)
        assert len(report.written) == 2
        assert list(report.failed) == [songs / "a.wav"]
        assert "is not audio" in report.failed[songs / "a.wav"]

    @pytest.mark.parametrize(
        ("place", "said"),
        [("songs", "holds the recordings"), ("songs/a.wav", "is a file: give the name of a folder")],
    )
    def test_places_that_cannot_be(self, songs, tmp_path, place, said):
        with pytest.raises(InputError, match=said):
            separate_folder(songs, SEPARATOR, tmp_path / place, force=True)
        assert names(songs) == ["a.wav", "street"]

    def test_nothing_to_take_apart(self, tmp_path):
        with pytest.raises(InputError, match="there is no such folder"):
            separate_folder(tmp_path / "none", SEPARATOR, tmp_path / "out")
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="holds no recordings"):
            separate_folder(tmp_path / "empty", SEPARATOR, tmp_path / "out")

    def test_what_is_not_known_is_said_once(self, songs, tmp_path):
        with pytest.raises(InputError, match="has no stem of 'cuica'"):
            separate_folder(songs, SEPARATOR, tmp_path / "out", only=["cuica"])
        assert not (tmp_path / "out").exists()


class TestFilesTogether:
    def test_those_that_break_off_leave_what_was_there(self, tmp_path):
        (tmp_path / "a").write_text("old")

        def half():
            with files.atomic_files(tmp_path, ["a", "b"], force=True) as temporary:
                (temporary / "a").write_text("new")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            half()
        assert (tmp_path / "a").read_text() == "old"
        assert names(tmp_path) == ["a"]

    def test_a_new_folder_appears_as_a_whole(self, tmp_path):
        with files.atomic_files(tmp_path / "new", ["a"]) as temporary:
            (temporary / "a").write_text("new")
            assert not (tmp_path / "new").exists()
        assert names(tmp_path) == ["new"]

    def test_a_folder_in_place_of_a_file(self, tmp_path):
        (tmp_path / "a").mkdir()
        with pytest.raises(InputError, match="is a folder"), files.atomic_files(tmp_path, ["a"], force=True):
            pytest.fail("should have been refused")


def test_stems_of_a_broadcast_wav_start_when_it_does(tmp_path):
    source = tmp_path / "take.wav"
    audio.write(source, np.random.default_rng(0).uniform(-0.1, 0.1, (1, 44100)), rate=44100)
    chunk = b"bext" + (602).to_bytes(4, "little") + bytes(338) + (158_760_000).to_bytes(8, "little") + bytes(256)
    plain = source.read_bytes()
    source.write_bytes(plain[:12] + chunk + plain[12:])
    separated = separate_file(source, SEPARATOR, tmp_path / "out")
    for file in separated.files.values():
        assert chunk in file.read_bytes()
        assert audio.info(file).samples == 44100
