"""Separators before and after adaptation, on other instruments and rooms: `python benchmarks/stems.py`.

- `rendered`: songs of a tradition, each with instruments, players and a room of its own; labels are of other songs.
- `fonts`: the same played by a SoundFont that no model was trained on.
- `same`: the same songs as the labels, at other moments: one ensemble in one room, where dictionaries are strong.
- `real`: all of these four, on recordings:
    - `own`: the four songs of MDB Drums with their real stems (`../shared/real`); labels are the first half of a song,
      and the second is scored.
    - `others`: the same songs, each in turn left out; labels are of the others.
    - `solos`: mixtures of solos (those of `../shared/real`, or `--solos FOLDER`); labels are mixtures of other takes of
      the same instruments, or of the first half of a take where there is one.
    - `loops`: samba, candombe and cumbia played with recorded strokes that no model was trained on, without labels, and
      samba with labels that are single strokes of other drums, one instrument after the other.
- `speed`: three minutes of stereo in a fresh process.

Prints tables in Markdown: mean SI-SDR improvement over stems and songs, [ ] a 95 % interval over songs and draws, the
paired difference to plain NMF of the same minutes, processor seconds of each adaptation and of a minute of separation,
and the peak memory of the adaptation. Rows are kept in a file, so that a stopped run goes on, and a run of other parts
adds to the tables: `--only rendered --traditions candombe --minutes 1.5 --seeds 0` takes minutes.

No test song is in the labels: seeds differ, no two stems are the same file, and it is printed how alike the most
alike stems of one instrument on both sides sound, beside the two halves of one stem: one instrument in one room.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from levada.data import Corpus, Multitrack, Span, load_corpus, sample
from levada.data.rendered import render_corpus, sounds_of
from levada.io import audio
from levada.learning.statistics import mean_interval, paired_interval
from levada.separation.adaptation import STRATEGIES as ADAPTATIONS
from levada.separation.evaluation import evaluate_stems
from levada.separation.masking import SeparatorLike
from levada.separation.pretrained import base_weights as stem_weights
from levada.separation.pretrained import separator_of
from levada.separation.remix import RemixSettings, remix
from levada.separation.remix.solos import Solo, solos_of
from levada.separation.separator import Separator
from levada.separation.song_scores import MIXTURE, ORACLE
from levada.separation.stft import Stft
from levada.synth.instrument_names import stem_names
from levada.synth.instruments import STRUCK
from levada.synth.traditions import read_tradition

SETS = {"rendered": "synthesised", "fonts": "TimGM6mb.sf2", "same": "synthesised"}
STRATEGIES = tuple(name for name in ("nmf", "nmf-conv", "finetune+augment", "auto") if name in ADAPTATIONS)
LABELLED, SCORED = 20_000, 90_000  # seeds of songs with labels, and of songs to be separated
REAL = Path(__file__).parents[2] / "shared" / "real"
MIXES = REAL / "mdb_drums" / "full_mixes"
REAL_SETS = ("own", "others", "solos", "loops")
LOOPS = ("samba", "candombe", "cumbia")
LABELLED_LOOP = "samba"
STROKES_FONT = "MuseScore_General.sf3"  # of the labels of loops, which are played by TimGM6mb.sf2
MIX_S, MIXTURES, MOST = 12.0, 10, 5  # seconds, number and instruments of mixtures of solos
COLUMNS = (
    "set", "tradition", "minutes", "seed", "model", "song", "instrument", "si_sdr_i", "sdr_i",
    "adapt_cpu_s", "separate_cpu_s", "megabytes",
)  # fmt: skip
STROKE_EVERY = 22050  # samples from one single stroke to the next
STROKES_HIT = ("open", "open", "muted", "rim")
INAUDIBLE_DB = -40.0  # below the loudest moment of a stem
ALIKE_HZ = 44100


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = [*SETS, "real", "speed"]
    parser.add_argument("--only", nargs="+", default=parts, choices=[*parts, *REAL_SETS])
    parser.add_argument("--traditions", nargs="+", default=["bateria", "candombe"])
    parser.add_argument("--minutes", nargs="+", type=float, default=[0.5, 1.5, 5.0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES))
    parser.add_argument("--model", default="base")
    parser.add_argument("--steps", type=int, help="training steps, instead of the strategy's own")
    parser.add_argument("--rows", type=Path, default=Path(tempfile.gettempdir()) / "levada-stems.csv")
    parser.add_argument("--solos", type=Path, help="a folder of solos, instead of those of ../shared/real")
    given = parser.parse_args()
    for part in dict.fromkeys(one for name in given.only for one in (REAL_SETS if name == "real" else [name])):
        if part == "speed":
            speed(given.model)
        elif part in REAL_SETS:
            {"own": own, "others": others, "solos": solos, "loops": loops}[part](given)
        else:
            rendered(part, given)


def rendered(part: str, given: argparse.Namespace) -> None:
    """One set of rendered songs: all traditions, budgets, seeds and strategies."""
    for tradition in given.traditions:
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as place:
                labelled, scored = _songs(part, tradition, seed, Path(place), max(given.minutes))
                if part != "same":
                    _no_leak(labelled, scored, given.model, seed)
                else:
                    labelled, scored = (
                        _half(labelled, Path(place) / name, at) for at, name in enumerate(("first", "second"))
                    )
                _cell(part, tradition, 0.0, seed, [], scored, _pretrained(tradition, given.model), given)
                for minutes in given.minutes:
                    spans = _budget(labelled.tracks, minutes, seed)
                    _cell(part, tradition, minutes, seed, spans, scored, None, given)
        _table(part, tradition, given)


def _songs(
    part: str, tradition: str, seed: int, place: Path, minutes: float
) -> tuple[Corpus[Multitrack], Corpus[Multitrack]]:
    found, length_s = [], 60 if part == "same" else 30
    songs = 12 if part == "same" else max(3, round(60 * minutes / length_s) + 1)
    for name, first, count, each_s in (("labelled", LABELLED, songs, length_s), ("scored", SCORED, 8, 15)):
        render_corpus(
            place / name, read_tradition(tradition), minutes=count * each_s / 60, recordings=count,
            seed=first + seed, sounds=SETS[part], multitrack=True,
        )  # fmt: skip
        found.append(load_corpus(place / name, labels="stems"))
    return found[0], found[1]


def _half(corpus: Corpus[Multitrack], folder: Path, at: int) -> Corpus[Multitrack]:
    """The first half of each song, or the second: what is learnt from is not scored, but it is the same ensemble."""
    for song in corpus.tracks:
        length_s = song.duration_s / 2
        span = Span(song, at * length_s, (at + 1) * length_s)
        stems, mixture = span.read(song.instruments, rate=ALIKE_HZ, channels=None)
        (folder / song.id).mkdir(parents=True)
        for name, stem in zip((*song.instruments, MIXTURE), (*stems, mixture), strict=True):
            audio.write(folder / song.id / f"{name}.wav", stem, rate=ALIKE_HZ)
    return load_corpus(folder, labels="stems")


def _no_leak(labelled: Corpus[Multitrack], scored: Corpus[Multitrack], model: str, seed: int) -> None:
    """No file is on both sides, nor known to the base; seeds that draw instruments, players and rooms differ."""
    both = {digest for song in labelled.tracks for digest in song.stem_hashes}
    other = {digest for song in scored.tracks for digest in song.stem_hashes}
    base = stem_weights(model)
    assert not both & other, "a stem is in the labels and in the test set"
    assert not base.card.trained_on.keys() & (both | other), "the base was trained on a stem of these"
    assert base.training.get("seed", 0) not in (LABELLED + seed, SCORED + seed), (
        "the base was trained on the same draws"
    )
    across, within = _alike(labelled.tracks, scored.tracks)
    print(
        f"no leak: the most alike stems of one instrument differ by {across:.1f} dB between labels and test set, "
        f"the halves of one stem by {within:.1f} dB",
        file=sys.stderr,
    )


def _alike(labelled: Sequence[Multitrack], scored: Sequence[Multitrack]) -> tuple[float, float]:
    """How far apart mean spectra are: the closest across the sides, mean over instruments, and halves of one stem."""
    sides, halves = [], []
    for songs in (labelled, scored):
        spectra = defaultdict(list)
        for song in songs:
            stems, _ = song.read(song.instruments, rate=ALIKE_HZ)
            for name, stem in zip(song.instruments, stems, strict=True):
                middle = stem.shape[-1] // 2
                first, second, full = (_spectrum(part) for part in (stem[0, :middle], stem[0, middle:], stem[0]))
                spectra[name].append(full)
                halves.append(_apart(first, second))
        sides.append(spectra)
    closest = [
        np.nanmin([_apart(mine, theirs) for mine in sides[0][name] for theirs in sides[1][name]])
        for name in sides[0].keys() & sides[1].keys()
    ]
    return float(np.mean(closest)), float(np.nanmedian(halves))


def _spectrum(stem: np.ndarray) -> np.ndarray | None:
    """Mean power in bands of what sounds, in decibels; nothing where nothing does."""
    transform = Stft(ALIKE_HZ)
    spectra = transform.forward(stem)
    power = transform.to_bands(spectra.real**2 + spectra.imag**2)
    loud = power.sum(1)
    audible = power[loud > 10 ** (INAUDIBLE_DB / 10) * loud.max(initial=0)]
    return None if not len(audible) else 10 * np.log10(audible.mean(0) + 1e-6 * audible.mean())


def _apart(one: np.ndarray | None, other: np.ndarray | None) -> float:
    """Of two spectra, whatever their levels, in decibels."""
    return math.nan if one is None or other is None else float(np.std(one - other))


def _budget(songs: Sequence[Multitrack], minutes: float, seed: int) -> list[Span[Multitrack]]:
    return sample(songs, minutes=minutes, seed=np.random.default_rng(seed))


def _cell(
    part: str,
    tradition: str,
    minutes: float,
    seed: int,
    spans: Sequence[Span[Multitrack]],
    scored: Corpus[Multitrack],
    base: SeparatorLike | None,
    given: argparse.Namespace,
) -> None:
    """Adapt with one budget in every way, and score; without labels score the base, the mixture and the oracle."""
    done = {row["model"] for row in _rows(given.rows) if _is(row, part, tradition, minutes, seed)}
    wanted = [name for name in ([given.model] if base is not None else given.strategies) if name not in done]
    if not wanted:
        return
    separators: dict[str, SeparatorLike] = {}
    costs: dict[str, tuple[float, float]] = {}
    for name in wanted:
        began = time.process_time()
        _forget_peak()
        separators[name] = base or _adapted(name, spans, seed, given)
        costs[name] = time.process_time() - began, _peak_mb()
        cost = f"{costs[name][0]:.0f} CPU-s, {costs[name][1]:.0f} MB"
        print(f"{part} {tradition} {minutes:g} min, seed {seed}: {name} {cost}", file=sys.stderr)
    bounds = {MIXTURE, ORACLE} - done if base is not None else set()
    found = evaluate_stems(scored.tracks, separators, oracle=ORACLE in bounds, processes=1)
    fresh = not given.rows.exists()
    with open(given.rows, "a", newline="") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(COLUMNS)
        for row in found.rows:
            if row.model in {*separators, *bounds} and "si_sdr_i" in row.scores:
                cpu_s, megabytes = costs.get(row.model, (math.nan, math.nan)) if base is None else (math.nan, math.nan)
                scores = [row.scores["si_sdr_i"], row.scores["sdr_i"], cpu_s, 60 * row.cpu_s / row.duration_s]
                writer.writerow(
                    [part, tradition, minutes, seed, row.model, row.song, row.instrument, *scores, megabytes]
                )


def _forget_peak() -> None:
    """From here on the peak of memory is counted anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_mb() -> float:
    """The most memory this process took, since it was forgotten."""
    try:
        peak_kb = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return float(peak_kb) / 1024


