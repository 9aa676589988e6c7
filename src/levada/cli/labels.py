"""Labels to adapt to: read, checked, and divided into what is learnt from and what is scored."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.cli import terminal
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Corpus, Problem, Span, Track

__all__ = ["checked", "chosen", "say_assumptions"]


def chosen(
    corpus: str, labels: Path | None, convention: str, minutes: float | None, rng: Any
) -> tuple[list[Span], list[Any]]:
    """What to learn from, and annotated recordings of other groups to score on."""
    from levada.data import load_corpus, log_notes, sample, single

    if labels is not None or (not corpus.startswith("mirdata:") and Path(corpus).is_file()):
        if labels is None:
            raise InputError("is one recording: say with --labels where its beats are", path=corpus)
        if Path(corpus).is_dir():
            raise InputError(
                "is a folder: it holds a beat file beside each recording, and --labels is for one", path=corpus
            )
        (track,) = checked(single(corpus, labels, convention=convention)).tracks
        return sample([track], minutes=minutes, seed=rng), []
    opened = load_corpus(corpus, labels="beats", convention=convention)
    log_notes(opened.notes, terminal.say)
    if not opened.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus)
    opened = checked(opened)
    if minutes is None:
        return opened.sample(), []
    if len(opened.groups) < 2:
        terminal.say(f"all recordings are of one group ({opened.grouping}): there are none left to score on")
        return opened.sample(minutes=minutes, seed=rng), []
    for test in (0.6, 0.4, 0.2):
        train, unseen = opened.split(test_size=test, seed=rng)
        if sum(span.duration_s for span in train.sample()) >= 60 * minutes * 1.02:
            return train.sample(minutes=minutes, seed=rng), list(unseen)
    terminal.say("too few labels to keep any aside: all groups are used, and nothing is scored")
    return opened.sample(minutes=minutes, seed=rng), []


def checked(corpus: Corpus) -> Corpus:
    """Leave out recordings whose labels have errors, and say which; the assumptions and warnings of the others too."""
    from levada.data import usable

    good, problems = usable(corpus.annotated)
    errors = [problem for problem in problems if problem.severity == "error"]
    _say([problem for problem in problems if problem.severity != "error"])
    if not good:
        raise InputError(errors[0].message, path=errors[0].path, line=errors[0].line)
    for problem in errors:
        terminal.say(f"left out: {problem}")
    return replace(corpus, tracks=tuple(good))


def say_assumptions(tracks: Iterable[Track]) -> None:
    """Print what was assumed to read labels; what cannot be read is reported elsewhere."""
    from levada.data import Problem

    notes = []
    for track in tracks:
        with suppress(InputError, OSError):
            notes += [Problem("note", note, track.annotation) for note in track.labels.notes]
    _say(notes)


def _say(problems: Iterable[Problem]) -> None:
    """Print each sentence once, with the first file that it is about and how many others."""
    alike: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        alike.setdefault((problem.severity, problem.message), []).append(problem)
    for (severity, _), same in alike.items():
        more = f" (and {len(same) - 1} more recordings)" if len(same) > 1 else ""
        terminal.say(f"{severity}: {same[0]}{more}")
