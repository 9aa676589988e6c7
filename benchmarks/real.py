"""Networks and baselines on real recordings, before and after adaptation: `python benchmarks/real.py`.

Reads `../shared/real` in place and prints tables in Markdown, each as soon as it is there. Everything stands before the
same decoder, and every model is scored on recordings, or stretches of one, that gave it no labels; [ ] is a 95 %
interval over recordings, seeds and draws. The baselines: the beats of spectral flux with bars as the decoder found
them, with bars of four in the phase of its bass onsets, and with bars in any phase (the mean over all of them).
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from levada.beat_tracking.adaptation import DEFAULTS, STRATEGIES
from levada.beat_tracking.decoder import pick_peaks
from levada.beat_tracking.metrics import beat_scores, error_type
from levada.beat_tracking.network_tracker import NetworkTracker
from levada.beat_tracking.networks import load
from levada.beat_tracking.patterns import PatternTracker
from levada.beat_tracking.plots import Panel, plot_activations
from levada.beat_tracking.pretrained import find_folder, load_tracker, tracker_of
from levada.beat_tracking.spectrogram import GRID, FrontEnd, file_log_spectrogram
from levada.data import Span, Track, load_corpus, sample, single
from levada.data.spans import stretches, with_margins
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.learning.names import EXTERNAL_TRACKERS, FLUX, shipped
from levada.learning.statistics import mean_interval, paired_interval
from levada.learning.weights import Weights

REAL = Path(__file__).parents[2] / "shared" / "real"
GROUPS = {"drums": "mdb_drums/drums_only", "mixes": "mdb_drums/full_mixes", "candombe": "candombe", "brid": "brid",
          "choro": "choro", "pop": "pop"}  # fmt: skip
SCORES = {
    "beat_f": "beat F",
    "beat_cmlt": "beat CMLt",
    "downbeat_f": "downbeat F",
    "position_cmlt": "CMLt with positions",
}
BEST = "finetune+augment"
LABELLED = 5  # songs of a group that labels are drawn from
Spans = tuple[tuple[float, float], ...]
PEAKS_DB = (-1, -18, -30, -42, -60)
THRESHOLDS = np.arange(0.02, 0.98, 0.04)


@dataclass(frozen=True, eq=False)
class Song:
    """An annotated recording."""

    track: Track
    metre: int

    def scores(self, estimate: Beats, *, since_s: float = 0.0) -> dict[str, float]:
        """Scores where it is annotated, and whether the estimate has its metre or is half a bar off."""
        right, predicted, spans_s = self.annotated(estimate, since_s=since_s)
        found = beat_scores(right, predicted, spans_s=spans_s, duration_s=self.track.duration_s)
        ones = places(right, predicted)
        half = ones[self.metre // 2] / max(1, ones.sum()) if self.metre % 2 == 0 else 0.0
        return found | {"metre": float(predicted.metre == self.metre), "half": float(half > 0.5)}

    def annotated(self, estimate: Beats, *, since_s: float = 0.0) -> tuple[Beats, Beats, Spans]:
        """Reference and estimate from a time on, and the spans that are annotated, half a beat longer at their ends."""
        right = self.track.beats().between(since_s, math.inf)
        spans_s = with_margins(right, duration_s=self.track.duration_s)
        predicted = [estimate.between(*span) for span in spans_s]
        times, positions = (
            np.concatenate(parts) for parts in zip(*((b.times_s, b.positions) for b in predicted), strict=True)
        )
        return right, Beats(times, positions), spans_s


def places(right: Beats, predicted: Beats) -> np.ndarray:
    """How many of the downbeats that are predicted fall on each beat of the bar; the last number: on none."""
    counts = np.zeros(int(right.positions.max()) + 1, np.int64)
    for time_s in predicted.downbeats_s:
        nearest = int(np.abs(right.times_s - time_s).argmin())
        hit = abs(right.times_s[nearest] - time_s) <= 0.07
        counts[right.positions[nearest] - 1 if hit else -1] += 1
    return counts


@cache
def songs(group: str) -> list[Song]:
    """The annotated recordings of a group."""
    if group == "candombe":  # its folder has the labels of many more
        audio = REAL / group / "csic_1995_ansina1_01_first16s.flac"
        tracks = single(audio, audio.with_suffix(".beats")).tracks
    else:
        tracks = load_corpus(REAL / GROUPS[group], labels="beats").annotated
    return [Song(track, int(track.beats().positions.max())) for track in tracks]


@cache
def spectrogram(song: Song, front_end: FrontEnd) -> np.ndarray:
    """The spectrogram of a recording that a network takes."""
    return file_log_spectrogram(song.track.audio, front_end=front_end)


@cache
def tracker(model: str) -> NetworkTracker:
    """A model as it is."""
    return load_tracker(model).backend


@cache
def activations(model: str, song: Song) -> np.ndarray:
    """Activations of a model."""
    return predicted_by(tracker(model), song)


def predicted_by(made: NetworkTracker, song: Song) -> np.ndarray:
    """Activations of a network."""
    return made.predict([spectrogram(song, made.front_end)])


def beats_of(made: NetworkTracker | PatternTracker, song: Song) -> Beats:
    """Beats of an adapted model."""
    if isinstance(made, PatternTracker):
        return made.decode(made.observations(lambda front_end: [spectrogram(song, front_end)]))
    return made.decode(predicted_by(made, song))


@cache
def pretrained(model: str, song: Song) -> Beats:
    """Beats of a model that is not adapted."""
    return tracker(model).decode(activations(model, song))


def baselines(predicted: np.ndarray, beats: Beats) -> dict[str, list[Beats]]:
    """What takes no learning: the beats of flux with other ones; several estimates where chance decides."""
    frames = np.rint(beats.times_s * float(GRID.fps)).astype(int)[:, None] + np.arange(-3, 4)
    bass = predicted[:, 1][frames.clip(0, len(predicted) - 1)].max(axis=1)
    phase = int(np.argmax([bass[first::4].mean() if len(bass) > first else 0.0 for first in range(4)]))
    index = np.arange(len(beats))

    def bars(metre: int, first: int) -> Beats:
        return Beats(beats.times_s, (index - first) % metre + 1)

    found = beats.metre or 4
    return {
        "flux": [beats],
        "flux, bars of 4 by bass": [bars(4, phase)],
        "flux, bars of 4 in any phase": [bars(4, first) for first in range(4)],
        "flux, metre found, any phase": [bars(found, first) for first in range(found)],
    }


class Table:
    """Scores by row, gathered over recordings, seeds and draws."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, int, dict[str, float]]]] = {}
        self.seconds: dict[str, list[float]] = {}

    def add(self, row: str, song: Song, *estimates: Beats, since_s: float = 0.0, seed: int = 0) -> None:
        """Score an estimate, or the mean of several."""
        each = [song.scores(estimate, since_s=since_s) for estimate in estimates]
        mean = {name: float(np.mean([scores[name] for scores in each])) for name in each[0]}
        self.rows.setdefault(row, []).append((song.track.id, seed, mean))

    def markdown(self) -> str:
        """The table."""
        heading = ["model", *SCORES.values(), "metre right", "half a bar off"] + ["s to adapt"] * bool(self.seconds)
        lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
        for row, found in self.rows.items():
            names, seeds = [song for song, _, _ in found], [seed for _, seed, _ in found]
            cells = [interval([scores[name] for *_, scores in found], names, seeds) for name in SCORES]
            cells += [f"{np.mean([scores[name] for *_, scores in found]):.2f}" for name in ("metre", "half")]
            if self.seconds:
                cells.append(f"{np.mean(self.seconds[row]):.0f}" if row in self.seconds else "–")
            lines.append(f"| {row} | {' | '.join(cells)} |")
        return "\n".join(lines)