def _adapted(strategy: str, spans: Sequence[Span[Multitrack]], seed: int, given: argparse.Namespace) -> SeparatorLike:
    steps = None if strategy in ("nmf", "nmf-conv") else given.steps
    return Separator.from_pretrained(given.model).adapt(spans, strategy=strategy, steps=steps, seed=seed)


def _pretrained(tradition: str, model: str) -> SeparatorLike:
    """The base, given the instruments that play."""
    base = stem_weights(model)
    voices = stem_names(read_tradition(tradition))
    known = {name: voice for name, voice in voices.items() if voice in base.net.instruments}
    return separator_of(base, name=model, instruments=known)


def own(given: argparse.Namespace) -> None:
    """Real songs: the first half of each is the labels, the second is scored."""
    for song in _real_songs():
        with tempfile.TemporaryDirectory() as place:
            first, second = (_half(_corpus(song), Path(place) / str(at), at) for at in (0, 1))
            spans = [Span(one, 0.0, one.duration_s) for one in first.tracks]
            for seed in given.seeds:
                _cell(f"own {song.id}", "real", 0.0, seed, [], second, Separator.from_pretrained(given.model), given)
                _cell(f"own {song.id}", "real", OWN_MINUTES, seed, spans, second, None, given)
    _table("own", "real", given)


