"""The demo of beats, a minute long: recordings, a few labels, an adapted tracker, scores before and after.

Without recordings of one's own, a tradition that the base model was not trained on is rendered, with its own patterns,
instruments and microtiming.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from levada.beat_tracking.adaptation import DEFAULTS, adapt
from levada.beat_tracking.evaluation import Evaluation, evaluate
from levada.beat_tracking.networks import load
from levada.beat_tracking.plots import Panel, plot_activations
from levada.beat_tracking.pretrained import baseline, tracker_of
from levada.beat_tracking.tracker import provenance
from levada.cli import corpora, outputs, terminal
from levada.cli.demo.output import Result, make_folder
from levada.data import Corpus, Track, sample
from levada.data.rendered import render_corpus
from levada.errors import InputError
from levada.io.formats import write_beats
from levada.learning.adaptation import with_scores
from levada.learning.names import FLUX, shipped
from levada.synth.traditions import read_tradition

__all__ = ["demo_beats"]

TRADITION = "candombe"
RECORDINGS, LENGTH_S = 12, 40.0
WORDS = {"base": "before", "adapted": "after"}
FILES = {
    "recordings/": "rendered recordings with their beats (unless others were given)",
    "before-and-after.png": "activations and beats of the test recording that improved most",
    "clicks/": "test recordings with clicks on the beats: the most, the median and the least improved",
    "beats/": "beats of all test recordings, before and after",
    "adapted/": "the adapted model: levada track song.wav --model adapted",
    "decoder-only/": "the base network with only its decoder adapted",
    "scores.csv": "a row for each test recording and model",
}


def demo_beats(
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    minutes: float = 1.5,
    seed: int = 0,
    force: bool = False,
    recordings: int = RECORDINGS,
    length_s: float = LENGTH_S,
) -> Result:
    """Adapt to a tradition, score before and after, and write beats, click tracks and a figure.

    Parameters
    ----------
    out : path-like
        The folder of all results.
    corpus : path-like, optional
        Annotated recordings; rendered ones by default.
    minutes : float
        Labels to adapt to.
    seed : int
    force : bool
        Whether an earlier demo there may be replaced.
    recordings : int
        How many are rendered.
    length_s : float
        How long each of them is.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If the folder contains something else, or an earlier demo without `force`, or there are too few annotated
        recordings.
    """
    started = time.monotonic()
    out = make_folder(out, FILES, force=force)
    if corpus is None:
        terminal.info(f"rendering {recordings} recordings of {TRADITION}, which the base model was not trained on")
        corpus, length = out / "recordings", recordings * length_s / 60
        with terminal.progress("rendering") as progress:
            render_corpus(
                corpus, read_tradition(TRADITION), minutes=length, recordings=recordings, seed=seed, progress=progress
            )
    train, test = _split(corpora.load(str(corpus), labels="beats"), minutes, np.random.default_rng(seed))
    spans = sample(train, minutes=minutes, seed=np.random.default_rng(seed))
    used = sum(span.duration_s for span in spans) / 60
    base = load(shipped()["base"])
    terminal.info(f"adapting to {used:.2f} minutes of {len({span.track.id for span in spans})} recordings")
    adapting = time.monotonic()
    settings = replace(DEFAULTS["finetune+augment"], seed=seed)
    with terminal.progress("adapting") as progress:
        adapted = adapt(spans, base=base, out=out / "adapted", settings=settings, progress=progress)
    adapt_s = time.monotonic() - adapting
    adapt(spans, strategy="decoder", base=base, out=out / "decoder-only")
    terminal.info(f"scoring on {len(test)} recordings of other groups")
    trackers = {
        "base": tracker_of(base, name="base"),
        "decoder adapted": tracker_of(load(out / "decoder-only"), name="decoder adapted"),
        "adapted": tracker_of(load(out / "adapted"), name="adapted"),
        FLUX: baseline(),
    }
    with terminal.progress("scoring") as progress:
        evaluation = evaluate(test, trackers, out=out / "scores.csv", progress=progress)
    with_scores(out / "adapted", adapted, evaluation.card_scores("adapted"))
    with terminal.progress("writing beats, clicks and a figure"):
        _write(out, evaluation, test, trackers)
    return Result(evaluation, used, adapt_s, time.monotonic() - started)


def _split(corpus: Corpus[Track], minutes: float, rng: np.random.Generator) -> list[tuple[Track, ...]]:
    """Divide groups into a training set with enough labels, as small as possible, and a test set."""
    for test_size in (0.62, 0.5, 0.3):
        train, test = corpus.split(test_size=test_size, seed=rng)
        if sum(span.duration_s for span in train.sample()) > 60 * minutes:
            return [train.tracks, test.tracks]
    raise InputError(
        f"has too few annotated recordings to train on {minutes:g} minutes and score on others", path=corpus.root
    )


def _write(out: Path, evaluation: Evaluation, test: Sequence[Track], trackers: Mapping[str, Any]) -> None:
    """Write beats of all test recordings, click tracks of three of them, and a figure of the most improved."""
    rows = {(row.track, row.model): row for row in evaluation.rows if row.estimate is not None}
    tracks = [track for track in test if {(track.id, "base"), (track.id, "adapted")} <= rows.keys()]

    def improvement(track: Track) -> float:
        return rows[track.id, "adapted"].scores["beat_f"] - rows[track.id, "base"].scores["beat_f"]

    tracks.sort(key=improvement, reverse=True)
    (out / "beats").mkdir()
    (out / "clicks").mkdir()
    clicked = [tracks[index] for index in sorted({0, len(tracks) // 2, len(tracks) - 1}) if tracks]
    for track in tracks:
        for model, word in WORDS.items():
            estimate = rows[track.id, model].estimate
            assert estimate is not None
            name = f"{track.id.replace('/', '-')}-{word}"
            write_beats(out / "beats" / f"{name}.beats", estimate, provenance=provenance(trackers[model]))
            if track in clicked:
                outputs.write_clicks(out / "clicks" / f"{name}.wav", track.audio, estimate, force=False)
    if clicked:
        _plot(out / "before-and-after.png", clicked[0], trackers)


def _plot(path: Path, track: Track, trackers: Mapping[str, Any]) -> None:
    """Draw twelve seconds from the middle of the annotated part."""
    panels = []
    for model, word in WORDS.items():
        activations = trackers[model].activations(track.audio)
        panels.append(Panel(f"{word} adapting: {track.id}", activations, trackers[model].backend.decode(activations)))
    reference = track.beats()
    middle = float(reference.times_s[len(reference) // 2])
    plot_activations(path, panels, reference=reference, start_s=max(0, middle - 6), end_s=middle + 6)
