"""Learning of the priors of tempo and metre from labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.settings import LONGEST_BAR, SLOWEST_BPM, DecoderSettings
from levada.data.unequal_beats import even_intervals, labelled_bars, unequal_metres
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.metres import Metre, beats_in, sorted_metres

__all__ = ["are_steady", "learn_settings"]

Floats = npt.NDArray[np.float64]

ENOUGH_BARS = 12  # seen in none of them, a metre is rarer than one bar in four (95 %, the rule of three)
UNEVEN = 1.5  # a beat so many times longer or shorter than the median of those around it was missed or doubled
PRIOR_BARS = 50  # weight of the initial metre change, in bars


def learn_settings(beats: Sequence[Beats], *, start: DecoderSettings | None = None) -> DecoderSettings:
    """Learn decoder settings for music like that of the labels.

    - **Tempo.** Inter-beat intervals, without those over 1.5 times longer or shorter than their neighbours
      (a beat was missed or doubled), from the 1st to the 99th percentile, widened at both ends by 0.2 +
      1 / sqrt(n) octaves, where n counts intervals or four times the recordings, whichever are fewer: a
      factor of 1.6 for one recording, 1.3 for five, since the next one may be faster than all of them. The
      prior is log-normal with their median, and their standard deviation widened likewise.
    - **Metres.** Complete bars are counted and one is added to every metre. Metres seen in no bar are dropped
      from 12 bars on. A metre that `start` lacks is added if it makes two bars and a twentieth of all.
      Without positions the metres stay as they are.
    - **Beats of unequal length.** Where they are recognised (`levada.data.unequal_beats`), their bars count as a metre
      such as "2+2+2+3", and intervals as if all beats had the usual length.
    - **Metre change.** The fraction of bars whose metre is not that of the bar before, with the value of `start` as a
      prior that counts as 50 bars.

    The stiffness of the tempo stays: a label's own jitter would pass for rubato.

    Parameters
    ----------
    beats : sequence of Beats
        Labels, one for each recording.
    start : DecoderSettings, optional
        Priors where the labels have no evidence.

    Returns
    -------
    settings : DecoderSettings

    Raises
    ------
    InputError
        If the labels are slower than any beat.
    """
    start = start or DecoderSettings()
    unequal = unequal_metres(beats)
    bars = [[bar.metre for bar in labelled_bars(labels, unequal)] for labels in beats]
    return _with_metres(_with_tempi(start, beats, [even_intervals(labels, unequal) for labels in beats]), bars)


def _with_tempi(settings: DecoderSettings, beats: Sequence[Beats], intervals_s: Sequence[Floats]) -> DecoderSettings:
    intervals = np.concatenate([np.empty(0), *(some[are_steady(some)] for some in intervals_s)])
    if not len(intervals):
        return settings
    octaves = np.log2(60 / intervals)
    slowest, middle, fastest = np.percentile(octaves, [1, 50, 99])
    if 2**middle < SLOWEST_BPM:
        raise InputError(
            f"the labelled beats are {60 / 2**middle:.1f} s apart, slower than {SLOWEST_BPM:g} bpm: label every beat"
        )
    recordings = sum(len(labels) > 1 for labels in beats)
    margin = 0.2 + 1 / np.sqrt(min(len(octaves), 4 * recordings))
    return replace(
        settings,
        min_tempo_bpm=max(SLOWEST_BPM, float(2 ** (slowest - margin))),
        max_tempo_bpm=float(2 ** (fastest + margin)),
        tempo_mean_bpm=float(2**middle),
        tempo_spread_octaves=float(np.hypot(octaves.std(), margin)),
    )


def are_steady(intervals_s: Floats) -> npt.NDArray[np.bool_]:
    """Whether each interval between beats is like the five around it, and no beat was missed or doubled there."""
    if len(intervals_s) < 3:
        return np.ones(len(intervals_s), np.bool_)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(intervals_s, 2, mode="reflect"), 5)
    ratio = intervals_s / np.median(around, axis=1)
    return np.asarray((ratio < UNEVEN) & (ratio > 1 / UNEVEN))


def _with_metres(settings: DecoderSettings, recordings: Sequence[list[Metre]]) -> DecoderSettings:
    counts: Counter[Metre] = Counter(bar for bars in recordings for bar in bars if beats_in(bar) <= LONGEST_BAR)
    total = counts.total()
    if not total:
        return settings
    known = [m for m in settings.metres if counts[m] or total < ENOUGH_BARS]
    new = [m for m in counts if m not in settings.metres and counts[m] >= max(2, total / 20)]
    metres = tuple(sorted_metres([*known, *new]))
    if not metres:
        return settings
    pairs = [pair for bars in recordings for pair in pairwise(bars)]
    changes = sum(bar != following for bar, following in pairs)
    return replace(
        settings,
        metres=metres,
        metre_weights=tuple((counts[m] + 1) / sum(counts[n] + 1 for n in metres) for m in metres),
        metre_change=(changes + PRIOR_BARS * settings.metre_change) / (len(pairs) + PRIOR_BARS),
    )
