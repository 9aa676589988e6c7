"""Patterns as a tracker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.analysis import Analysis, analyse_beats
from levada.beat_tracking.augmentation import fix_length
from levada.beat_tracking.decoder import DecoderSettings, decode_activations, decode_states, model_posteriors
from levada.beat_tracking.decoder.decode import HINT_TOLERANCE_S
from levada.beat_tracking.decoder.parts import LONGEST_S
from levada.beat_tracking.decoder.peaks import snap_to_peaks, sub_frame
from levada.beat_tracking.decoder.settings import NO_PULSE_COST, TempoRange
from levada.beat_tracking.decoder.state_space import (
    BarPointer,
    Likelihood,
    NetworkLikelihood,
    Windows,
    beat_lengths,
    metre_changes,
    no_pulse_scores,
    pattern_pointer,
)
from levada.beat_tracking.long_recordings import analyse_in_parts, duration_s
from levada.beat_tracking.network_tracker import NetworkTracker, spectrogram_pieces
from levada.beat_tracking.patterns.features import band_onset_strength
from levada.beat_tracking.patterns.likelihood import CellLikelihood, beats_score
from levada.beat_tracking.patterns.model import Patterns
from levada.beat_tracking.spectrogram import GRID, LOG_BANDS, N_BANDS, FrontEnd
from levada.beat_tracking.tracker import AudioLike, Progress, restricted_identity
from levada.errors import collected_warnings, log_again
from levada.io.beats import Beats, distances
from levada.io.metres import Metre, beats_in
from levada.learning.card import joined_stretches

__all__ = ["PatternTracker"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NEAR_S = 0.3  # a beat is inside the music if there is an onset so near: half a beat, for many beats have none
PEAK_FRAMES = 3
"""How far a peak of a network may be from the beat of the patterns that moves to it."""
LEAST_PEAK = 0.1
FIT, FIT_OF_DOWNBEATS = 0.15, 0.3
"""Least share of the score on their own recording that patterns need on another one; more if only downbeats differ."""
NEAR_TEMPO_OCTAVES = 0.25
"""And how far the tempo may be from that of the labels."""
SAME_BEATS = 0.9
"""Share of beats in common from which only downbeats differ."""
SAME_BEAT_S = 0.07
NOT_ALLOWED = -1e6
"""Log likelihood of a frame without a pulse where there is one."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PatternTracker:
    """A tracker that finds the position in the bar by rhythmic patterns, alone or with a network.

    With a network, each whole beat is scored by both: by the likelihood of its cells under the patterns, and by that of
    the network's activations, in one decoder. Beats are then moved to the peaks of the network.

    Parameters
    ----------
    patterns : Patterns
    name : str
        Its name in tables.
    identity : str
        Changes whenever its beats might.
    network : NetworkTracker, optional
        A network whose activations count too.
    weight : float
        Weight of the log likelihood of its activations.
    network_downbeats : bool
        Whether its activations of downbeats count too; if not, the patterns alone choose the position in the bar.
    own_score : float, optional
        Score of the patterns (`score`) on the recordings that they were learnt from. Other recordings keep the beats
        of the network alone where the patterns do not fit them.
    least_certainty : float
        Least mean confidence of their positions in the bar for patterns to fit.
    proven : bool
        Whether they hold on recordings that they were not learnt from: then they fit where they score better than the
        beats of the network.
    """

    patterns: Patterns
    name: str
    identity: str = ""
    network: NetworkTracker | None = None
    weight: float = 0.0
    own_score: float | None = None
    network_downbeats: bool = True
    least_certainty: float = 0.0
    proven: bool = False

    @property
    def trained_spans(self) -> Mapping[str, list[tuple[float, float]]]:
        """SHA-256 of each recording it was trained on -> the stretches used, in seconds."""
        learnt = self.patterns.card.trained_on
        return learnt if self.network is None else joined_stretches(learnt, self.network.trained_spans)

    @property
    def networks(self) -> tuple[Any, ...]:
        """The networks that run."""
        return () if self.network is None else self.network.networks

    @property
    def fps(self) -> float:
        """Frames per second of posteriors."""
        return float(GRID.fps) / self.patterns.settings.every

    def track(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Beats:
        """Find the beats of a recording; see `levada.BeatTracker.track`.

        Returns
        -------
        Beats
            Positions are 0 where the patterns were patterns without.
        """
        return self.analyse(audio, rate, hints=hints, progress=progress).beats

    def analyse(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Analysis:
        """Find the beats of a recording and other readings of it; see `levada.BeatTracker.analyse`."""
        with collected_warnings() as warned:
            if duration_s(audio, rate) > LONGEST_S:
                analysis = analyse_in_parts(self._analyse_audio, audio, rate, hints=hints, progress=progress)
            else:
                analysis = self._analyse_audio(audio, rate, hints, progress)
        where = f"{audio}: " if isinstance(audio, str | Path) else ""
        log_again((name, level, where * (name == __name__) + message) for name, level, message in warned)
        return analysis

    def _analyse_audio(
        self, audio: AudioLike, rate: int | None, hints: Beats | None, progress: Progress | None = None
    ) -> Analysis:
        return self.analyse_observations(self.observe(audio, rate, progress=progress), hints=hints)

    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> PatternTracker:
        """Return the tracker for a range of tempi and some metres; see `levada.BeatTracker.track`."""
        return replace(
            self,
            patterns=self.patterns.restrict(tempo_bpm=tempo_bpm, metres=metres),
            network=self.network and self.network.restrict(tempo_bpm=tempo_bpm, metres=metres),
            identity=restricted_identity(self.identity, tempo_bpm=tempo_bpm, metres=metres),
        )

    def observe(self, audio: AudioLike, rate: int | None = None, *, progress: Progress | None = None) -> Observations:
        """Compute all that decoding needs of a recording."""

        def pieces_of(front_end: FrontEnd) -> list[Floats32]:
            return list(spectrogram_pieces(audio, rate, front_end=front_end, progress=progress))

        return self.observations(pieces_of)

    def observations(self, pieces_of: Callable[[FrontEnd], Sequence[Floats32]]) -> Observations:
        """Compute the same from a function that returns consecutive pieces of the spectrogram of a recording."""
        front_end = LOG_BANDS if self.network is None else self.network.front_end
        pieces = pieces_of(front_end)
        bands = np.concatenate([np.zeros((0, front_end.bands), np.float32), *pieces])
        if self.network is None:
            return Observations(bands, None)
        activations = self.network.predict(pieces)
        if front_end.filters is not LOG_BANDS.filters:
            bands = np.concatenate([np.zeros((0, N_BANDS), np.float32), *pieces_of(LOG_BANDS)])
            activations = activations.repeat(round(GRID.fps / front_end.grid.fps), 0)
            activations = fix_length(activations, len(bands))
        return Observations(np.ascontiguousarray(bands[:, :N_BANDS]), activations)

    def activations(self, audio: AudioLike, rate: int | None = None, *, progress: Progress | None = None) -> Floats32:
        """Compute the posterior probability of a beat and of a downbeat in each frame [shape=(frames, 2)]."""
        return self.posteriors(self.observe(audio, rate, progress=progress)).astype(np.float32)

    def decode(self, observations: Observations, *, hints: Beats | None = None) -> Beats:
        """Decode what was observed of a recording into beats."""
        return self.analyse_observations(observations, hints=hints).beats

    def analyse_observations(self, observations: Observations, *, hints: Beats | None = None) -> Analysis:
        """Decode what was observed of a recording into beats and other readings."""
        return self.analyse_and_decide(observations, hints=hints)[0]

    def analyse_and_decide(self, observations: Observations, *, hints: Beats | None = None) -> tuple[Analysis, bool]:
        """Decode what was observed of a recording; returns also whether the patterns fit it.

        Where they do not, the beats are those of the network alone.
        """
        both = self._analyse(observations, hints)
        if self.own_score is None or self.network is None or observations.activations is None:
            return both, True
        alone = self.analyse_alone(observations, hints=hints)
        if _are_same(both.beats, alone.beats) or self._fits(observations, both, alone.beats):
            return both, True
        tempi = [f"{one.tempo_bpm:.0f}" for one in (alone, both) if len(one.beats) > 1]
        differ = f", {' bpm instead of '.join(tempi)} bpm" if len({*tempi}) == 2 else ""
        _log.warning("the patterns of the labels do not fit: the beats are those of the network alone%s", differ)
        return alone, False

    def analyse_alone(self, observations: Observations, *, hints: Beats | None = None) -> Analysis:
        """Decode the activations of the network, without the patterns."""
        assert self.network is not None
        assert observations.activations is not None
        step = round(GRID.fps / self.network.front_end.grid.fps)
        return self.network.analyse_activations(observations.activations[::step], hints=hints)

    def _fits(self, observations: Observations, analysis: Analysis, alone: Beats) -> bool:
        """Whether the patterns explain a recording better than the network, or nearly as well as their own ones."""
        assert self.own_score is not None
        beats = analysis.beats
        score = self.score(observations, beats)
        if self.proven:
            return score > self.score(observations, alone)
        mean = self.patterns.decoder.tempo_mean_bpm
        if mean is not None and len(beats) > 1 and abs(np.log2(beats.tempo_bpm / mean)) > NEAR_TEMPO_OCTAVES:
            return False
        if self.least_certainty:
            is_certain = analysis.mean_position_confidence >= self.least_certainty  # NaN is not
            return is_certain and score > FIT * max(0.0, self.own_score)
        same = _in_common(beats, alone) >= SAME_BEATS
        return score > (FIT_OF_DOWNBEATS if same else FIT) * max(0.0, self.own_score)

    def score(self, observations: Observations, beats: Beats) -> float:
        """Compute the log likelihood of beats under the patterns alone, per second; see `likelihood.beats_score`."""
        settings = self.patterns.settings
        return beats_score(
            band_onset_strength(observations.bands, edges_hz=settings.edges_hz, every=settings.every),
            beats,
            mixture=self.patterns.mixture,
            weights=self.patterns.weights,
            places=np.concatenate([np.arange(1, beats_in(metre) + 1) for metre in self.patterns.bars]),
            cells=self.patterns.beat_cells,
            fps=self.fps,
            trust=settings.trust * settings.every,
        )

    def _analyse(self, observations: Observations, hints: Beats | None) -> Analysis:
        if hints is not None and not self.patterns.counted:
            hints = Beats(hints.times_s)
        build, frames, fps = self._model(observations)
        decoded = decode_states(build, frames=frames, fps=fps, settings=self._decoder, hints=hints)
        analysis = analyse_beats(decoded, counted=self.patterns.counted)
        times_s = analysis.beats.times_s
        if observations.activations is not None:
            times_s = _at_peaks(times_s, observations.activations[:, 0], hints)
        elif hints is not None and len(hints):
            times_s = _hints_at_peaks(times_s, times_s, spectral_flux.activations(observations.bands)[:, 0], hints)
        return replace(analysis, beats=analysis.beats.with_times(times_s))

    def posteriors(self, observations: Observations, *, hints: Beats | None = None) -> Floats:
        """Compute the posterior probability of a beat and of a downbeat in each frame [shape=(frames, 2)]."""
        build, frames, fps = self._model(observations)
        return model_posteriors(build, frames=frames, fps=fps, settings=self._decoder, hints=hints)

    @property
    def _decoder(self) -> DecoderSettings:
        """The priors of the patterns; whether there are stretches without a pulse is up to the network."""
        network = None if self.network is None or not self.weight else self.network.settings
        return replace(
            self.patterns.decoder,
            no_pulse_enter=None if network is None else network.no_pulse_enter,
            no_pulse_leave=NO_PULSE_COST if network is None else network.no_pulse_leave,
        )

    def _model(self, observations: Observations) -> tuple[Callable[..., BarPointer], int, float]:
        """Return a function that builds the model of a recording, its number of frames and its frame rate."""
        patterns, bands = self.patterns, observations.bands
        every, fps = patterns.settings.every, self.fps
        features = band_onset_strength(bands, edges_hz=patterns.settings.edges_hz, every=every)
        activation = _onset_nearby(bands, every)
        has_pulse = self._has_pulse(observations, len(features))

        def build(settings: DecoderSettings, windows: Windows | None) -> BarPointer:
            weights, change = _pattern_changes(patterns, settings)
            lengths = beat_lengths(fps=fps, settings=settings)
            likelihood: Likelihood = CellLikelihood(
                features,
                patterns.mixture,
                patterns.weights,
                cells=patterns.beat_cells,
                lengths=lengths,
                trust=patterns.settings.trust * every,
            )
            no_pulse = None
            if observations.activations is not None and self.weight:
                activations = observations.activations[::every].astype(np.float64)
                no_pulse = self.weight * no_pulse_scores(activations, fps=fps, settings=settings)
                no_pulse[has_pulse] = NOT_ALLOWED
                network = NetworkLikelihood(
                    activations,
                    bars=patterns.bars if patterns.counted and self.network_downbeats else (),
                    lengths=lengths,
                    fps=fps,
                    beat_width=settings.beat_width,
                    weight=self.weight,
                )
                likelihood = _Sum(likelihood, network)
            return pattern_pointer(
                likelihood,
                bars=patterns.bars,
                weights=weights,
                change=change,
                activation=activation,
                fps=fps,
                settings=settings,
                windows=windows,
                no_pulse=no_pulse,
            )

        return build, len(features), fps

    def _has_pulse(self, observations: Observations, frames: int) -> Bools:
        """Whether the network alone finds a pulse around each frame.

        Patterns that do not fit a stretch, or whose tempi do not, say nothing of its pulse.
        """
        if observations.activations is None or self.network is None or self._decoder.no_pulse_enter is None:
            return np.ones(frames, np.bool_)
        grid = self.network.front_end.grid
        step = round(GRID.fps / grid.fps)
        decoded = decode_activations(observations.activations[::step], fps=grid.fps, settings=self.network.settings)
        found = (decoded.no_pulse < 0.5).repeat(step)[:: self.patterns.settings.every]
        return np.concatenate([found, np.ones(max(0, frames - len(found)), np.bool_)])[:frames]


class Observations(NamedTuple):
    """What patterns, and a network beside them, need of a recording.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        Log-band spectrogram.
    activations : float32 [shape=(frames, 2)] or None
        Of the network.
    """

    bands: Floats32
    activations: Floats32 | None

    def frames(self, first: int, last: int) -> Observations:
        """Return those of some frames."""
        part = slice(max(0, first), last)
        return Observations(self.bands[part], None if self.activations is None else self.activations[part])


def _in_common(beats: Beats, others: Beats) -> float:
    """Return the share of beats that are in both: their F-measure, 1 where there are none."""
    near = [
        (distances(one.times_s, other.times_s) <= SAME_BEAT_S).sum()
        for one, other in ((beats, others), (others, beats))
    ]
    total = len(beats) + len(others)
    return float(sum(near) / total) if total else 1.0


def _are_same(beats: Beats, others: Beats) -> bool:
    """Whether nearly all beats and downbeats are in both."""
    ones, other_ones = Beats(beats.downbeats_s), Beats(others.downbeats_s)
    counted = bool((beats.positions > 0).any())
    return _in_common(beats, others) >= SAME_BEATS and (not counted or _in_common(ones, other_ones) >= SAME_BEATS)


@dataclass(frozen=True)
class _Sum:
    """The sum of two log likelihoods."""

    one: Likelihood
    other: Likelihood

    def __call__(self, starts: Ints) -> Floats:
        return self.one(starts) + self.other(starts)


def _at_peaks(times_s: Floats, activation: Floats32, hints: Beats | None) -> Floats:
    """Move beats to the peaks of an activation near them, those of hints to clear ones alone."""
    frames = np.rint(times_s * float(GRID.fps)).astype(np.int64)
    if len(activation) < 3:
        return times_s
    near = (frames[:, None] + np.arange(-PEAK_FRAMES, PEAK_FRAMES + 1)).clip(0, len(activation) - 1)
    rows = np.arange(len(near))
    peaks = near[rows, activation[near].argmax(axis=1)]
    inner = peaks.clip(1, len(activation) - 2)
    is_peak = (activation[inner] >= activation[inner - 1]) & (activation[inner] >= activation[inner + 1])
    moved = np.where(
        is_peak & (activation[peaks] >= LEAST_PEAK),
        sub_frame(activation.astype(np.float64), peaks) / float(GRID.fps),
        times_s,
    )
    if hints is not None and len(hints):
        return _hints_at_peaks(times_s, moved, activation, hints)
    return moved if (np.diff(moved) > 0).all() else times_s


def _hints_at_peaks(times_s: Floats, moved: Floats, activation: Floats32, hints: Beats) -> Floats:
    """Return moved beats, but those at hints only if they move to clear peaks within the tolerance of hints."""
    hinted = distances(times_s, hints.times_s) < 1e-9
    at_peaks = snap_to_peaks(times_s, activation.astype(np.float64), fps=float(GRID.fps), tolerance_s=HINT_TOLERANCE_S)
    moved = np.where(hinted, at_peaks, moved)
    return moved if (np.diff(moved) > 0).all() else times_s


def _pattern_changes(patterns: Patterns, settings: DecoderSettings) -> tuple[Floats, Floats]:
    """Return the probability of each pattern (R,), and of each after each other one (R, R)."""
    weights, metre_change = metre_changes(settings)
    metre = np.array([settings.metres.index(beats) for beats in patterns.bars])
    drawn = np.broadcast_to(patterns.shares, (len(metre),) * 2)
    kept = (1 - patterns.settings.pattern_change) * np.eye(len(metre)) + patterns.settings.pattern_change * drawn
    inside = np.where(np.equal.outer(metre, metre), kept, drawn)
    return weights[metre] * patterns.shares, metre_change[np.ix_(metre, metre)] * inside


def _onset_nearby(bands: Floats32, every: int) -> Floats:
    """Return the highest flux activation near each frame [shape=(ceil(frames / every),)], between 0 and 1."""
    onsets = spectral_flux.activations(bands)[:, 0].astype(np.float64)
    if not len(onsets):
        return onsets
    reach = round(NEAR_S * float(GRID.fps))
    near: Floats = np.lib.stride_tricks.sliding_window_view(np.pad(onsets, reach), 2 * reach + 1).max(axis=1)
    return near[::every]
