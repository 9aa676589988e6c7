"""What adaptation gives on real recordings: `python benchmarks/real.py`.

Reads `../shared/real` in place and prints tables in Markdown. Every model is scored on recordings, or stretches of one,
that gave it no labels; intervals are over draws and recordings.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from levada import audio, models
from levada.adapt.beats import DEFAULTS, STRATEGIES
from levada.beats import Beats
from levada.corpus import Span, Track, draw, open_corpus, single
from levada.evaluate import evaluate
from levada.nets.weights import Weights, load
from levada.plot import Panel, plot_activations
from levada.scores import bootstrap
from levada.track import Tracker

REAL = Path(__file__).parents[2] / "shared" / "real"
PARTS = ["candombe", "drums", "choro", "pop", "brid"]
ADAPTED = ("decoder", "scratch", "finetune", "finetune+augment")
SCORES = ("beat_f", "beat_cmlt", "downbeat_f", "downbeat_cmlt")
HEADING = "| model | beat F | beat CMLt | downbeat F | downbeat CMLt | seconds to adapt |\n|---|---|---|---|---|---|"


class Table:
    """Scores by model, gathered over draws."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, dict[str, float]]]] = {}
        self.seconds: dict[str, list[float]] = {}

    def add(self, tracks: Sequence[Track | Span], trackers: dict[str, Tracker]) -> None:
        """Score trackers on recordings."""
        for row in evaluate(tracks, trackers).rows:
            self.rows.setdefault(row.model, []).append((row.group, dict(row.scores)))

    def markdown(self) -> str:
        """The table, with 95 % intervals over recordings."""
        lines = [HEADING]
        for model, rows in self.rows.items():
            groups = [group for group, _ in rows]
            cells = []
            for name in SCORES:
                values = [scores[name] for _, scores in rows]
                cells.append(str(bootstrap(values, groups=groups, rng=np.random.default_rng(0))))
            spent = self.seconds.get(model)
            lines.append(f"| {model} | {' | '.join(cells)} | {f'{np.mean(spent):.0f}' if spent else '–'} |")
        return "\n".join(lines)


def adapted(strategy: str, spans: list[Span], base: Weights, seed: int, table: Table) -> Tracker:
    """A tracker adapted with a strategy's own settings; the time it took goes into the table."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        made = STRATEGIES[strategy](spans, base=base, folder=folder, settings=DEFAULTS[strategy].seeded(seed))
    table.seconds.setdefault(strategy, []).append(time.perf_counter() - began)
    return models.tracker(made, name=strategy)


class Hinted:
    """A tracker that is given the labels as hints."""

    def __init__(self, tracker: Tracker, hints: Beats) -> None:
        self.tracker, self.hints = tracker, hints

    def beats(self, samples: np.ndarray, rate: int) -> Beats:
        """Beats that pass through the hints."""
        return self.tracker.beats(samples, rate, hints=self.hints)


def within(track: Track, until_s: float, base: Weights, seeds: Sequence[int]) -> Table:
    """Adapt to the beginning of a recording, score the rest."""
    table = Table()
    labels = track.beats().between(0, until_s)
    spans = [Span(track, float(labels.times_s[0]), float(labels.times_s[-1]))]
    rest = [Span(track, until_s, track.duration_s)]
    plain = models.tracker(base, name="base")
    fixed = {"flux": models.load("flux"), "base": plain, "base, labels as hints": Hinted(plain, labels)}
    table.add(rest, {**fixed, "decoder": adapted("decoder", spans, base, 0, table)})
    for seed in seeds:
        made = {name: adapted(name, spans, base, seed, table) for name in ADAPTED[1:]}
        best = made["finetune+augment"]
        table.add(rest, {**made, "finetune+augment, labels as hints": Hinted(best, labels)})
    return table


def across(tracks: Sequence[Track], *, songs: int, minutes: float, base: Weights, draws: Sequence[int]) -> Table:
    """Adapt to minutes of a few recordings, score the others."""
    table = Table()
    for seed in draws:
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(tracks))
        spans = draw([tracks[i] for i in order[:songs]], minutes=minutes, rng=rng)
        others = [tracks[i] for i in order[songs:]]
        fixed = {"flux": models.load("flux"), "base": models.tracker(base, name="base")}
        table.add(others, {**fixed, **{name: adapted(name, spans, base, seed, table) for name in ADAPTED}})
    return table


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="tables to make")
    arguments.add_argument("--seeds", type=int, default=5, help="seeds and draws; three at most for single recordings")
    arguments.add_argument("--base", default="base", help="the model to adapt")
    arguments.add_argument("--picture", type=Path, help="draw candombe before and after adaptation, and no more")
    chosen = arguments.parse_args()
    base = load(models.find(chosen.base))
    seeds, few = range(chosen.seeds), range(min(3, chosen.seeds))
    if chosen.picture:
        picture(recording("candombe"), 8.0, base, chosen.picture)
        return
    for part in chosen.only:
        if part == "drums":
            title = f"mdb_drums/drums_only: 1.5 minutes of 5 songs, scored on the other 8, {len(seeds)} draws"
            drums = open_corpus(REAL / "mdb_drums" / "drums_only").tracks
            table = across(drums, songs=5, minutes=1.5, base=base, draws=seeds)
        else:
            track = recording(part)
            until_s, runs = (8.0, seeds) if part == "candombe" else (track.duration_s / 3, few)
            title = f"{part}: labels of the first {until_s:.1f} s, scored on the rest, {len(runs)} seeds"
            table = within(track, until_s, base, runs)
        print(f"\n### {title}\n\n{table.markdown()}", flush=True)


def recording(name: str) -> Track:
    """The one annotated recording of a folder."""
    if name == "candombe":  # its folder has the labels of many more
        audio_path = REAL / name / "csic_1995_ansina1_01_first16s.flac"
        return single(audio_path, audio_path.with_suffix(".beats")).tracks[0]
    return open_corpus(REAL / name).annotated[0]


def picture(track: Track, until_s: float, base: Weights, path: Path) -> None:
    """Activations and beats of a recording before and after adaptation to its beginning."""
    samples, rate = audio.read(track.audio)
    labels = track.beats().between(0, until_s)
    spans = [Span(track, float(labels.times_s[0]), float(labels.times_s[-1]))]
    panels = []
    for title, tracker in (
        ("before", models.tracker(base, name="base")),
        (f"after, from the labels of the first {until_s:g} s", adapted("finetune+augment", spans, base, 0, Table())),
    ):
        activations = tracker.activations(samples, rate)
        panels.append(Panel(title, activations, tracker.decode(activations)))
    plot_activations(path, panels, reference=track.beats(), start_s=until_s, end_s=track.duration_s, force=True)


if __name__ == "__main__":
    main()
