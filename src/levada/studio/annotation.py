"""Beats while they are edited: which of them a person has verified, and the operations of the studio on them.

An annotation is a tuple of `Mark`, sorted by time. Every operation returns a new one and leaves verified beats at their
times. Those that count or move several beats act from a beat to the next *anchor*: a verified beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["OPERATIONS", "Annotation", "Bar", "Mark", "apply", "difference", "edit", "merge", "of_beats", "to_beats",
           "uncertain_bars", "verified"]  # fmt: skip

SAME_BEAT_S = 0.1
"""Two taps that are no farther apart are one beat."""
LONGEST_TAP_S = 3.0
"""Taps farther apart belong to two stretches."""
BEATS_A_BAR, MOST_BEATS_A_BAR = 4, 24
"""Of bars whose positions are unknown, and of any."""


class Mark(NamedTuple):
    """A beat that is edited.

    Parameters
    ----------
    time_s : float
    position : int
        In the bar, from 1; 0 is unknown.
    verified : bool
        Whether a person has tapped, placed or confirmed it.
    confidence, position_confidence : float, optional
        Of the model that found it, as in `Beats`.
    """

    time_s: float
    position: int = 0
    verified: bool = False
    confidence: float | None = None
    position_confidence: float | None = None


Annotation = tuple[Mark, ...]


def of_beats(beats: Beats, *, is_verified: bool = False) -> Annotation:
    """Return beats as an annotation."""
    in_time = [None] * len(beats) if beats.confidence is None else beats.confidence.round(4).tolist()
    in_bar = [None] * len(beats) if beats.position_confidence is None else beats.position_confidence.round(4).tolist()
    return tuple(
        Mark(time_s, position, is_verified, *sure)
        for (time_s, position), *sure in zip(beats, in_time, in_bar, strict=True)
    )


def to_beats(marks: Iterable[Mark]) -> Beats:
    """Return the times and positions of an annotation."""
    marks = tuple(marks)
    return Beats([mark.time_s for mark in marks], [mark.position for mark in marks])


def verified(annotation: Annotation) -> Annotation:
    """Return the beats that a person has verified."""
    return tuple(mark for mark in annotation if mark.verified)


def difference(before: Annotation, after: Annotation) -> tuple[Annotation, Annotation]:
    """Return what an edit removed and what it added."""
    old, new = set(before), set(after)
    return tuple(mark for mark in before if mark not in new), tuple(mark for mark in after if mark not in old)


def apply(annotation: Annotation, removed: Iterable[Mark], added: Iterable[Mark]) -> Annotation:
    """Remove some beats and add others."""
    gone = set(removed)
    return _sorted([*(mark for mark in annotation if mark not in gone), *added])


def merge(annotation: Annotation, found: Iterable[Mark], start_s: float = 0.0, end_s: float = math.inf) -> Annotation:
    """Replace the beats between two times by others; verified beats stay, and have no others too close to them.

    Parameters
    ----------
    annotation : Annotation
    found : iterable of Mark
        The new beats; those outside of the two times are not used.
    start_s, end_s : float
    """
    kept = [mark for mark in annotation if mark.verified or not start_s < mark.time_s < end_s]
    new = [mark for mark in found if start_s < mark.time_s < end_s]
    gap_s = median([after.time_s - before.time_s for before, after in pairwise(new)] or [2 * SAME_BEAT_S]) / 2
    times = sorted(mark.time_s for mark in kept)
    return _sorted([*kept, *(mark for mark in new if _nearest_s(times, mark.time_s) > gap_s)])


def tap(annotation: Annotation, *, time_s: float, position: int = 0) -> Annotation:
    """Add a tapped beat; the beats that a model found since the tap before, and around this one, are removed.

    Parameters
    ----------
    annotation : Annotation
    time_s : float
    position : int
        In the bar; 0 counts on from the tap before, if that has a position.
    """
    sure = [mark for mark in verified(annotation) if abs(mark.time_s - time_s) <= SAME_BEAT_S]
    if sure:
        one = sure[0]
        return _replaced(annotation, {one: one._replace(position=position or one.position)})
    earlier = [mark for mark in verified(annotation) if time_s - LONGEST_TAP_S <= mark.time_s < time_s]
    before = earlier[-1] if earlier else None
    if before is not None and not position and before.position:
        position = before.position % beats_a_bar(annotation) + 1
    reach_s = 0.5 * (time_s - before.time_s) if before else 2 * SAME_BEAT_S
    start_s = before.time_s if before else time_s - reach_s
    kept = [mark for mark in annotation if mark.verified or not start_s < mark.time_s < time_s + reach_s]
    return _sorted([*kept, Mark(time_s, position, verified=True)])


def move(annotation: Annotation, *, time_s: float, to_s: float) -> Annotation:
    """Move the beat nearest to a time to another time, between its neighbours; it is verified then."""
    at = _nearest(annotation, time_s)
    if any(abs(mark.time_s - to_s) < 0.02 for i, mark in enumerate(annotation) if i != at):
        raise InputError(f"there is a beat at {to_s:.3f} s already")
    low = annotation[at - 1].time_s if at else -math.inf
    high = annotation[at + 1].time_s if at + 1 < len(annotation) else math.inf
    if not low < to_s < high:
        raise InputError("a beat cannot be moved past its neighbour: delete it, and insert another one")
    one = annotation[at]
    return _replaced(annotation, {one: Mark(to_s, one.position, verified=True)})


def insert(annotation: Annotation, *, time_s: float) -> Annotation:
    """Insert a verified beat; the beats after it are counted on, up to the next anchor."""
    if annotation and abs(annotation[_nearest(annotation, time_s)].time_s - time_s) < SAME_BEAT_S:
        raise InputError(f"there is a beat within {1000 * SAME_BEAT_S:.0f} ms of {time_s:.3f} s already")
    before = [mark for mark in annotation if mark.time_s < time_s]
    position = before[-1].position % beats_a_bar(annotation) + 1 if before and before[-1].position else 0
    grown = _sorted([*annotation, Mark(time_s, position, verified=True)])
    return _count_on(grown, len(before), beats_a_bar(annotation))


def delete(annotation: Annotation, *, time_s: float) -> Annotation:
    """Delete the beat nearest to a time; the beats after it are counted on, up to the next anchor."""
    at = _nearest(annotation, time_s)
    rest = annotation[:at] + annotation[at + 1 :]
    return _count_on(rest, at - 1, beats_a_bar(annotation)) if at else rest


def downbeat(annotation: Annotation, *, time_s: float, metre: int = 0) -> Annotation:
    """Make the beat nearest to a time a downbeat, and count the others from it.

    Beats up to the next anchor are counted on. Of verified beats those are counted that have no position, and, where
    the beat itself is verified and has another position, all that follow it without a gap. With beats of a bar that a
    person states, all verified beats without a gap before and after it are counted again.

    Parameters
    ----------
    annotation : Annotation
    time_s : float
    metre : int
        Beats a bar; 0 for those of the beats that are there.
    """
    if metre > MOST_BEATS_A_BAR:
        raise InputError(f"a bar has at most {MOST_BEATS_A_BAR} beats, not {metre}")
    at = _nearest(annotation, time_s)
    one, is_stated = annotation[at], metre > 0
    metre = metre or beats_a_bar(annotation)
    changes = {one: one._replace(position=1, position_confidence=None)}
    run = one.verified and (one.position > 1 or is_stated)
    for step, mark in enumerate(annotation[at + 1 :], start=1):
        run = run and mark.verified
        if mark.verified and mark.position and not run:
            break
        changes[mark] = mark._replace(position=step % metre + 1, position_confidence=None)
    for step, mark in enumerate(reversed(annotation[:at]), start=1):
        if not mark.verified or (mark.position and not (one.verified and is_stated)):
            break
        changes[mark] = mark._replace(position=-step % metre + 1)
    return _replaced(annotation, changes)


def half(annotation: Annotation, *, time_s: float) -> Annotation:
    """Keep every second beat, from the one nearest to a time to the next anchor."""
    at, stop = _stretch(annotation, time_s)
    gone = {mark for step, mark in enumerate(annotation[at:stop]) if step % 2 and not mark.verified}
    return _count_on(tuple(mark for mark in annotation if mark not in gone), at, beats_a_bar(annotation))


def double(annotation: Annotation, *, time_s: float) -> Annotation:
    """Insert a beat in the middle between every two, from the one nearest to a time to the next anchor."""
    at, stop = _stretch(annotation, time_s)
    ends = annotation[at : stop + 1]
    middles = [Mark((a.time_s + b.time_s) / 2) for a, b in pairwise(ends)]
    return _count_on(_sorted([*annotation, *middles]), at, beats_a_bar(annotation))


def offbeat(annotation: Annotation, *, time_s: float) -> Annotation:
    """Move beats later by half a beat, from the one nearest to a time up to the next anchor."""
    at, stop = _stretch(annotation, time_s)
    moving = [i for i in range(at, stop) if not annotation[i].verified]
    usual_s = median([b.time_s - a.time_s for a, b in pairwise(annotation[at : stop + 1])] or [0.5])
    changes = {}
    for i in moving:
        gap_s = annotation[i + 1].time_s - annotation[i].time_s if i + 1 < len(annotation) else usual_s
        one = annotation[i]
        changes[one] = Mark(one.time_s + min(gap_s, 1.5 * usual_s) / 2, one.position)
    return _replaced(annotation, changes)


def verify(annotation: Annotation, *, start_s: float, end_s: float) -> Annotation:
    """Verify the beats from one time to another."""
    changes = {m: m._replace(verified=True) for m in annotation if start_s <= m.time_s <= end_s}
    if not changes:
        raise InputError(f"there are no beats from {start_s:.2f} s to {end_s:.2f} s to verify")
    return _replaced(annotation, changes)


OPERATIONS: Mapping[str, Callable[..., Annotation]] = {
    "tap": tap,
    "move": move,
    "insert": insert,
    "delete": delete,
    "downbeat": downbeat,
    "half": half,
    "double": double,
    "offbeat": offbeat,
    "verify": verify,
}
"""Every operation by the name that the page and the journal use."""


def edit(annotation: Annotation, kind: str, arguments: Mapping[str, Any]) -> Annotation:
    """Apply an operation by its name.

    Raises
    ------
    InputError
        If there is no such operation, an argument is missing or not a number, or it cannot be done here.
    """
    if kind not in OPERATIONS:
        raise InputError(f"there is no operation {kind!r}: use one of {', '.join(OPERATIONS)}")
    operation = OPERATIONS[kind]
    optional = operation.__kwdefaults__ or {}
    wanted = [name for name in operation.__annotations__ if name not in ("annotation", "return")]
    values: dict[str, float | int] = {}
    for name in wanted:
        value = arguments.get(name)
        if value is None and name in optional:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise InputError(f"{kind} needs a number from 0 on for {name}, not {value!r}")
        values[name] = int(value) if name in ("position", "metre") else float(value)
    return operation(annotation, **values)


@dataclass(frozen=True)
class Bar:
    """A bar that nobody has verified.

    Parameters
    ----------
    start_s, end_s : float
        Of its first beat, and of the beat after its last.
    uncertainty : float
        Mean over its beats of the probability that position or time is wrong.
    """

    start_s: float
    end_s: float
    uncertainty: float


def uncertain_bars(annotation: Annotation) -> list[Bar]:
    """List the bars with a beat that nobody has verified, the least certain first."""
    starts = [i for i, mark in enumerate(annotation) if mark.position == 1]
    if len(starts) * 2 * BEATS_A_BAR < len(annotation):
        starts = list(range(0, len(annotation), BEATS_A_BAR))
    if starts and starts[0]:
        starts = [0, *starts]
    found = []
    for first, stop in pairwise([*starts, len(annotation)]):
        beats = annotation[first:stop]
        unsure = [1 - _certainty(mark) for mark in beats if not mark.verified]
        if unsure:
            end_s = annotation[stop].time_s if stop < len(annotation) else _end_s(annotation)
            found.append(Bar(beats[0].time_s, end_s, sum(unsure) / len(beats)))
    return sorted(found, key=lambda bar: (-bar.uncertainty, bar.start_s))


def _end_s(annotation: Annotation) -> float:
    """Return when the beat after the last one would be."""
    *_, before, last = (None, *annotation) if len(annotation) == 1 else annotation
    return last.time_s if before is None else 2 * last.time_s - before.time_s


def beats_a_bar(annotation: Annotation) -> int:
    """Beats of most bars: of those that a person has verified, if one is whole, else of all."""
    whole = to_beats(verified(annotation)).metre or to_beats(annotation).metre
    return whole or max([BEATS_A_BAR, *(mark.position for mark in annotation)])


def _certainty(mark: Mark) -> float:
    if mark.position_confidence is not None:
        return mark.position_confidence
    return 0.5 if mark.confidence is None else mark.confidence


def _count_on(annotation: Annotation, at: int, metre: int) -> Annotation:
    """Count positions on from a beat, up to the next anchor."""
    if not annotation[at].position:
        return annotation
    changes = {}
    for step, mark in enumerate(annotation[at + 1 :], start=1):
        if mark.verified:
            break
        changes[mark] = mark._replace(position=(annotation[at].position - 1 + step) % metre + 1)
    return _replaced(annotation, changes)


def _stretch(annotation: Annotation, time_s: float) -> tuple[int, int]:
    """Return the index of the beat nearest to a time, and that of the next anchor."""
    at = _nearest(annotation, time_s)
    anchors = (i for i in range(at + 1, len(annotation)) if annotation[i].verified)
    return at, next(anchors, len(annotation))


def _nearest(annotation: Sequence[Mark], time_s: float) -> int:
    if not annotation:
        raise InputError("there are no beats yet: tap some, or insert one")
    return min(range(len(annotation)), key=lambda i: abs(annotation[i].time_s - time_s))


def _nearest_s(times: Sequence[float], time_s: float) -> float:
    return min((abs(one - time_s) for one in times), default=math.inf)


def _replaced(annotation: Annotation, changes: Mapping[Mark, Mark]) -> Annotation:
    return _sorted(changes.get(mark, mark) for mark in annotation)


def _sorted(marks: Iterable[Mark]) -> Annotation:
    return tuple(sorted(marks, key=lambda mark: mark.time_s))
