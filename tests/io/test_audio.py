import hashlib
import logging
import os
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats


def noise(channels: int = 2, samples: int = 44100, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def tone(seconds: float = 2.0, rate: int = 44100, hz: float = 440) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)[None]


@pytest.fixture
def no_decoders(no_ffmpeg: None, hide_module: Callable[..., None]) -> None:  # noqa: ARG001
    hide_module("av")


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 44100), (8, 48000), (1, 192000)])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff"])
def test_lossless_round_trip(tmp_path: Path, suffix: str, channels: int, rate: int) -> None:
    sound = noise(channels, 5000)
    audio.write(tmp_path / f"a{suffix}", sound, rate=rate)
    read, read_rate = audio.read(tmp_path / f"a{suffix}")
    assert read_rate == rate
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, sound, rtol=0, atol=2**-23)
    assert audio.info(tmp_path / f"a{suffix}") == audio.AudioInfo(5000 / rate, rate, channels, 5000, "PCM_24")


@pytest.mark.parametrize(("suffix", "rate"), [(".ogg", 44100), (".mp3", 44100), (".opus", 48000)])
def test_lossy_round_trip(tmp_path: Path, suffix: str, rate: int) -> None:
    sound = tone(3, rate)
    audio.write(tmp_path / f"a{suffix}", sound, rate=rate)
    read, read_rate = audio.read(tmp_path / f"a{suffix}")
    assert (read_rate, read.shape) == (rate, sound.shape)
    assert np.abs(read - sound)[:, 2000:-2000].max() < 0.05


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_full_scale_is_one_whatever_the_codec(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone()[0] * 1.98, 44100, subtype=subtype)
    read, _ = audio.read(tmp_path / "a.wav")
    assert read.dtype == np.float32
    assert np.abs(read).max() == pytest.approx(0.99, abs=0.02)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize(("start_s", "duration_s"), [(0.0, 0.5), (0.3, 0.25), (1.5, 9.0), (0.7, None), (1.0, 1e-9)])
def test_a_stretch_is_a_slice(tmp_path: Path, suffix: str, start_s: float, duration_s: float | None) -> None:
    audio.write(tmp_path / f"a{suffix}", noise(2, 2 * 22050), rate=22050)
    whole, rate = audio.read(tmp_path / f"a{suffix}")
    part, _ = audio.read(tmp_path / f"a{suffix}", start_s=start_s, duration_s=duration_s)
    start = round(start_s * rate)
    count = whole.shape[1] if duration_s is None else max(1, round(duration_s * rate))
    np.testing.assert_array_equal(part, whole[:, start : start + count])


@pytest.mark.parametrize("block_s", [0.1, 0.37, 1.0, 30.0, 1e-9])
def test_blocks_are_the_recording(tmp_path: Path, block_s: float) -> None:
    samples = 40 if block_s < 1e-3 else 44100
    audio.write(tmp_path / "a.wav", noise(2, samples), rate=44100)
    pieces = list(audio.read_blocks(tmp_path / "a.wav", block_s=block_s))
    size = max(1, round(block_s * 44100))
    assert all(piece.shape == (2, size) for piece in pieces[:-1])
    assert 0 < pieces[-1].shape[1] <= size
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), audio.read(tmp_path / "a.wav")[0])


def test_blocks_do_not_hold_the_recording(tmp_path: Path) -> None:
    audio.write(tmp_path / "long.wav", np.zeros((1, 8000 * 600)), rate=8000)  # 19 MB as float32
    for _ in audio.read_blocks(tmp_path / "long.wav", block_s=1):
        break
    tracemalloc.start()
    total = sum(block.shape[1] for block in audio.read_blocks(tmp_path / "long.wav", block_s=10))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 8000 * 600
    assert peak < 2_000_000


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".flac"])
def test_there_is_no_noise_at_the_joints(tmp_path: Path, suffix: str) -> None:
    audio.write(tmp_path / f"a{suffix}", tone(3), rate=44100)
    at_once, _ = soundfile.read(tmp_path / f"a{suffix}", dtype="float32")
    np.testing.assert_array_equal(audio.read(tmp_path / f"a{suffix}")[0][0], at_once)


