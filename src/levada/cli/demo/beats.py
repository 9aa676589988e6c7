"""The whole road in about a minute: recordings, a few labels, an adapted tracker, before and after.

Without recordings of one's own, a tradition the base model has never heard is rendered: other patterns, other
instruments, another feeling of where the beat is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from levada.beat_tracking.adaptation import DEFAULTS, adapt
from levada.beat_tracking.evaluation import Evaluation, evaluate
from levada.beat_tracking.networks import load
from levada.beat_tracking.plots import Panel, plot_activations
from levada.beat_tracking.pretrained import baseline, tracker_of
from levada.beat_tracking.tracker import provenance
from levada.cli.demo.output import MARK, Stage, emptied, unwatched
from levada.data import Corpus, Track, annotated_spans, load_corpus, sample
from levada.data.rendered import render_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.formats import write_beats
from levada.learning.adaptation import with_scores
from levada.learning.names import FLUX, shipped
from levada.synth.traditions import read_tradition

__all__ = ["MARK", "Demo", "demo"]

TRADITION = "candombe"
RECORDINGS, LENGTH_S = 12, 40.0
WORDS = {"base": "before", "adapted": "after"}
LEFT = {
    "recordings/": "what was rendered, with its beats (if it was)",
    "before-and-after.png": "activations and beats of the unseen recording that gained most",
    "clicks/": "unseen recordings with clicks on the beats: those that gained most, least, in between",
    "beats/": "beats of all unseen recordings, before and after",
    "adapted/": "the adapted model: levada beats song.wav --model adapted",
    "decoder-only/": "the same network, its decoder alone adapted",
    "scores.csv": "a row for each unseen recording and model",
}


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Parameters
    ----------
    evaluation : Evaluation
        The base model, its decoder adapted, the whole adapted, and spectral flux, on recordings of groups that
        gave no labels.
    minutes : float
        Labels used.
    adapt_s, total_s : float
        Seconds the adaptation took, and all of it.
    """

    evaluation: Evaluation
    minutes: float
    adapt_s: float
    total_s: float


def demo(
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    minutes: float = 1.5,
    seed: int = 0,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Stage = unwatched,
) -> Demo:
    """Adapt to a tradition, score before and after, and leave everything to look at and listen to.

    Parameters
    ----------
    out : path-like
        A folder for the recordings, the adapted model, beat files, recordings with clicks, and a picture.
    corpus : path-like, optional
        Annotated recordings; rendered ones by default.
    minutes : float
        Labels to adapt to.
    seed : int
    force : bool
        Whether an earlier demo there may be replaced.
    say : callable
        Told what is being done.
    progress : callable, optional
        From the name of a stage to a context manager that lends what is to be told of steps done and steps in all.

    Returns
    -------
    Demo

    Raises
    ------
    InputError
        If the folder holds something else, or an earlier demo and `force` is not given, or there are too few
        annotated recordings.
    """
    began = time.monotonic()
    out = emptied(out, LEFT, force=force)
    if corpus is None:
        say(f"rendering {RECORDINGS} recordings of {TRADITION}, which the base model has never heard")
        with progress("rendering") as told:
            corpus, length = out / "recordings", RECORDINGS * LENGTH_S / 60
            render_corpus(
                corpus, read_tradition(TRADITION), minutes=length, recordings=RECORDINGS, seed=seed, progress=told
            )
    opened = load_corpus(corpus, labels="beats")
    train, unseen = _sides(opened, minutes, np.random.default_rng(seed))
    spans = sample(train, minutes=minutes, seed=np.random.default_rng(seed))
    used = sum(span.duration_s for span in spans) / 60
    base = load(shipped()["base"])
    say(f"adapting to {used:.2f} minutes of {len({span.track.id for span in spans})} recordings")
    started = time.monotonic()
    settings = DEFAULTS["finetune+augment"].seeded(seed)
    with progress("adapting") as told:
        adapted = adapt(spans, base=base, out=out / "adapted", settings=settings, progress=told)
    adapt_s = time.monotonic() - started
    adapt(spans, strategy="decoder", base=base, out=out / "decoder-only")
    say(f"scoring on {len(unseen)} recordings of other groups")
    trackers = {
        "base": tracker_of(base, name="base"),
        "decoder adapted": tracker_of(load(out / "decoder-only"), name="decoder adapted"),
        "adapted": tracker_of(load(out / "adapted"), name="adapted"),
        FLUX: baseline(),
    }
    with progress("scoring") as told:
        evaluation = evaluate(unseen, trackers, out=out / "scores.csv", progress=told)
    with_scores(out / "adapted", adapted, evaluation.card_scores("adapted"))
    with progress("writing beats, clicks and a picture"):
        _leave(out, evaluation, unseen, trackers)
    return Demo(evaluation, used, adapt_s, time.monotonic() - began)


def _sides(corpus: Corpus, minutes: float, rng: np.random.Generator) -> tuple[list[Track], list[Track]]:
    """Groups to draw labels from, as few as have enough, and groups to score on."""
    for test in (0.62, 0.5, 0.3):
        train, unseen = corpus.split(test_size=test, seed=rng)
        if sum(span.duration_s for track in train for span in annotated_spans(track)) > 60 * minutes:
            return list(train), list(unseen)
    raise InputError(
        f"has too few annotated recordings to learn from {minutes:g} minutes and score on others", path=corpus.root
    )


def _leave(out: Path, evaluation: Evaluation, unseen: Sequence[Track], trackers: dict[str, Any]) -> None:
    """Beat files of all the unseen; clicks of those that gained most, least and in between; a picture of the first."""
    found = {(row.track, row.model): row for row in evaluation.rows if row.estimate is not None}
    both = [track for track in unseen if {(track.id, "base"), (track.id, "adapted")} <= found.keys()]

    def gain(track: Track) -> float:
        return found[track.id, "adapted"].scores["beat_f"] - found[track.id, "base"].scores["beat_f"]

    both.sort(key=gain, reverse=True)
    (out / "beats").mkdir()
    (out / "clicks").mkdir()
    heard = [both[index] for index in sorted({0, len(both) // 2, len(both) - 1}) if both]
    for track in both:
        samples, rate = audio.read(track.audio) if track in heard else (None, 0)
        for model, word in WORDS.items():
            estimate = found[track.id, model].estimate
            assert estimate is not None
            name = f"{track.id.replace('/', '-')}-{word}"
            write_beats(out / "beats" / f"{name}.beats", estimate, provenance=provenance(trackers[model]))
            if samples is not None:
                audio.write(out / "clicks" / f"{name}.wav", audio.add_clicks(samples, estimate, rate=rate), rate=rate)
    if heard:
        _draw(out / "before-and-after.png", heard[0], trackers)


def _draw(path: Path, track: Track, trackers: dict[str, Any]) -> None:
    """Twelve seconds from the middle of what is annotated."""
    panels = []
    for model, word in WORDS.items():
        activations = trackers[model].file_activations(track.audio)
        panels.append(Panel(f"{word} adapting: {track.id}", activations, trackers[model].decode(activations)))
    reference = track.beats()
    middle = float(reference.times_s[len(reference) // 2])
    plot_activations(path, panels, reference=reference, start_s=max(0, middle - 6), end_s=middle + 6)