def others(given: argparse.Namespace) -> None:
    """Real songs, each in turn left out: stretches of the others are the labels."""
    songs = _real_songs()
    for seed in given.seeds:
        for left in songs:
            rest, scored = [song for song in songs if song is not left], _corpus(left)
            _cell(f"others {left.id}", "real", 0.0, seed, [], scored, Separator.from_pretrained(given.model), given)
            for minutes in given.minutes:
                if sum(song.duration_s for song in rest) >= 60 * minutes:
                    spans = _budget(rest, minutes, seed)
                    _cell(f"others {left.id}", "real", minutes, seed, spans, scored, None, given)
    _table("others", "real", given)


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
below 100 Hz; guitars, keyboards and voices are not distinguished."""
OWN_MINUTES = 0.15
"""Half of a song, 6.5 to 10 s, in the tables."""
SOLOS = {
    "tamborim": "brid/brid_0216_tamborim_samba_enredo.flac",
    "shaker": "brid/brid_0257_shaker_samba.flac",
    "guitar": "choro/choros_no1_guitar.flac",
    "drums": "mdb_drums/drums_only/Punk.flac",
    "bass": "mdb_drums/full_mixes/Hendrix/stem_02.flac",
    "melody": "mdb_drums/full_mixes/Zeppelin/stem_03.flac",
    "harmony": "mdb_drums/full_mixes/Reggae/stem_04.flac",
}
"""Instruments that were recorded alone, of seven recordings: two of them are percussion of a tradition."""


def _real_songs() -> tuple[Multitrack, ...]:
    if not MIXES.is_dir():
        print("no real stems beside the project (../shared/real)", file=sys.stderr)
        return ()
    return load_corpus(MIXES, labels="stems", instruments=REAL_INSTRUMENTS).tracks


def _corpus(song: Multitrack) -> Corpus[Multitrack]:
    return Corpus(song.id, (song,), MIXES)


def solos(given: argparse.Namespace) -> None:
    """Mixtures of solos, without rooms: labels of other takes, or of the first half of the only one."""
    takes = _solos(given.solos)
    if not takes:
        print("no solos beside the project (../shared/real): name a folder by --solos", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for instrument in takes:
            for side, solo, start_s, end_s in _sides(takes[instrument]):
                samples = solo.read(start_s, end_s, rate=ALIKE_HZ, channels=1)
                audio.write(place / side / instrument / f"{solo.id.replace('/', '-')}.wav", samples, rate=ALIKE_HZ)
        scored = _mixtures(place / "scored", place / "scored-mixtures", MIXTURES, seed=SCORED)
        for seed in given.seeds:
            count = math.ceil(60 * max(given.minutes) / MIX_S)
            labelled = _mixtures(place / "labelled", place / f"labelled-mixtures-{seed}", count, seed=LABELLED + seed)
            _cell("solos", "real", 0.0, seed, [], scored, Separator.from_pretrained(given.model), given)
            for minutes in given.minutes:
                spans = _budget(labelled.tracks, minutes, seed)
                _cell("solos", "real", minutes, seed, spans, scored, None, given)
    _table("solos", "real", given)


def _solos(folder: Path | None) -> dict[str, list[Solo]]:
    """Return the takes of each instrument."""
    if folder is None and not REAL.is_dir():
        return {}
    takes = defaultdict[str, list[Solo]](list)
    if folder is not None:
        for solo in solos_of(load_corpus(folder, labels="stems")):
            takes[solo.instrument].append(solo)
    else:
        for instrument, path in SOLOS.items():
            takes[instrument].append(Solo(path, instrument, Multitrack(path, {instrument: (REAL / path,)}), path))
    return takes


def _sides(takes: Sequence[Solo]) -> Iterator[tuple[str, Solo, float, float]]:
    """Yield the takes of one instrument to mix labels and test mixtures from: takes of a group are on one side only."""
    groups = sorted({solo.group for solo in takes})
    for solo in takes:
        length_s = solo.song.duration_s
        if len(groups) > 1:
            yield "labelled" if groups.index(solo.group) % 2 == 0 else "scored", solo, 0.0, length_s
        else:
            yield "labelled", solo, 0.0, length_s / 2
            yield "scored", solo, length_s / 2, length_s


def _mixtures(solos: Path, out: Path, count: int, *, seed: int) -> Corpus[Multitrack]:
    settings = RemixSettings(count, MIX_S, coherent=False, rooms=False, test=0, fewest=3, most=MOST, seed=seed)
    remix(load_corpus(solos, labels="stems"), out, settings=settings)
    return load_corpus(out, labels="stems")


def loops(given: argparse.Namespace) -> None:
    """Ensembles of recorded strokes: without labels, and with labels of single strokes of other drums."""
    for tradition in LOOPS:
        for seed in given.seeds:
            with tempfile.TemporaryDirectory() as name:
                place = Path(name)
                render_corpus(
                    place / "scored", read_tradition(tradition), minutes=2, recordings=8,
                    seed=SCORED + seed, sounds=SETS["fonts"], multitrack=True,
                )  # fmt: skip
                scored = load_corpus(place / "scored", labels="stems")
                _cell("loops", tradition, 0.0, seed, [], scored, _pretrained(tradition, given.model), given)
                if tradition != LABELLED_LOOP:
                    continue
                for minutes in given.minutes:
                    spans = [_single_strokes(tradition, place / f"{minutes:g}", minutes, seed)]
                    _cell("loops", tradition, minutes, seed, spans, scored, None, given)
        _table("loops", tradition, given)


def _single_strokes(tradition: str, folder: Path, minutes: float, seed: int) -> Span[Multitrack]:
    """Write the single strokes of each instrument of a tradition, one instrument after the other."""
    rng, sounds = np.random.default_rng([LABELLED, seed]), sounds_of(STROKES_FONT)
    described = read_tradition(tradition)
    voices = {name: voice for name, voice in stem_names(described).items() if voice in STRUCK}
    each = round(60 * minutes / len(voices) * ALIKE_HZ)
    for at, (name, voice) in enumerate(voices.items()):
        instrument = sounds(voice, rng)
        stem = np.zeros((1, each * len(voices)), np.float32)
        for first in range(at * each, (at + 1) * each - STROKE_EVERY, STROKE_EVERY):
            stroke = str(rng.choice(STROKES_HIT))
            sound = instrument.play(
                stroke, velocity=rng.uniform(0.4, 1), pitch_hz=0.0, duration_s=0.0, rng=rng
            )[: (at + 1) * each - first]  # fmt: skip
            stem[0, first : first + len(sound)] += sound
        audio.write(folder / "strokes" / f"{name}.wav", 0.5 * stem / max(1.0, float(np.abs(stem).max())), rate=ALIKE_HZ)
    (song,) = load_corpus(folder, labels="stems").tracks
    return Span(song, 0.0, song.duration_s)


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def _is(row: dict[str, str], part: str, tradition: str, minutes: float, seed: int) -> bool:
    return (row["set"], row["tradition"], float(row["minutes"]), int(row["seed"])) == (part, tradition, minutes, seed)


def _table(part: str, tradition: str, given: argparse.Namespace) -> None:
    """Means over songs and seeds, of a song over its stems."""
    rows = [row for row in _rows(given.rows) if row["set"].split()[0] == part and row["tradition"] == tradition]
    rows = [row for row in rows if int(row["seed"]) in given.seeds]
    songs, seeds = len({(row["seed"], row["set"], row["song"]) for row in rows}), len({row["seed"] for row in rows})
    print(f"\nsongs: {songs}, draws: {seeds}, load {os.getloadavg()[0]:.1f}\n")
    scores, times = "SI-SDR improvement, dB | over nmf, dB | SDR improvement, dB", "adapt, CPU-s | separate, CPU-s/min"
    print(f"| {part}, {tradition} | minutes | {scores} | {times} | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for minutes in sorted({float(row["minutes"]) for row in rows}):
        here = [row for row in rows if float(row["minutes"]) == minutes]
        floor = _by_song(here, "nmf", "si_sdr_i")
        order = {name: index for index, name in enumerate((MIXTURE, given.model, *STRATEGIES))}
        names = sorted({row["model"] for row in here}, key=lambda name: (order.get(name, len(order)), name))
        for model in names:
            mine = _by_song(here, model, "si_sdr_i")
            mean = mean_interval(list(mine.values()), **_origins(list(mine)))
            shared, more = [song for song in mine if song in floor], ""
            if shared and model not in ("nmf", MIXTURE, ORACLE):
                pairs = [mine[song] for song in shared], [floor[song] for song in shared]
                more = paired_interval(*pairs, **_origins(shared)).text(digits=1, sign="+")
            other = np.mean(list(_by_song(here, model, "sdr_i").values()))
            costs = [_cost([row for row in here if row["model"] == model], name) for name in COLUMNS[-3:]]
            given_minutes = "" if model in (MIXTURE, ORACLE) else f"{minutes:g}"
            print(f"| {model} | {given_minutes} | {mean.text(digits=1)} | {more} | {other:.1f} | {' | '.join(costs)} |")


def _origins(songs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Groups and seeds of songs: rendered songs of two seeds are different songs, real ones the same."""
    same = tuple(name for name in REAL_SETS if name != "loops")
    groups = [song if song.startswith(same) else f"{seed} {song}" for seed, song in songs]
    return {"groups": groups, "seeds": [seed for seed, _ in songs]}


