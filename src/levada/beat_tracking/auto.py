"""The strategy `auto`: it chooses among the pretrained base, patterns, fine-tuning and their fusion.

Each candidate is scored on labels that it did not learn from, by how much of its posterior probability lies at them:
networks learn from half of the labels, patterns from all but one fold. The best one is then learnt from all labels.
Two rules protect what the base can do: where nothing is clearly better the base stays as it is, and of one recording
alone, or too few labels for two halves, no network is trained.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings, posteriors
from levada.beat_tracking.fusion import Fusion, predict_mean
from levada.beat_tracking.network_tracker import NetworkTracker, predict, tracker_of_weights
from levada.beat_tracking.patterns import BayesSettings, Patterns, PatternTracker, train
from levada.beat_tracking.spectrogram import FrontEnd, log_spectrogram
from levada.beat_tracking.tracker import LABELS
from levada.data import Span
from levada.data.spans import halves_of, units_of
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats, distances
from levada.io.tables import join_names
from levada.learning.card import adapted_card
from levada.learning.choice import Choice

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["choose", "patterns_or_base", "soft_f"]

NEAR_S = 0.07
"""A beat is right within this: the tolerance of the F-measure."""
CONTEXT_S = 12.0
"""Audio on either side of a held-out span that is part of the input."""
BETTER = 0.05
"""By how much a candidate must be better than the base."""
TRUST_TRAINED = 0.3
"""Fine-tuning with patterns is taken if it is the best but for this: networks are scored after half of the labels."""
MOST_FOLDS = 4
"""Folds of each half of the labels."""
GOOD_ENOUGH = 0.95
"""Held-out score of the base at which no network is trained."""
CLEAR_ALPHA = 0.5
"""Least weight of a fine-tuned network for its fusion with patterns to be a candidate."""
WEIGHT_TRAINED, WEIGHT_BASE, WEIGHT_ONE = 0.25, 0.12, 0.25
"""Weight of a network beside patterns: fine-tuned, pretrained, and pretrained with labels of one recording."""
KNOWN, WEIGHT_KNOWN = 0.8, 1.0
"""Held-out score of the base from which it knows the music, and the weight of a fine-tuned network then."""
FAILED, CERTAIN = 0.5, 0.7
"""Score of the base on labels of one recording below which patterns of these count on others, and how certain of
positions patterns must be that do not."""

BASE, PATTERNS, PATTERNS_BASE, FINE_TUNED = "base", "patterns", "patterns + base", "fine-tuned"
BOTH, BOTH_BEATS = "patterns + fine-tuned", "patterns + fine-tuned for beats alone"
"""Names of the candidates."""
CONFIDENT, OFF_BEAT = 0.7, 0.8
"""Confidence of beats that labels are compared with, and the share of labels between them that is warned of."""
MOST_CACHED = 64
"""Spans whose spectrograms and activations are kept while candidates are scored."""
LEAST_CHECKED, MOST_CHECKED_S = 4, 180.0
"""Labels of a span that is compared, and seconds in all."""

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


def soft_f(posterior: Floats, beats: Beats, *, fps: float, span_s: tuple[float, float]) -> float:
    """Compute the F-measure of posterior probabilities: a score of beats that does not depend on a threshold.

    Parameters
    ----------
    posterior : float64 [shape=(frames, 2)]
        Probability of a beat and of a downbeat in each frame.
    beats : Beats
        The reference, in seconds from the first frame.
    fps : float
        Frames per second.
    span_s : tuple of float
        Start and end of what is annotated, in seconds.

    Returns
    -------
    float
        2 * (probability within 70 ms of a label, at most 1 each) / (all probability + labels): the mean of beats and
        downbeats, or that of beats where no position is known.
    """
    first, last = round((span_s[0] - NEAR_S) * fps), round((span_s[1] + NEAR_S) * fps) + 1
    inside = slice(max(0, first), max(0, last))
    scores = [_soft_f(posterior[:, 0], beats.times_s, fps, inside)]
    if (beats.positions > 0).any():
        scores.append(_soft_f(posterior[:, 1], beats.downbeats_s, fps, inside))
    return float(np.mean(scores))


def _soft_f(probability: Floats, times_s: Floats, fps: float, inside: slice) -> float:
    running = np.concatenate([[0.0], np.cumsum(probability)])
    last = len(probability)
    low = np.rint((times_s - NEAR_S) * fps).astype(int).clip(0, last)
    high = (np.rint((times_s + NEAR_S) * fps).astype(int) + 1).clip(0, last)
    hits = np.minimum(1, running[high] - running[low]).sum()
    total = float(probability[inside].sum()) + len(times_s)
    return 2 * float(hits) / total if total else 0.0


def choose(
    spans: Sequence[Span],
    *,
    base: Weights,
    fine_tune: Callable[[], tuple[Weights, Sequence[Any]]] | None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Weights | Patterns | Fusion:
    """Choose among the candidates and return the best, learnt from all labels.

    Parameters
    ----------
    spans : sequence of Span
    base : Weights
    fine_tune : callable or None
        Returns fine-tuned weights of all labels, whose `training` has their weight (alpha) in the interpolation with
        the base, and the networks trained on each half of the labels; None if nothing may be trained.
    seed : int
        Of the patterns.
    progress : callable, optional
        Called with the held-out spans that a candidate is scored on so far, and of how many.

    Returns
    -------
    Weights, Patterns or Fusion
        With the scores of all candidates in the card.
    """
    learn = partial(train, start=DecoderSettings.from_dict(base.decoder), settings=BayesSettings(seed=seed))
    try:
        patterns = learn(spans)
    except InputError as error:
        return _kept(base, spans, Choice(BASE, {}, f"no patterns could be learnt ({error.problem})"))
    base_tracker = _with_cache(tracker_of_weights(base, name=""))
    _warn_of_phase(base_tracker, spans)
    halves, one = halves_of(spans), len({span.track.content_hash for span in spans}) == 1
    if halves is None or one:
        few = "labels of one recording" if halves is not None else "few labels"
        choice = Choice(PATTERNS_BASE, {}, f"{few}, so that no network is trained")
        own_score = _own_score(patterns, spans) if one else None
        return _fused(patterns, base, WEIGHT_ONE, choice, spans=spans, own_score=own_score)
    folds = [(half, fold) for half in (0, 1) for fold in _folds(halves[half])]
    learnt = [learn([span for span in spans if not _among(span, fold)]) for _, fold in folds]
    scores: dict[str, float] = {}
    models: dict[str, Callable[[Choice], Weights | Patterns | Fusion]] = {}

    def candidate(
        name: str,
        trackers: Sequence[NetworkTracker | PatternTracker],
        model: Callable[[Choice], Weights | Patterns | Fusion],
    ) -> None:
        """Score trackers, one for each fold, which they did not learn from; `model` learns from all labels."""
        pairs = [(tracker, span) for tracker, (_, fold) in zip(trackers, folds, strict=True) for span in fold]
        values = []
        for tracker, span in pairs:
            values.append(_held_out(tracker, span))
            if progress is not None:
                progress(len(values), len(pairs))
        scores[name] = float(np.average(values, weights=[span.duration_s for _, span in pairs]))
        models[name] = model

    fused = partial(_fused, patterns, spans=spans)
    candidate(BASE, [base_tracker] * len(folds), partial(_kept, base, spans))
    # Without weight the base moves beats to its peaks, and no more.
    candidate(PATTERNS, [PatternTracker(one, "") for one in learnt], partial(fused, base, 0.0))
    candidate(
        PATTERNS_BASE,
        [PatternTracker(one, "", network=base_tracker, weight=WEIGHT_BASE) for one in learnt],
        partial(fused, base, WEIGHT_BASE),
    )
    if fine_tune is not None and scores[BASE] < GOOD_ENOUGH:
        tuned, networks = fine_tune()
        of_halves = [
            _with_cache(replace(base_tracker, predict=partial(predict, network.eval()))) for network in networks
        ]
        trained = [of_halves[1 - half] for half, _ in folds]
        candidate(FINE_TUNED, trained, partial(_tuned, tuned, spans))
        if tuned.training["alpha"] >= CLEAR_ALPHA:
            weight = WEIGHT_KNOWN if scores[BASE] >= KNOWN else WEIGHT_TRAINED
            means = [
                replace(base_tracker, predict=partial(predict_mean, (network.predict, base_tracker.predict)))
                for network in trained
            ]
            both = [
                PatternTracker(one, "", network=network, weight=weight)
                for one, network in zip(learnt, means, strict=True)
            ]
            tuned_fused = partial(fused, tuned, weight, base=base)
            candidate(BOTH, both, tuned_fused)
            if scores[BASE] < KNOWN:  # else the network knows the downbeats better than patterns of a few bars
                beats_alone = [replace(tracker, network_downbeats=False) for tracker in both]
                candidate(BOTH_BEATS, beats_alone, partial(tuned_fused, network_downbeats=False))
    choice = decide(scores)
    return models[choice.name](choice)


def decide(scores: Mapping[str, float]) -> Choice:
    """Choose by the scores of the candidates on held-out labels."""
    top = max(scores, key=lambda name: scores[name])
    if scores[top] <= scores[BASE] + BETTER:
        return Choice(BASE, scores, f"nothing is better than the base by more than {BETTER:g}")
    both = max((name for name in (BOTH, BOTH_BEATS) if name in scores), key=lambda name: scores[name], default=BOTH)
    if both in scores and scores[both] >= scores[top] - TRUST_TRAINED:
        return Choice(both, scores, "the best, or as good, and trained on all labels")
    order = (PATTERNS_BASE, PATTERNS, FINE_TUNED, BOTH, BOTH_BEATS)
    best = next(name for name in order if scores.get(name, -1.0) >= scores[top])
    return Choice(best, scores, "the best on held-out labels")


def _folds(half: Sequence[Span]) -> list[list[Span]]:
    """Divide half of the labels into folds: patterns are learnt in a moment, so that each fold has its own."""
    units = units_of(half)
    return [
        [span for unit in units[start::MOST_FOLDS] for span in unit] for start in range(min(MOST_FOLDS, len(units)))
    ]


def _among(span: Span, fold: Sequence[Span]) -> bool:
    return any(span.track.content_hash == other.track.content_hash for other in fold)


class _Pieces(tuple[npt.NDArray[np.float32], ...]):
    """Pieces of a spectrogram, equal to themselves alone: keys of what is computed of them."""

    __slots__ = ()
    __eq__, __hash__ = object.__eq__, object.__hash__


def _with_cache(tracker: NetworkTracker) -> NetworkTracker:
    """Return a tracker that runs its network once for each span, whichever candidates take its activations."""
    cached: Any = lru_cache(maxsize=MOST_CACHED)(tracker.predict)
    return replace(tracker, predict=cached)


def _with_context(span: Span) -> tuple[float, Callable[[FrontEnd], _Pieces]]:
    """Return where the context of a span begins, in seconds, and a function that returns the spectrogram of both."""
    start_s = max(0.0, span.start_s - CONTEXT_S)
    return start_s, partial(_spectrogram, span.track.audio, start_s, span.end_s + CONTEXT_S - start_s)


def _held_out(tracker: NetworkTracker | PatternTracker, span: Span) -> float:
    """Return the score of a tracker on a span, whose context is part of its input."""
    start_s, pieces_of = _with_context(span)
    if isinstance(tracker, PatternTracker):
        posterior, fps = tracker.posteriors(tracker.observations(pieces_of)), tracker.fps
    else:
        fps = float(tracker.front_end.grid.fps)
        activations = tracker.predict(pieces_of(tracker.front_end))
        posterior = posteriors(activations, fps=fps, settings=tracker.settings)
    return soft_f(posterior, span.beats.shift(-start_s), fps=fps, span_s=(span.start_s - start_s, span.end_s - start_s))


@lru_cache(maxsize=MOST_CACHED)
def _spectrogram(path: Path, start_s: float, duration_s: float, front_end: FrontEnd) -> _Pieces:
    """Compute the spectrogram of an excerpt, which all candidates are scored on, in one piece."""
    samples, rate = audio.read(path, start_s=start_s, duration_s=duration_s)
    return _Pieces([log_spectrogram(samples, rate, front_end=front_end)])


def _warn_of_phase(base: NetworkTracker, spans: Sequence[Span]) -> None:
    """Warn of recordings whose labels lie between the beats that the base is confident of."""
    off: dict[str, list[tuple[int, int]]] = {}
    left_s = MOST_CHECKED_S
    for span in spans:
        if left_s <= 0 or len(span.beats) < LEAST_CHECKED:
            continue
        left_s -= span.duration_s
        start_s, pieces_of = _with_context(span)
        beats = base.decode(base.predict(pieces_of(base.front_end))).shift(start_s)
        if len(beats) < 2 or beats.confidence is None:
            continue
        sure = np.minimum(beats.confidence[:-1], beats.confidence[1:]) >= CONFIDENT
        middles = ((beats.times_s[:-1] + beats.times_s[1:]) / 2)[sure]
        apart = distances(span.beats.times_s, middles)
        off.setdefault(span.track.audio.name, []).append((int((apart <= NEAR_S).sum()), len(span.beats)))
    counts = {name: np.sum(pairs, axis=0) for name, pairs in off.items()}
    names = [name for name, (between, labels) in counts.items() if between > OFF_BEAT * labels]
    if names:
        _log.warning(
            "the labels of %s lie half a beat off the beats that the base is confident of: listen to them with clicks",
            join_names(names),
        )


def _own_score(patterns: Patterns, spans: Sequence[Span]) -> float:
    """Return the score of patterns on the labels that they were learnt from."""
    tracker = PatternTracker(patterns, "")
    scores = []
    for span in spans:
        start_s, pieces_of = _with_context(span)
        scores.append(tracker.score(tracker.observations(pieces_of), span.beats.shift(-start_s)))
    return float(np.average(scores, weights=[span.duration_s for span in spans]))


def _kept(base: Weights, spans: Sequence[Span], choice: Choice) -> Weights:
    """Return the base as it is, with the reason in its card."""
    _log.info("%s", choice.line())
    card = adapted_card(spans, origin="Pretrained network and decoder, unchanged", base=base.card)
    return replace(base, card=choice.on(card), training={**base.training, **_facts(choice, spans)})


def patterns_or_base(patterns: Patterns, base: Weights, spans: Sequence[Span]) -> Weights | Fusion:
    """Return patterns that recordings which they do not fit replace by the base.

    How well they must fit depends on whether patterns of some of the recordings score clearly better on another one
    than the base does, or, with labels of one recording alone, whether the base fails on these. If so they must explain
    a recording better than its beats; if not, they must be certain of positions, at a tempo near that of the labels.
    Labels of one recording alone have the base beside the patterns, and keep it as it is where it is clearly better on
    the half of the labels that patterns were not learnt from.

    Parameters
    ----------
    patterns : Patterns
        Learnt from `spans`.
    base : Weights
    spans : sequence of Span
    """
    one = len({span.track.content_hash for span in spans}) == 1
    if one and _base_is_better(patterns, base, spans):
        return _kept(base, spans, Choice("base", {}, "patterns of half of the labels are worse on the other half"))
    holds = _hold_on_others(patterns, base, spans)
    choice = Choice("patterns, or the base where they do not fit", {}, "so that other music keeps its beats")
    return _fused(
        patterns, base, WEIGHT_ONE if one else 0.0, choice,
        spans=spans, own_score=_own_score(patterns, spans), least_certainty=0.0 if holds else CERTAIN, proven=holds,
    )  # fmt: skip


def _base_is_better(patterns: Patterns, base: Weights, spans: Sequence[Span]) -> bool:
    """Whether the base scores clearly better on each half of the labels than patterns of the other, in the mean."""
    halves, alone = halves_of(spans), tracker_of_weights(base, name="")
    if halves is None:
        return False
    losses = list[float]()
    for learnt_from, held_out in (halves, halves[::-1]):
        try:
            half = PatternTracker(train(learnt_from, settings=patterns.settings), "", network=alone, weight=WEIGHT_ONE)
        except InputError:
            return False
        losses += [_held_out(alone, span) - _held_out(half, span) for span in held_out]
    return float(np.mean(losses)) > BETTER


def _hold_on_others(patterns: Patterns, base: Weights, spans: Sequence[Span]) -> bool:
    """Whether patterns of all recordings but one score clearly better on that one than the base, in the mean."""
    alone, gains = tracker_of_weights(base, name=""), list[float]()
    recordings = sorted({span.track.content_hash for span in spans})
    if len(recordings) == 1:
        return float(np.mean([_held_out(alone, span) for span in spans])) < FAILED
    for one in recordings:
        held_out = [span for span in spans if span.track.content_hash == one]
        try:
            others = train([span for span in spans if span.track.content_hash != one], settings=patterns.settings)
        except InputError:
            return False
        tracker = PatternTracker(others, "")
        gains += [_held_out(tracker, span) - _held_out(alone, span) for span in held_out]
    return float(np.mean(gains)) > BETTER


def _tuned(tuned: Weights, spans: Sequence[Span], choice: Choice) -> Weights:
    """Return a fine-tuned network, whose card has these labels, with the reason in it."""
    _log.info("%s", choice.line())
    return replace(tuned, card=choice.on(tuned.card), training={**tuned.training, **_facts(choice, spans)})


def _fused(
    patterns: Patterns,
    network: Weights,
    weight: float,
    choice: Choice,
    *,
    spans: Sequence[Span],
    base: Weights | None = None,
    **settings: Any,
) -> Fusion:
    """Return patterns beside a network, fine-tuned where it has a base, with the reason in the card."""
    _log.info("%s", choice.line())
    origin = f"Rhythmic patterns beside a network, {choice.name}"
    if base is None:
        card, interpolation = adapted_card(spans, origin=origin, base=network.card), {}
    else:  # the card of the network has these labels
        card = replace(network.card, origin=f"{origin}: {network.card.origin}")
        keys = ("alpha", "held_out_losses")
        interpolation = {key: network.training[key] for key in keys if key in network.training}
    training = interpolation | _facts(choice, spans)
    return Fusion(patterns, network, weight, choice.on(card), training, base=base, **settings)


def _facts(choice: Choice, spans: Sequence[Span]) -> dict[str, Any]:
    """Return what was chosen, and the labels, which are hints where their own recordings are tracked."""
    labels: dict[str, list[tuple[float, int]]] = {}
    for span in sorted(spans, key=lambda span: span.start_s):
        labels.setdefault(span.track.content_hash, []).extend((round(time_s, 4), place) for time_s, place in span.beats)
    return {**choice.facts(), LABELS: {name: sorted(dict(beats).items()) for name, beats in labels.items()}}
