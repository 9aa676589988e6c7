"""Sound of videos: in the clock of the picture, with either decoder."""

import importlib.util
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.io import audio

RATE, CLICKS_S = 44100, 0.25 + 0.5 * np.arange(6)
NEEDS_FFMPEG = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="the ffmpeg program is not installed"
)
NEEDS_PYAV = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed")
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=4"]


def sound() -> np.ndarray:
    samples = np.zeros(3 * RATE, np.float32)
    samples[np.round(CLICKS_S * RATE).astype(int)] = 0.9
    return samples


def by_ffmpeg(path: Path, delay_s: float, *, picture: bool = True) -> None:
    soundfile.write(path.with_name("clicks.wav"), sound(), RATE)
    clicks = ["-itsoffset", str(delay_s), "-i", str(path.with_name("clicks.wav"))]
    streams = [*PICTURE, *clicks, "-map", "0:v", "-map", "1:a", "-c:v", "mpeg4"] if picture else clicks
    subprocess.run(["ffmpeg", "-v", "error", *streams, "-c:a", "aac", str(path)], check=True)


def by_pyav(path: Path, delay_s: float) -> None:
    import av

    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=25)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        for number in range(100):
            image = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            image.pts, image.time_base = number, Fraction(1, 25)
            container.mux(picture.encode(image))
        container.mux(picture.encode(None))
        for start in range(0, 3 * RATE, 1024):
            frame = av.AudioFrame.from_ndarray(sound()[None, start : start + 1024], format="fltp", layout="mono")
            frame.rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = start + round(delay_s * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(params=[pytest.param("ffmpeg", marks=NEEDS_FFMPEG), pytest.param("av", marks=NEEDS_PYAV)])
def write(request: pytest.FixtureRequest):
    """A writer of videos, whose decoder alone is there."""
    if request.param == "av":
        request.getfixturevalue("no_ffmpeg")
    return by_ffmpeg if request.param == "ffmpeg" else by_pyav


def clicks_s(samples: np.ndarray, rate: int) -> np.ndarray:
    at = np.flatnonzero(np.abs(samples[0]) > 0.3 * np.abs(samples).max()) / rate
    return at[np.diff(at, prepend=-1) > 0.1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_begins_late_is_in_the_clock_of_the_picture(tmp_path, write, suffix, caplog) -> None:
    path = tmp_path / f"late{suffix}"
    write(path, 0.4)
    samples, rate = audio.read(path)
    np.testing.assert_allclose(clicks_s(samples, rate), CLICKS_S + 0.4, atol=0.003)
    assert not samples[:, : round(0.35 * rate)].any()
    assert "after the picture; times are those of the picture" in caplog.text
    assert audio.info(path).samples == samples.shape[1]
    np.testing.assert_array_equal(np.concatenate(list(audio.read_blocks(path, block_s=0.1)), axis=1), samples)
    part, _ = audio.read(path, start_s=0.3, duration_s=0.5)
    np.testing.assert_array_equal(part, samples[:, round(0.3 * rate) :][:, : round(0.5 * rate)])


def test_sound_that_begins_with_the_picture_is_as_it_is(tmp_path, write, caplog) -> None:
    write(tmp_path / "even.mp4", 0)
    samples, rate = audio.read(tmp_path / "even.mp4")
    np.testing.assert_allclose(clicks_s(samples, rate), CLICKS_S, atol=0.03)
    assert caplog.text == ""


@NEEDS_FFMPEG
def test_without_a_picture_nothing_is_late(tmp_path: Path) -> None:
    by_ffmpeg(tmp_path / "a.m4a", 0.4, picture=False)
    by_ffmpeg(tmp_path / "b.m4a", 0, picture=False)
    assert abs(audio.info(tmp_path / "a.m4a").duration_s - audio.info(tmp_path / "b.m4a").duration_s) < 0.03
