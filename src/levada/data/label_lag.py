"""Whether all labels of a recording are early or late against its onsets by the same time.

Tapping to a loudspeaker, a player with latency, or an MP3 decoded by another program shift all labels alike. The onset
strength around every beat is averaged; where it peaks away from the labels in all parts of the recording, the lag is
reported.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from levada.data.problems import Problem
from levada.data.tracks import Track
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.onset_strength import rise

__all__ = ["label_lag_s", "lag_problems", "onset_strength"]

Floats = npt.NDArray[np.float64]

REACH_S = 0.15  # largest distance of onsets from the labels
LEAST_S = 0.04  # a shift that is smaller is no mistake: annotators differ by as much
PART = 0.22  # of a beat, above which an onset may be a division of the beat
FEWEST = 16  # beats that are needed
PARTS = 4  # of a recording, which have to agree
WITHIN_S = 0.02  # on the shift
CLEAR = 1.6  # times as strong as at the labels, onsets have to be where they peak
SPREADS = 5.0  # and so many standard errors above the mean of the recording
OTHERS = 0.6  # of the peak, above which another peak makes it unclear
APART_S = 0.05  # from the peak
FPS, WINDOW_S, RISE = 100.0, 0.023, 2  # frames a second, seconds of a frame, frames of a rise
BLOCK = 128  # frames at once, a megabyte
EXCERPT_S = 120.0  # of a recording, from its first label on


def lag_problems(track: Track) -> list[Problem]:
    """Warn of labels that are all early or late; nothing is raised, and nothing is reported where it is unclear.

    Parameters
    ----------
    track : Track
        With an annotation.

    Returns
    -------
    list of Problem
    """
    try:
        beats = track.beats()
        if len(beats) < FEWEST:
            return []
        start_s = max(0.0, float(beats.times_s[0]) - 1.0)
        samples, rate = audio.read(track.audio, start_s=start_s, duration_s=EXCERPT_S)
        inside = beats.between(start_s, start_s + EXCERPT_S).shift(-start_s)
        lag_s = label_lag_s(onset_strength(samples, rate), inside, fps=FPS)
    except InputError:
        return []  # reported by the checks of labels and audio
    if lag_s is None:
        return []
    where = "before" if lag_s > 0 else "after"
    what = f"its labels are all about {1000 * abs(lag_s):.0f} ms {where} the onsets"
    how = "unless this is intended, shift them: tapping to a loudspeaker and MP3s read by another program do this"
    return [Problem("warning", f"{what}; {how}", track.annotation or track.audio)]


def onset_strength(samples: npt.ArrayLike, rate: int) -> Floats:
    """Compute how much the log-magnitude spectrum rises over 20 ms, 100 times a second, without heavy libraries.

    Parameters
    ----------
    samples : array_like [shape=(channels, samples)]
    rate : int
        Samples per second.

    Returns
    -------
    ndarray [shape=(frames,)]
    """
    mono = np.mean(np.atleast_2d(np.asarray(samples, np.float64)), axis=0)
    size, centres = 2 * round(rate * WINDOW_S / 2), np.round(np.arange(0, len(mono), rate / FPS)).astype(np.int64)
    padded = np.pad(mono, size // 2)
    peak = np.abs(mono).max(initial=0.0) + 1e-9
    window, strength = np.hanning(size) / peak, np.zeros(len(centres))
    before = None
    for start in range(0, len(centres), BLOCK):
        frames = padded[centres[start : start + BLOCK, None] + np.arange(size)] * window
        levels = np.log1p(10 * np.abs(np.fft.rfft(frames))[:, 1:])
        if before is not None:
            levels = np.concatenate([before, levels])
        rises = rise(levels, lag=RISE).mean(axis=1)
        end = start + min(BLOCK, len(centres) - start)
        strength[end - len(rises) : end] = rises
        before = levels[-RISE:]
    return strength


def label_lag_s(strength: Floats, beats: Beats, *, fps: float) -> float | None:
    """Estimate the delay of onsets after the labels, in seconds; None where it is unclear or too small.

    Parameters
    ----------
    strength : ndarray [shape=(frames,)]
        `onset_strength` of the recording.
    beats : Beats
    fps : float
        Frames per second.

    Returns
    -------
    float or None
        Negative where the labels are late.
    """
    reach = round(REACH_S * fps)
    centres = np.round(beats.times_s * fps).astype(np.int64)
    centres = centres[(centres >= reach) & (centres < len(strength) - reach)]
    if len(centres) < FEWEST:
        return None
    around = strength[centres[:, None] + np.arange(-reach, reach + 1)]
    around = np.apply_along_axis(lambda row: np.convolve(row, [0.25, 0.5, 0.25], mode="same"), 1, around)
    mean, error = strength.mean(), strength.std() / np.sqrt(len(centres))
    curve = around.mean(axis=0)
    peak = int(curve.argmax())
    lag_s = (peak - reach) / fps
    near = round(WITHIN_S * fps)
    at_labels = curve[reach - near : reach + near + 1].max()
    usual_s = float(np.median(beats.intervals_s))
    if not LEAST_S <= abs(lag_s) <= min(PART * usual_s, REACH_S - 1 / fps):
        return None
    if curve[peak] < CLEAR * at_labels or curve[peak] < mean + SPREADS * error:
        return None
    baseline = min(mean, curve.min())
    inner = (curve[1:-1] >= curve[:-2]) & (curve[1:-1] >= curve[2:])
    peaks = np.flatnonzero(inner) + 1
    peaks = peaks[np.abs(peaks - peak) > APART_S * fps]
    if len(peaks) and curve[peaks].max() - baseline > OTHERS * (curve[peak] - baseline):
        return None
    parts = [int(part.mean(axis=0).argmax()) for part in np.array_split(around, PARTS)]
    return lag_s if all(abs(part - peak) <= near for part in parts) else None
