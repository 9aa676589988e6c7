"""The whole road of separation in about two minutes: songs with stems, an adapted separator, before and after.

Without songs of one's own, an ensemble is rendered: some songs to learn from, and others for the exam. Each has
instruments, players and a room of its own, so that nothing of the exam was ever heard.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from levada.cli.demo.output import MARK, Stage, emptied, unwatched
from levada.data import Corpus, Multitrack, annotated_spans, load_corpus, log_notes, sample
from levada.data.rendered import render_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.tables import write_csv
from levada.learning.adaptation import with_scores
from levada.learning.weights import Weights
from levada.separation.adaptation import DEFAULTS
from levada.separation.adaptation import adapt as adapt_separator
from levada.separation.evaluation import StemEvaluation, evaluate_stems
from levada.separation.files import separate_file
from levada.separation.masking import SeparatorLike, matched
from levada.separation.plots import Leaks, plot_leakage, plot_stems
from levada.separation.pretrained import base_weights as stem_weights
from levada.separation.pretrained import load_separator, separator_of
from levada.synth.instrument_names import match_stems
from levada.synth.traditions import read_tradition

__all__ = ["MARK", "StemDemo", "demo_stems"]

TRADITION = "bateria"
SONGS, LENGTH_S = 8, 12.0
EXAM, EXAM_S = 4, 10.0
SEEDS = 2000  # from here on: no song is one that the base was made of
HEARD_SONGS, HEARD_S = 2, 30.0  # of the exam, left to listen to
DRAWN = 2  # instruments in the picture
PRACTISED = "surdo"
WORDS = {"base": "before", "nmf": "nmf", "adapted": "after"}
LEFT = {
    "songs/": "what was rendered to learn from, a folder a song, a file an instrument (if it was)",
    "exam/": "what was rendered to be taken apart (if it was)",
    "listen/": "songs of the exam: mixture, true stems, stems of the base, of NMF and of the adapted separator,",
    "": "and the mixture without one drum, to practise with",
    "stems.png": "spectrograms of a song of the exam: stems that gained most, true, before and after",
    "leaks.png": "which instrument ended up in which stem, before and after",
    "adapted/": "the adapted separator: levada separate song.wav --model adapted -o stems",
    "nmf/": "dictionaries learnt from the same minutes, without a network",
    "table.csv": "SI-SDR gained over the mixture, of each model and instrument, with its interval",
    "scores.csv": "a row for each stem of each song of the exam and model",
}


@dataclass(frozen=True)
class StemDemo:
    """What the demo found.

    Parameters
    ----------
    evaluation : StemEvaluation
        The base, dictionaries, the adapted separator, the mixture and the ceiling, on songs that gave no labels.
    minutes : float
        Music with stems that was used.
    adapt_s, total_s : float
        Seconds the adaptation took, and all of it.
    """

    evaluation: StemEvaluation
    minutes: float
    adapt_s: float
    total_s: float


def demo_stems(
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    minutes: float = 1.5,
    seed: int = 0,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Stage = unwatched,
) -> StemDemo:
    """Adapt a separator to an ensemble, score before and after, and leave everything to look at and listen to.

    Parameters
    ----------
    out : path-like
        A folder for the songs, the models, stems, pictures and tables.
    corpus : path-like, optional
        Songs with stems; rendered ones by default.
    minutes : float
        Music with stems to adapt to.
    seed : int
    force : bool
        Whether an earlier demo there may be replaced.
    say : callable
        Told what is being done.
    progress : callable, optional
        From the name of a stage to a context manager that lends what is to be told of steps done and steps in all.

    Returns
    -------
    StemDemo

    Raises
    ------
    InputError
        If the folder holds something else, or an earlier demo and `force` is not given, or there are too few songs
        with stems.
    """
    began = time.monotonic()
    base = stem_weights("base")
    given = None
    if corpus is not None:
        open_audio = load_corpus(corpus, labels="stems")
        log_notes(open_audio.notes, say)
        given = _sides(open_audio, minutes, np.random.default_rng(seed))
    out = emptied(out, LEFT, force=force)
    train, exam = given or _rendered(out, seed, say, progress)
    spans = sample(train, minutes=minutes, seed=np.random.default_rng(seed))
    used = sum(span.duration_s for span in spans) / 60
    heard = sorted({name for span in spans for name in span.track.instruments})
    say(f"adapting to {used:.2f} minutes of {len({span.track.id for span in spans})} songs: {', '.join(heard)}")
    started = time.monotonic()
    settings = replace(DEFAULTS["finetune+augment"], seed=seed)
    with progress("adapting") as told:
        adapted = adapt_separator(spans, base=base, out=out / "adapted", settings=settings, progress=told)
    adapt_s = time.monotonic() - started
    with progress("learning dictionaries") as told:
        adapt_separator(spans, strategy="nmf", base=None, out=out / "nmf", progress=told)
    separators = {
        "base": _before(base, heard),
        "nmf": load_separator(out / "nmf"),
        "adapted": load_separator(out / "adapted"),
    }
    say(f"taking {len(exam)} other songs apart, and scoring")
    with progress("scoring") as told:
        evaluation = evaluate_stems(exam, separators, out=out / "scores.csv", oracle=True, progress=told)
    with_scores(out / "adapted", adapted, evaluation.card_scores("adapted"))
    write_csv(out / "table.csv", _table(evaluation))
    with progress("writing stems and pictures") as told:
        _leave(out, evaluation, exam, separators, told)
    return StemDemo(evaluation, used, adapt_s, time.monotonic() - began)


def _rendered(
    out: Path, seed: int, say: Callable[[str], None], progress: Stage
) -> tuple[Sequence[Multitrack], Sequence[Multitrack]]:
    """Songs to learn from, and songs of other players, instruments and rooms for the exam."""
    tradition = read_tradition(TRADITION)
    say(f"rendering {SONGS} songs of {TRADITION} to learn from and {EXAM} for the exam, with their stems")
    sides: list[Sequence[Multitrack]] = []
    with progress("rendering") as told:
        for side, (name, songs, length_s, before) in enumerate(
            (("songs", SONGS, LENGTH_S, 0), ("exam", EXAM, EXAM_S, SONGS))
        ):

            def counted(done: int, _: int, before: int = before) -> None:
                told(before + done, SONGS + EXAM)

            render_corpus(
                out / name, tradition, minutes=songs * length_s / 60, recordings=songs,
                seed=SEEDS + 2 * seed + side, multitrack=True, progress=counted,
            )  # fmt: skip
            sides.append(load_corpus(out / name, labels="stems").tracks)
    return sides[0], sides[1]


def _sides(
    corpus: Corpus[Multitrack], minutes: float, rng: np.random.Generator
) -> tuple[list[Multitrack], list[Multitrack]]:
    """Groups to draw from, as few as have enough, and groups to score on."""
    if corpus.is_solos:
        raise InputError("holds solos, which nobody need take apart: levada remix makes mixtures", path=corpus.root)
    for test in (0.6, 0.4, 0.2):
        train, exam = corpus.split(test_size=test, seed=rng)
        if sum(song.duration_s for song in train) >= 60 * minutes and any(len(one.instruments) > 1 for one in exam):
            return list(train), list(exam)
    raise InputError(
        f"has too few songs with stems to learn from {minutes:g} minutes and score on others", path=corpus.root
    )


def _before(base: Weights, heard: Sequence[str]) -> SeparatorLike:
    """The base, told what plays; all that it knows where it knows none of that."""
    known: dict[str, str] = {}
    for name, stems in match_stems(heard, base.net.instruments).items():
        one = next(iter(stems), None)
        if one is not None and one not in known.values():
            known[name] = one  # called as in the songs, so that files before and after have the same names
    return separator_of(base, name="base", instruments=known or None)


def _table(evaluation: StemEvaluation) -> list[dict[str, object]]:
    """A row for each model and all instruments, then for each model and instrument."""
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


def _leave(
    out: Path,
    evaluation: StemEvaluation,
    exam: Sequence[Multitrack],
    separators: Mapping[str, SeparatorLike],
    told: Callable[..., None],
) -> None:
    """Stems of a few songs by everybody, and the pictures."""
    scored = {row.song for row in evaluation.of("adapted") if not row.error}
    chosen = [song for song in exam if song.id in scored][:HEARD_SONGS]
    gained = _gained(evaluation)
    steps = len(chosen) * len(WORDS) + 1
    for number, song in enumerate(chosen):
        folder = out / "listen" / song.id.replace("/", "-")
        _play(song, folder)
        for at, (model, word) in enumerate(WORDS.items(), start=1):
            separate_file(folder / "mixture.wav", separators[model], folder / word)
            told(number * len(WORDS) + at, steps)
        mine = separators["adapted"]
        left_out = matched(PRACTISED, mine.instruments) or mine.instruments[0]
        separate_file(folder / "mixture.wav", mine, folder, without=(left_out,))
        if number == 0:
            _draw(out / "stems.png", folder, [name for name in gained if name in song.instruments])
    panels = [Leaks(word, *evaluation.leaks(model)) for model, word in WORDS.items()]
    plot_leakage(out / "leaks.png", panels)
    told(steps, steps)


def _gained(evaluation: StemEvaluation) -> list[str]:
    """Instruments, those first that adapting helped most."""
    scores = evaluation.by_instrument("si_sdr_i")

    def gain(name: str) -> float:
        return float(np.nan_to_num(scores["adapted"][name].mean - np.nan_to_num(scores["base"][name].mean), nan=-1e3))

    return sorted(evaluation.instruments, key=gain, reverse=True)


def _play(song: Multitrack, folder: Path) -> None:
    """The beginning of a song and what each played in it, as loud as each other."""
    rate = audio.info(song.mixture or song.files[0]).rate
    span = annotated_spans(song)[0]
    span = replace(span, end_s=min(span.end_s, span.start_s + HEARD_S))
    stems, mixture = span.read(song.instruments, rate=rate, channels=None)
    loudest = max(1.0, float(np.abs(mixture).max()), float(np.abs(stems).max()))
    (folder / "true").mkdir(parents=True)
    audio.write(folder / "mixture.wav", mixture / np.float32(loudest), rate=rate)
    for name, stem in zip(song.instruments, stems, strict=True):
        audio.write(folder / "true" / f"{name}.wav", stem / np.float32(loudest), rate=rate)


def _draw(path: Path, folder: Path, instruments: Sequence[str]) -> None:
    """A mixture, and stems of it: as they are, before and after."""
    mixture, rate = audio.read(folder / "mixture.wav")
    drawn: dict[str, Any] = {}
    for name in instruments:
        files = {word: _file(folder / word, name) for word in ("true", "before", "after")}
        if len(drawn) < 3 * DRAWN and files["after"] is not None:
            drawn |= {f"{name}, {word}": audio.read(file)[0] for word, file in files.items() if file is not None}
    plot_stems(path, mixture, drawn, rate)


def _file(folder: Path, name: str) -> Path | None:
    """The file of an instrument, whatever a separator calls it."""
    found = matched(name, [file.stem for file in sorted(folder.iterdir())])
    return None if found is None else folder / f"{found}.wav"
