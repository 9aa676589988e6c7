"""Corpora of a study: opened or rendered, told apart by content, and split the same way for every run of a seed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from levada.data import Corpus, Multitrack, Span, Track, annotated_spans, sample
from levada.data.rendered import render_corpus, sounds_digest
from levada.data.spans import halve
from levada.errors import InputError
from levada.experiments.code_version import code_digest
from levada.experiments.spec import MIRDATA, RANDOM, Source
from levada.experiments.task import STEMS, TASKS, draw_songs, split_songs
from levada.io.beats import Beats
from levada.synth.traditions import read_tradition

__all__ = [
    "Opened",
    "Sides",
    "data_digest",
    "imagine",
    "is_missing",
    "labels",
    "open_source",
    "prepare",
    "sides",
    "without_duplicates",
]

FOLDER = "corpora"
SPLIT, DRAW = 1, 2


@dataclass(frozen=True)
class Opened:
    """A corpus that is there.

    Parameters
    ----------
    source : Source
        With a path.
    corpus : Corpus or Corpus[Multitrack]
    digest : str
        What tells its content apart.
    """

    source: Source
    corpus: Corpus[Any]
    digest: str


def prepare(source: Source, *, out: Path, progress: Callable[[int, int], None] | None = None) -> Source:
    """Where a corpus lies: one that is rendered is rendered now, or was before.

    Parameters
    ----------
    source : Source
    out : Path
        The folder of the study; what is rendered goes to a folder inside it that tells it apart.
    progress : callable, optional
        Told recordings rendered, and of how many.

    Returns
    -------
    Source
        With a path.

    Raises
    ------
    InputError
        If there is no such tradition, or nothing can be written.
    """
    if not source.render:
        return source
    tradition, folder = read_tradition(source.render), _folder(source, out)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be created: {(error.strerror or str(error)).lower()}", path=folder.parent) from None
    render_corpus(
        folder,
        tradition,
        minutes=source.recordings * source.seconds / 60,
        recordings=source.recordings,
        seed=source.seed,
        sounds=source.sounds,
        multitrack=source.task == STEMS.name,
        processes=1,
        progress=progress,
    )
    return replace(source, path=str(folder.absolute()))


def imagine(source: Source, *, out: Path) -> Corpus | None:
    """A rendered corpus as it will be, for a look ahead: so many recordings of one tempo; nothing if it is there."""
    folder = _folder(source, out)
    done = "*/mixture.wav" if source.task == STEMS.name else "*.wav"
    if len([path for path in folder.glob(done) if path.with_suffix(".beats").exists()]) >= source.recordings:
        return None
    tradition = read_tradition(source.render)
    step_s = 60 / tradition.tempo_bpm[0]
    times_s = np.arange(step_s, source.seconds, step_s)
    beats = Beats(times_s, np.arange(len(times_s)) % tradition.beats + 1)
    tracks = [
        Track(name, folder / f"{name}.wav", load=lambda: beats, group=name)
        for name in (f"{tradition.name}-{number:03}" for number in range(1, source.recordings + 1))
    ]
    return Corpus(source.name, tuple(tracks), folder)


def _folder(source: Source, out: Path) -> Path:
    """Where a rendered corpus goes: what it is rendered from, how and by which code tells it apart."""
    tradition = asdict(read_tradition(source.render))
    facts = [tradition, source.recordings, source.seconds, source.seed, sounds_digest(source.sounds), code_digest()]
    facts += [source.task] if source.task == STEMS.name else []
    return out / FOLDER / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=8)
def open_source(source: Source) -> Corpus[Any]:
    """Open a corpus whose path is known, once in each process.

    Raises
    ------
    InputError
        If it is not there, or none of its recordings is annotated.
    MissingExtra
        If it is mirdata's, and mirdata is not installed.
    """
    corpus: Corpus[Any] = TASKS[source.task].open(source.path)
    return replace(corpus, tracks=tuple(track for track in corpus.tracks if track.id not in source.left_out))


def without_duplicates(source: Source) -> tuple[Source, str]:
    """Leave out all but one of the recordings that are the same.

    Parameters
    ----------
    source : Source
        With a path.

    Returns
    -------
    Source, str
        With what is left out, and which recordings those are, for people; empty where there are none. What levada
        rendered has none.
    """
    if source.render:
        return source, ""
    twins = TASKS[source.task].duplicates(open_source(source))
    if not twins:
        return source, ""
    named = ", ".join(f"{one} (the same as {other})" for one, other in twins.items())
    return replace(source, left_out=tuple(twins)), f"{source.name}: duplicates are left out: {named}"


def data_digest(corpus: Corpus[Any]) -> str:
    """What tells the content of a corpus apart: audio, labels and groups of every labelled recording.

    Raises
    ------
    InputError
        If an annotation or a recording cannot be read.
    """
    return TASKS[corpus.labels].digest(corpus)


@dataclass(frozen=True)
class Sides:
    """What labels are drawn from, and what is scored."""

    train: tuple[Track, ...] | tuple[Multitrack, ...]
    test: tuple[Track | Span, ...] | tuple[Multitrack, ...]


def sides(source: Source, corpus: Corpus[Any], *, seed: int, test: float) -> Sides:
    """Split a corpus; the same for every strategy and budget of a seed.

    Parameters
    ----------
    source : Source
    corpus : Corpus
        Opened from it.
    seed : int
    test : float
        Share of the annotated recordings that is scored.

    Returns
    -------
    object with `train` and `test`
        Recordings, or with `halves` their first halves, to draw labels from; and recordings, or second halves, to
        score. The two halves of a recording have no beat in common.

    Raises
    ------
    InputError
        If there is only one recording or one group to split.
    """
    if corpus.labels == "stems":
        if source.halves or source.ignore_groups:
            raise InputError("halves and ignore_groups are for beats", path=corpus.root)
        return Sides(*split_songs(corpus, seed=[seed, SPLIT], test=test))
    if source.halves:
        parted = [(track, *halve(annotated_spans(track))) for track in corpus.annotated]
        for track, *both in parted:
            if not all(both):
                raise InputError("has too few annotated beats for two halves", path=track.annotation or track.audio)
        first = tuple(replace(track, load=partial(_until, track, one[-1].end_s)) for track, one, _ in parted)
        second = tuple(Span(track, other[0].start_s, other[-1].end_s) for track, _, other in parted)
        return Sides(first, second)
    if len(corpus.annotated) < 2:
        raise InputError(
            "has one annotated recording: nothing would be left to score. halves = true draws labels from its first "
            "half and scores the second",
            path=corpus.root,
        )
    rng = np.random.default_rng([seed, SPLIT])
    try:
        train, scored = corpus.split(test_size=test, seed=rng, ignore_groups=source.ignore_groups)
    except InputError as error:
        raise InputError(
            f"{error.problem}; or ignore_groups = true in the spec splits recordings, and the scores then count how "
            "well a model knows the performers",
            path=error.path,
        ) from None
    return Sides(train.tracks, scored.tracks)


def labels(
    train: tuple[Track, ...] | tuple[Multitrack, ...], *, minutes: float, selection: str, seed: int
) -> list[Span] | list[Span[Multitrack]]:
    """What is labelled of the training side.

    The draw depends on the budget and the seed alone, so that all strategies learn from the same labels. Larger budgets
    visit the recordings in the same order, but do not hold the stretches of smaller ones: then a run would depend on
    what other budgets its study has.

    Raises
    ------
    InputError
        If the budget is larger than the training side, or shorter than a bar.
    """
    if isinstance(train[0], Multitrack):
        if selection != RANDOM:
            raise InputError(f"songs with stems are drawn at random, not by {selection}")
        return draw_songs(train, minutes=minutes, seed=[seed, DRAW])
    tracks, rng = [track for track in train if isinstance(track, Track)], np.random.default_rng([seed, DRAW])
    if selection == RANDOM:
        return sample(tracks, minutes=minutes, seed=rng)
    from levada.beat_tracking import selection as select

    return list(select.sample(tracks, minutes=minutes, scheme=selection, rng=rng))


def _until(track: Track, end_s: float) -> Beats:
    return track.beats().between(-math.inf, math.nextafter(end_s, math.inf))


def is_missing(source: Source) -> bool:
    """Whether there is no such folder; what mirdata has is known when it is asked."""
    return bool(source.path) and not source.path.startswith(MIRDATA) and not Path(source.path).is_dir()
