"""Damaged files for all readers of labels: nothing but `InputError` may come of them.

`python tests/fuzz_readers.py MINUTES [SEED]` goes on for so long (scripts/fuzz); the suite reads a
fixed number of files.
"""

from __future__ import annotations

import bz2
import io
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import CONVENTIONS, FORMATS, read_annotation, write_beats
from levada.io.formats import sonic_visualiser as sonic_files

TOKENS = [
    *(b"0", b"1", b"-1", b"1e999", b"nan", b"-inf", b"999999999999", b"1" * 5000, b"0.5", b"1.1", b"384", b"0:61"),
    *(b"1e-320", b"0:00:01.5"),
    *(b"\t", b"\n", b"\r", b",", b";", b'"', b"'", b"<", b">", b"&", b"{", b"}", b"[", b"]", b"\\", b"#", b"%", b"//"),
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", "ñ".encode(), "\u2028".encode(), b"\x1a", b"\xf0\x9f\xa5\x81"),
    *(b"null", b"NaN", b"true", b"time", b"tempo", b"bar", b"downbeat", b"annotate 1", b"skip", b"120 bpm", b"x"),
    *(b"db,4/4", b"="),
    *(b"<!ENTITY a 'b'>", b"<!DOCTYPE a [", b"<a>" * 3000, b"[" * 3000, b'{"a":' * 3000, b"-->", b"sep=;"),
    *(b"MThd", b"BZh9"),
    *(b"# convention: bars\n", b"# convention: time,bar\n", b'convention: "x"', b'"TextGrid"'),
    b"\xff\x51\x03\x00\x00\x00",
    *(b"\x93NUMPY", b"PK\x03\x04", b"\xff\x58\x04\x00\x00\x00\x00", b"\xff\x2f\x00", b"\x81\x80\x80\x00"),
    b"\x80\x80\x80\x80",
]  # fmt: skip
STATED = ["", "", "", *CONVENTIONS, "layer:Beats", "time,bar,beat", "time", "time,-,downbeat"]


def seeds(folder: Path) -> list[bytes]:
    """A good file of every format, and of conventions of tables."""
    times = 0.5 * np.arange(1, 25)
    sure = np.linspace(0, 1, 24)
    found = []
    for beats in (Beats(times, np.arange(24) % 4 + 1, sure), Beats(times), Beats(times, np.arange(24) % 2)):
        for name, kind in FORMATS.items():
            if kind.dump is not None:
                write_beats(folder / "seed", beats, format=name, force=True)
                found.append((folder / "seed").read_bytes())
    array = io.BytesIO()
    np.save(array, np.stack([times, np.arange(24) % 4 + 1], axis=1))
    found.append(array.getvalue())
    tables = [
        "time;compás;pulso\n0,500;1;1\n1,000;1;2\n1,500;2;1\n",
        "50\t100\t384\n100\t150\t48\n150\t200\t96\n",
        "0.5\t0.5\tdb,4/4,0\n1.0\t1.0\tb\n",
        ",beats,piano,metre_auto\n0,0.5,,1.0\n1,1.0,,2.0\n",
        '"a.wav",0.5,"1"\n,1.0,"2"\n',
        "0.5,0.9,1.1\n1.0,0.1,1.2\n",
        "0.5 1.0\n1.0 1.25\n1.5 1.5\n2.0 1.75\n2.5 2.0\n",
        "1.0\t4.0\tannotate 1\n1.5\t1.5\t1\n2.0\t2.0\t2\n3.0\t3.0\trepique\n",
        '<?xml version="1.0"?><DJ_PLAYLISTS><TRACK Name="a" TotalTime="9" Location="file://a.mp3">'
        '<TEMPO Inizio="0.1" Bpm="100.0" Metro="4/4" Battito="1"/></TRACK></DJ_PLAYLISTS>',
        '<?xml version="1.0"?><NML><ENTRY TITLE="a"><LOCATION FILE="a.mp3"/><INFO PLAYTIME="9"/><TEMPO BPM="99"/>'
        '<CUE_V2 TYPE="4" START="50.0"><GRID BPM="99"/></CUE_V2></ENTRY></NML>',
        "WEBVTT\n\n00:00.500 --> 00:00.600\n1\n",
    ]
    return [*found, *(table.encode() for table in tables)]


def damaged(content: bytes, rng: np.random.Generator, others: list[bytes]) -> bytes:
    """Change a file in a few places, most often inside one of its lines."""
    is_packed = sonic_files.is_session(content) and rng.random() < 0.7
    data = bytearray(bz2.decompress(content) if is_packed else content)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(len(data) + 1))
        to = min(len(data), at + int(rng.integers(1, 40)))
        kind = rng.integers(7)
        if kind == 0 and len(data):
            data[at % len(data)] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del data[at:to]
        elif kind == 2:
            data[at:at] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif kind == 3:
            data[at:to] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif kind == 4:
            data[at:at] = bytes(data[at:to])
        elif kind == 5:
            other = others[int(rng.integers(len(others)))]
            start = int(rng.integers(len(other) + 1))
            data[at:at] = other[start : start + 60]
        elif rng.random() < 0.3:
            del data[at:]
    return bz2.compress(bytes(data)) if is_packed else bytes(data)


def read_one(content: bytes, path: Path, convention: str) -> bool:
    """Read a file; returns whether it could be. Anything but an `InputError` is raised."""
    path.write_bytes(content)
    try:
        reading = read_annotation(path, convention=convention)
    except InputError:
        return False
    beats = reading.beats
    assert len(beats)
    assert len(reading.lines) == len(beats)
    assert (beats.positions <= 64).all()
    assert (beats.times_s >= 0).all()
    return True


def fuzz(folder: Path, *, files: int | None = None, seconds: float = float("inf"), seed: int = 0) -> tuple[int, int]:
    """Read so many damaged files, or for so long: how many there were, and how many could be read."""
    rng, good = np.random.default_rng(seed), seeds(folder)
    until, count, read = time.monotonic() + seconds, 0, 0
    while (files is None or count < files) and time.monotonic() < until:
        content = damaged(good[int(rng.integers(len(good)))], rng, good)
        convention = STATED[int(rng.integers(len(STATED)))]
        try:
            read += read_one(content, folder / "song.x", convention)
        except BaseException:
            print(f"seed {seed}, file {count}, convention {convention!r}: {content[:3000]!r}", file=sys.stderr)
            raise
        count += 1
    return count, read


if __name__ == "__main__":
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    start = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 2**32
    with tempfile.TemporaryDirectory() as place:
        try:
            done, could = fuzz(Path(place), seconds=60 * minutes, seed=start)
        except Exception:
            traceback.print_exc()
            sys.exit(1)
    print(f"{done} damaged files, {could} of them readable; nothing but InputError (seed {start})")