def interval(values: Sequence[float], songs: Sequence[str], seeds: Sequence[int] | None = None) -> str:
    """A mean with its interval."""
    return str(mean_interval(values, groups=songs, recordings=songs, seeds=seeds, bounds=(0, 1)))


def zero(group: str, wanted: argparse.Namespace) -> Iterator[str]:
    """Without labels: everything before the same decoder; with `--details`, what is wrong with each recording."""
    table, lines = Table(), list[str]()
    for model in names(wanted):
        for song in songs(group):
            beats = pretrained(model, song)
            estimates = baselines(activations(model, song), beats) if model == FLUX else {label(model): [beats]}
            for row, each in estimates.items():
                table.add(row, song, *each)
            lines.append(diagnosis(song, label(model), beats))
    yield f"### {GROUPS[group]}: no labels, {counted(group)}\n\n{table.markdown()}"
    if wanted.details:
        heading = "| recording | model | beat F | downbeat F | tempo | metre | ones on beat | what is wrong |"
        yield "\n".join([heading, "|---" * 8 + "|", *sorted(lines)])


def diagnosis(song: Song, model: str, beats: Beats) -> str:
    """A row on one recording: tempo and metre as predicted and (as annotated), and where the ones fall."""
    right, predicted, spans_s = song.annotated(beats)
    scores, ones = song.scores(beats), places(right, predicted)
    beat = [*map(str, range(1, len(ones))), "none"]
    fall = ", ".join(f"{name}: {n}" for name, n in zip(beat, ones.tolist(), strict=True) if n)
    tempo, metres = f"{predicted.tempo_bpm:.0f} ({right.tempo_bpm:.0f})", f"{predicted.metre} ({song.metre})"
    figures = f"{scores['beat_f']:.2f} | {scores['downbeat_f']:.2f} | {tempo} | {metres} | {fall}"
    return f"| {song.track.id} | {model} | {figures} | {error_type(right, predicted, spans_s=spans_s)} |"


