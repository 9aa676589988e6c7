"""What a study is about: beats, or stems. All that runs of the two do differently is here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levada import models
from levada.corpus import Corpus, StemCorpus, draw_stems, open_corpus, open_stems, split_stems
from levada.errors import InputError
from levada.evaluate import evaluate, evaluate_stems

if TYPE_CHECKING:
    from levada.corpus import StemSpan

__all__ = ["BEATS", "STEMS", "TASKS", "Task", "draw_songs", "split_songs"]


@dataclass(frozen=True)
class Task:
    """What is learnt from labels of one kind.

    Parameters
    ----------
    name : str
    baseless : tuple of str
        Strategies that take nothing of a base.
    plain : tuple of str
        Strategies without a network that is trained: neither augmentation, layers nor settings mean anything to them.
    unset : tuple of str
        Strategies that have no settings at all.
    learn : callable
        Names of strategies -> what they do, and their settings; heavy, so asked for late.
    open, digest : callable
        A corpus from its path; what tells its content apart.
    untouched : callable
        A model as it is, by name.
    made : callable
        What takes the place of it, from a model in memory.
    scored : callable
        An evaluation of recordings by one of these.
    """

    name: str
    baseless: tuple[str, ...]
    plain: tuple[str, ...]
    unset: tuple[str, ...]
    learn: Callable[[], tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]]
    open: Callable[[str], Any]
    digest: Callable[[Any], str]
    untouched: Callable[[str], Any]
    made: Callable[[Any, str], Any]
    scored: Callable[[Sequence[Any], str, Any, float], Any]


def _learn_beats() -> tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]:
    from levada.adapt.beats import DEFAULTS, STRATEGIES

    return STRATEGIES, DEFAULTS


def _learn_stems() -> tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]:
    from levada.adapt.stems import DEFAULTS, STRATEGIES

    return STRATEGIES, DEFAULTS


def _open_beats(path: str) -> Corpus:
    corpus = open_corpus(path)
    if not corpus.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus.root)
    return corpus


def _open_stems(path: str) -> StemCorpus:
    corpus = open_stems(path)
    if corpus.is_solos:
        raise InputError("holds solos, which nobody need take apart: levada remix makes mixtures", path=corpus.root)
    return corpus


def _digest_of_beats(corpus: Corpus) -> str:
    digest = hashlib.sha256()
    for track in corpus.annotated:
        beats = track.beats()
        heard = hashlib.sha256(beats.times_s.tobytes() + np.asarray(beats.positions, np.int64).tobytes()).hexdigest()
        digest.update(json.dumps([track.id, track.group, track.content_hash, heard]).encode())
    return digest.hexdigest()[:16]


def _digest_of_stems(corpus: StemCorpus) -> str:
    digest = hashlib.sha256()
    for song in corpus.songs:
        digest.update(json.dumps([song.id, song.group, song.content_hash, song.instruments]).encode())
    return digest.hexdigest()[:16]


def _made_tracker(model: Any, name: str) -> Any:
    return models.tracker(model, name=name)


def _made_separator(model: Any, name: str) -> Any:
    return models.separator_of(model, name=name)


def _scored_beats(items: Sequence[Any], name: str, tracker: Any, trim_s: float) -> Any:
    return evaluate(items, {name: tracker}, trim_s=trim_s)


@dataclass(frozen=True)
class _Songs:
    """An evaluation of songs as a study keeps it: a row a song, with the means of its stems."""

    rows: tuple[Mapping[str, object], ...]

    def write_csv(self, path: str | Path) -> None:
        """Write one line a song."""
        import csv

        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)


def _scored_stems(songs: Sequence[Any], name: str, separator: Any, trim_s: float) -> _Songs:  # noqa: ARG001
    from levada.scores import STEM_SCORES

    found = evaluate_stems(songs, {name: separator})
    rows: dict[str, dict[str, object]] = {}
    for row in found.of(name):
        first = {"track": row.song, "group": row.group or row.song, "model": name, "error": row.error}
        whole = rows.setdefault(row.song, first | {score: [] for score in STEM_SCORES})
        for score in STEM_SCORES:
            value = row.scores.get(score, float("nan"))
            whole[score] += [value] if np.isfinite(value) else []  # type: ignore[operator]
    for whole in rows.values():
        for score in STEM_SCORES:
            values: Any = whole[score]
            whole[score] = float(np.mean(values)) if values else ""
    return _Songs(tuple(rows.values()))


def split_songs(corpus: StemCorpus, *, seed: Sequence[int], test: float) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Songs that give labels, and songs of other groups that are scored."""
    return split_stems(corpus, test=test, rng=np.random.default_rng(seed))


def draw_songs(train: Sequence[Any], *, minutes: float, seed: Sequence[int]) -> list[StemSpan]:
    """A budget of stems."""
    return draw_stems(train, minutes=minutes, rng=np.random.default_rng(seed))


BEATS = Task(
    name="beats",
    baseless=("scratch", "bayes"),
    plain=("decoder", "bayes"),
    unset=("decoder",),
    learn=_learn_beats,
    open=_open_beats,
    digest=_digest_of_beats,
    untouched=models.load,
    made=_made_tracker,
    scored=_scored_beats,
)
STEMS = Task(
    name="stems",
    baseless=("scratch", "nmf", "nmf-conv"),
    plain=("nmf", "nmf-conv"),
    unset=(),
    learn=_learn_stems,
    open=_open_stems,
    digest=_digest_of_stems,
    untouched=models.separator,
    made=_made_separator,
    scored=_scored_stems,
)
TASKS = {task.name: task for task in (BEATS, STEMS)}
