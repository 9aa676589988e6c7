"""The demo of beats, a minute long: recordings, a few labels, an adapted tracker, scores before and after.

Without recordings of one's own, a tradition that the base model was not trained on is rendered, with its own patterns,
instruments and microtiming.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from levada.beat_tracking.evaluation import Evaluation
from levada.beat_tracking.plots import Panel, plot_activations
from levada.beat_tracking.pretrained import baseline
from levada.beat_tracking.tracker import BeatTracker, provenance
from levada.cli import terminal
from levada.cli.demo.run import Demo, Result, divide, run_demo
from levada.data import Split, Track
from levada.data.rendered import render_corpus
from levada.io import audio
from levada.io.formats import write_beats
from levada.learning.names import FLUX, shipped
from levada.synth.traditions import read_tradition

__all__ = ["demo_beats"]

TRADITION = "candombe"
RECORDINGS, LENGTH_S = 12, 40.0
TEST_SIZES = (0.62, 0.5, 0.3)
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
    out, corpus, minutes, seed, force
        See `run_demo`.
    recordings : int
        How many are rendered.
    length_s : float
        How long each of them is.
    """

    def render(out: Path) -> Split[Track]:
        terminal.info(f"rendering {recordings} recordings of {TRADITION}, which the base model was not trained on")
        folder, length = out / "recordings", recordings * length_s / 60
        with terminal.progress("rendering") as progress:
            render_corpus(
                folder, read_tradition(TRADITION), minutes=length, recordings=recordings, seed=seed, progress=progress
            )
        return divide(folder, "beats", minutes, seed, test_sizes=TEST_SIZES)

    base = partial(BeatTracker.from_pretrained, shipped()["base"])
    demo = Demo("beats", FILES, base, render, TEST_SIZES, "decoder", "decoder-only", _models, _write)
    return run_demo(demo, out, corpus=corpus, minutes=minutes, seed=seed, force=force)


def _models(base: BeatTracker, other: BeatTracker, adapted: BeatTracker, _: object) -> dict[str, BeatTracker]:
    return {"base": base, "decoder adapted": other, "adapted": adapted, FLUX: baseline()}


def _write(
    out: Path, evaluation: Evaluation, test: Sequence[Track], trackers: Mapping[str, Any], _: Callable[..., None]
) -> None:
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
                audio.write_clicks(out / "clicks" / f"{name}.wav", track.audio, estimate, force=False)
    if clicked:
        _plot(out / "before-and-after.png", clicked[0], trackers)


def _plot(path: Path, track: Track, trackers: Mapping[str, Any]) -> None:
    """Draw twelve seconds from the middle of the annotated part."""
    panels = []
    for model, word in WORDS.items():
        activations = trackers[model].activations(track.audio)
        panels.append(Panel(f"{word} adapting: {track.id}", activations, trackers[model].track(track.audio)))
    reference = track.beats()
    middle = float(reference.times_s[len(reference) // 2])
    plot_activations(path, panels, reference=reference, start_s=max(0, middle - 6), end_s=middle + 6)