def alone(group: str, wanted: argparse.Namespace) -> Iterator[str]:
    """Peaks of the activations, no decoder; the threshold of each recording is the best one of the others."""
    if len(songs(group)) < 2:
        return
    lines = ["| model | beat F | beat F over flux | downbeat F | downbeat F over flux |", "|---" * 5 + "|"]
    baseline: list[list[float]] = []
    for model in names(wanted):
        peaks = [
            [song.scores(pick_peaks(activations(model, song), fps=GRID.fps, threshold=t)) for t in THRESHOLDS]
            for song in songs(group)
        ]
        values = [unseen(np.array([[at[name] for at in row] for row in peaks])) for name in ("beat_f", "downbeat_f")]
        baseline, cells = baseline or values, [label(model)]
        for mine, theirs in zip(values, baseline, strict=True):
            over = paired_interval(mine, theirs, bounds=(0, 1))
            cells += [interval(mine, [song.track.id for song in songs(group)]), "–" if theirs is mine else str(over)]
        lines.append(f"| {' | '.join(cells)} |")
    yield f"### {GROUPS[group]}: no labels, no decoder, {counted(group)}\n\n" + "\n".join(lines)


def unseen(scores: np.ndarray) -> list[float]:
    """Each recording's score at the threshold that is best on all others; `scores` [shape=(recordings, thresholds)]."""
    others = scores.sum(axis=0) - scores
    return [float(row[best]) for row, best in zip(scores, others.argmax(axis=1), strict=True)]


def levels(group: str, wanted: argparse.Namespace) -> Iterator[str]:
    """Beat F / downbeat F of copies at several peaks, and the worst agreement with the loudest of them."""
    song, trackers = songs(group)[0], {label(model): load_tracker(model) for model in names(wanted)}
    for name in EXTERNAL_TRACKERS:
        with suppress(InputError):  # not installed, or without its weights
            trackers[name] = load_tracker(name)
    heading = ["model", *(f"{peak} dBFS" for peak in PEAKS_DB), "as the loudest"]
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    samples, rate = audio.read(song.track.audio)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{peak}.flac" for peak in PEAKS_DB]
        for path, peak in zip(paths, PEAKS_DB, strict=True):
            soundfile.write(path, samples.T * (10 ** (peak / 20) / np.abs(samples).max()), rate, "PCM_24")
        for name, each in trackers.items():
            beats = [each.track(path) for path in paths]
            right = [both(song.scores(estimate), estimate) for estimate in beats]
            same = np.array([both(beat_scores(beats[0], estimate, trim_s=0), estimate) for estimate in beats])
            cells = [" / ".join(map(digits, pair)) for pair in (*right, same.min(axis=0))]
            lines.append(f"| {name} | {' | '.join(cells)} |")
    yield f"### {song.track.id}: copies at several peaks\n\n" + "\n".join(lines)


def both(scores: Mapping[str, float], estimate: Beats) -> tuple[float, float]:
    """F of beats and of downbeats; NaN where a tracker finds no downbeats."""
    return scores["beat_f"], scores["downbeat_f"] if len(estimate.downbeats_s) else math.nan


def digits(value: float) -> str:
    """Two digits, or a dash where there is no value."""
    return "–" if math.isnan(value) else f"{value:.2f}"


def adaptation(group: str, wanted: argparse.Namespace) -> Iterator[str]:
    """From each base, with each strategy and budget: scores where no labels came from.

    Of a group of recordings some give minutes of labels and the others are scored; a single one gives its first half.
    """
    yield from _adaptation(group, wanted, wanted.strategies)


def strategies(group: str, wanted: argparse.Namespace) -> Iterator[str]:
    """The same with every strategy, beside the labels as mere hints to the decoder."""
    yield from _adaptation(group, wanted, list(STRATEGIES), hinted=True)


