"""Beats of a recording with all that is known of their certainty: `Analysis`.

Two confidences belong to each beat: one of its time, the other of its time and position in the bar. A recording has the
readings beside the one decoded, such as half a bar later or twice as fast, each with a probability, and the stretches
without beats.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.agreement import compare_beats
from levada.beat_tracking.confidence import confidences, reading_features
from levada.beat_tracking.decoder import DecodedBeats
from levada.beat_tracking.readings import HALF, HALF_BAR, TWICE, score_readings
from levada.beat_tracking.tempo import Piece, find_pieces, stretches_without_beats
from levada.io.beats import Beats

__all__ = ["Analysis", "Reading", "TempoChange", "analyse_beats"]

Floats = npt.NDArray[np.float64]

CHANGE_BEATS = 8  # beats before and after a change of tempo whose medians are compared
CHANGE_OCTAVES = math.log2(1.08)  # changes from 8 % on are listed


@dataclass(frozen=True)
class Reading:
    """Another reading of a recording than the one decoded.

    Parameters
    ----------
    name : str
        Such as "half a bar later", "one beat later", "3 beats a bar", "twice as fast", "off the beat".
    probability : float
    beats : Beats
        The beats of this reading, without confidences.
    """

    name: str
    probability: float
    beats: Beats


@dataclass(frozen=True)
class TempoChange:
    """A sudden change of tempo.

    Parameters
    ----------
    time_s : float
        Of the first beat at the new tempo.
    from_bpm, to_bpm : float
        Median tempo of the beats before and after.
    """

    time_s: float
    from_bpm: float
    to_bpm: float


@dataclass(frozen=True)
class Analysis:
    """Beats of a recording, and how certain they are.

    Parameters
    ----------
    beats : Beats
        With both confidences where the tracker is one of levada's.
    probability : float
        Of the decoded reading; NaN where the tracker has no posterior.
    readings : tuple of Reading
        Others, the most probable first. With the decoded one their probabilities sum to 1, less the probability that
        none of them is right.
    no_pulse : tuple of (float, float)
        Stretches without beats, in seconds.
    agreements : mapping of str to float
        F-measure of the beats with those of other trackers, by name, where they were compared.
    """

    beats: Beats
    probability: float = math.nan
    readings: tuple[Reading, ...] = ()
    no_pulse: tuple[tuple[float, float], ...] = ()
    agreements: Mapping[str, float] = field(default_factory=dict)

    @property
    def time_confidence(self) -> Floats:
        """Probability that the time of each beat is right [shape=(n,)]; NaN where it is unknown."""
        return _or_nan(self.beats.confidence, len(self.beats))

    @property
    def position_confidence(self) -> Floats:
        """Probability that time and position of each beat are right [shape=(n,)]; NaN where it is unknown."""
        return _or_nan(self.beats.position_confidence, len(self.beats))

    @property
    def mean_time_confidence(self) -> float:
        """Expected fraction of beats at the right time; NaN without beats, or where it is unknown."""
        return _mean(self.time_confidence)

    @property
    def mean_position_confidence(self) -> float:
        """Expected fraction of beats at the right time and position; NaN without beats, or where it is unknown."""
        return _mean(self.position_confidence)

    @property
    def tempo_bpm(self) -> float:
        """Median tempo, in beats per minute; NaN for fewer than two beats."""
        return self.beats.tempo_bpm

    @property
    def tempo_changes(self) -> tuple[TempoChange, ...]:
        """Sudden changes of tempo by 8 % or more, between at least eight beats before and after."""
        return _tempo_changes(self.beats)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The pieces of the recording: a rehearsal has several, with pauses between them."""
        return find_pieces(self.beats)

    @property
    def metre(self) -> int:
        """Beats a bar of most bars; 0 where no bar is complete."""
        return self.beats.metre

    def probability_of(self, *names: str) -> float:
        """Return the probability of readings, by name; NaN where there are none."""
        if not self.readings:
            return math.nan
        return sum(reading.probability for reading in self.readings if reading.name in names)

    def compare(self, name: str, beats: Beats) -> Analysis:
        """Return the analysis with the F-measure (70 ms) of its beats with those of another tracker.

        Parameters
        ----------
        name : str
            Of the other tracker.
        beats : Beats
        """
        return replace(self, agreements={**self.agreements, name: compare_beats(self.beats, beats).f_measure})

    def shift(self, offset_s: float) -> Analysis:
        """Return the analysis with all times later by an offset, in seconds."""
        readings = tuple(replace(reading, beats=reading.beats.shift(offset_s)) for reading in self.readings)
        no_pulse = tuple((start_s + offset_s, end_s + offset_s) for start_s, end_s in self.no_pulse)
        return replace(self, beats=self.beats.shift(offset_s), readings=readings, no_pulse=no_pulse)

    def summary(self) -> dict[str, Any]:
        """Return numbers and texts for a row in a table of recordings; what is unknown is None."""
        other = self.readings[0] if self.readings else None
        compared, agreement = next(iter(self.agreements.items()), (None, math.nan))
        return {
            "tempo_bpm": _rounded(self.tempo_bpm, digits=3),
            "tempo_changes": len(self.tempo_changes),
            "metre": " ".join(map(str, self.beats.metres)),
            "beats": len(self.beats),
            "confidence": _rounded(self.mean_time_confidence),
            "position_confidence": _rounded(self.mean_position_confidence),
            "alternative": other.name if other else None,
            "alternative_probability": _rounded(other.probability) if other else None,
            "octave_probability": _rounded(self.probability_of(TWICE, HALF)),
            "half_bar_probability": _rounded(self.probability_of(HALF_BAR)),
            "pieces": [piece.to_json() for piece in self.pieces],
            "compared_with": compared,
            "agreement": _rounded(agreement),
        }

    def to_json(self) -> dict[str, Any]:
        """Return all but the beats as JSON values; what is unknown is null."""
        changes = [
            {"time_s": round(one.time_s, 3), "from_bpm": round(one.from_bpm, 2), "to_bpm": round(one.to_bpm, 2)}
            for one in self.tempo_changes
        ]
        return {
            "tempo_bpm": _rounded(self.tempo_bpm),
            "metre": self.metre or None,
            "metres": {str(metre): bars for metre, bars in self.beats.metres.items()},
            "tempo_changes": changes,
            "pieces": [piece.to_json() for piece in self.pieces],
            "time_confidence": _rounded(self.mean_time_confidence),
            "position_confidence": _rounded(self.mean_position_confidence),
            "probability": _rounded(self.probability),
            "readings": [{"name": one.name, "probability": _rounded(one.probability)} for one in self.readings],
            "no_pulse": [[round(start, 3), round(end, 3)] for start, end in self.no_pulse],
            "agreements": {name: _rounded(value) for name, value in self.agreements.items()},
        }


