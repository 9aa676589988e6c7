"""Corpora of a study: opened or rendered, identified by content, and split the same way for every run of a seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from levada.data import Corpus, Track, load_corpus
from levada.data.rendered import render_corpus, sounds_digest
from levada.data.sampling import available_minutes
from levada.experiments.code_version import code_digest
from levada.experiments.spec import MIRDATA, TASKS, Budget, Source
from levada.io.beats import Beats
from levada.io.files import wrap_errors
from levada.separation.remix import TEST, TRAIN, remix, solo_groups
from levada.synth.traditions import read_tradition

__all__ = [
    "OpenCorpus",
    "Split",
    "data_digest",
    "is_missing",
    "mix_source",
    "open_source",
    "placeholder",
    "render_source",
    "sample_labels",
    "split_corpus",
    "without_duplicates",
]

FOLDER = "corpora"
SPLIT, DRAW = 1, 2


@dataclass(frozen=True)
class OpenCorpus:
    """A corpus that was opened.

    Parameters
    ----------
    source : Source
        With a path.
    corpus : Corpus or Corpus[Multitrack]
    digest : str
        Digest of its content.
    """

    source: Source
    corpus: Corpus[Any]
    digest: str


def render_source(source: Source, *, out: Path, progress: Callable[[int, int], None] | None = None) -> Source:
    """Render a corpus where it is not rendered yet.

    Parameters
    ----------
    source : Source
    out : Path
        The folder of the study; a rendered corpus lies in a folder of its own inside it.
    progress : callable, optional
        Called with the number of recordings rendered, and of all.

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
    with wrap_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    render_corpus(
        folder, tradition, minutes=source.recordings * source.seconds / 60, recordings=source.recordings,
        seed=source.seed, sounds=source.sounds, multitrack=source.task == "stems", processes=1, progress=progress,
    )  # fmt: skip
    return replace(source, path=str(folder.absolute()))


