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

__all__ = ["checked", "chosen", "say_assumptions", "say_unedited"]


def chosen(
    corpus: str, labels: Path | None, convention: str, minutes: float | None, rng: Any
) -> tuple[list[Span], list[Any]]:
    """What to learn from, and annotated recordings of other groups to score on."""
    from levada.data import annotated_spans, draw, open_corpus, single, split

    if labels is not None or (not corpus.startswith("mirdata:") and Path(corpus).is_file()):
        if labels is None:
            raise InputError("is one recording: say with --labels where its beats are", path=corpus)
        if Path(corpus).is_dir():
            raise InputError(
                "is a folder: it holds a beat file beside each recording, and --labels is for one", path=corpus
            )
        (track,) = checked(single(corpus, labels, convention=convention)).tracks
        return ([*annotated_spans(track)] if minutes is None else draw([track], minutes=minutes, rng=rng)), []
    opened = open_corpus(corpus, convention=convention)
    say_unedited(opened)
    if not opened.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus)
    opened = checked(opened)
    if minutes is None:
        return [span for track in opened.annotated for span in annotated_spans(track)], []
    if len(opened.groups) < 2:
        terminal.say(f"all recordings are of one group ({opened.grouping}): there are none left to score on")
        return draw(opened.annotated, minutes=minutes, rng=rng), []
    for test in (0.6, 0.4, 0.2):
        train, unseen = split(opened, test=test, rng=rng)
        if sum(span.duration_s for track in train for span in annotated_spans(track)) >= 60 * minutes * 1.02:
            return draw(train, minutes=minutes, rng=rng), list(unseen)
    terminal.say("too few labels to keep any aside: all groups are used, and nothing is scored")
    return draw(opened.annotated, minutes=minutes, rng=rng), []


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


def say_unedited(corpus: Corpus) -> None:
    """Name beats that levada wrote into a corpus, which are no labels."""
    if corpus.machine_made:
        terminal.say(f"note: {corpus.machine_made[0]}: {corpus.unedited}")


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
