"""What a study is about: beats, or stems. All that runs of the two do differently is here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.evaluation import evaluate
from levada.beat_tracking.pretrained import load_tracker, tracker_of
from levada.data import Corpus, Multitrack, load_corpus, sample
from levada.data.beat_check import duplicates
from levada.errors import InputError
from levada.io import audio
from levada.io.tables import write_csv
from levada.separation.evaluation import evaluate_stems
from levada.separation.pretrained import load_separator, separator_of
from levada.separation.song_scores import MIXTURE, ORACLE

if TYPE_CHECKING:
    from levada.data import Multitrack, Span

__all__ = ["BEATS", "LEAKS", "SCORES", "STEMS", "TASKS", "Task", "draw_songs", "hashes", "split_songs"]

Floats32 = npt.NDArray[np.float32]

SCORES, LEAKS = "scores.csv", "leaks.csv"
"""Files of a run: its scores, and for stems how much of each instrument is in each of them."""
IDEAL = (MIXTURE, ORACLE)
"""Rivals that are no models: what doing nothing scores, and the best that masks can do."""
AS_IT_IS = "as it is"


@dataclass(frozen=True)
class Task:
    """What is learnt from labels of one kind.

    Parameters
    ----------
    name : str
    from_scratch : tuple of str
        Strategies that take nothing of a base.
    non_neural : tuple of str
        Strategies without a network that is trained: neither augmentation nor layers mean anything to them.
    unset : tuple of str
        Strategies that have no settings at all.
    settable : tuple of str
        Plain strategies that have settings of their own, under their name.
    learn : callable
        Names of strategies -> what they do, and their settings; heavy, so asked for late.
    open, digest : callable
        A corpus from its path; what tells its content apart.
    duplicates : callable
        From a corpus, ids of labelled recordings that are the same as others -> the id of the one that is kept.
    trained : callable
        SHA-256 of the files that a model was trained on, by its name.
    identity : callable
        What tells a model apart that is scored as it is, by name.
    pretrained : callable
        Such a model, by name, for these recordings.
    made : callable
        What takes the place of it, from a model in memory.
    scored : callable
        Score recordings by one of these; gives the files that it wrote into a folder, the first with a row for each
        recording or for each of its stems.
    """

    name: str
    from_scratch: tuple[str, ...]
    non_neural: tuple[str, ...]
    unset: tuple[str, ...]
    settable: tuple[str, ...]
    learn: Callable[[], tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]]
    open: Callable[[str], Any]
    digest: Callable[[Any], str]
    duplicates: Callable[[Any], dict[str, str]]
    trained: Callable[[str], frozenset[str]]
    identity: Callable[[str], str]
    pretrained: Callable[[str, Sequence[Any]], Any]
    made: Callable[[Any, str], Any]
    scored: Callable[[Sequence[Any], str, Any, float | None, Path], list[Path]]


def _learn_beats() -> tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]:
    from levada.beat_tracking.adaptation import DEFAULTS, STRATEGIES

    return STRATEGIES, DEFAULTS


def _learn_stems() -> tuple[Mapping[str, Callable[..., Any]], Mapping[str, Any]]:
    from levada.separation.adaptation import DEFAULTS, STRATEGIES

    return STRATEGIES, DEFAULTS


def _open_beats(path: str) -> Corpus:
    corpus = load_corpus(path, labels="beats")
    if not corpus.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus.root)
    return corpus


def _open_stems(path: str) -> Corpus[Multitrack]:
    corpus = load_corpus(path, labels="stems")
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


def _digest_of_stems(corpus: Corpus[Multitrack]) -> str:
    digest = hashlib.sha256()
    for song in corpus.tracks:
        digest.update(json.dumps([song.id, song.group, song.content_hash, song.instruments]).encode())
    return digest.hexdigest()[:16]


def _duplicates_of_beats(corpus: Corpus) -> dict[str, str]:
    return duplicates(corpus.annotated)


def _duplicates_of_stems(corpus: Corpus[Multitrack]) -> dict[str, str]:
    first = dict[str, str]()
    return {
        song.id: first[song.content_hash]
        for song in corpus.tracks
        if first.setdefault(song.content_hash, song.id) != song.id
    }


def hashes(item: Any) -> frozenset[str]:
    """SHA-256 of all files of a recording, a stretch of one or a song, by which models know them."""
    whole = getattr(item, "track", item)
    if not isinstance(whole, Multitrack):
        return frozenset([whole.content_hash])
    mixture = [] if whole.mixture is None else [audio.content_hash(whole.mixture)]
    return frozenset([whole.content_hash, *whole.stem_hashes, *mixture])


def _trained_tracker(name: str) -> frozenset[str]:
    return frozenset(getattr(load_tracker(name), "trained_spans", {}))


def _trained_separator(name: str) -> frozenset[str]:
    return frozenset() if name in IDEAL else frozenset(getattr(load_separator(name), "trained_on", {}))


def _made_tracker(model: Any, name: str) -> Any:
    return tracker_of(model, name=name)


def _identity_of_tracker(name: str) -> str:
    return load_tracker(name).identity or name


def _tracker(name: str, _: Sequence[Any]) -> Any:
    return load_tracker(name)


def _made_separator(model: Any, name: str) -> Any:
    return separator_of(model, name=name)


def _scored_beats(items: Sequence[Any], name: str, tracker: Any, trim_s: float | None, folder: Path) -> list[Path]:
    evaluate(items, {name: tracker}, trim_s=trim_s).write_csv(folder / SCORES)
    return [folder / SCORES]


@dataclass(frozen=True)
class _Ideal:
    """What is known without a model: nothing taken apart, or masks made of the true stems."""

    name: str
    instruments: tuple[str, ...]

    def separate(self, samples: Floats32, rate: int) -> dict[str, Floats32]:  # noqa: ARG002
        """The mixture itself, for every instrument."""
        return dict.fromkeys(self.instruments, samples)


def _identity_of_separator(name: str) -> str:
    return name if name in IDEAL else load_separator(name).identity or name


def _separator(name: str, songs: Sequence[Multitrack]) -> Any:
    """A separator as it is; when it is scored it is told what plays, as all others are."""
    if name in IDEAL:
        return _Ideal(name, tuple(dict.fromkeys(one for song in songs for one in song.instruments)))
    return load_separator(name)


def _scored_stems(songs: Sequence[Multitrack], name: str, separator: Any, _: float | None, folder: Path) -> list[Path]:
    ideal = isinstance(separator, _Ideal)
    found = evaluate_stems(songs, {AS_IT_IS if ideal else name: separator}, oracle=ideal and separator.name == ORACLE)
    model = separator.name if ideal else name
    rows = [{"track" if key == "song" else key: cell for key, cell in row.flat().items()} for row in found.of(model)]
    stems, instruments, shares = found.leaks(model)
    leaked: list[dict[str, object]] = [
        {"stem": stem, "instrument": instrument, "share": share}
        for stem, row in zip(stems, shares.tolist(), strict=True)
        for instrument, share in zip(instruments, row, strict=True)
    ]
    written = []
    for file, table in ((SCORES, rows), (LEAKS, leaked)):
        if table:
            write_csv(folder / file, table)
            written.append(folder / file)
    return written


def split_songs(
    corpus: Corpus[Multitrack], *, seed: Sequence[int], test: float
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Songs that give labels, and songs of other groups that are scored."""
    train, test_set = corpus.split(test_size=test, seed=seed)
    return train.tracks, test_set.tracks


def draw_songs(train: Sequence[Any], *, minutes: float, seed: Sequence[int]) -> list[Span[Multitrack]]:
    """A budget of stems."""
    return sample(train, minutes=minutes, seed=seed)


BEATS = Task(
    name="beats",
    from_scratch=("scratch", "bayes"),
    non_neural=("decoder", "bayes"),
    unset=("decoder",),
    settable=(),
    learn=_learn_beats,
    open=_open_beats,
    digest=_digest_of_beats,
    duplicates=_duplicates_of_beats,
    trained=_trained_tracker,
    identity=_identity_of_tracker,
    pretrained=_tracker,
    made=_made_tracker,
    scored=_scored_beats,
)
STEMS = Task(
    name="stems",
    from_scratch=("scratch", "nmf", "nmf-conv"),
    non_neural=("nmf", "nmf-conv"),
    unset=(),
    settable=("nmf", "nmf-conv"),
    learn=_learn_stems,
    open=_open_stems,
    digest=_digest_of_stems,
    duplicates=_duplicates_of_stems,
    trained=_trained_separator,
    identity=_identity_of_separator,
    pretrained=_separator,
    made=_made_separator,
    scored=_scored_stems,
)
TASKS = {task.name: task for task in (BEATS, STEMS)}
