"""Evaluation of trackers on annotated recordings: a row for each pair, means with intervals, and warnings.

>>> result = evaluate(corpus.tracks, {"base": base, "mine": mine, "flux": flux})     # doctest: +SKIP
>>> print(result.summary())                                                           # doctest: +SKIP
"""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from levada.beat_tracking.metrics import (
    ALL_SCORES,
    DOWNBEAT_SCORES,
    beat_scores,
    default_trim_s,
    error_type,
    score_bounds,
)
from levada.beat_tracking.tracker import Spans, TrackerLike
from levada.data import Span, Track
from levada.data.spans import stretches, with_margins
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.tables import card_scores, error_text, join_names, nan_to_none, single_group_note
from levada.learning import evaluation as learning
from levada.learning.evaluation import Table, require_models, score_all, warnings_of

__all__ = ["Evaluation", "Row", "evaluate"]


_log = logging.getLogger(__name__)
_Stretch = tuple[float, float]

FIT = ("beat_f", "downbeat_f")
"""Scores by which the best of several readings is chosen: their mean."""


def _fit(scores: Mapping[str, float]) -> float:
    known = [scores[name] for name in FIT if not math.isnan(scores[name])]
    return sum(known) / max(1, len(known))


@dataclass(frozen=True)
class Row:
    """One tracker on one recording, or on one stretch of it: inside the annotated spans."""

    track: str  # id of the recording in its corpus
    group: str  # performer, session or instrument set
    model: str  # name of the tracker
    start_s: float = 0.0  # where the first scored span begins, in seconds
    end_s: float = math.nan  # and where the last one ends; NaN if the recording could not be read
    scored_s: float = math.nan  # length of the scored spans, in seconds, without what was trimmed
    scores: Mapping[str, float] = field(default_factory=dict)  # as of `metrics.beat_scores`; empty after an error
    kind: str = ""  # type of error, as of `metrics.error_type`
    detail: str = ""  # the same with its size
    duration_s: float = math.nan  # length of the recording, in seconds
    cpu_s: float = math.nan  # processor time the tracker took for all of the recording, in seconds
    downbeats: int | float = math.nan  # how many downbeats the tracker gave in the recording
    trained_on: bool = False  # whether the tracker was trained on what it is scored on
    error: str = ""  # why there are no scores
    estimate: Beats | None = field(default=None, repr=False, compare=False)  # all estimated beats, not only the scored
    # where the recording has several readings, the scores of each, by name: `scores` are of the first
    readings: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def reading(self) -> str:
        """The reading that the estimate fits best, by the mean F-measure of beats and downbeats; "" without several."""
        return max(self.readings, key=lambda name: _fit(self.readings[name]), default="")  # the first at a tie

    def of_best_reading(self) -> Row:
        """Return the row with the scores of the reading that the estimate fits best."""
        return replace(self, scores=self.readings[self.reading]) if self.readings else self

    def flat(self) -> dict[str, object]:
        """Return the row as one flat table row, without the beats."""
        scores = {name: self.scores.get(name, math.nan) for name in (*ALL_SCORES, "trim_s")}
        first = {name: getattr(self, name) for name in ("track", "group", "model", "start_s", "end_s", "scored_s")}
        last = ("kind", "detail", "duration_s", "cpu_s", "downbeats", "trained_on", "error", "reading")
        best = self.of_best_reading().scores
        of_best = {f"best_{name}": best.get(name, math.nan) for name in FIT}
        return first | scores | {name: getattr(self, name) for name in last} | of_best


