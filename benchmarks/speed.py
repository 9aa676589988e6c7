"""How fast levada is, and how big: each figure beside its target and, where they are installed, beside its peers.

    python benchmarks/speed.py                      # some minutes; --quick leaves out the longest
    python benchmarks/speed.py --peers PYTHON       # madmom and librosa of another environment, in the same run

Every figure is the best of a few runs, each in a process of its own, so that memory is that process's alone; what is
stated for one core is CPU time with one thread. All audio is rendered here. Prints a table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SONG_S, DECODED_S, HOUR_S = 180, 300, 3600
FPS = 100
LEVADA = [sys.executable, "-c", "from levada.cli import main; main()"]
ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


# What is measured inside a process of its own: each takes the folder of inputs and returns seconds.


def best_of(function: Callable[[], Any], runs: int = 5) -> float:
    """CPU seconds of the quickest run, the first of which may load things."""
    took = []
    for _ in range(runs):
        began = time.process_time()
        function()
        took.append(time.process_time() - began)
    return min(took)


def inputs(folder: Path) -> None:
    """Render a song, ten recordings with labels and activations of five minutes."""
    import numpy as np
    import soundfile

    from levada.io import audio
    from levada.io.formats import write_beats
    from levada.synth.render import render
    from levada.synth.traditions import read_tradition

    tradition = read_tradition("candombe")
    piece = render(tradition, duration_s=SONG_S, rng=np.random.default_rng(0))
    soundfile.write(folder / "song.wav", piece.mixture.T, piece.rate, subtype="PCM_16")
    soundfile.write(folder / "song.flac", piece.mixture.T, piece.rate)
    np.save(folder / "song.npy", audio.to_mono(piece.mixture))
    (folder / "corpus").mkdir()
    (folder / "minutes").mkdir()
    for number in range(10):
        piece = render(tradition, duration_s=30, rng=np.random.default_rng([1, number]))
        for name in ("corpus", "minutes")[: 1 + (number < 3)]:
            audio.write(folder / name / f"{number}.flac", piece.mixture, rate=piece.rate)
            write_beats(folder / name / f"{number}.beats", piece.beats)
    rng = np.random.default_rng(2)
    activations = rng.uniform(0.01, 0.06, (DECODED_S * FPS, 2))
    beats = np.cumsum(50 + 4 * np.sin(np.arange(550) / 30)).astype(int)
    beats = beats[beats < len(activations)]
    activations[beats, 0] = rng.uniform(0.4, 0.95, len(beats))
    activations[beats[::4], 1] = rng.uniform(0.3, 0.9, len(beats[::4]))
    np.save(folder / "activations.npy", activations.astype(np.float32))


def hour(folder: Path) -> None:
    """The song again and again for an hour, never in memory as a whole."""
    import numpy as np
    import soundfile

    song = np.load(folder / "song.npy")
    with soundfile.SoundFile(folder / "hour.wav", "w", samplerate=44100, channels=1) as file:
        for _ in range(HOUR_S // SONG_S):
            file.write(song)


def spectrogram(folder: Path) -> float:
    import numpy as np

    from levada.beat_tracking.spectrogram import log_spectrogram

    samples = np.load(folder / "song.npy")[None]
    return best_of(lambda: log_spectrogram(samples, 44100))


def features(folder: Path) -> float:
    """All features of the pretrained networks, with the decoding of the file."""
    from levada.beat_tracking.network_tracker import spectrogram_pieces
    from levada.beat_tracking.spectrogram import RELATIVE_BANDS

    return best_of(lambda: list(spectrogram_pieces(folder / "song.flac", front_end=RELATIVE_BANDS)))


def spectrogram_madmom(folder: Path) -> float:
    import numpy as np
    from madmom.audio.signal import FramedSignal, Signal
    from madmom.audio.spectrogram import LogarithmicFilteredSpectrogram

    signal = Signal(np.load(folder / "song.npy"), sample_rate=44100)

    def bands() -> Any:
        frames = FramedSignal(signal, frame_size=2048, hop_size=441)
        return np.asarray(LogarithmicFilteredSpectrogram(frames, num_bands=12, fmin=30, fmax=17000))

    return best_of(bands)


def spectrogram_librosa(folder: Path) -> float:
    import librosa
    import numpy as np

    samples = np.load(folder / "song.npy")

    def bands() -> Any:
        return np.log(librosa.feature.melspectrogram(y=samples, sr=44100, n_fft=2048, hop_length=441, n_mels=81) + 1e-6)

    return best_of(bands)


def network(folder: Path) -> float:
    from levada.beat_tracking.network_tracker import spectrogram_pieces
    from levada.beat_tracking.pretrained import load_tracker

    tracker = load_tracker("base").backend
    pieces = list(spectrogram_pieces(folder / "song.flac", front_end=tracker.front_end))
    return best_of(lambda: tracker.predict(pieces))


def network_madmom(folder: Path) -> float:
    """One of madmom's eight networks of the same kind, on features that are there already."""
    from madmom.features.beats import TCNBeatProcessor

    features, pad, ensemble, _ = TCNBeatProcessor().processors
    first = ensemble.processors[0].processors[0]
    ready = pad(features(str(folder / "song.wav")))
    return best_of(lambda: first(ready), runs=2)


