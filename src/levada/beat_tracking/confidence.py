"""Calibrated confidences: of the readings of a recording, and of the time and the position of each beat.

Posteriors of the decoder are too high, for the model takes frames for independent, and a wrong reading is wrong in all
bars. What is calibrated instead is the mean difference of the log likelihood of readings for each beat, by a softmax
over all readings and the possibility that none of them is right. The same map, applied to the differences near a beat,
and the posterior of the beat are combined by logistic regressions into its two confidences.

`benchmarks/confidence.py` fits the numbers below and prints reliability tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecodedBeats
from levada.beat_tracking.readings import ScoredReading

__all__ = ["confidence_features", "confidences", "probabilities_of_readings", "reading_features"]

Floats = npt.NDArray[np.float64]

NEAR_BEATS = 12
"""Beats on either side of one that count as near it."""
FEW_BEATS = 4.0
"""Differences are shrunk as if so many beats more had none: short recordings say less."""
STEEPNESS = {"later": 0.55, "metre": 1.93, "offbeat": 0.14, "twice": 0.14, "half": 0.14, "compound": 0.14}
"""Slope of the log odds of each kind of reading, for each unit of the mean difference of the log likelihood."""
BIAS = {"later": -1.89, "metre": -0.27, "offbeat": -2.95, "twice": -1.3, "half": -4.16, "compound": -2.1}
NONE_OF_THEM = (3.58, -10.31)
"""Log odds that no reading is right: a constant, and the slope with the mean activation at the beats."""
TIME = (-0.49, 0.23, 0.17, 0.51)
"""Log odds that the time of a beat is right: a constant, and the slopes of the features."""
POSITION = (-0.81, 0.91, 0.0)
"""The same for its position, given that its time is right."""
RIGHT_BEATS = {"offbeat": 0.0, "half": 0.5, "compound": 0.4}
"""Fraction of the decoded beats that is right in time where a reading with other beats is the right one."""
ACTIVATION_OF_PATTERNS = 0.6  # patterns have no activation of beats; as high as that of a good network


def reading_features(decoded: DecodedBeats, scored: Sequence[ScoredReading]) -> tuple[Floats, Floats]:
    """Return the mean differences of all readings, in the recording and near each beat.

    Returns
    -------
    whole : float64 [shape=(R,)]
    near : float64 [shape=(R, n)]
    """
    n = len(decoded.beats)
    scores = np.stack([reading.scores for reading in scored]).reshape(len(scored), n)
    return scores.sum(axis=1) / (n + FEW_BEATS), _sum_near(scores) / (_sum_near(np.ones((1, n))) + FEW_BEATS)


def probabilities_of_readings(decoded: DecodedBeats, scored: Sequence[ScoredReading]) -> Floats:
    """Compute the probability of each reading [shape=(R,)]; they sum to 1 less that none of them is right."""
    whole, _ = reading_features(decoded, scored)
    strength = float(_strength(decoded).mean()) if len(decoded.beats) else 0.0
    return _softmax([reading.kind for reading in scored], whole, strength)


def confidences(decoded: DecodedBeats, scored: Sequence[ScoredReading]) -> tuple[Floats, Floats]:
    """Compute the probabilities that the time of each beat is right, and that its position is right too.

    Returns
    -------
    time, position : float64 [shape=(n,)]
        1 at hints.
    """
    if not len(decoded.beats):
        return np.zeros(0), np.zeros(0)
    of_time, of_position = confidence_features(decoded, scored)
    time = np.where(decoded.hinted, 1.0, _logistic(of_time @ np.array(TIME)))
    position = _logistic(of_position @ np.array(POSITION))
    return time, time * position


def confidence_features(decoded: DecodedBeats, scored: Sequence[ScoredReading]) -> tuple[Floats, Floats]:
    """Compute what the log odds of time and of position are linear in [shape=(n, 4)] and [shape=(n, 3)].

    Of the time: 1, the log odds of the decoder's posterior, and those that the readings give the beat, over the
    recording and near it. Of the position: 1, and the log odds that the readings give it.
    """
    kinds, n = [reading.kind for reading in scored], len(decoded.beats)
    whole, near = reading_features(decoded, scored)
    strength = _strength(decoded)
    everywhere = _softmax(kinds, whole, float(strength.mean()))[:, None]
    around = _softmax(kinds, near, _mean_near(strength))
    in_time = np.array([RIGHT_BEATS.get(kind, 1.0) for kind in kinds])
    same_beats = [reading.has_decoded_beats for reading in scored]
    in_bar = np.stack([
        (reading.beats.positions == decoded.beats.positions).astype(np.float64) if same else np.zeros(n)
        for reading, same in zip(scored, same_beats, strict=True)
    ])  # fmt: skip
    posterior = decoded.beats.confidence
    assert posterior is not None  # the decoder has one of all beats
    ones = np.ones(n)
    time = [ones, _log_odds(posterior), *(_log_odds(in_time @ one) * ones for one in (everywhere, around))]
    counted = [(in_bar * one).sum(axis=0) / one[same_beats].sum(axis=0) for one in (everywhere, around)]
    return np.stack(time, axis=1), np.stack([ones, *map(_log_odds, counted)], axis=1)


def _softmax(kinds: Sequence[str], differences: Floats, strength: Floats | float) -> Floats:
    """Turn mean differences [shape=(R, ...)] into probabilities; they sum to 1 less that none is right."""
    shape = (-1, *(1,) * (differences.ndim - 1))
    slope = np.array([STEEPNESS.get(kind, 0.0) for kind in kinds]).reshape(shape)
    bias = np.array([BIAS.get(kind, 0.0) for kind in kinds]).reshape(shape)
    odds = np.exp(np.minimum(bias + slope * differences, 20.0))
    none = np.exp(NONE_OF_THEM[0] + NONE_OF_THEM[1] * np.asarray(strength))
    result: Floats = odds / (odds.sum(axis=0) + none)
    return result


def _strength(decoded: DecodedBeats) -> Floats:
    """Return the activation at each beat [shape=(n,)]."""
    model = decoded.model
    if model.likelihood is not None:
        return np.full(len(decoded.beats), ACTIVATION_OF_PATTERNS)
    frames = np.round(decoded.beats.times_s * model.fps).astype(np.int64).clip(0, model.frames - 1)
    return np.asarray(model.activation[frames])


def _sum_near(values: Floats) -> Floats:
    """Sum values [shape=(..., n)] over the beats near each one."""
    n = values.shape[-1]
    running = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    index = np.arange(n)
    result: Floats = running[..., (index + NEAR_BEATS + 1).clip(max=n)] - running[..., (index - NEAR_BEATS).clip(0)]
    return result


def _mean_near(values: Floats) -> Floats:
    return _sum_near(values) / _sum_near(np.ones(len(values)))


def _log_odds(probability: Floats) -> Floats:
    limited = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(limited / (1 - limited)))


def _logistic(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