@dataclass(frozen=True, repr=False)
class Evaluation(learning.Evaluation[Row]):
    """All rows of an evaluation of trackers, and the means over them.

    Parameters
    ----------
    rows, models, skipped, warnings
        See `levada.learning.evaluation.Evaluation`.
    """

    metrics = ALL_SCORES
    main_metrics = ("beat_f", "beat_cmlt", "downbeat_f")

    def error_types(self) -> dict[str, dict[str, int]]:
        """Count the recordings with each type of error, the commonest first, for each model."""
        counts = {model: Counter(row.kind for row in self.of(model) if row.kind) for model in self.models}
        return {model: dict(count.most_common()) for model, count in counts.items()}

    def of_best_readings(self) -> Evaluation:
        """Return the evaluation with the scores of the reading that each estimate fits best."""
        return replace(self, rows=tuple(row.of_best_reading() for row in self.rows))

    def tables(self) -> dict[str, Table]:
        """Return all tables of means by name; those of the best readings where a recording has several."""
        several = any(row.readings for row in self.rows)
        return super().tables() | ({"best_reading": self.of_best_readings().summary()} if several else {})

    def card_scores(self, model: str) -> dict[str, str]:
        """Return the scores of a model for its card."""
        means = self.summary()[model]
        groups = {row.track: row.group or row.track for row in self.of(model) if not row.error}
        return card_scores({name: means[name] for name in self.main_metrics}, groups)

    def _details(self) -> dict[str, Any]:
        readings = [
            {"track": row.track, "model": row.model, "reading": row.reading}
            | {"scores": {name: nan_to_none(dict(scores)) for name, scores in row.readings.items()}}
            for row in self.rows
            if row.readings
        ]
        return {**super()._details(), "kinds": self.error_types()} | ({"readings": readings} if readings else {})

    def _values(self, model: str, name: str) -> list[float]:
        given = [row.downbeats for row in self.of(model) if not math.isnan(row.downbeats)]
        if name in DOWNBEAT_SCORES and given and not any(given):  # none in any recording: it does not track them
            return [math.nan for _ in self.of(model)]
        return [row.scores.get(name, math.nan) for row in self.of(model)]

    def _groups(self) -> list[str]:
        return [row.group or row.track for row in self.of(self.models[0])]

    def _bounds(self, name: str) -> tuple[float, float] | None:
        return score_bounds(name)


@dataclass(frozen=True)
class _Job:
    """What a process needs to score all trackers on one recording."""

    track: str
    group: str
    path: Path
    reference: Beats  # the beats that are scored, before trimming
    trained_on: frozenset[str]  # names of the trackers that were trained on some of them
    readings: Mapping[str, Beats] = field(default_factory=dict)  # of several readings all, as `reference`
    problem: str = ""  # why nothing can be scored