def decode(folder: Path, call: str) -> float:
    """The first call in a process, loading what it needs, or one after it."""
    import numpy as np

    from levada.beat_tracking.decoder import DecoderSettings, decode_beats

    activations = np.load(folder / "activations.npy")
    settings = DecoderSettings(metres=(2, 3, 4))
    calls = {"first": 1, "again": 3}[call]
    return best_of(lambda: decode_beats(activations, fps=FPS, settings=settings), runs=calls)


def decode_madmom(folder: Path) -> float:
    import numpy as np
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor

    both = np.load(folder / "activations.npy")
    activations = np.stack([np.maximum(both[:, 0] - both[:, 1], 1e-3), both[:, 1]], 1)  # beats, downbeats apart
    return best_of(lambda: DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=FPS)(activations), runs=2)


def song_madmom(folder: Path) -> None:
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor

    DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=FPS)(RNNDownBeatProcessor()(str(folder / "song.wav")))


def song_librosa(folder: Path) -> None:
    import librosa

    samples, rate = librosa.load(folder / "song.wav")
    librosa.beat.beat_track(y=samples, sr=rate)


INSIDE: dict[str, Callable[..., float | None]] = {
    function.__name__: function
    for function in (
        inputs, hour, spectrogram, spectrogram_madmom, spectrogram_librosa, features, network, network_madmom, decode,
        decode_madmom, song_madmom, song_librosa,
    )
}  # fmt: skip


# What is seen from outside.


