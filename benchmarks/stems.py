"""Separators before and after adaptation, on instruments and rooms never heard: `python benchmarks/stems.py`.

- `rendered`: songs of a tradition, each with instruments, players and a room of its own; labels are of other songs.
- `fonts`: the same played by a SoundFont that no model was trained on.
- `same`: the same songs as the labels, at other moments: one ensemble in one room, where dictionaries are strong.
- `real`: four songs of MDB Drums with their real stems (`../shared/real`), each in turn left out.
- `speed`: three minutes of stereo in a fresh process.

Prints tables in Markdown: mean SI-SDR improvement over stems and songs, [ ] a 95 % interval over songs and draws, and
the paired difference to plain NMF of the same minutes. Rows are kept in a file, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from levada import models
from levada.adapt.stems import DEFAULTS, adapt_stems
from levada.corpus import StemCorpus, StemSpan, draw_stems, open_stems
from levada.corpus.rendered import render_corpus
from levada.evaluate import evaluate_stems
from levada.instruments import ensemble
from levada.scores import bootstrap, bootstrap_difference
from levada.separate import net_separator
from levada.tradition import read_tradition

SETS = {"rendered": "synthesised", "fonts": "TimGM6mb.sf2", "same": "synthesised"}
STRATEGIES = ("nmf", "nmf-conv", "scratch", "finetune", "finetune+augment")
TAUGHT, ASKED = 20_000, 90_000  # seeds of songs with labels, and of songs to be taken apart
REAL = Path(__file__).parents[2] / "shared" / "real" / "mdb_drums" / "full_mixes"
COLUMNS = ("set", "tradition", "minutes", "seed", "model", "song", "instrument", "si_sdr_i", "sdr_i", "seconds")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[*SETS, "real", "speed"], choices=[*SETS, "real", "speed"])
    parser.add_argument("--traditions", nargs="+", default=["bateria", "candombe"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.5, 1.5, 5.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--model", default="base")
    parser.add_argument("--steps", type=int, help="training steps, instead of the strategy's own")
    parser.add_argument("--rows", type=Path, default=Path(tempfile.gettempdir()) / "levada-stems.csv")
    given = parser.parse_args()
    for part in given.only:
        if part == "speed":
            speed(given.model)
        elif part == "real":
            real(given)
        else:
            rendered(part, given)


def rendered(part: str, given: argparse.Namespace) -> None:
    """One set of rendered songs: all traditions, budgets, seeds and strategies."""
    for tradition in given.traditions:
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as place:
                taught, asked = _songs(part, tradition, seed, Path(place), max(given.minutes))
                if part != "same":
                    _no_leak(taught, asked, given.model)
                else:
                    asked = taught
                for minutes in (0.0, *given.minutes):
                    _cell(part, tradition, minutes, seed, taught, asked, given)
        _table(part, tradition, given)


def _songs(part: str, tradition: str, seed: int, place: Path, minutes: float) -> tuple[StemCorpus, StemCorpus]:
    found, length_s = [], 60 if part == "same" else 30
    songs = 6 if part == "same" else max(3, round(60 * minutes / length_s) + 1)
    for name, first, count, each_s in (("taught", TAUGHT, songs, length_s), ("asked", ASKED, 8, 15)):
        render_corpus(
            place / name, read_tradition(tradition), minutes=count * each_s / 60, recordings=count,
            seed=first + seed, sounds=SETS[part], multitrack=True,
        )  # fmt: skip
        found.append(open_stems(place / name))
    return found[0], found[1]


def _no_leak(taught: StemCorpus, asked: StemCorpus, model: str) -> None:
    """No file is on both sides, nor known to the base; seeds that draw instruments, players and rooms differ."""
    both = {digest for song in taught.songs for digest in song.stem_hashes}
    other = {digest for song in asked.songs for digest in song.stem_hashes}
    known = set(models.base_weights(model, task="stems").card.trained_on)
    assert not both & other, "a stem is in the labels and in the exam"
    assert not known & (both | other), "the base was trained on a stem of these"


def _cell(
    part: str,
    tradition: str,
    minutes: float,
    seed: int,
    taught: StemCorpus,
    asked: StemCorpus,
    given: argparse.Namespace,
) -> None:
    """Adapt with one budget in every way, and score."""
    done = {(row["model"]) for row in _rows(given.rows) if _is(row, part, tradition, minutes, seed)}
    wanted = [name for name in (given.strategies if minutes else [given.model]) if name not in done]
    if not wanted:
        return
    spans = draw_stems(taught.songs, minutes=minutes, rng=np.random.default_rng(seed)) if minutes else []
    separators, seconds = {}, {}
    for name in wanted:
        began = time.perf_counter()
        separators[name] = _adapted(name, spans, seed, given) if minutes else _untouched(tradition, given.model)
        seconds[name] = time.perf_counter() - began
        print(f"{part} {tradition} {minutes:g} min, seed {seed}: {name} {seconds[name]:.0f} s", file=sys.stderr)
    found = evaluate_stems(
        asked.songs, separators, oracle=not minutes, exclude_trained=part == "same", processes=1, seed=seed
    )
    with open(given.rows, "a", newline="") as file:
        writer = csv.writer(file)
        if not file.tell():
            writer.writerow(COLUMNS)
        for row in found.rows:
            if row.model in (*separators, "oracle") and "si_sdr_i" in row.scores:
                scores = [row.scores["si_sdr_i"], row.scores["sdr_i"], seconds.get(row.model, 0.0)]
                writer.writerow([part, tradition, minutes, seed, row.model, row.song, row.instrument, *scores])


def _adapted(strategy: str, spans: Sequence[StemSpan], seed: int, given: argparse.Namespace) -> object:
    settings = replace(DEFAULTS[strategy], seed=seed)
    if given.steps and hasattr(settings, "augmentation"):
        settings = replace(settings, steps=given.steps)
    base = models.base_weights(given.model, task="stems") if strategy.startswith("finetune") else None
    with tempfile.TemporaryDirectory() as place:
        made = adapt_stems(spans, strategy=strategy, base=base, settings=settings, folder=place)
    return models.separator_of(made, name=strategy)


def _untouched(tradition: str, model: str) -> object:
    """The base, told who plays."""
    net = models.base_weights(model, task="stems").net
    if tradition == "real":
        return net_separator(net, name=model)
    voices = ensemble(read_tradition(tradition))
    return net_separator(net, name=model, instruments={a: b for a, b in voices.items() if b in net.instruments})


def real(given: argparse.Namespace) -> None:
    """Leave one song out: the others' first stretches are the labels."""
    if not REAL.is_dir():
        print("no real stems beside the project (../shared/real)", file=sys.stderr)
        return
    songs = open_stems(REAL, instruments=REAL_INSTRUMENTS).songs
    for seed in given.seeds:
        for left in songs:
            others = [song for song in songs if song is not left]
            for minutes in given.minutes:
                if sum(song.duration_s for song in others) < 60 * minutes:
                    continue
                spans_of = StemCorpus("real", tuple(others), REAL)
                _cell(f"real {left.id}", "real", minutes, seed, spans_of, StemCorpus("left", (left,), REAL), given)
    _table("real", "real", given)


