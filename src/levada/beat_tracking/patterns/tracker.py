"""Patterns as a tracker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.decoder import DecoderSettings, decode_model
from levada.beat_tracking.decoder.state_space import BarPointer, Windows, beat_lengths, metre_changes, pattern_pointer
from levada.beat_tracking.network_tracker import spectrogram_pieces
from levada.beat_tracking.patterns.features import band_onset_strength
from levada.beat_tracking.patterns.likelihood import CellLikelihood
from levada.beat_tracking.patterns.model import Patterns
from levada.beat_tracking.spectrogram import GRID, N_BANDS
from levada.beat_tracking.tracker import AudioLike, Progress
from levada.io.beats import Beats

__all__ = ["PatternTracker"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

NEAR_S = 0.3  # a beat is inside the music if there is an onset so near: half a beat, for many beats have none


@dataclass(frozen=True, eq=False)
class PatternTracker:
    """A tracker that finds the position in the bar by rhythmic patterns.

    Parameters
    ----------
    patterns : Patterns
    name : str
        Its name in tables.
    identity : str
        Changes whenever its beats might.
    """

    patterns: Patterns
    name: str
    identity: str = ""

    @property
    def trained_spans(self) -> Mapping[str, list[tuple[float, float]]]:
        """SHA-256 of each recording it was trained on -> the stretches used, in seconds."""
        return self.patterns.card.trained_on

    def track(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Beats:
        """Find the beats of a recording; see `levada.BeatTracker.track`.

        Returns
        -------
        Beats
            Their confidence is the posterior probability, as in `decoder.decode_beats`. Positions are 0 where the
            patterns were patterns without.
        """
        pieces = [np.zeros((0, N_BANDS), np.float32), *spectrogram_pieces(audio, rate, progress=progress)]
        return self.decode(np.concatenate(pieces), hints=hints)

    def decode(self, bands: Floats32, *, hints: Beats | None = None) -> Beats:
        """Beats from the log-band spectrogram of a whole recording [shape=(frames, 81)]."""
        patterns = self.patterns
        every = patterns.settings.every
        fps = float(GRID.fps) / every
        features = band_onset_strength(bands, edges_hz=patterns.settings.edges_hz, every=every)
        activation = _onset_nearby(bands, every)

        def build(settings: DecoderSettings, windows: Windows | None) -> BarPointer:
            weights, change = _pattern_changes(patterns, settings)
            likelihood = CellLikelihood(
                features,
                patterns.mixture,
                patterns.weights,
                lengths=beat_lengths(fps=fps, settings=settings),
                trust=patterns.settings.trust * every,
            )
            return pattern_pointer(
                likelihood,
                bars=patterns.bars,
                weights=weights,
                change=change,
                activation=activation,
                fps=fps,
                settings=settings,
                windows=windows,
            )

        if hints is not None and not patterns.counted:
            hints = Beats(hints.times_s)
        beats = decode_model(build, frames=len(features), fps=fps, settings=patterns.decoder, hints=hints)
        return beats if patterns.counted else Beats(beats.times_s, None, beats.confidence)


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
