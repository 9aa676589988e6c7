"""Calibrated confidences: of the readings of a recording, and of the time and the position of each beat.

Posteriors of the decoder are too high, for the model takes frames for independent, and a wrong reading is wrong in all
bars. What is calibrated instead is the mean difference of the log likelihood of readings for each beat, by a softmax
over all readings and the possibility that none of them is right. The same map, applied to the differences near a beat,
and the posterior of the beat are combined by logistic regressions into its two confidences.

`benchmarks/confidence.py` fits `CALIBRATION` and prints reliability tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecodedBeats
from levada.beat_tracking.readings import ScoredReading

__all__ = [
    "CALIBRATION",
    "Calibration",
    "ReadingFeatures",
    "confidence_features",
    "confidences",
    "reading_features",
]

Floats = npt.NDArray[np.float64]

NEAR_BEATS = 12
"""Beats on either side of one that count as near it."""
FEW_BEATS = 4.0
"""Differences are shrunk as if so many beats more had none: short recordings say less."""
RIGHT_BEATS = {"offbeat": 0.0, "half": 0.5, "compound": 0.4}
"""Fraction of the decoded beats that is right in time where a reading with other beats is the right one."""
ACTIVATION_OF_PATTERNS = 0.6  # patterns have no activation of beats; as high as that of a good network


@dataclass(frozen=True)
class Calibration:
    """Parameters of the map from scores to probabilities.

    Parameters
    ----------
    steepness : mapping of str to float
        Slope of the log odds of each kind of reading with the mean difference of the log likelihood for each beat.
    bias : mapping of str to float
        Constant of these log odds.
    none : tuple of float
        Log odds that no reading is right: a constant, and the slope with the mean activation at the beats.
    time : tuple of float
        Log odds that the time of a beat is right: a constant, and the slopes with the log odds of the decoder's
        posterior, and with those that the readings of the recording and of the beats near it give the beat.
    position : tuple of float
        Log odds that its position is right if its time is: a constant, and the slopes with the last two.
    position_limit : float
        What this probability is multiplied by: the highest there is (1 less a lapse rate). Positions may be wrong in
        all of a recording however clear they look.
    """

    steepness: Mapping[str, float] = field(default_factory=dict)
    bias: Mapping[str, float] = field(default_factory=dict)
    none: tuple[float, float] = (0.0, 0.0)
    time: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)
    position: tuple[float, float, float] = (0.0, 1.0, 0.0)
    position_limit: float = 1.0


CALIBRATION = Calibration(
    steepness={"later": 0.43, "metre": 1.96, "offbeat": 0.25, "twice": 0.25, "half": 0.25, "compound": 0.25},
    bias={"later": -1.79, "metre": 0.61, "offbeat": -4.61, "twice": -0.99, "half": -3.95, "compound": -0.95},
    none=(3.66, -9.36),
    time=(-0.63, 0.25, 0.60, 0.19),
    position=(-1.05, 1.61, 0.0),
    position_limit=0.92,
)
"""Fitted to the base on 213 rendered pieces that it was not trained on; see `studies/LOG.md`, 2026-11-29."""


@dataclass(frozen=True, eq=False)
class ReadingFeatures:
    """What the probabilities of the readings depend on.

    Parameters
    ----------
    kinds : tuple of str [length=R]
        Kinds of the readings, the decoded one first.
    whole : float64 [shape=(R,)]
        Mean difference of the log likelihood to the decoded reading, for each beat of the recording.
    near : float64 [shape=(R, n)]
        The same for the beats near each one.
    activation : float64 [shape=(n,)]
        At each beat.
    """

    kinds: tuple[str, ...]
    whole: Floats
    near: Floats
    activation: Floats

    def probabilities(self, calibration: Calibration = CALIBRATION) -> Floats:
        """Compute the probabilities of the readings [shape=(R,)]; they sum to 1 less that none of them is right."""
        mean = self.activation.mean() if len(self.activation) else 0.0
        return self._softmax(self.whole[:, None], np.array([mean]), calibration)[:, 0]

    def probabilities_near(self, calibration: Calibration = CALIBRATION) -> Floats:
        """Compute the probabilities of the readings near each beat [shape=(R, n)]."""
        n = len(self.activation)
        return self._softmax(self.near, _sum_near(self.activation) / _sum_near(np.ones(n)), calibration)

    def _softmax(self, differences: Floats, activation: Floats, calibration: Calibration) -> Floats:
        """Turn differences [shape=(R, n)] into probabilities; they sum to 1 less that none is right."""
        slope = np.array([calibration.steepness.get(kind, 0.0) for kind in self.kinds])[:, None]
        bias = np.array([calibration.bias.get(kind, 0.0) for kind in self.kinds])[:, None]
        odds = np.exp(np.minimum(bias + slope * differences, 20.0))
        none = np.exp(calibration.none[0] + calibration.none[1] * activation)
        result: Floats = odds / (odds.sum(axis=0) + none)
        return result


def reading_features(decoded: DecodedBeats, scored: Sequence[ScoredReading]) -> ReadingFeatures:
    """Compute what the probabilities of readings depend on."""
    n, model = len(decoded.beats), decoded.model
    scores = np.stack([reading.scores for reading in scored]).reshape(len(scored), n)
    if model.likelihood is not None:
        activation = np.full(n, ACTIVATION_OF_PATTERNS)
    else:
        frames = np.round(decoded.beats.times_s * model.fps).astype(np.int64).clip(0, max(model.frames - 1, 0))
        activation = model.activation[frames]
    return ReadingFeatures(
        tuple(reading.kind for reading in scored),
        scores.sum(axis=1) / (n + FEW_BEATS),
        _sum_near(scores) / (_sum_near(np.ones(n)) + FEW_BEATS),
        activation,
    )


def confidences(
    decoded: DecodedBeats,
    scored: Sequence[ScoredReading],
    features: ReadingFeatures,
    *,
    calibration: Calibration = CALIBRATION,
) -> tuple[Floats, Floats]:
    """Compute the probabilities that the time of each beat is right, and that its position is right too.

    Parameters
    ----------
    decoded : DecodedBeats
    scored : sequence of ScoredReading
        Its readings.
    features : ReadingFeatures
        Of these readings.
    calibration : Calibration

    Returns
    -------
    time, position : float64 [shape=(n,)]
        Times of hints are certain.
    """
    if not len(decoded.beats):
        return np.zeros(0), np.zeros(0)
    of_time, of_position = confidence_features(decoded, scored, features, calibration=calibration)
    time = np.where(decoded.hinted, 1.0, _logistic(of_time @ np.array(calibration.time)))
    return time, time * calibration.position_limit * _logistic(of_position @ np.array(calibration.position))


def confidence_features(
    decoded: DecodedBeats,
    scored: Sequence[ScoredReading],
    features: ReadingFeatures,
    *,
    calibration: Calibration = CALIBRATION,
) -> tuple[Floats, Floats]:
    """Compute what the log odds of time and of position are linear in [shape=(n, 4)] and [shape=(n, 3)]."""
    n = len(decoded.beats)
    everywhere, around = features.probabilities(calibration)[:, None], features.probabilities_near(calibration)
    in_time = np.array([RIGHT_BEATS.get(reading.kind, 1.0) for reading in scored])
    same_beats = np.array([reading.has_decoded_beats for reading in scored])
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


def _sum_near(values: Floats) -> Floats:
    """Sum values [shape=(..., n)] over the beats near each one."""
    n = values.shape[-1]
    running = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    index = np.arange(n)
    result: Floats = running[..., (index + NEAR_BEATS + 1).clip(max=n)] - running[..., (index - NEAR_BEATS).clip(0)]
    return result


def _log_odds(probability: Floats) -> Floats:
    limited = np.clip(probability, 1e-3, 1 - 1e-3)
    return np.asarray(np.log(limited / (1 - limited)))


def _logistic(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-log_odds)))