def analyse_beats(decoded: DecodedBeats, *, counted: bool = True) -> Analysis:
    """Compute the confidences and the other readings of decoded beats.

    Parameters
    ----------
    decoded : DecodedBeats
    counted : bool
        Whether positions in the bar are known; without, all are 0, and have no confidence.

    Returns
    -------
    Analysis
    """
    beats, model = decoded.beats, decoded.model
    scored = score_readings(decoded, counted=counted)
    features = reading_features(decoded, scored)
    probabilities = features.probabilities()
    in_time, in_bar = confidences(decoded, scored, features)
    others = sorted(zip(scored[1:], probabilities[1:].tolist(), strict=True), key=lambda pair: -pair[1])
    return Analysis(
        Beats(beats.times_s, beats.positions if counted else None, in_time, in_bar if counted else None),
        float(probabilities[0]) if len(beats) else math.nan,
        tuple(Reading(reading.name, probability, reading.beats) for reading, probability in others),
        stretches_without_beats(beats, duration_s=model.frames / model.fps),
    )


def _tempo_changes(beats: Beats) -> tuple[TempoChange, ...]:
    octaves = -np.log2(beats.intervals_s)
    if len(octaves) < 2 * CHANGE_BEATS:
        return ()
    medians = np.median(np.lib.stride_tricks.sliding_window_view(octaves, CHANGE_BEATS), axis=1)
    before, after = medians[:-CHANGE_BEATS], medians[CHANGE_BEATS:]
    size = np.abs(after - before)
    changes, free = [], size >= CHANGE_OCTAVES
    while free.any():
        at = int(np.where(free, size, -1).argmax())
        free[max(0, at - CHANGE_BEATS + 1) : at + CHANGE_BEATS] = False
        around, (old, new) = octaves[at : at + 2 * CHANGE_BEATS], (before[at], after[at])
        off = np.cumsum(np.abs(around - old) - np.abs(around - new))  # least at the last interval of the old tempo
        bpm = 60 * 2 ** np.array([old, new])
        changes.append(TempoChange(float(beats.times_s[at + int(off.argmin()) + 1]), *bpm.tolist()))
    return tuple(sorted(changes, key=lambda change: change.time_s))


def _or_nan(confidence: Floats | None, n: int) -> Floats:
    return np.full(n, np.nan) if confidence is None else confidence


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else math.nan


def _rounded(value: float, *, digits: int = 4) -> float | None:
    return round(value, digits) if math.isfinite(value) else None
