"""The demo of stems, two minutes long: songs with stems, an adapted separator, scores before and after.

Without songs of one's own, an ensemble is rendered: songs to train on, and others to test on. Every song has its own
instruments, players and room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from levada.cli import terminal
from levada.cli.demo.run import Demo, Result, run_demo
from levada.data import Multitrack, Split, annotated_spans, load_corpus
from levada.data.rendered import render_corpus
from levada.io import audio
from levada.io.tables import write_csv
from levada.learning.weights import Weights
from levada.separation.evaluation import StemEvaluation
from levada.separation.files import separate_file
from levada.separation.masking import matched
from levada.separation.plots import Leaks, plot_leakage, plot_stems
from levada.separation.pretrained import separator_of
from levada.separation.separator import Separator
from levada.synth.instrument_names import match_stems
from levada.synth.traditions import read_tradition

__all__ = ["demo_stems"]

TRADITION = "bateria"
SONGS, TEST_SONGS = (8, 12.0), (4, 10.0)
SEEDS = 2000
"""The first seed: none of the base model's training songs has this or a higher one."""
AUDIO_SONGS, AUDIO_S = 2, 30.0
"""Test songs of which audio is written."""
PLOTTED = 2
"""Instruments in the figure."""
LEFT_OUT = "surdo"
TEST_SIZES = (0.6, 0.4, 0.2)
WORDS = {"base": "before", "nmf": "nmf", "adapted": "after"}
FILES = {
    "songs/": "rendered songs to train on, a folder each, a file an instrument (unless others were given)",
    "test/": "rendered songs to test on (unless others were given)",
    "listen/": "test songs: mixture, true stems, stems of the base, of NMF and of the adapted separator,",
    "": "and the mixture without one drum, to practise with",
    "stems.png": "spectrograms of a test song: the stems that improved most, true, before and after",
    "leakage.png": "which instrument is in which stem, before and after",
    "adapted/": "the adapted separator: levada separate song.wav --model adapted -o stems",
    "nmf/": "dictionaries trained on the same minutes, without a network",
    "table.csv": "SI-SDR improvement of each model and instrument, with its interval",
    "scores.csv": "a row for each stem of each test song and model",
}


def demo_stems(
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    minutes: float = 1.5,
    seed: int = 0,
    force: bool = False,
    songs: tuple[int, float] = SONGS,
    test_songs: tuple[int, float] = TEST_SONGS,
) -> Result:
    """Adapt a separator to an ensemble, score before and after, and write stems, figures and tables.

    Parameters
    ----------
    out, corpus, minutes, seed, force
        See `run_demo`.
    songs, test_songs : tuple of int and float
        How many songs are rendered to train and to test on, and how long each of them is, in seconds.
    """

    def render(out: Path) -> Split[Multitrack]:
        """Render songs to train on, and songs of other players, instruments and rooms to test on."""
        tradition, parts = read_tradition(TRADITION), {"songs": songs, "test": test_songs}
        text = f"{songs[0]} songs of {TRADITION} to train on and {test_songs[0]} to test on, with their stems"
        terminal.info(f"rendering {text}")
        for number, (name, (count, length_s)) in enumerate(parts.items()):
            with terminal.progress(f"rendering {name}") as progress:
                render_corpus(
                    out / name, tradition, minutes=count * length_s / 60, recordings=count, multitrack=True,
                    seed=SEEDS + 2 * seed + number, progress=progress,
                )  # fmt: skip
        return Split(*(load_corpus(out / name, labels="stems") for name in parts))

    demo = Demo("stems", FILES, Separator.from_pretrained, render, TEST_SIZES, "nmf", "nmf", _models, _write)
    return run_demo(demo, out, corpus=corpus, minutes=minutes, seed=seed, force=force)


def _models(base: Separator, other: Separator, adapted: Separator, instruments: Sequence[str]) -> dict[str, Separator]:
    assert isinstance(base.model, Weights)
    return {"base": _base_separator(base.model, instruments), "nmf": other, "adapted": adapted}