def _cost(rows: Sequence[dict[str, str]], name: str) -> str:
    known = [float(row[name]) for row in rows if row.get(name) not in (None, "", "nan")]
    return f"{np.median(known):.3g}" if known else ""


def _by_song(rows: Sequence[dict[str, str]], model: str, score: str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["model"] == model and row[score] not in ("", "nan"):
            found.setdefault((row["seed"], row["set"] + row["song"]), []).append(float(row[score]))
    return {song: float(np.mean(values)) for song, values in found.items()}


SPEED = """
import resource, sys, time
import levada
began = time.perf_counter()
levada.Separator.from_pretrained(sys.argv[2]).separate_file(sys.argv[1], sys.argv[3])
print(time.perf_counter() - began, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def speed(model: str) -> None:
    """Three minutes of stereo, in a process of its own; what the stems lack of the mixture."""
    from levada.synth.render import render_multitrack

    with tempfile.TemporaryDirectory() as place:
        song = render_multitrack(read_tradition("samba"), duration_s=180, rng=np.random.default_rng(5)).mixture
        audio.write(f"{place}/song.wav", np.concatenate([song, 0.7 * song]), rate=44100)
        name = "samba" if model == "base" else model
        load = os.getloadavg()[0]
        done = subprocess.run(
            [sys.executable, "-c", SPEED, f"{place}/song.wav", name, f"{place}/stems"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds, cpu_s, megabytes = map(float, done.stdout.split()[-3:])
        mixture, _ = audio.read(f"{place}/song.wav")
        lacking = mixture - sum(audio.read(path)[0] for path in sorted(Path(f"{place}/stems").glob("*.wav")))
        less = 10 * np.log10(np.square(lacking).mean() / np.square(mixture).mean() + 1e-30)
    print("\n| three minutes of stereo, taken apart | s | CPU s | peak MB | mixture less stems, dB | cores | load |")
    print("|---|---|---|---|---|---|---|")
    print(f"| {name} | {seconds:.1f} | {cpu_s:.1f} | {megabytes:.0f} | {less:.0f} | {os.cpu_count()} | {load:.1f} |")


if __name__ == "__main__":
    main()