MDB = {
    "Hendrix": ("drums", "bass", "other", "other"),
    "Reggae": ("drums", "bass", "other", "other"),
    "Rock": ("drums", "bass", "other", "other", "other"),
    "Zeppelin": ("bass", "drums", "other", "other"),
}
REAL_INSTRUMENTS = {
    f"{song}/stem_{number:02}": name for song, names in MDB.items() for number, name in enumerate(names, start=1)
}
"""MDB's stems have no names. The drums are the stem that the drum track of the same song resembles, the bass the one
below 100 Hz; guitars, keyboards and voices are not told apart."""


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _is(row: dict[str, str], part: str, tradition: str, minutes: float, seed: int) -> bool:
    return (row["set"], row["tradition"], float(row["minutes"]), int(row["seed"])) == (part, tradition, minutes, seed)


def _table(part: str, tradition: str, given: argparse.Namespace) -> None:
    """Means over songs and seeds, of a song over its stems."""
    rows = [row for row in _rows(given.rows) if row["set"].startswith(part) and row["tradition"] == tradition]
    rows = [row for row in rows if int(row["seed"]) in given.seeds]
    print(f"\n| {part}, {tradition} | minutes | SI-SDR improvement, dB | over nmf, dB | SDR improvement, dB | s |")
    print("|---|---|---|---|---|---|")
    for minutes in sorted({float(row["minutes"]) for row in rows}):
        here = [row for row in rows if float(row["minutes"]) == minutes]
        floor = _by_song(here, "nmf", "si_sdr_i")
        for model in dict.fromkeys(row["model"] for row in here):
            mine = _by_song(here, model, "si_sdr_i")
            groups, rng = [" ".join(song) for song in mine], np.random.default_rng(0)
            mean = bootstrap(list(mine.values()), groups=groups, rng=rng)
            shared = [song for song in mine if song in floor]
            more = ""
            if shared and model != "nmf":
                more = str(
                    bootstrap_difference(
                        [mine[song] for song in shared],
                        [floor[song] for song in shared],
                        groups=[" ".join(song) for song in shared],
                        rng=rng,
                    )
                )
            other = np.mean(list(_by_song(here, model, "sdr_i").values()))
            seconds = np.median([float(row["seconds"]) for row in here if row["model"] == model])
            print(f"| {model} | {minutes:g} | {mean} | {more} | {other:.2f} | {seconds:.0f} |")


def _by_song(rows: Sequence[dict[str, str]], model: str, score: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["model"] == model and row[score] not in ("", "nan"):
            found.setdefault((row["seed"], row["set"] + row["song"]), []).append(float(row[score]))
    return {song: float(np.mean(values)) for song, values in found.items()}


SPEED = """
import resource, sys, time
from levada import models
from levada.separate import separate_file
began = time.perf_counter()
separate_file(sys.argv[1], models.separator(sys.argv[2]), sys.argv[3])
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def speed(model: str) -> None:
    """Three minutes of stereo, in a process of its own; what the stems lack of the mixture."""
    from levada import audio
    from levada.render import multitrack

    with tempfile.TemporaryDirectory() as place:
        song = multitrack(read_tradition("samba"), duration_s=180, rng=np.random.default_rng(5)).mixture
        audio.write(f"{place}/song.wav", np.concatenate([song, 0.7 * song]), rate=44100)
        name = "samba" if model == "base" else model
        done = subprocess.run(
            [sys.executable, "-c", SPEED, f"{place}/song.wav", name, f"{place}/stems"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, megabytes = map(float, done.stdout.split()[-2:])
        mixture, _ = audio.read(f"{place}/song.wav")
        lacking = mixture - sum(audio.read(path)[0] for path in sorted(Path(f"{place}/stems").glob("*.wav")))
        less = 10 * np.log10(np.square(lacking).mean() / np.square(mixture).mean() + 1e-30)
    print(f"\nthree minutes of stereo: {seconds:.1f} s, {megabytes:.0f} MB; stems lack {less:.0f} dB of the mixture")
    print(f"(this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB)", file=sys.stderr)


if __name__ == "__main__":
    main()