def mix_source(
    source: Source, *, out: Path, progress: Callable[[int, int], None] | None = None
) -> tuple[Source, tuple[str, ...]]:
    """Mix the solos of a corpus where they are not mixed yet.

    Parameters
    ----------
    source : Source
        With a path.
    out : Path
        The folder of the study.
    progress : callable, optional
        Called with the number of mixtures that are done, and of all.

    Returns
    -------
    Source, tuple of str
        With the path of the mixtures, and the solos that are in none of them.

    Raises
    ------
    InputError
        If solos cannot be read, split or mixed.
    """
    if source.remix is None:
        return source, ()
    solos = load_corpus(source.path, labels="stems")
    tracker = None
    if source.remix.coherent:
        from levada.beat_tracking.pretrained import load_tracker

        tracker = load_tracker("base")
    folder = _mixtures_folder(source, solos, out)
    with wrap_errors(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
    mixed = remix(solos, folder, settings=source.remix, tracker=tracker, progress=progress)
    return replace(source, path=str(folder.absolute())), mixed.left_out


def placeholder(source: Source, *, out: Path) -> Corpus | None:
    """Stand-in for a corpus that is not rendered or mixed yet, for plans: recordings of one tempo; None where it is."""
    folder, is_rendered = Path(source.path), True
    if source.render:
        folder = _folder(source, out)
        done = "*/mixture.wav" if source.task == "stems" else "*.wav"
        count = len([path for path in folder.glob(done) if path.with_suffix(".beats").exists()])
        is_rendered = count >= source.recordings
    if source.remix is not None:
        mixtures = source.remix.mixtures
        if is_rendered:
            mixed = _mixtures_folder(source, load_corpus(source.path or folder, labels="stems"), out)
            if len([*mixed.glob("*/*/mixture.wav")]) >= mixtures:
                return None
        scored = round((source.remix.test or 0.0) * mixtures)
        names = [f"{TRAIN}/mix-{number:03}" for number in range(1, mixtures - scored + 1)]
        names += [f"{TEST}/mix-{number:03}" for number in range(1, scored + 1)]
        seconds = source.remix.seconds
        return Corpus(source.name, _stand_ins(names, folder, seconds, seconds / 16, 4), folder)
    if is_rendered:
        return None
    tradition = read_tradition(source.render)
    names = [f"{tradition.name}-{number:03}" for number in range(1, source.recordings + 1)]
    tracks = _stand_ins(names, folder, source.seconds, 60 / tradition.tempo_bpm[0], tradition.beats)
    return Corpus(source.name, tracks, folder)


def _stand_ins(names: Sequence[str], folder: Path, seconds: float, beat_s: float, metre: int) -> tuple[Track, ...]:
    times_s = np.arange(beat_s, seconds, beat_s)
    beats = Beats(times_s, np.arange(len(times_s)) % metre + 1)
    return tuple(Track(name, folder / f"{name}.wav", load=lambda: beats, group=name) for name in names)


def _mixtures_folder(source: Source, solos: Corpus[Any], out: Path) -> Path:
    """Folder of the mixtures of solos, by a digest of these, of the settings and of the code."""
    assert source.remix is not None
    facts = [data_digest(solos), asdict(source.remix), code_digest()]
    return out / FOLDER / hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _folder(source: Source, out: Path) -> Path:
    """Folder of a rendered corpus, by a digest of what it is rendered from, how and by which code."""
    tradition = asdict(read_tradition(source.render))
    facts = [tradition, source.recordings, source.seconds, source.seed, sounds_digest(source.sounds), code_digest()]
    facts += [source.task] if source.task == "stems" else []
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
    corpus = TASKS[source.task].open_corpus(source.path)
    if source.remix is not None and source.remix.target:
        # for intervals: mixtures of one solo of the target are not independent
        groups = solo_groups(source.path, source.remix.target)
        corpus = replace(corpus, tracks=tuple(replace(one, group=groups[one.id]) for one in corpus.tracks))
    return replace(corpus, tracks=tuple(track for track in corpus.tracks if track.id not in source.left_out))


def without_duplicates(source: Source) -> tuple[Source, str]:
    """Leave out all but one of the recordings with the same audio.

    Parameters
    ----------
    source : Source
        With a path.

    Returns
    -------
    Source, str
        With the ids that are left out, and a note that names them; empty where there are none, as in rendered corpora.
    """
    if source.render:
        return source, ""
    same = TASKS[source.task].duplicates(open_source(source))
    if not same:
        return source, ""
    named = ", ".join(f"{one} (the same as {other})" for one, other in same.items())
    return replace(source, left_out=tuple(same)), f"{source.name}: duplicates are left out: {named}"


def data_digest(corpus: Corpus[Any]) -> str:
    """Digest of the audio, labels and groups of every labelled recording of a corpus.

    Raises
    ------
    InputError
        If an annotation or a recording cannot be read.
    """
    return TASKS[corpus.labels].digest(corpus)


@dataclass(frozen=True)
class Split:
    """Recordings, or parts of them, to sample labels from, and those to score."""

    train: tuple[Any, ...]
    test: tuple[Any, ...]


def split_corpus(source: Source, corpus: Corpus[Any], *, seed: int, test: float) -> Split:
    """Split a corpus; the same for every strategy and budget of a seed.

    Parameters
    ----------
    source : Source
    corpus : Corpus
        Opened from it.
    seed : int
    test : float
        Share of the labelled recordings that is scored.

    Returns
    -------
    Split
        Of recordings or, with `halves`, of their first and second halves, which have no beat in common. All are
        scored of a corpus that nothing is adapted to. Mixtures of solos were split before they were mixed.

    Raises
    ------
    InputError
        If there is only one recording or one group to split.
    """
    if not source.adapt:
        return Split((), corpus.tracks if corpus.labels == "stems" else corpus.annotated)
    if source.remix is not None:
        sides = [tuple(one for one in corpus.tracks if one.id.startswith(f"{side}/")) for side in (TRAIN, TEST)]
        return Split(*sides)
    train, scored = TASKS[source.task].split(
        corpus, test_size=test, seed=[seed, SPLIT], halves=source.halves, ignore_groups=source.ignore_groups
    )
    return Split(train, scored)


def sample_labels(split: Split, *, task: str, budget: Budget, selection: str, seed: int) -> list[Any]:
    """Sample labels of the training side.

    The sample depends on the budget and the seed alone, so that all strategies learn from the same labels. Larger
    budgets visit the recordings in the same order, but do not contain the spans of smaller ones, except for whole
    recordings: then a run would depend on the other budgets of its study.

    Raises
    ------
    InputError
        If the budget is larger than the training side, or shorter than a bar.
    """
    if budget.unit == "files":
        return TASKS[task].sample_files(split.train, files=int(budget.amount), selection=selection, seed=[seed, DRAW])
    minutes = budget.amount * available_minutes(split.train) if budget.unit == "fraction" else budget.amount
    return TASKS[task].sample(split.train, minutes=minutes, selection=selection, seed=[seed, DRAW])


def is_missing(source: Source) -> bool:
    """Whether the folder of a corpus does not exist; False for mirdata."""
    return bool(source.path) and not source.path.startswith(MIRDATA) and not Path(source.path).is_dir()
