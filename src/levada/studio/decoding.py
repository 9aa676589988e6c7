"""Models of the studio: what is computed of a recording once, decoding of a window between anchors, and learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.analysis import Analysis
from levada.beat_tracking.auto import patterns_or_base
from levada.beat_tracking.network_tracker import NetworkTracker
from levada.beat_tracking.patterns import Patterns
from levada.beat_tracking.patterns.tracker import Observations, PatternTracker
from levada.beat_tracking.pretrained import tracker_of
from levada.beat_tracking.spectrogram import GRID
from levada.beat_tracking.tracker import BeatTracker
from levada.data import Span, Track, annotated_spans
from levada.errors import collected_warnings
from levada.io import audio
from levada.io.audio import AudioExcerpt
from levada.io.beats import Beats
from levada.studio.annotation import Annotation, merge, of_beats, to_beats, verified

__all__ = ["Prepared", "analyse", "decode_around", "labelled_spans", "learn", "prepare"]

REACH_S = 8.0
"""How far beats are decoded again on a side without an anchor, in seconds."""
CONTEXT_S = 2.0
"""What is decoded beyond, so that the ends of the window do not matter."""

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A recording as a model has observed it: decoding a part of it takes a moment.

    Parameters
    ----------
    tracker : BeatTracker
    path : Path
    duration_s : float
    fps : float
        Frames per second of what it has observed.
    decode : callable
        From the first and the last frame of a window, and hints in seconds from its start, to an `Analysis`.
    activations : callable
        Returns those of beats and downbeats; None of trackers of other projects.
    """

    tracker: BeatTracker
    path: Path
    duration_s: float
    fps: float
    decode: Callable[[int, int, Beats | None], Analysis]
    activations: Callable[[], Floats32 | None]

    @cached_property
    def curves(self) -> Floats32 | None:
        """Activations of beats and downbeats [shape=(frames, 2)]; None of trackers of other projects."""
        return self.activations()

    def analyse(
        self, *, hints: Beats | None = None, start_s: float = 0.0, end_s: float = math.inf
    ) -> tuple[Analysis, list[str]]:
        """Decode a window of the recording; warnings, as of hints that cannot be met, are returned.

        Parameters
        ----------
        hints : Beats, optional
            Those in the window are used.
        start_s, end_s : float

        Returns
        -------
        analysis : Analysis
            With the times of the recording.
        warnings : list of str
        """
        first, last = math.floor(start_s * self.fps), math.ceil(min(end_s, self.duration_s) * self.fps)
        offset_s = first / self.fps
        inside = None
        if hints is not None and len(hints := hints.between(offset_s, last / self.fps)):
            inside = hints.with_times(np.maximum(0, hints.times_s - offset_s))
        with collected_warnings() as warned:
            analysis = self.decode(first, last, inside)
        return analysis.shift(offset_s), [message for _, _, message in warned]


def prepare(
    tracker: BeatTracker, path: Path, *, duration_s: float, progress: Callable[[int, int], None] | None = None
) -> Prepared:
    """Compute all that decoding needs of a recording.

    Parameters
    ----------
    tracker : BeatTracker
    path : Path
    duration_s : float
        Of the recording.
    progress : callable, optional
        As of `BeatTracker.track`.
    """
    backend = tracker.backend
    if isinstance(backend, NetworkTracker):
        activations = backend.activations(path, progress=progress)
        decode = partial(_decode_network, backend, activations)
        return Prepared(tracker, path, duration_s, float(backend.front_end.grid.fps), decode, lambda: activations)
    if isinstance(backend, PatternTracker):
        observed = backend.observe(path, progress=progress)
        if audio.content_hash(path) in backend.patterns.card.trained_on:  # they fit the recording that they are from
            backend = replace(backend, own_score=None)
        decoder = _PatternDecoder(backend, observed)
        return Prepared(tracker, path, duration_s, float(GRID.fps), decoder, decoder.activations)
    return Prepared(tracker, path, duration_s, float(GRID.fps), partial(_track, tracker, path), lambda: None)


def _decode_network(backend: NetworkTracker, curves: Floats32, first: int, last: int, hints: Beats | None) -> Analysis:
    return backend.analyse_activations(curves[first:last], hints=hints)