def test_one_sample(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", [[0.25]], rate=44100)
    assert audio.info(tmp_path / "a.wav").samples == 1
    assert audio.read(tmp_path / "a.wav")[0].tolist() == [[0.25]]
    assert [block.tolist() for block in audio.read_blocks(tmp_path / "a.wav")] == [[[0.25]]]


def every_reader(path: Path) -> list:
    return [lambda: audio.info(path), lambda: audio.read(path), lambda: list(audio.read_blocks(path))]


@pytest.mark.usefixtures("no_decoders")
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is an empty file"),
        (bytes(range(256)) * 9, "is not audio, or of a kind that needs the ffmpeg program or PyAV"),
        (b"RIFF\xff\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00", r"is damaged \(Error in WAV file"),
        (b"\x00\x00\x00\x20ftypM4A ", r"install ffmpeg, or pip install 'levada\[video\]'"),
    ],
)
def test_what_is_no_recording(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "song.wav"
    path.write_bytes(content)
    for reader in every_reader(path):
        with pytest.raises(InputError, match=rf"song\.wav: .*{words}"):
            reader()


def test_no_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 44100)
    for reader in every_reader(tmp_path / "a.wav"):
        with pytest.raises(InputError, match=r"a\.wav: has no audio samples"):
            reader()


def test_no_file_and_a_folder_and_a_device(tmp_path: Path) -> None:
    for path, words in [
        (tmp_path / "x.wav", "no such file"),
        (tmp_path, "is a folder"),
        (Path("/dev/null"), "ordinary"),
    ]:
        hashing = [] if path == tmp_path else [lambda path=path: audio.content_hash(path)]  # a folder has a hash
        for reader in [*every_reader(path), *hashing]:
            with pytest.raises(InputError, match=words):
                reader()


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", noise(), rate=44100)
    (tmp_path / "a.wav").chmod(0)
    if os.access(tmp_path / "a.wav", os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(InputError, match="Permission denied"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize(("suffix", "at_least"), [(".wav", 0.499), (".flac", 0.2), (".mp3", 0.3)])
def test_a_truncated_file_gives_what_is_there(tmp_path: Path, caplog, suffix: str, at_least: float) -> None:
    path = tmp_path / f"a{suffix}"
    audio.write(path, noise(1, 5 * 44100), rate=44100)
    whole, _ = audio.read(path)
    assert not caplog.records
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read, _ = audio.read(path)
    assert at_least < read.shape[1] / whole.shape[1] < 0.501
    assert np.abs(read - whole[:, : read.shape[1]])[:, :-2000].max() < 1e-6
    assert "truncated: its header promises 5.00 s, " in caplog.text
    np.testing.assert_array_equal(np.concatenate(list(audio.read_blocks(path)), axis=1), read)


def test_a_wav_without_a_length_is_not_truncated(tmp_path: Path, caplog) -> None:
    audio.write(tmp_path / "a.wav", noise(1, 1000), rate=44100)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[content.index(b"data") + 4 :][:4] = content[4:8] = b"\xff" * 4
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff" * 4
    (tmp_path / "a.wav").write_bytes(content)
    assert audio.read(tmp_path / "a.wav")[0].shape == (1, 1000)
    assert not caplog.records


def test_only_a_header(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", noise(1, 1000), rate=44100)
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:44])
    with pytest.raises(InputError, match="has no audio samples"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_becomes_silence(tmp_path: Path, caplog, bad: float) -> None:
    sound = noise(2, 44100)
    sound[1, 22050:22060] = bad
    soundfile.write(tmp_path / "a.wav", sound.T, 44100, subtype="FLOAT")
    read, _ = audio.read(tmp_path / "a.wav")
    assert "a.wav: samples from 0.500 s on are not finite; silence is used instead" in caplog.text
    assert len(caplog.records) == 1
    np.testing.assert_array_equal(read, np.nan_to_num(sound, nan=0, posinf=0, neginf=0))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start_s": 1.0}, "ends before 1 s"),
        ({"start_s": -1.0}, "must be positive"),
        ({"start_s": float("nan")}, "must be positive"),
        ({"duration_s": 0.0}, "must be positive"),
    ],
)
def test_stretches_that_are_not_there(tmp_path: Path, options: dict, words: str) -> None:
    audio.write(tmp_path / "a.wav", noise(1, 44100), rate=44100)
    with pytest.raises(InputError, match=words):
        audio.read(tmp_path / "a.wav", **options)