def _base_separator(base: Weights, instruments: Sequence[str]) -> Separator:
    """The base restricted to the instruments that play; all of its instruments where it knows none of these."""
    names: dict[str, str] = {}
    for name, stems in match_stems(instruments, base.net.instruments).items():
        stem = next(iter(stems), None)
        if stem is not None and stem not in names.values():
            names[name] = stem  # named as in the songs, so that files before and after have the same names
    return separator_of(base, name="base", instruments=names or None)


def _table(evaluation: StemEvaluation) -> list[dict[str, object]]:
    """Rows of the means over all instruments, then of each instrument."""
    means = chain(
        (("all", model, scores["si_sdr_i"]) for model, scores in evaluation.summary().items()),
        (
            (one, model, mean)
            for model, scores in evaluation.by_instrument("si_sdr_i").items()
            for one, mean in scores.items()
        ),
    )
    return [
        {"model": model, "instrument": one, "si_sdr_i": mean.mean, "low": mean.low, "high": mean.high}
        | {"songs": mean.values}
        for one, model, mean in means
    ]


def _write(
    out: Path,
    evaluation: StemEvaluation,
    test: Sequence[Multitrack],
    separators: Mapping[str, Separator],
    progress: Callable[..., None],
) -> None:
    """Write a table of the means, stems of a few songs by each separator, and the figures."""
    write_csv(out / "table.csv", _table(evaluation))
    scored = {row.song for row in evaluation.of("adapted") if not row.error}
    songs = [song for song in test if song.id in scored][:AUDIO_SONGS]
    steps, done = len(songs) * len(WORDS) + 1, 0
    for number, song in enumerate(songs):
        folder = out / "listen" / song.id.replace("/", "-")
        _write_excerpt(song, folder)
        for model, word in WORDS.items():
            separate_file(folder / "mixture.wav", separators[model], folder / word)
            progress(done := done + 1, steps)
        adapted = separators["adapted"]
        left_out = matched(LEFT_OUT, adapted.instruments) or adapted.instruments[0]
        separate_file(folder / "mixture.wav", adapted, folder, without=(left_out,))
        if number == 0:
            _plot(out / "stems.png", folder, [name for name in _by_gain(evaluation) if name in song.instruments])
    panels = [Leaks(word, *evaluation.leaks(model)) for model, word in WORDS.items()]
    plot_leakage(out / "leakage.png", panels)
    progress(steps, steps)


def _by_gain(evaluation: StemEvaluation) -> list[str]:
    """Sort instruments by their improvement, the largest first."""
    scores = evaluation.by_instrument("si_sdr_i")

    def gain(name: str) -> float:
        return float(np.nan_to_num(scores["adapted"][name].mean - np.nan_to_num(scores["base"][name].mean), nan=-1e3))

    return sorted(evaluation.instruments, key=gain, reverse=True)


def _write_excerpt(song: Multitrack, folder: Path) -> None:
    """Write the beginning of a song and of its stems, all with the same gain."""
    rate = audio.info(song.mixture or song.files[0]).rate
    span = annotated_spans(song)[0]
    span = replace(span, end_s=min(span.end_s, span.start_s + AUDIO_S))
    stems, mixture = span.read(song.instruments, rate=rate, channels=None)
    peak = max(1.0, float(np.abs(mixture).max()), float(np.abs(stems).max()))
    (folder / "true").mkdir(parents=True)
    audio.write(folder / "mixture.wav", mixture / np.float32(peak), rate=rate)
    for name, stem in zip(song.instruments, stems, strict=True):
        audio.write(folder / "true" / f"{name}.wav", stem / np.float32(peak), rate=rate)


def _plot(path: Path, folder: Path, instruments: Sequence[str]) -> None:
    """Draw a mixture and some of its stems: true, before and after."""
    mixture, rate = audio.read(folder / "mixture.wav")
    stems: dict[str, Any] = {}
    for name in instruments:
        files = {word: _file(folder / word, name) for word in ("true", "before", "after")}
        if len(stems) < 3 * PLOTTED and files["after"] is not None:
            stems |= {f"{name}, {word}": audio.read(file)[0] for word, file in files.items() if file is not None}
    plot_stems(path, mixture, stems, rate)


def _file(folder: Path, name: str) -> Path | None:
    """The file of an instrument, by any of its names."""
    stem = matched(name, [file.stem for file in sorted(folder.iterdir())])
    return None if stem is None else folder / f"{stem}.wav"