@dataclass
class _PatternDecoder:
    """Decodes windows of a recording as all of it: by patterns, or by the network alone where these do not fit it."""

    backend: PatternTracker
    observed: Observations
    fits: bool | None = None

    def __call__(self, first: int, last: int, hints: Beats | None) -> Analysis:
        part = self.observed.frames(first, last)
        if first <= 0 and last >= len(self.observed.bands) - GRID.fps:
            analysis, self.fits = self.backend.analyse_and_decide(part, hints=hints)
            return analysis
        if self.fits is None:
            return self.backend.analyse_observations(part, hints=hints)
        if self.fits:
            return replace(self.backend, own_score=None).analyse_observations(part, hints=hints)
        return self.backend.analyse_alone(part, hints=hints)

    def activations(self) -> Floats32:
        """Return those of the network where its beats are used, and posterior probabilities of the patterns else."""
        found = self.observed.activations
        if found is not None and (self.fits is False or self.backend.weight > 0):
            return found
        return (
            self.backend.posteriors(self.observed).astype(np.float32).repeat(round(GRID.fps / self.backend.fps), axis=0)
        )


def _track(tracker: BeatTracker, path: Path, first: int, last: int, hints: Beats | None) -> Analysis:
    part = AudioExcerpt(path, first / float(GRID.fps), last / float(GRID.fps))
    return tracker.analyse(part, hints=hints)


def analyse(prepared: Prepared, annotation: Annotation) -> tuple[Annotation, list[str]]:
    """Decode all of a recording through its verified beats.

    Returns
    -------
    annotation : Annotation
        The verified beats as they are, and those of the model between them.
    warnings : list of str
    """
    sure = verified(annotation)
    analysis, warnings = prepared.analyse(hints=to_beats(sure) if sure else None)
    return merge(sure, of_beats(analysis.beats)), warnings


def decode_around(prepared: Prepared, annotation: Annotation, time_s: float) -> tuple[Annotation, list[str]]:
    """Decode again what lies between the anchors before and after a verified beat.

    On a side without an anchor it is decoded for 8 s.

    Parameters
    ----------
    prepared : Prepared
    annotation : Annotation
    time_s : float
        Of the verified beat.

    Returns
    -------
    annotation : Annotation
    warnings : list of str
    """
    sure = [mark.time_s for mark in verified(annotation)]
    low = max((one for one in sure if time_s - REACH_S < one < time_s - 1e-6), default=max(0.0, time_s - REACH_S))
    high = min((one for one in sure if time_s + 1e-6 < one < time_s + REACH_S), default=time_s + REACH_S)
    if not any(low < mark.time_s < high and not mark.verified for mark in annotation):
        return annotation, []
    analysis, warnings = prepared.analyse(
        hints=to_beats(verified(annotation)), start_s=max(0.0, low - CONTEXT_S), end_s=high + CONTEXT_S
    )
    new = analysis.beats.between(low, high)
    usual_s = float(np.median(new.intervals_s)) if len(new) > 1 else 0.5
    after = min((mark.time_s for mark in annotation if mark.time_s >= high), default=math.inf)
    before = max((mark.time_s for mark in annotation if mark.time_s <= low), default=-math.inf)
    new = new.between(before + usual_s / 2, after - usual_s / 2)
    return merge(annotation, of_beats(new), low, high), warnings


def learn(
    base: BeatTracker,
    spans: Sequence[Span[Any]],
    strategy: str,
    *,
    seed: int = 0,
    progress: Callable[..., None] | None = None,
) -> BeatTracker:
    """Adapt a model to verified beats; recordings that patterns do not fit keep the beats of the model.

    Parameters
    ----------
    base : BeatTracker
    spans : sequence of Span
        See `labelled_spans`.
    strategy, seed, progress
        As of `BeatTracker.adapt`.
    """
    learnt = base.adapt(spans, strategy=strategy, seed=seed, progress=progress)
    weights = base.weights() if isinstance(base.backend, NetworkTracker) else None
    if weights is None or not isinstance(learnt.model, Patterns):
        return learnt
    return tracker_of(patterns_or_base(learnt.model, weights, spans), name=learnt.name)


def labelled_spans(recordings: Mapping[str, tuple[Track, Annotation]]) -> list[Span[Any]]:
    """Return the stretches of recordings that a person has verified, as labels to learn from.

    Parameters
    ----------
    recordings : mapping of str to (Track, Annotation)

    Raises
    ------
    InputError
        If there are no two verified beats in a row in one of them.
    """
    spans = list[Span[Any]]()
    for track, annotation in recordings.values():
        load = partial(to_beats, verified(annotation))
        spans += annotated_spans(Track(track.id, track.audio, group=track.group, load=load, corpus=track.corpus))
    return spans
