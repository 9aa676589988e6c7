"""Recordings whose files are unfinished, joined, damaged, or no recordings."""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.beat_tracking.network_tracker import flux_tracker
from levada.beat_tracking.spectrogram import log_spectrogram
from levada.errors import InputError
from levada.io import audio
from levada.io.containers import copy_broadcast, sections

RATE = 44100


def noise(channels: int = 2, samples: int = RATE, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def encoded(sound: np.ndarray, container: str, subtype: str = "PCM_16", rate: int = RATE) -> bytearray:
    file = io.BytesIO()
    soundfile.write(file, sound.T, rate, format=container, subtype=subtype)
    return bytearray(file.getvalue())


def data_size(content: bytearray, size: int, *, riff: int = 0) -> bytearray:
    """A wav whose header says something else about its length."""
    at = content.index(b"data") + 4
    content[at : at + 4], content[4:8] = struct.pack("<I", size), struct.pack("<I", riff)
    return content


def everywhere(path: Path) -> np.ndarray:
    """What `read` gives, once all readers were found to agree."""
    samples, rate = audio.read(path)
    about = audio.info(path)
    assert (about.samples, about.channels, about.rate) == (samples.shape[1], samples.shape[0], rate)
    np.testing.assert_array_equal(np.concatenate(list(audio.read_blocks(path, block_s=0.3)), axis=1), samples)
    start = samples.shape[1] // 3
    np.testing.assert_array_equal(audio.read(path, start_s=start / rate)[0], samples[:, start:])
    return samples


def unfinished() -> dict[str, bytearray]:
    sound = noise()
    rf64 = encoded(sound, "RF64")
    rf64[20:44] = bytes(24)
    caf = {}
    for size in (0, -1):
        caf[size] = encoded(sound, "CAF")
        at = caf[size].index(b"data") + 4
        caf[size][at : at + 8] = struct.pack(">q", size)
    au = encoded(sound, "AU")
    au[8:12] = bytes(4)
    flac = encoded(sound, "FLAC")
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    return {
        "wav, no length": data_size(encoded(sound, "WAV"), 0),
        "wav, no length but of its header": data_size(encoded(sound, "WAV"), 0, riff=36),
        "wav, too long": data_size(encoded(sound, "WAV"), 0x7FFFFFFF),
        "wav, saved once in between": data_size(encoded(sound, "WAV"), 40_000, riff=40_036),
        "rf64": rf64,
        "bw64": bytearray(b"BW64" + encoded(sound, "RF64")[4:]),
        "caf, 0": caf[0],
        "caf, -1": caf[-1],
        "au": au,
        "flac from a pipe": flac,
    }


@pytest.mark.parametrize("kind", unfinished())
def test_a_file_that_its_recorder_did_not_finish_has_its_sound(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"take.{kind[:4].strip(' ,')}"
    path.write_bytes(unfinished()[kind])
    sound = everywhere(path)
    assert sound.shape == (2, RATE)
    np.testing.assert_allclose(sound, noise(), rtol=0, atol=2**-15)


def test_what_was_guessed_of_an_unfinished_file_is_said_once(tmp_path: Path, caplog) -> None:
    (tmp_path / "a.wav").write_bytes(data_size(encoded(noise(), "WAV"), 0))
    audio.read(tmp_path / "a.wav")
    (said,) = caplog.messages
    assert "did not finish" in said
    assert "1.00 s" in said


@pytest.mark.parametrize("after", [b"LIST\x04\0\0\0abcd", b"\0LIST\x04\0\0\0abcd", b"", b"\0" * 9000, b"odd end"])
def test_chunks_and_padding_after_the_sound_are_no_sound(tmp_path: Path, caplog, after: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1, 1001), "WAV", "PCM_U8") + after)
    assert everywhere(tmp_path / "a.wav").shape == (1, 1001)
    assert not caplog.records


def test_a_wav_of_no_sound_with_a_chunk_after_it_has_none(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(np.zeros((1, 0)), "WAV") + b"LIST\x04\0\0\0abcd")
    with pytest.raises(InputError, match="has no audio samples"):
        audio.read(tmp_path / "a.wav")


