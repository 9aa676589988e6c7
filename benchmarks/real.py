"""What adaptation gives on real recordings: `python benchmarks/real.py [--quick] [--out FILE]`.

Reads `../shared/real` in place and prints tables in Markdown. Every model is scored on recordings, or stretches of one,
that gave it no labels; intervals are over draws and recordings.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
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
    arguments.add_argument("--quick", action="store_true", help="one draw and one seed")
    arguments.add_argument("--base", default="base", help="the model to adapt")
    arguments.add_argument("--picture", type=Path, help="draw candombe before and after adaptation, and no more")
    chosen = arguments.parse_args()
    seeds = range(1 if chosen.quick else 5)
    base = load(models.find(chosen.base))
    candombe = REAL / "candombe" / "csic_1995_ansina1_01_first16s.flac"
    track = single(candombe, candombe.with_suffix(".beats")).tracks[0]
    if chosen.picture:
        picture(track, 8.0, base, chosen.picture)
        return
    show(f"candombe: labels of the first 8 s, scored on the other 8.6 s, {len(seeds)} seeds",
         lambda: within(track, 8.0, base, seeds))  # fmt: skip
    drums = open_corpus(REAL / "mdb_drums" / "drums_only").tracks
    show(f"mdb_drums/drums_only: 1.5 minutes of 5 songs, scored on the other 8, {len(seeds)} draws",
         lambda: across(drums, songs=5, minutes=1.5, base=base, draws=seeds))  # fmt: skip
    for name in ("choro", "pop", "brid"):
        track = open_corpus(REAL / name).annotated[0]
        third = track.duration_s / 3
        show(f"{name}: labels of the first {third:.1f} s, scored on the rest, {len(seeds)} seeds",
             lambda track=track, third=third: within(track, third, base, seeds))  # fmt: skip


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


def show(title: str, make: Callable[[], Table]) -> None:
    """Print a table under its title."""
    print(f"\n### {title}\n\n{make().markdown()}", flush=True)


if __name__ == "__main__":
    main()