@dataclass(frozen=True)
class Run:
    """One process: seconds by the clock and of CPU, its peak memory, and the seconds it measured itself, if it did."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    inner_s: float = float("nan")


class Failed(Exception):
    """A process that did not end well."""


def run(command: list[str], *, threads: int | None = None, runs: int = 1) -> Run:
    """Run a command some times; the quickest counts, and of memory the most."""
    environment = dict(os.environ) | (ONE_CORE if threads == 1 else {})
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as for a user: compiled the first time
    every = []
    for _ in range(runs):
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=out, stderr=errors, stdin=subprocess.DEVNULL, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            errors.seek(0)
            if process.returncode:
                raise Failed(f"{' '.join(command[-3:])}: {errors.read().decode()[-2000:]}")
            lines = out.read().decode().strip().splitlines()
        unit = 1 if sys.platform == "darwin" else 1024
        inner = json.loads(lines[-1]) if lines and "--inside" in command else None
        cpu = usage.ru_utime + usage.ru_stime
        every.append(Run(wall, cpu, usage.ru_maxrss * unit / 1e6, float("nan") if inner is None else inner))
    fastest = min(every, key=lambda one: one.wall_s)
    return Run(fastest.wall_s, fastest.cpu_s, max(one.peak_mb for one in every), min(one.inner_s for one in every))


@dataclass(frozen=True)
class Bench:
    """Where things are, and who to compare with."""

    folder: Path
    quick: bool
    peers: dict[str, str] = field(default_factory=dict)  # name -> an interpreter that imports it

    def inside(self, name: str, *more: str, python: str = sys.executable, runs: int = 1) -> Run:
        """Run a function of this file in a process of its own, with one thread."""
        return run([python, __file__, "--inside", name, str(self.folder), *more], threads=1, runs=runs)

    def beside(self, name: str, say: Callable[[Run], str], **options: Any) -> str:
        """What each peer needs for the same, in words."""
        lines = []
        for peer, python in self.peers.items():
            if f"{name}_{peer}" in INSIDE:
                try:
                    lines.append(f"{peer} {say(self.inside(f'{name}_{peer}', python=python, **options))}")
                except Failed as failure:
                    print(failure, file=sys.stderr)
                    lines.append(f"{peer} failed")
        return "; ".join(lines)


Row = tuple[str, ...]  # what, figure, target, verdict, memory, peers


def row(what: str, run: Run, figure: str, target: str, met: bool, peers: str = "") -> Row:
    return what, figure, target, "" if not target else "met" if met else "**missed**", f"{run.peak_mb:.0f} MB", peers


def clock(run: Run, digits: int = 2) -> str:
    return f"{run.wall_s:.{digits}f} s ({run.cpu_s:.{digits}f} s CPU)"


def times(theirs_s: float, mine_s: float) -> str:
    return f"{theirs_s / mine_s:.1f} times as long"


def start_up(bench: Bench) -> Iterator[Row]:
    mine = run([*LEVADA, "--help"], runs=5)
    yield row("`levada --help`", mine, clock(mine), "< 0.5 s", mine.wall_s < 0.5)
    mine = run([*LEVADA, "corpus", "check", str(bench.folder / "corpus")], runs=5)
    yield row("`levada corpus check`, 10 files of 30 s", mine, clock(mine), "< 0.5 s", mine.wall_s < 0.5)


def song(bench: Bench) -> Iterator[Row]:
    mine = run([*LEVADA, "track", str(bench.folder / "song.wav")], runs=3)
    met = mine.wall_s < 4 and mine.peak_mb < 500

    def say(their: Run) -> str:
        return f"{their.wall_s:.1f} s ({times(their.wall_s, mine.wall_s)}), {their.peak_mb:.0f} MB"

    peers = bench.beside("song", say, runs=1 if bench.quick else 2)
    yield row("`levada track`, a song of 3 minutes", mine, clock(mine), "< 4 s, < 500 MB", met, peers)


def spectra(bench: Bench) -> Iterator[Row]:
    mine = bench.inside("spectrogram", runs=2)
    speed = SONG_S / mine.inner_s

    def say(their: Run) -> str:
        return f"{SONG_S / their.inner_s:.0f} × ({times(their.inner_s, mine.inner_s)})"

    peers = bench.beside("spectrogram", say, runs=2)
    yield row("spectrogram, one core", mine, f"{speed:.0f} × real time", "≥ 300 ×", speed >= 300, peers)
    every = bench.inside("features", runs=2)
    speed = SONG_S / every.inner_s
    yield row("all features, FLAC decoded, one core", every, f"{speed:.0f} × real time", "≥ 350 ×", speed >= 350)


def networks(bench: Bench) -> Iterator[Row]:
    mine = bench.inside("network", runs=2)

    def say(their: Run) -> str:
        return f"one of 8 networks: {SONG_S / their.inner_s:.0f} × ({times(their.inner_s, mine.inner_s)})"

    peers = bench.beside("network", say)
    yield row("network, one core", mine, f"{SONG_S / mine.inner_s:.0f} × real time", "", True, peers)


def decoding(bench: Bench) -> Iterator[Row]:
    mine, first = bench.inside("decode", "again", runs=2), bench.inside("decode", "first", runs=2)

    def say(their: Run) -> str:
        return f"{their.inner_s:.1f} s ({times(their.inner_s, mine.inner_s)}), {their.peak_mb:.0f} MB"

    figure = f"{mine.inner_s:.2f} s ({first.inner_s:.2f} s in a process's first call)"
    met = mine.inner_s < 0.4 and mine.peak_mb < 100
    peers = bench.beside("decode", say)
    yield row("decoding 5 minutes, metres 2 3 4, one core", mine, figure, "< 0.4 s, < 100 MB", met, peers)


def adapting(bench: Bench) -> Iterator[Row]:
    mine = run([*LEVADA, "adapt", str(bench.folder / "minutes"), "-o", str(bench.folder / "model")])
    what = f"`levada adapt`, 1.5 minutes, augmented, {os.cpu_count()} cores"
    yield row(what, mine, clock(mine, 0), "< 60 s", mine.wall_s < 60)


def long(bench: Bench) -> Iterator[Row]:
    if bench.quick:
        return
    bench.inside("hour")
    mine = run([*LEVADA, "track", str(bench.folder / "hour.wav"), "-o", str(bench.folder / "hour.beats")])
    (bench.folder / "hour.wav").unlink()
    yield row("`levada track`, an hour", mine, clock(mine, 0), "< 700 MB", mine.peak_mb < 700)


PARTS = (start_up, song, spectra, networks, decoding, adapting, long)


def found_peers(pythons: list[str]) -> dict[str, str]:
    """Which peers the interpreters can import."""
    found: dict[str, str] = {}
    for python in pythons:
        for peer in ("madmom", "librosa"):
            tried = subprocess.run([python, "-c", f"import {peer}"], capture_output=True, check=False)
            if tried.returncode == 0:
                found.setdefault(peer, python)
    return found


def machine() -> str:
    described = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    commit = subprocess.run(described, capture_output=True, text=True, check=False).stdout.strip()
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    today = time.strftime("%Y-%m-%d")
    return f"{today}, commit {commit or '?'}, Python {platform.python_version()}, {os.cpu_count()} cores{load}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave out the hour, and run peers less often")
    parser.add_argument(
        "--peers", action="append", default=[], metavar="PYTHON", help="an interpreter with peers; repeat it"
    )
    parser.add_argument(
        "--only", action="append", choices=[part.__name__ for part in PARTS], help="this part alone; repeat it"
    )
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        name, folder, *more = chosen.inside
        print(json.dumps(INSIDE[name](Path(folder), *more)))
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), chosen.quick, found_peers([sys.executable, *chosen.peers]))
        print(f"{machine()} Peers: {', '.join(bench.peers) or 'none installed'}.\n")
        print(
            "| what | figure | target | | peak memory | peers, in the same run |\n|---|---|---|---|---|---|", flush=True
        )
        bench.inside("inputs")
        for part in PARTS:
            if chosen.only and part.__name__ not in chosen.only:
                continue
            try:
                for cells in part(bench):
                    print(f"| {' | '.join(cells)} |", flush=True)
            except Failed as failure:
                print(f"| {part.__name__} | failed | | **missed** | | |", flush=True)
                print(failure, file=sys.stderr)


if __name__ == "__main__":
    main()
