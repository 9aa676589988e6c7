"""Corpora as the commands load them: labels are checked, and assumptions and problems printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from levada.cli import terminal
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Corpus, Multitrack, Problem, Split, Track

__all__ = ["check_stems", "divide", "load", "print_notes", "split", "without_errors"]

MIRDATA = "mirdata:"


def load(source: str, *, labels: str | None = None, convention: str = "") -> Corpus[Any]:
    """Load a corpus of beats or of stems, and print the notes of its files.

    Parameters
    ----------
    source : str
        A folder, mirdata:NAME or rendered:TRADITION.
    labels : {"beats", "stems"}, optional
        Which labels to use; recognised from the files by default.
    convention : str
        What labels of beats mean; recognised by default.

    Raises
    ------
    InputError
        If there is no such corpus, or it has both kinds of labels and `labels` is not given.
    """
    from levada.data import load_corpus, log_notes

    corpus: Corpus[Any] = load_corpus(source, labels=cast(Any, labels), convention=convention)
    log_notes(corpus.notes, terminal.info)
    return corpus


def split(
    corpus: Corpus[Any], minutes: float, rng: Any, *, test_sizes: Sequence[float] = (0.6, 0.4, 0.2)
) -> Split[Any] | None:
    """Split a corpus by groups, with the largest test set that leaves enough labels; None where none of them does.

    Parameters
    ----------
    corpus : Corpus
    minutes : float
        Minutes of labels to leave to train on.
    rng : numpy.random.Generator
    test_sizes : sequence of float
        Fractions to try for the test set.
    """
    for test_size in test_sizes:
        parts = corpus.split(test_size=test_size, seed=rng)
        can_be_scored = corpus.labels == "beats" or any(len(song.instruments) > 1 for song in parts.test.tracks)
        if can_be_scored and sum(span.duration_s for span in parts.train.sample()) >= 60 * minutes:
            return parts
    return None


def divide(corpus: Corpus[Any], minutes: float | None, rng: Any) -> tuple[Sequence[Any], Corpus[Any] | None]:
    """Draw labels to train on, and return a corpus of other groups to test on; None where too few are left.

    Parameters
    ----------
    corpus : Corpus
    minutes : float, optional
        Minutes of labels to train on; all of them by default.
    rng : numpy.random.Generator

    Returns
    -------
    spans : sequence of Span
    test : Corpus or None
    """
    if minutes is None:
        return corpus.sample(), None
    if corpus.is_solos:
        terminal.info("these are solos, which are mixed at random; levada remix makes mixtures that can be scored")
    elif len(corpus.groups) < 2:
        terminal.info(f"all recordings belong to one group ({corpus.grouping}): none is left to score on")
    elif parts := split(corpus, 1.02 * minutes, rng):
        return parts.train.sample(minutes=minutes, seed=rng), parts.test
    else:
        terminal.info("too few labels to keep a test set: all groups are used, and nothing is scored")
    return corpus.sample(minutes=minutes, seed=rng), None


def without_errors(corpus: Corpus[Track]) -> Corpus[Track]:
    """Leave out recordings whose labels have errors, and print these and the warnings about the others.

    Raises
    ------
    InputError
        If no recording has labels that can be used.
    """
    from levada.data import usable

    if not corpus.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus.root)
    tracks, problems = usable(corpus.annotated)
    errors = [problem for problem in problems if problem.severity == "error"]
    _print([problem for problem in problems if problem.severity != "error"])
    if not tracks:
        raise InputError(errors[0].message, path=errors[0].path, line=errors[0].line)
    for problem in errors:
        terminal.info(f"left out: {problem}")
    return replace(corpus, tracks=tuple(tracks))


def check_stems(corpus: Corpus[Multitrack], spans: Iterable[Any]) -> None:
    """Print the warnings about the songs that are learnt from.

    Raises
    ------
    InputError
        If a file cannot be used, or one recording is the stem of two instruments.
    """
    from levada.data import check

    songs = {span.track.id: span.track for span in spans}
    problems = check(replace(corpus, tracks=tuple(songs.values()), notes=())).problems
    for problem in problems:
        if problem.severity == "error":
            raise InputError(problem.message, path=problem.path, line=problem.line)
    _print(problem for problem in problems if problem.severity == "warning")


def print_notes(tracks: Iterable[Track]) -> None:
    """Print what was assumed to read labels; labels that cannot be read are reported where they are used."""
    from levada.data import Problem

    notes = []
    for track in tracks:
        with suppress(InputError, OSError):
            notes += [Problem("note", note, track.annotation) for note in track.labels.notes]
    _print(notes)


def _print(problems: Iterable[Problem]) -> None:
    """Print each sentence once, with the first file that it is about and the number of others."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.severity, problem.message), []).append(problem)
    for (severity, _), same in alike.items():
        more = f" (and {len(same) - 1} more recordings)" if len(same) > 1 else ""
        terminal.info(f"{severity}: {same[0]}{more}")