FFMPEG = """#!{python}
import struct, sys
arguments = sys.argv[1:]
source = arguments[arguments.index("-i") + 1]
assert source.startswith("file:/"), source
assert arguments[-1] == "pipe:1", arguments
print("  Stream #0:0: Audio: aac (LC), 8000 Hz", file=sys.stderr, flush=True)
if "silent" in source:
    sys.exit("Stream map '0:a:0' matches no streams.")
out = sys.stdout.buffer
out.write(b"RIFF" + b"\\xff" * 4 + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 3, 8000, 96000, 12, 32))
out.write(b"LIST" + struct.pack("<I", 5) + b"notes\\0data" + b"\\xff" * 4)
for i in range(20000):
    out.write(struct.pack("<3f", i / 65536, -i / 65536, 0.5))
out.flush()
if "broken" in source:
    out.write(b"\\0\\0")
    out.flush()
    sys.exit("Invalid data found")
"""


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that stands in for ffmpeg: three channels of ramps, as a wav on its standard output."""
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    program.write_text(FFMPEG.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    for name in ("song.m4a", "broken.m4a", "silent.webm", "-odd name.m4a"):
        (tmp_path / name).write_bytes(b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 99)
    return tmp_path


def test_the_ffmpeg_program_decodes_the_rest(ffmpeg: Path) -> None:
    ramp = np.arange(20000, dtype=np.float32) / 65536
    expected = np.stack([ramp, -ramp, np.full_like(ramp, 0.5)])
    read, rate = audio.read(ffmpeg / "song.m4a")
    assert rate == 8000
    np.testing.assert_array_equal(read, expected)
    assert audio.info(ffmpeg / "song.m4a") == audio.AudioInfo(2.5, 8000, 3, 20000, "aac")
    part, _ = audio.read(ffmpeg / "song.m4a", start_s=2.25, duration_s=0.125)
    np.testing.assert_array_equal(part, expected[:, 18000:19000])
    pieces = list(audio.read_blocks(ffmpeg / "song.m4a", block_s=0.3))
    np.testing.assert_array_equal(np.concatenate(pieces, axis=1), expected)


def test_a_name_like_an_option(ffmpeg: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ffmpeg)
    assert audio.read("-odd name.m4a")[0].shape == (3, 20000)


def children() -> set[str]:
    """Processes that this one has started and not waited for."""
    listed = Path("/proc/self/task").glob("*/children")
    return {pid for path in listed for pid in path.read_text().split()}


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="lists processes as Linux does")
def test_ffmpeg_is_ended_when_enough_is_read(ffmpeg: Path) -> None:
    before = children()
    stream = audio.read_blocks(ffmpeg / "song.m4a", block_s=0.1)
    assert next(stream).shape == (3, 800)
    stream.close()
    assert children() <= before


def test_what_ffmpeg_cannot_decode(ffmpeg: Path, caplog) -> None:
    with pytest.raises(
        InputError, match=r"silent\.webm: is not audio; ffmpeg finds no audio in it either \(Stream map .* no streams"
    ):
        audio.read(ffmpeg / "silent.webm")
    assert audio.read(ffmpeg / "broken.m4a")[0].shape == (3, 20000)
    assert "broken.m4a: damaged, only what could be decoded is used (Invalid data found)" in caplog.text


@pytest.mark.usefixtures("no_ffmpeg")
def test_pyav_decodes_the_rest(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    sound = tone(2)
    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    read, rate = audio.read(tmp_path / "a.m4a")
    assert rate == 44100
    n = min(read.shape[1], sound.shape[1])
    assert n > 80000
    assert np.abs(read[:, 4000 : n - 4000] - sound[:, 4000 : n - 4000]).max() < 0.05
    assert audio.info(tmp_path / "a.m4a").codec == "aac"
    part, _ = audio.read(tmp_path / "a.m4a", start_s=1, duration_s=0.5)
    np.testing.assert_array_equal(part, read[:, 44100:66150])
    (tmp_path / "b.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A " + b"\x00" * 99)
    with pytest.raises(InputError, match="is not audio that PyAV can read"):
        audio.read(tmp_path / "b.m4a")


def test_write_clips_with_a_warning(tmp_path: Path, caplog) -> None:
    audio.write(tmp_path / "a.wav", np.array([0.5, 2.0, -3.0, 1.0]), rate=44100)
    assert "2 samples beyond full scale were clipped" in caplog.text
    np.testing.assert_allclose(audio.read(tmp_path / "a.wav")[0], [[0.5, 1, -1, 1]], atol=2**-22)


@pytest.mark.parametrize(
    ("name", "samples", "rate", "words"),
    [
        ("a.xyz", noise(), 44100, r"written as \.wav, \.flac, .*, not as \.xyz"),
        ("a", noise(), 44100, "not as a file without suffix"),
        ("a.wav", np.zeros((2, 0)), 44100, r"no samples to write: shape \(2, 0\)"),
        ("a.wav", np.zeros((1, 2, 3)), 44100, "not of 3 axes"),
        ("a.wav", np.array([0, np.nan]), 44100, "not all finite"),
        ("a.opus", noise(), 44100, r"2 channels at 44100 Hz could not be written as \.opus"),
        ("a.mp3", noise(8), 44100, r"8 channels at 44100 Hz could not be written as \.mp3"),
        ("a.wav", noise(), 0, "at 0 Hz could not be written"),
        ("file/a.wav", noise(), 44100, "file is a file, not a folder"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, name: str, samples: np.ndarray, rate: int, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=words):
        audio.write(tmp_path / name, samples, rate=rate)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.wav", noise(1, 10), rate=44100)
    with pytest.raises(InputError, match=r"a\.wav: exists already; .*--force"):
        audio.write(tmp_path / "a.wav", noise(1, 20), rate=44100)
    assert audio.info(tmp_path / "a.wav").samples == 10
    audio.write(tmp_path / "a.wav", noise(1, 20), rate=44100, force=True)
    assert audio.info(tmp_path / "a.wav").samples == 20


WRITTEN = [".wav", ".flac", ".aiff", ".ogg", ".opus", ".mp3"]


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("size", [0, 30_000])
def test_a_file_that_may_not_be_as_large(tmp_path: Path, full_disk: Any, suffix: str, size: int) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"earlier")
    with full_disk(size), pytest.raises(InputError) as error:
        audio.write(tmp_path / f"a{suffix}", noise(2, 200_000), rate=48000, force=True)
    assert str(error.value).startswith(f"{tmp_path / 'a'}{suffix}: could not be written: the file would be larger")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


@pytest.mark.parametrize("suffix", WRITTEN)
def test_a_full_disk(suffix: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")

    def write() -> None:
        with audio.open_writer("/dev/full", rate=48000, channels=2, named=f"song{suffix}") as write_block:
            for _ in range(100):
                write_block(noise(2, 4800))

    with pytest.raises(InputError) as error:
        write()
    reason = "the disk is full: make room or choose another"
    assert str(error.value) == f"song{suffix}: could not be written: {reason}"


@pytest.mark.parametrize("error", [AssertionError(), soundfile.LibsndfileError(2)])
def test_a_disk_that_has_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(InputError, match=r"a\.wav: could not be written as a whole: see whether its disk has room"):
        audio.write(tmp_path / "a.wav", noise(), rate=44100)
    assert list(tmp_path.iterdir()) == []


def test_samples_that_were_lost_without_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = soundfile.SoundFile.write
    monkeypatch.setattr(soundfile.SoundFile, "write", lambda file, samples: write(file, samples[:-1]))
    with pytest.raises(InputError, match=r"a\.flac: could not be written as a whole"):
        audio.write(tmp_path / "a.flac", noise(), rate=44100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rate", "to"), [(44100, 22050), (8000, 44100), (192000, 44100), (48000, 44100)])
def test_resampling_keeps_a_tone(rate: int, to: int) -> None:
    sound = np.concatenate([tone(2, rate), tone(2, rate, 1000)])
    given = sound.copy()
    resampled = audio.resample(sound, rate=rate, to=to)
    expected = np.concatenate([tone(2, to), tone(2, to, 1000)])
    assert resampled.shape == expected.shape
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled[:, 2000:-2000], expected[:, 2000:-2000], atol=1e-4)
    np.testing.assert_array_equal(sound, given)


def test_resampling_at_the_edges() -> None:
    assert audio.resample(noise(), rate=44100, to=44100).shape == (2, 44100)
    assert audio.resample(tone()[0], rate=44100, to=22050).shape == (44100,)
    assert audio.resample([[0.5], [0.25]], rate=44100, to=8000).tolist() == [[0.5], [0.25]]
    with pytest.raises(InputError, match="cannot resample from 0 Hz"):
        audio.resample(tone(), rate=0, to=44100)


def test_mono_is_the_mean() -> None:
    assert audio.to_mono([[1, 0], [0, 0.5]]).tolist() == [0.5, 0.25]
    assert audio.to_mono([0.5, 0.25]).tolist() == [0.5, 0.25]
    assert audio.to_mono(np.zeros((8, 3))).dtype == np.float32


def pitch_hz(sound: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound, 1 << 16))
    return float(spectrum.argmax() * rate / (1 << 16))


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_clicks_start_on_the_sample_and_tell_downbeats(rate: int) -> None:
    track = audio.clicks(Beats([0.25, 0.75, 1.25], [1, 2, 0]), rate=rate, duration_s=2)
    assert track.shape == (2 * rate,)
    assert track.dtype == np.float32
    sounding = np.flatnonzero(track)
    starts = sounding[np.flatnonzero(np.diff(sounding, prepend=-rate) > 0.1 * rate)]
    assert starts.tolist() == [round(s * rate) for s in (0.25, 0.75, 1.25)]
    downbeat, beat, unknown = (track[start : start + round(0.05 * rate)] for start in starts)
    assert pitch_hz(downbeat, rate) == pytest.approx(1500, rel=0.02)
    assert pitch_hz(beat, rate) == pytest.approx(1000, rel=0.02)
    np.testing.assert_array_equal(beat, unknown)
    assert np.abs(downbeat).max() > 1.3 * np.abs(beat).max()


def test_clicks_at_the_edges() -> None:
    beats = Beats([0, 0.01, 0.02, 0.999, 1.0, 5.0], [1, 1, 1, 1, 1, 1])
    track = audio.clicks(beats, rate=1000, duration_s=1)
    assert track.shape == (1000,)
    assert np.abs(track).max() <= 0.5
    assert track[999] != 0
    np.testing.assert_array_equal(track[:10], track[10:20])
    assert not audio.clicks(Beats([]), rate=44100, duration_s=1).any()
    assert audio.clicks(Beats([0.5]), rate=44100, duration_s=0).shape == (0,)


@pytest.mark.parametrize("level", [0.0, 1e-6, 0.3, 1.0, 4.0])
def test_clicks_never_clip(level: float) -> None:
    sound = noise(3, 44100) * 2 * np.float32(level)
    given = sound.copy()
    mixed = audio.add_clicks(sound, Beats(np.arange(0, 1, 0.01), [1] * 100), rate=44100)
    assert mixed.shape == sound.shape
    assert mixed.dtype == np.float32
    assert 0.3 < np.abs(mixed).max() <= 1
    np.testing.assert_array_equal(sound, given)


def test_clicks_are_in_every_channel_of_a_mono_or_flat_recording() -> None:
    beats = Beats([0.5], [1])
    silent = audio.add_clicks(np.zeros((2, 44100)), beats, rate=44100)
    np.testing.assert_array_equal(silent[0], audio.clicks(beats, rate=44100, duration_s=1))
    np.testing.assert_array_equal(silent[0], silent[1])
    assert audio.add_clicks(np.zeros(44100), beats, rate=44100).shape == (44100,)


def click_peaks(sound: npt.NDArray[np.float32], beats: Beats) -> npt.NDArray[np.float64]:
    """The peak of each click, in units of the recording as it was given."""
    mixed = audio.add_clicks(sound, beats, rate=44100)
    quiet = slice(0, round(beats.times_s[0] * 44100) - 1)
    scale = (mixed[quiet] @ sound[quiet]) / (sound[quiet] @ sound[quiet])
    only = mixed / scale - sound
    return np.array([np.abs(only[round(at * 44100) :][:2000]).max() for at in beats.times_s])


def test_clicks_are_as_loud_as_the_music_around_them() -> None:
    """Not as its peak, which clipping and a single knock change."""
    rng = np.random.default_rng(0)
    music = (0.05 * rng.standard_normal(44100 * 20)).astype(np.float32)
    beats = Beats(np.arange(1.0, 19, 1.0), [1] * 18)
    usual = click_peaks(music, beats)
    np.testing.assert_allclose(usual, 0.05 * 4.5, rtol=0.15)
    np.testing.assert_allclose(click_peaks(music * np.float32(1e-4), beats), usual * 1e-4, rtol=0.05)
    knocked = music.copy()
    knocked[441000:441400] += 0.9
    np.testing.assert_allclose(click_peaks(knocked, beats), usual, rtol=0.1)
    np.testing.assert_allclose(click_peaks(music + np.float32(0.3), beats), usual, rtol=0.05)  # an offset
    clipped = np.clip(music * 100, -1, 1)
    assert (click_peaks(clipped, beats) > 3.5).all()


def test_clicks_follow_the_music_and_go_on_in_breaks() -> None:
    rng = np.random.default_rng(0)
    music = 0.2 * rng.standard_normal(44100 * 40)
    music[: 44100 * 15] *= 0.1
    music[44100 * 25 :] = 0
    beats = Beats(np.arange(1.0, 39, 1.0))
    peaks = click_peaks(music.astype(np.float32), beats)
    np.testing.assert_allclose(peaks[3:11], 0.02 * 2.7, rtol=0.15)
    np.testing.assert_allclose(peaks[18:21], 0.2 * 2.7, rtol=0.15)
    assert (peaks[30:] > 0.02 * 2.3).all()
    assert (peaks[30:] < 0.02 * 4).all()


def test_clicks_of_sparse_strokes_are_not_lost_between_them() -> None:
    rng = np.random.default_rng(0)
    music = 1e-4 * rng.standard_normal(44100 * 20)
    for at in range(20):
        music[at * 44100 :][:4000] += 0.5 * rng.standard_normal(4000) * np.exp(-np.arange(4000) / 800)
    assert (click_peaks(music.astype(np.float32), Beats(np.arange(1.5, 19, 1.0))) > 0.1).all()


@pytest.mark.parametrize("samples", [0, 1, 100, 4410, 20000])
def test_clicks_of_hardly_any_samples(samples: int) -> None:
    sound = noise(2, 44100)[:, :samples]
    mixed = audio.add_clicks(sound, Beats([0.0, 0.3]), rate=44100)
    assert mixed.shape == sound.shape
    assert np.isfinite(mixed).all()
    assert np.abs(mixed).max(initial=0) <= 1


@pytest.mark.parametrize(("channels", "rate", "seconds"), [(1, 22050, 65.3), (8, 8000, 61.0), (2, 44100, 0.2)])
def test_clicks_are_written_block_by_block(tmp_path: Path, channels: int, rate: int, seconds: float) -> None:
    sound = noise(channels, round(rate * seconds)) * np.float32(0.1)
    audio.write(tmp_path / "a.wav", sound, rate=rate)
    times = [0.0, *np.arange(0.4, seconds, 0.37), *([29.99, 30.02] if seconds > 31 else [])]
    beats = Beats(np.sort(times), [1] * len(times))
    audio.write_clicks(tmp_path / "b.wav", tmp_path / "a.wav", beats)
    written, _ = audio.read(tmp_path / "b.wav")
    expected = audio.add_clicks(audio.read(tmp_path / "a.wav")[0], beats, rate=rate)
    np.testing.assert_allclose(written, expected, atol=1e-6)
    with pytest.raises(InputError, match="exists already"):
        audio.write_clicks(tmp_path / "b.wav", tmp_path / "a.wav", beats)


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        audio.write(tmp_path / name, noise(), rate=44100)
    digest = hashlib.sha256((tmp_path / "a.wav").read_bytes()).hexdigest()
    assert audio.content_hash(tmp_path / "a.wav") == audio.content_hash(tmp_path / "b.wav") == digest


def id3(size: int, footer: bool = False) -> bytes:
    synchsafe = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + synchsafe + b"\xff" * size + b"3DI".ljust(10) * footer


@pytest.mark.parametrize("tag", [b"", id3(200), id3(100_000), id3(20, footer=True)])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (22050, 1), (8000, 2)])
def test_mp3s_with_and_without_a_length(tmp_path: Path, tag: bytes, rate: int, channels: int) -> None:
    path = tmp_path / "a.mp3"
    audio.write(path, noise(channels, rate), rate=rate)
    content = path.read_bytes()
    assert b"Xing" in content[:100] or b"Info" in content[:100]
    path.write_bytes(tag + content)
    assert not audio.lacks_length_header(path)
    bare = content.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0").replace(b"LAME", b"\0\0\0\0")
    path.write_bytes(tag + bare)
    assert audio.lacks_length_header(path)


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize("has_length", [True, False])
def test_an_excerpt_of_an_mp3_is_what_reading_all_of_it_gives(tmp_path: Path, mode: str, has_length: bool) -> None:
    samples, rate, path = noise(2, 12 * 22050, seed=1), 22050, tmp_path / "a.mp3"
    with soundfile.SoundFile(path, "w", rate, 2, format="MP3", bitrate_mode=mode, compression_level=0.5) as file:
        file.write((samples * np.linspace(0, 1, samples.shape[1], dtype=np.float32)).T)
    if not has_length:
        path.write_bytes(path.read_bytes().replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    whole = audio.read(path)[0]
    for start_s in (0.0, 0.5, 3.217, 9.0, whole.shape[1] / rate - 0.2):
        excerpt = audio.read(path, start_s=start_s, duration_s=1.5)[0]
        first = round(start_s * rate)
        np.testing.assert_array_equal(excerpt, whole[:, first : first + round(1.5 * rate)])
    with pytest.raises(InputError, match="ends before 13 s"):
        audio.read(path, start_s=13.0)


def test_the_length_of_an_mp3_without_one_is_counted(tmp_path: Path) -> None:
    audio.write(tmp_path / "a.mp3", noise(1, 3 * 44100), rate=44100)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "b.mp3").write_bytes(content.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    assert audio.info(tmp_path / "b.mp3").samples == audio.read(tmp_path / "b.mp3")[0].shape[1]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".aiff"])
def test_only_mp3s_lack_a_header(tmp_path: Path, suffix: str) -> None:
    audio.write(tmp_path / f"a{suffix}", noise(1, 44100), rate=44100)
    assert not audio.lacks_length_header(tmp_path / f"a{suffix}")
    (tmp_path / "text.mp3").write_text("no frames here " * 99)
    assert not audio.lacks_length_header(tmp_path / "text.mp3")
    (tmp_path / "short.mp3").write_bytes(b"\xff\xfb")
    assert not audio.lacks_length_header(tmp_path / "short.mp3")
    (tmp_path / "tag.mp3").write_bytes(b"ID3\x04")
    assert not audio.lacks_length_header(tmp_path / "tag.mp3")


@pytest.mark.real
def test_real_recordings(real: Path, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        info = audio.info(real / "pop" / "pop_100bpm.flac")
        samples, rate = audio.read(real / "pop" / "pop_100bpm.flac")
    assert not caplog.records
    assert (info.samples, info.rate, info.channels) == (1043456, 44100, 1)
    assert (samples.shape, rate) == ((1, 1043456), 44100)
    assert 0.1 < np.abs(samples).max() <= 1


def test_importing_is_quick() -> None:
    code = (
        "import sys, levada.io.audio; print(*sorted({'soundfile', 'soxr', 'scipy', 'av', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_all_readers_of_blocks_get_the_same_ones() -> None:
    one, other = audio.tee(iter([3, 2, 4]))
    first = [next(one), next(one)]
    assert list(other) == [3, 2, 4]
    assert first + list(one) == [3, 2, 4]
    assert [list(reader) for reader in audio.tee([], 3)] == [[], [], []]


def test_blocks_that_all_have_read_are_not_kept() -> None:
    tracemalloc.start()
    one, other = audio.tee(np.zeros(100_000) for _ in range(50))  # 40 MB in all
    total = sum(len(block) + len(next(other)) for block in one)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 2 * 50 * 100_000
    assert peak < 4_000_000