@pytest.mark.parametrize(("short", "warned"), [(44, False), (8820, True)])
def test_a_header_that_counts_itself_is_no_truncation(tmp_path: Path, caplog, short: int, warned: bool) -> None:
    (tmp_path / "a.wav").write_bytes(encoded(noise(1), "WAV")[:-short])
    assert audio.read(tmp_path / "a.wav")[0].shape == (1, RATE - short // 2)
    assert bool(caplog.records) == warned


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")],
)
def test_joined_files_are_read_to_the_end(tmp_path: Path, container: str, subtype: str) -> None:
    rate = 48000
    first, second = noise(2, rate, seed=1), noise(2, 30_000, seed=2)
    parts = [encoded(sound, container, subtype, rate) for sound in (first, second)]
    for name, part in zip("ab", parts, strict=True):
        (tmp_path / name).write_bytes(part)
    (tmp_path / "ab").write_bytes(parts[0] + parts[1])
    apart = [audio.read(tmp_path / name)[0] for name in "ab"]
    np.testing.assert_array_equal(everywhere(tmp_path / "ab"), np.concatenate(apart, axis=1))


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_joined_files_are_found_wherever_windows_of_a_search_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: str, subtype: str
) -> None:
    first, second = (encoded(noise(seed=seed), container, subtype) for seed in (1, 2))
    path = tmp_path / "joined"
    path.write_bytes(first + second)
    for size in (len(first) - 2, len(first) + 1, 5000):
        monkeypatch.setattr("levada.io.containers._BYTES_AT_ONCE", size)
        found = [(section.start, section.stop) for section in sections(path)]
        assert found == [(0, len(first)), (len(first), len(first) + len(second))]


def test_a_joined_file_of_another_rate_is_named(tmp_path: Path, caplog) -> None:
    parts = [encoded(noise(1), "FLAC", rate=rate) for rate in (44100, 48000)]
    (tmp_path / "a.flac").write_bytes(parts[0] + parts[1])
    assert audio.read(tmp_path / "a.flac")[0].shape == (1, RATE)
    assert "at 1.00 s another recording follows, of 48000 Hz" in caplog.text