def _adaptation(
    group: str, wanted: argparse.Namespace, strategies: Sequence[str], *, hinted: bool = False
) -> Iterator[str]:
    known, table = songs(group), Table()
    several = len(known) > 1
    if several and len(known) <= LABELLED:  # too few to learn from some
        return
    for seed in range(wanted.seeds):
        order = np.random.default_rng(seed).permutation(len(known))
        if several:
            scored, since_s, hints = [known[i] for i in order[LABELLED:]], 0.0, None
            pool = [known[i].track for i in order[:LABELLED]]
            drawn = {f"{m:g} min": sample(pool, minutes=m, seed=np.random.default_rng(seed)) for m in wanted.minutes}
        else:
            scored, (since_s, spans) = list(known), first_half(known[0])
            drawn = {f"{sum(span.duration_s for span in spans):.0f} s": spans}
            hints = known[0].track.beats().between(0, since_s)
        for model in names(wanted):
            if several or not seed:
                for song in scored:
                    table.add(f"{label(model)}, no labels", song, pretrained(model, song), since_s=since_s, seed=seed)
                    if hinted and hints is not None and model != FLUX:
                        beats = tracker(model).decode(activations(model, song), hints=hints)
                        table.add(f"{label(model)}, labels as hints", song, beats, since_s=since_s, seed=seed)
            for strategy in strategies if model != FLUX else ():
                for budget, spans in drawn.items():
                    row = f"{label(model)}, {strategy}, {budget}"
                    made, took_s = adapted(strategy, spans, load(find_folder(model)), seed)
                    table.seconds.setdefault(row, []).append(took_s)
                    for song in scored:
                        table.add(row, song, beats_of(made, song), since_s=since_s, seed=seed)
    how = (
        f"labels of {LABELLED} songs, the other {len(known) - LABELLED} scored"
        if several
        else "labels of the first half"
    )
    yield f"### {GROUPS[group]}: {how}, {wanted.seeds} seed{'s' * (wanted.seeds > 1)}\n\n{table.markdown()}"


def adapted(
    strategy: str, spans: Sequence[Span], base: Weights, seed: int
) -> tuple[NetworkTracker | PatternTracker, float]:
    """A tracker adapted with a strategy's own settings, and the seconds that took."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        made = STRATEGIES[strategy](spans, base=base, folder=folder, settings=replace(DEFAULTS[strategy], seed=seed))
    return tracker_of(made, name=strategy).backend, time.perf_counter() - began


def first_half(song: Song) -> tuple[float, list[Span]]:
    """The middle of a recording, and what is annotated before."""
    until_s = song.track.duration_s / 2
    return until_s, [Span(song.track, *ends) for ends in stretches(song.track.beats().between(0, until_s))]


def names(wanted: argparse.Namespace) -> list[str]:
    """Flux, then the models."""
    return list(dict.fromkeys([FLUX, *wanted.models]))


def label(model: str) -> str:
    """What tables call a model: its name, or that of its folder."""
    return Path(model).name


def counted(group: str) -> str:
    """How many recordings a group has, in words."""
    return f"{len(songs(group))} recording{'s' * (len(songs(group)) > 1)}"


TABLES: dict[str, Callable[[str, argparse.Namespace], Iterator[str]]] = {
    "zero": zero, "alone": alone, "adaptation": adaptation, "strategies": strategies, "levels": levels,
}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES)[:3], help="tables to make")
    arguments.add_argument("--on", nargs="+", choices=GROUPS, default=list(GROUPS), help="recordings to make them of")
    arguments.add_argument("--models", nargs="+", default=list(shipped()), help="names or folders beside flux")
    arguments.add_argument("--details", action="store_true", help="zero: say of each recording what is wrong")
    arguments.add_argument("--seeds", type=int, default=5, help="of adaptation, and of the draws of songs")
    arguments.add_argument("--minutes", nargs="+", type=float, default=[0.5, 1.5], help="labels of a group of songs")
    arguments.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=[BEST], help="how to adapt")
    arguments.add_argument("--picture", type=Path, help="draw a tamborim before and after adaptation, and no more")
    wanted = arguments.parse_args()
    if wanted.picture:
        picture(songs("brid")[0], wanted.models[0], wanted.picture)
        return
    for table in wanted.only:
        began = time.perf_counter(), time.process_time()
        for group in wanted.on:
            for text in TABLES[table](group, wanted):
                print(f"{text}\n", flush=True)
        took_s, cpu_s = time.perf_counter() - began[0], time.process_time() - began[1]
        print(f"{table}: {took_s:.0f} s, {cpu_s:.0f} s CPU\n", flush=True)


def picture(song: Song, model: str, path: Path) -> None:
    """Activations and beats of a recording before and after adaptation to its first half by the default strategy."""
    until_s, spans = first_half(song)
    made, _ = adapted("auto", spans, load(find_folder(model)), 0)
    after = made.activations(song.track.audio)
    panels = [
        Panel("before", activations(model, song), pretrained(model, song)),
        Panel(f"after, from the labels of the first {until_s:.0f} s", after, beats_of(made, song)),
    ]
    reference, end_s = song.track.beats(), song.track.duration_s
    plot_activations(path, panels, reference=reference, start_s=until_s, end_s=end_s, force=True)


if __name__ == "__main__":
    main()