def evaluate(
    tracks: Iterable[Track | Span],
    trackers: Mapping[str, TrackerLike],
    *,
    out: str | Path | None = None,
    force: bool = False,
    trim_s: float | None = None,
    tatums: int = 4,
    exclude_trained: bool = False,
    processes: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation:
    """Score every tracker on every annotated recording.

    A tracker always gets the whole recording. Beats are compared inside its annotated spans alone (of these, inside
    the `Span` where one is given): music without labels must not count false positives. Both ends of a span are moved
    half a beat out, so that an estimate a little before the first reference beat is not lost. The spans of a recording
    make one row. All trackers are scored on the same spans. Where a recording has several readings (`Track.readings`)
    each is scored, and the row says which one the tracker takes; means are of the first.

    Parameters
    ----------
    tracks : iterable of Track or Span
        What to score on. Recordings without annotation are left out and named.
    trackers : mapping of str to TrackerLike
        Trackers by name; the first is what the others are compared with. Of each only ``track(samples, rate)`` is
        needed; one without ``trained_spans`` was trained on none of the recordings.
    out : path-like, optional
        Where to write the rows as CSV.
    force : bool
        Whether `out` may be overwritten.
    trim_s : float, optional
        Time from the start of each recording that is not scored, in seconds. By default 5 s of recordings of 30 s or
        more, and nothing of shorter ones.
    tatums : int
        Tatums in a beat, for the size of a phase shift.
    exclude_trained : bool
        Whether to leave out every recording that any of the trackers was trained on, if only in part, and all others of
        its group; a warning names them.
    processes : int
        How many processes work at once. With more than one, trackers must be picklable.
    progress : callable, optional
        Called with the number done, the number in all and the recording's id after each recording.

    Returns
    -------
    Evaluation
        A recording that cannot be read, one of which trimming leaves nothing, a tracker that fails on one, and a
        process that dies on one are rows with an error.

    Raises
    ------
    InputError
        If there is no tracker or no annotated recording, if all are left out, if no tracker could be scored on any
        recording, or if `out` exists and `force` is not given.
    """
    require_models(trackers, processes=processes, out=out, force=force)
    pairs = [(i.track, (i.start_s, i.end_s)) if isinstance(i, Span) else (i, None) for i in tracks]
    annotated = [(track, stretch) for track, stretch in pairs if track.is_annotated]
    skipped = tuple(dict.fromkeys(track.id for track, _ in pairs if not track.is_annotated))
    if not annotated:
        raise InputError(f"none of {len(pairs)} recordings is annotated: nothing to score against")
    left_out = _trained([track for track, _ in pairs], trackers) if exclude_trained else {}
    jobs = [_job(track, stretch, trackers) for track, stretch in annotated if track.id not in left_out]
    if not jobs:
        raise InputError(
            f"a model was trained on every annotated recording, or on others of its group ({join_names([*left_out])}): "
            "nothing is left to score"
        )
    rows = score_all(
        partial(_score, trackers=trackers, trim_s=trim_s, tatums=tatums),
        jobs,
        failed=lambda job, error: _rows(job, trackers, error=error),
        name=lambda job: job.track,
        processes=processes,
        progress=progress,
    )
    if all(row.error for row in rows):
        raise InputError(f"none of {len(jobs)} recordings could be scored; the first: {rows[0].error}")
    warnings = [*_warnings(rows, list(trackers), trim_s)]
    if left_out:
        itself, beside = ([name for name, one in left_out.items() if one is trained] for trained in (True, False))
        also = f"; and for being of the same groups: {', '.join(beside)}" if beside else ""
        warnings.append(f"left out because a model was trained on them: {', '.join(itself)}{also}")
    if skipped:
        warnings.append(f"without annotation and skipped: {join_names(skipped)}")
    result = Evaluation(tuple(rows), tuple(trackers), skipped, tuple(warnings))
    if out is not None:
        result.write_csv(out, force=force)
    return result


def _job(track: Track, stretch: _Stretch | None, trackers: Mapping[str, TrackerLike]) -> _Job:
    """Read the reference and the spans to score."""
    job = _Job(track.id, track.group, track.audio, Beats([]), frozenset())
    try:
        reference = _reference(track, stretch)
        readings = {name: _reference(reading, stretch) for name, reading in track.by_reading().items()}
        spans = _trained_spans(track, trackers)
    except (InputError, OSError) as error:
        return replace(job, problem=str(error))
    times = reference.times_s
    trained_on = frozenset(
        name for name, used in spans.items() if any(((times >= start) & (times <= end)).any() for start, end in used)
    )
    return replace(job, reference=reference, trained_on=trained_on, readings=readings)


def _reference(track: Track, stretch: _Stretch | None) -> Beats:
    """Read the beats to score, inside a stretch of the recording where there is one."""
    reference = track.beats()
    if stretch is not None:
        reference = reference.between(stretch[0], math.nextafter(stretch[1], math.inf))
    if not stretches(reference):
        raise InputError("fewer than two annotated beats in a row", path=track.annotation or track.audio)
    return reference


def _trained_spans(track: Track, trackers: Mapping[str, TrackerLike]) -> dict[str, list[_Stretch]]:
    """Return the spans of a recording that each tracker was trained on."""
    found: dict[str, list[_Stretch]] = {}
    for name, tracker in trackers.items():
        spans: Spans = getattr(tracker, "trained_spans", {})
        if spans and track.content_hash in spans:
            found[name] = [(float(start), float(end)) for start, end in spans[track.content_hash]]
    return found


def _trained(tracks: Sequence[Track], trackers: Mapping[str, TrackerLike]) -> dict[str, bool]:
    """Return ids of recordings that a tracker was trained on (True), and of others of their groups (False)."""
    itself = dict[str, bool]()
    for track in tracks:
        with contextlib.suppress(InputError, OSError):  # a recording that cannot be read becomes a row with an error
            itself[track.id] = bool(_trained_spans(track, trackers))
    groups = {track.group or track.id for track in tracks if itself.get(track.id)}
    return {track.id: itself.get(track.id, False) for track in tracks if (track.group or track.id) in groups}


def _rows(job: _Job, trackers: Mapping[str, TrackerLike], *, error: str = "") -> list[Row]:
    """Return the rows of a recording without scores."""
    return [Row(job.track, job.group, name, trained_on=name in job.trained_on, error=error) for name in trackers]


def _score(job: _Job, *, trackers: Mapping[str, TrackerLike], trim_s: float | None, tatums: int) -> list[Row]:
    """Score all trackers on one recording."""
    try:
        if job.problem:
            raise InputError(job.problem)
        samples, rate = audio.read(job.path)
        duration_s = samples.shape[1] / rate
        trim_s = default_trim_s(duration_s) if trim_s is None else trim_s
        spans_s = _spans(job.reference, duration_s, trim_s, job.path)
        spans_of = {name: _spans(beats, duration_s, trim_s, job.path) for name, beats in job.readings.items()}
    except (InputError, OSError) as error:
        return _rows(job, trackers, error=str(error))
    scored = []
    for row, tracker in zip(_rows(job, trackers), trackers.values(), strict=True):
        began = time.process_time()
        try:
            estimate = tracker.track(samples, rate)
        except Exception as error:  # the other trackers are scored all the same
            _log.exception("%s failed on %s", row.model, row.track)
            scored.append(replace(row, duration_s=duration_s, error=error_text(error)))
            continue
        cpu_s = time.process_time() - began
        scores = beat_scores(job.reference, estimate, spans_s=spans_s, trim_s=trim_s)
        kind = error_type(job.reference, estimate, spans_s=spans_s, tatums=tatums)
        row = replace(row, start_s=spans_s[0][0], end_s=spans_s[-1][1], scores=scores, kind=kind.kind)
        row = replace(row, scored_s=sum(end_s - start_s for start_s, end_s in spans_s), detail=kind.detail)
        of_readings = {
            name: beat_scores(beats, estimate, spans_s=spans_of[name], trim_s=trim_s)
            for name, beats in job.readings.items()
        }
        row = replace(row, downbeats=len(estimate.downbeats_s), estimate=estimate, readings=of_readings)
        scored.append(replace(row, duration_s=duration_s, cpu_s=cpu_s))
    return scored


def _spans(reference: Beats, duration_s: float, trim_s: float, path: Path) -> list[_Stretch]:
    """Return the spans of a recording that are scored."""
    spans_s = [
        (max(start_s, trim_s), end_s)
        for start_s, end_s in with_margins(reference, duration_s=duration_s)
        if len(reference.between(max(start_s, trim_s), end_s)) > 1
    ]
    if not spans_s:
        raise InputError(f"nothing is left to score after the first {trim_s:g} s, which are trimmed", path=path)
    return spans_s


def _warnings(rows: Sequence[Row], models: Sequence[str], trim_s: float | None) -> Iterator[str]:
    """Yield caveats on the means."""
    for model in models:
        yield from warnings_of([(row.track, row) for row in rows if row.model == model], model, noun="recording")
    mine = list({row.track: row for row in rows if not row.error}.values())
    short = [row.track for row in mine if trim_s is None and row.scores["trim_s"] == 0]
    if short:
        yield f"shorter than 30 s and scored from their start: {join_names(short)}"
    if len({row.group or row.track for row in mine}) == 1:
        yield single_group_note(len(mine))
