"""Headers and runs of frames of MPEG audio."""

import pytest

from levada.io import mpeg

MP3 = bytes.fromhex("fffb9044")  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz, joint stereo


@pytest.mark.parametrize(
    ("header", "size", "samples", "kind"),
    [
        ("fffb9044", 417, 1152, (3, 3, 44100, 2)),  # 144 * 128000 / 44100 = 417.96
        ("fffb9244", 418, 1152, (3, 3, 44100, 2)),  # the same with padding
        ("fffb94c4", 384, 1152, (3, 3, 48000, 1)),
        ("fff340c4", 104, 576, (2, 3, 22050, 1)),  # 72 * 32000 / 22050 = 104.49
        ("ffe318c4", 72, 576, (0, 3, 8000, 1)),  # MPEG 2.5, 72 * 8000 / 8000
        ("fffd8404", 384, 1152, (3, 2, 48000, 2)),  # layer II, 144 * 128000 / 48000 = 384
        ("ffff1404", 32, 384, (3, 1, 48000, 2)),  # layer I, 12 * 32000 / 48000 * 4 = 32
    ],
)
def test_a_header_says_how_long_its_frame_is(header, size, samples, kind):
    assert mpeg.read_header(bytes.fromhex(header)) == mpeg.Header(size, samples, kind)


@pytest.mark.parametrize(
    "no_header", ["", "fffb90", "00fb9044", "ff1b9044", "fffb0044", "fffbf044", "fffb9c44", "fff19044", "ffeb9044"]
)
def test_what_is_no_header(no_header):
    assert mpeg.read_header(bytes.fromhex(no_header)) is None


def frames(count: int) -> bytes:
    return (MP3 + bytes(413)) * count


def test_runs_are_found_between_what_is_no_audio():
    content = b"\0" * 50 + frames(5) + b"\0 odd junk" * 9 + frames(4)
    assert [(run.start, run.stop, run.frames) for run in mpeg.runs(content)] == [(50, 50 + 5 * 417, 5), (2225, 3893, 4)]


def test_a_frame_or_two_amid_something_else_are_chance():
    assert list(mpeg.runs(b"\0" * 50 + frames(2) + b"\0" * 50)) == []


@pytest.mark.parametrize("footer", [0, 10])
def test_a_tag_at_the_start_is_no_audio(footer):
    tag = b"ID3\4\0" + (b"\x10" if footer else b"\0") + b"\0\0\1\5" + frames(1)[:133] + bytes(footer)
    (run,) = mpeg.runs(tag + frames(3))
    assert (run.start, run.is_start) == (10 + 133 + footer, False)


def test_a_first_frame_says_how_many_follow():
    first = mpeg.info_frame(MP3, 7)
    size = mpeg.read_header(first)
    assert size is not None
    assert size.size == len(first)
    run, joined = mpeg.runs(first + frames(7) + mpeg.info_frame(MP3, 3) + frames(3))
    assert (run.is_start, run.promised, run.frames) == (True, 7, 8)
    assert (joined.is_start, joined.promised, joined.frames) == (True, 3, 4)