@pytest.mark.parametrize("filling", [b"\0", b"\xa5"])
def test_sound_after_a_hole_in_an_mp3_stays_in_its_place(tmp_path: Path, caplog, filling: bytes) -> None:
    clicks = np.zeros((1, 10 * RATE), np.float32)
    clicks[:, RATE // 2 :: RATE] = 0.9
    content = encoded(clicks + 0.01 * noise(1, 10 * RATE), "MP3", "MPEG_LAYER_III")
    (tmp_path / "whole.mp3").write_bytes(content)
    hole = slice(len(content) * 42 // 100, len(content) * 49 // 100)
    content[hole] = filling * (hole.stop - hole.start)
    (tmp_path / "hole.mp3").write_bytes(content)
    whole, damaged = audio.read(tmp_path / "whole.mp3")[0][0], everywhere(tmp_path / "hole.mp3")[0]
    assert abs(len(damaged) - len(whole)) <= 2 * 1152
    for second in (0, 1, 2, 3, 6, 7, 8, 9):
        near = slice(second * RATE, (second + 1) * RATE)
        assert abs(int(np.abs(damaged[near]).argmax()) - int(np.abs(whole[near]).argmax())) < RATE * 0.03, second
    assert "hole.mp3: damaged at 4." in caplog.text


def without_first_frame(content: bytes) -> bytes:
    """An MP3 as a radio station or an old encoder writes it: nothing says how long it is."""
    size = 144 * 128_000 // RATE
    assert content[size : size + 2] == b"\xff\xfb"
    return content[size:]


def test_an_mp3_of_variable_bit_rate_and_unknown_length_is_read_to_the_end(tmp_path: Path) -> None:
    sound = 0.01 * noise(1, 10 * RATE)
    sound[:, RATE // 2 :: RATE] = 0.9
    content = bytes(encoded(sound, "MP3", "MPEG_LAYER_III"))
    (tmp_path / "a.mp3").write_bytes(without_first_frame(content))
    read = everywhere(tmp_path / "a.mp3")[0]
    assert 10 * RATE <= len(read) < 10.1 * RATE
    late = 1105  # samples: the delays of encoder and decoder (LAME technical FAQ), which only the first frame tells
    for second in range(10):
        near = read[second * RATE : (second + 1) * RATE]
        assert abs(int(np.abs(near).argmax()) - RATE // 2 - late) <= 2


def test_an_mp3_after_garbage_and_before_some(tmp_path: Path) -> None:
    content = encoded(noise(2), "MP3", "MPEG_LAYER_III")
    (tmp_path / "a.mp3").write_bytes(content)
    (tmp_path / "b.mp3").write_bytes(b"\0" * 5000 + content + b"\xa5" * 5000)
    np.testing.assert_array_equal(everywhere(tmp_path / "b.mp3"), audio.read(tmp_path / "a.mp3")[0])


@pytest.mark.parametrize("damage", ["truncated", "hole", "web page", "garbage"])
def test_decoders_leave_the_terminal_alone(tmp_path: Path, capfd, damage: str) -> None:
    content, path = encoded(noise(2, 5 * RATE), "MP3", "MPEG_LAYER_III"), tmp_path / "a.mp3"
    half = len(content) // 2
    path.write_bytes(
        {
            "truncated": content[:half],
            "hole": content[:half] + bytes(3000) + content[half + 3000 :],
            "web page": b"<!DOCTYPE html><title>404</title>" + b"<p>\xff\xfb\x90\x44 not found</p>" * 99,
            "garbage": content + b"\xff\xfb\x90\x44" + noise(1, 9000).tobytes(),
        }[damage]
    )
    if damage == "web page":
        with pytest.raises(InputError, match=r"a\.mp3: is not audio"):
            audio.read(path)
    else:
        assert audio.read(path)[0].shape[1] > RATE
    assert capfd.readouterr() == ("", "")
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xef\xbb\xbf\n<!DOCTYPE HTML>\n<p>404</p>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "Git LFS"),
        (b"{\\rtf1\\ansi take one}", "word processor"),
        (b"PK\x03\x04\x14\0\0\0", "ZIP"),
        (b"MThd\0\0\0\x06\0\x01\0\x01\x01\xe0", "MIDI"),
        ("0.5\t1\n1.0\t2\nrepiqué\n".encode() * 200, "text"),
        (bytes(70_000), "nothing but zeros"),
    ],
)
@pytest.mark.parametrize("suffix", [".mp3", ".wav", ".m4a"])
def test_what_is_no_recording_is_named(tmp_path: Path, content: bytes, what: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"is not audio but .*{what}"):
        audio.read(path)


def test_absurd_values_become_silence_and_large_ones_do_not(tmp_path: Path, caplog) -> None:
    sound = np.full((1, 9000), 32768.0, np.float32)  # floats on the scale of 16 bits
    soundfile.write(tmp_path / "a.wav", sound.T, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(audio.read(tmp_path / "a.wav")[0], sound)
    assert not caplog.records
    sound[0, 4410:4420] = 1e30
    soundfile.write(tmp_path / "b.wav", sound.T, RATE, subtype="FLOAT")
    assert (audio.read(tmp_path / "b.wav")[0] != 0).sum() == 8990
    assert "b.wav: samples from 0.100 s on" in caplog.text


class TestMono:
    """Channels that cancel each other."""

    def test_of_an_inverted_channel_is_the_louder_one(self):
        sound = np.stack([noise(1)[0], -0.95 * noise(1)[0]])
        np.testing.assert_array_equal(audio.to_mono(sound), sound[0])

    @pytest.mark.parametrize("degrees", [0, 60, 90, 120, 150])
    def test_of_all_others_is_the_mean(self, degrees):
        at = np.arange(RATE) / RATE * 2 * np.pi * 440
        sound = np.stack([np.sin(at), np.sin(at + np.deg2rad(degrees))]).astype(np.float32)
        np.testing.assert_array_equal(audio.to_mono(sound), sound.mean(axis=0))

    def test_silence_is_silence(self):
        np.testing.assert_array_equal(audio.to_mono(np.zeros((2, 99), np.float32)), np.zeros(99))

    def test_does_not_depend_on_how_a_recording_was_cut(self):
        sound = noise(2, 5000)
        sound[1, 1000:3000] = -sound[0, 1000:3000]
        at_once = np.concatenate(list(audio.to_mono_blocks([sound], rate=1000, block_s=1.0)))
        assert np.abs(at_once[1000:3000]).max() > 0.4
        for size in (1, 7, 999, 1000, 1001):
            pieces = [sound[:, start : start + size] for start in range(0, 5000, size)]
            np.testing.assert_array_equal(
                np.concatenate(list(audio.to_mono_blocks(pieces, rate=1000, block_s=1.0))), at_once
            )


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode("canci\u00f3n.wav".encode("latin-1"))
    try:
        path.write_bytes(encoded(noise(), "WAV"))
    except OSError:
        pytest.skip("this disk knows no such names")
    assert everywhere(path).shape == (2, RATE)


@pytest.mark.parametrize(
    "use",
    [audio.channels_first, lambda sound: log_spectrogram(sound, RATE), lambda sound: flux_tracker().track(sound, RATE)],
)
def test_samples_by_channels_are_refused(use) -> None:
    with pytest.raises(InputError, match=r"give samples\.T"):
        use(noise(2, RATE).T)
    use(noise(2, RATE))
    use(noise(8, 5000))


@pytest.mark.parametrize("odd", [0, 1])
def test_the_start_time_of_a_broadcast_wav_is_copied(tmp_path: Path, odd: int) -> None:
    bext = bytes(338) + struct.pack("<Q", 158_760_000) + bytes(256 + odd)  # an hour after midnight, at 44.1 kHz
    chunk = b"bext" + struct.pack("<I", len(bext)) + bext + b"\0" * odd
    plain = bytes(encoded(noise(1, 1001), "WAV", "PCM_U8"))
    (tmp_path / "a.wav").write_bytes(plain[:12] + chunk + plain[12:])
    (tmp_path / "b.wav").write_bytes(plain)
    copy_broadcast(tmp_path / "a.wav", tmp_path / "b.wav")
    copied = (tmp_path / "b.wav").read_bytes()
    assert chunk in copied
    assert struct.unpack("<I", copied[4:8])[0] == len(copied) - 8
    assert everywhere(tmp_path / "b.wav").shape == (1, 1001)
