"""How fast levada is, and how big: each figure beside its target and, where they are installed, beside its peers.

    python benchmarks/speed.py                      # some minutes; --quick leaves out the longest
    python benchmarks/speed.py --only profile       # where the seconds of a song go, and the limit of each stage
    python benchmarks/speed.py --peers PYTHON       # peers of another environment, in the same run: repeat it

Peers are madmom, librosa, metricon (a decoder) and BeatNet (its own program, offline; it needs PyAudio, and so the
headers of PortAudio). Every figure is the best of a few runs, each in a process of its own, so that memory is that
process's alone. Targets and ratios are of CPU seconds, which depend less than the clock on what else the machine does.
All audio is rendered here. Prints a table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

SONG_S, DECODED_S, HOUR_S, SHORT_S, N_SHORT = 180, 300, 3600, 5, 40
FPS, WINDOW_S = 100, 12
PEERS = {"madmom": "madmom", "librosa": "librosa", "beatnet": "BeatNet.BeatNet", "metricon": "metricon"}
STEMS = "surdo,caixa,repique,tamborim,agogo,shaker,cuica,pandeiro,conga"
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
    song = audio.to_mono(piece.mixture)
    np.save(folder / "song.npy", song)
    soundfile.write(folder / "stereo.wav", np.stack([song, np.roll(song, 9)], 1), piece.rate, subtype="PCM_16")
    (folder / "short").mkdir()
    for number in range(N_SHORT):
        part = song[number * 4 * piece.rate :][: SHORT_S * piece.rate]
        soundfile.write(folder / "short" / f"{number}.flac", part, piece.rate)
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


def hours(folder: Path, length: str) -> None:
    """The song again and again for some hours, never in memory as a whole."""
    import numpy as np
    import soundfile

    song = np.load(folder / "song.npy")
    with soundfile.SoundFile(folder / "hours.flac", "w", samplerate=44100, channels=1) as file:
        for _ in range(round(float(length) * HOUR_S / SONG_S)):
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


def decode_window(folder: Path) -> float:
    """A stretch between two beats that are given, as the studio decodes it after each correction."""
    import numpy as np

    from levada.beat_tracking.decoder import DecoderSettings, decode_beats

    part = np.load(folder / "activations.npy")[: WINDOW_S * FPS]
    settings = DecoderSettings(metres=(2, 3, 4))
    beats = decode_beats(part, fps=FPS, settings=settings)
    hints = replace(beats, times_s=beats.times_s[[1, -2]], positions=beats.positions[[1, -2]], confidence=None)
    return best_of(lambda: decode_beats(part, fps=FPS, settings=settings, hints=hints))


def decode_madmom(folder: Path) -> float:
    import numpy as np
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor

    both = np.load(folder / "activations.npy")
    activations = np.stack([np.maximum(both[:, 0] - both[:, 1], 1e-3), both[:, 1]], 1)  # beats, downbeats apart
    return best_of(lambda: DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=FPS)(activations), runs=2)


def decode_metricon(folder: Path) -> float:
    import metricon
    import numpy as np

    both = np.load(folder / "activations.npy").astype(float).clip(1e-6, 1 - 1e-6)
    logits = np.log(both / (1 - both))
    tracker = metricon.DownbeatTracker(beats_per_bar=(2, 3, 4), multi_meter=True, fps=FPS)
    return best_of(lambda: tracker.track(logits[:, 0], logits[:, 1]), runs=2)


def song_beatnet(folder: Path) -> None:
    from BeatNet.BeatNet import BeatNet

    BeatNet(1, mode="offline", inference_model="DBN", plot=[], thread=False).process(str(folder / "song.wav"))


def song_madmom(folder: Path) -> None:
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor

    DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=FPS)(RNNDownBeatProcessor()(str(folder / "song.wav")))


def song_librosa(folder: Path) -> None:
    import librosa

    samples, rate = librosa.load(folder / "song.wav")
    librosa.beat.beat_track(y=samples, sr=rate)


def stems_librosa(folder: Path) -> None:
    """Harmonic and percussive sounds, channel by channel: two stems."""
    import librosa

    samples, _ = librosa.load(folder / "stereo.wav", sr=None, mono=False)
    for channel in samples:
        librosa.effects.hpss(channel)


def install_size(_: Path) -> float:
    """MB of levada and of all that it needs without extras, as they are installed here."""
    from importlib import metadata

    seen, waiting, size = set[str](), ["levada"], 0
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # of another platform or Python
            continue
        needed = [one for one in package.requires or () if "extra ==" not in one]
        waiting += [re.split(r"[^\w.-]", one)[0] for one in needed]
        paths = [Path(str(file.locate())) for file in package.files or ()]
        size += sum(path.stat().st_size for path in paths if path.is_file())
    source = Path(__file__).parents[1] / "src" / "levada"
    return (
        size + sum(path.stat().st_size for path in source.rglob("*") if path.suffix != ".pyc" and path.is_file())
    ) / 1e6


def stages(folder: Path) -> dict[str, list[float]]:
    """CPU seconds of each stage of a song, and of what it cannot do without: kernels of libraries on the same data."""
    import time

    began = time.process_time()
    import numpy as np
    import scipy.fft
    import soundfile

    libraries = time.process_time() - began
    from levada.beat_tracking.analysis import analyse_beats
    from levada.beat_tracking.decoder.decode import decode_activations
    from levada.beat_tracking.network_tracker import spectrogram_pieces
    from levada.beat_tracking.pretrained import load_tracker
    from levada.io import audio

    tracker = load_tracker("base").backend
    imports = time.process_time() - began
    path = folder / "song.flac"
    read = best_of(lambda: sum(block.shape[1] for block in audio.read_blocks(path)))
    read_limit = best_of(lambda: soundfile.read(path, dtype="float32"))
    pieces = list(spectrogram_pieces(path, front_end=tracker.front_end))
    features = best_of(lambda: list(spectrogram_pieces(path, front_end=tracker.front_end))) - read
    frames = sum(map(len, pieces))
    block = np.random.default_rng(0).standard_normal((1024, 2048), np.float32)
    transforms = best_of(lambda: scipy.fft.rfft(block, axis=1)) * frames / len(block)
    transforms += best_of(lambda: scipy.fft.rfft(np.concatenate([block, block], 1), axis=1)) * frames / 2 / len(block)
    predict = best_of(lambda: tracker.predict(pieces))
    settings, channels = tracker.networks[0].settings, tracker.networks[0].settings.channels
    first, second = settings.front
    steps = frames / 2
    products = 2 * steps * (27 * 9 * first + 9 * 9 * first * second) + steps * 4 * 9 * second * channels
    products += steps * (15 * 5 * channels + settings.levels * (10 + 2) * channels**2 + 4 * channels)
    square = block[:, :1024].copy()
    rate = 1024**3 / best_of(lambda: square @ square)
    activations = tracker.predict(pieces)
    fps = tracker.front_end.grid.fps
    decoded = decode_activations(activations, fps=fps, settings=tracker.settings)
    decode = best_of(lambda: decode_activations(activations, fps=fps, settings=tracker.settings))
    readings = best_of(lambda: analyse_beats(decoded))
    nan = float("nan")
    return {
        "Python, numpy, SciPy and the modules of levada": [imports, libraries],
        "reading of a FLAC file; libsndfile alone": [read, read_limit],
        "features; their Fourier transforms alone": [features, transforms],
        f"network; its {products / 1e9:.1f} G products at the {rate / 1e9:.0f} G a second of a large matrix": [
            predict,
            products / rate,
        ],
        "decoding, confidences included": [decode, nan],
        "other readings": [readings, nan],
    }


INSIDE: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        inputs, hours, spectrogram, spectrogram_madmom, spectrogram_librosa, features, network, network_madmom, decode,
        decode_window, decode_madmom, decode_metricon, song_beatnet, song_madmom, song_librosa, stems_librosa,
        install_size, stages,
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
    fastest = min(every, key=lambda one: one.cpu_s)
    inner_s = every[0].inner_s if len(every) == 1 else min(one.inner_s for one in every)
    return Run(fastest.wall_s, fastest.cpu_s, max(one.peak_mb for one in every), inner_s)


@dataclass(frozen=True)
class Bench:
    """Where things are, and who to compare with."""

    folder: Path
    quick: bool
    hours: float = 1.0  # of the long recording
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
    yield row("`levada --help`", mine, clock(mine), "< 0.15 s", mine.cpu_s < 0.15)
    mine = run([*LEVADA, "corpus", "check", str(bench.folder / "corpus")], runs=5)
    yield row("`levada corpus check`, 10 files of 30 s", mine, clock(mine), "", True)
    size_mb = bench.inside("install_size").inner_s
    what = "installed without extras, compiled modules apart"
    yield what, f"{size_mb:.0f} MB", "< 300 MB", "met" if size_mb < 300 else "**missed**", "", ""


def song(bench: Bench) -> Iterator[Row]:
    mine = run([*LEVADA, "track", str(bench.folder / "song.wav")], threads=1, runs=3)

    def say(their: Run) -> str:
        return f"{clock(their, 1)}, {times(their.cpu_s, mine.cpu_s)}, {their.peak_mb:.0f} MB"

    peers = bench.beside("song", say, runs=1 if bench.quick else 2)
    yield row("`levada track`, a song of 3 minutes", mine, clock(mine), "< 1.4 s", mine.cpu_s < 1.4, peers)
    out = str(bench.folder / "short-beats")
    mine = run([*LEVADA, "track", str(bench.folder / "short"), "-o", out, "--compare", "none"], threads=1)
    one = run([*LEVADA, "track", str(bench.folder / "short" / "0.flac")], threads=1, runs=2)
    rate = (N_SHORT - 1) / (mine.cpu_s - one.cpu_s)
    yield row("`levada track`, a folder of 5 s each", mine, f"{rate:.0f} a second of a core", "> 25", rate > 25)


def stems(bench: Bench) -> Iterator[Row]:
    command = [*LEVADA, "separate", str(bench.folder / "stereo.wav"), "-o", str(bench.folder / "stems")]
    mine = run([*command, "--instruments", STEMS], threads=1)

    def say(their: Run) -> str:
        return f"two stems (HPSS) {clock(their, 1)}, {their.peak_mb:.0f} MB"

    met = mine.cpu_s < 6 and mine.peak_mb < 400
    what = f"`levada separate`, 3 minutes of stereo, {STEMS.count(',') + 1} stems"
    yield row(what, mine, clock(mine, 1), "< 6 s, < 400 MB", met, bench.beside("stems", say))


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
    mine = bench.inside("decode_window", runs=2)
    what, ms = f"decoding {WINDOW_S} s between two given beats", 1000 * mine.inner_s
    yield row(what, mine, f"{ms:.0f} ms", "< 30 ms", ms < 30)


def adapting(bench: Bench) -> Iterator[Row]:
    for strategy, most_s in (("auto", 30), ("finetune+augment", 20)):
        out = str(bench.folder / f"model-{strategy}")
        mine = run([*LEVADA, "adapt", str(bench.folder / "minutes"), "-o", out, "--strategy", strategy], threads=1)
        what = f"`levada adapt --strategy {strategy}`, 1.5 minutes"
        yield row(what, mine, clock(mine, 0), f"< {most_s} s", mine.cpu_s < most_s)


def long(bench: Bench) -> Iterator[Row]:
    if bench.quick:
        return
    bench.inside("hours", str(bench.hours))
    file = bench.folder / "hours.flac"
    mine = run([*LEVADA, "track", str(file), "-o", str(bench.folder / "hours.beats")], threads=1)
    file.unlink()
    most_s = 20 * bench.hours
    met = mine.peak_mb < 600 and mine.cpu_s < most_s
    yield row(f"`levada track`, {bench.hours:g} h", mine, clock(mine, 0), f"< {most_s:g} s, < 600 MB", met)


def profile(bench: Bench) -> Iterator[Row]:
    """Where the seconds go: a row for each stage, with its limit in place of a target."""
    mine = bench.inside("stages")
    parts: Any = mine.inner_s
    for what, (took, limit) in parts.items():
        share = "" if limit != limit else f"limit {limit:.2f} s"  # nan: no kernel of a library does the same
        yield f"of a song: {what}", f"{took:.2f} s", share, "", "", ""


PARTS = (start_up, song, stems, spectra, networks, decoding, adapting, long, profile)


def found_peers(pythons: list[str]) -> dict[str, str]:
    """Which peers the interpreters can import."""
    found: dict[str, str] = {}
    for python in pythons:
        for peer, module in PEERS.items():
            tried = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
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
    parser.add_argument("--quick", action="store_true", help="leave out the long recording, and run peers less often")
    parser.add_argument("--hours", type=float, default=1.0, help="length of the long recording; default: %(default)s")
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
        bench = Bench(Path(folder), chosen.quick, chosen.hours, found_peers([sys.executable, *chosen.peers]))
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
