"""The beat tracker of librosa: dynamic programming over onset strength at one tempo, no learning and no downbeats.

Daniel Ellis, "Beat tracking by dynamic programming", Journal of New Music Research, 2007; McFee et al., "librosa: Audio
and music signal analysis in Python", SciPy 2015.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.external.compiled_code import publish, restore
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats

__all__ = ["tracker"]

RATE = 22050  # at which librosa reads recordings by default


def tracker() -> ExternalTracker:
    """Return librosa's tracker with its defaults.

    Returns
    -------
    ExternalTracker
        Its beats have no positions in the bar.

    Raises
    ------
    MissingExtra
        If librosa is not installed.
    """
    return ExternalTracker("librosa", _track, identity=f"librosa {_librosa_version()}")


def _librosa_version() -> str:
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    if find_spec("librosa") is None:
        raise MissingExtra("librosa", extra="librosa", purpose="use its beat tracker")
    try:
        return version("librosa")
    except PackageNotFoundError:
        return "unknown"


def _track(samples: npt.NDArray[np.float32], rate: int) -> Beats:
    _librosa_version()
    sound = audio.to_mono(audio.channels_first(samples))
    if not np.isfinite(sound).all():
        raise InputError("the samples are not all finite")
    if not sound.any():  # librosa divides by zero on silence
        return Beats([])
    resampled = audio.resample(sound, rate=rate, to=RATE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            restore("librosa")
            from librosa.beat import beat_track

            _, times_s = beat_track(y=resampled, sr=RATE, units="time")
        publish("librosa")
    except ImportError as error:
        raise InputError(f"the librosa that is installed cannot be imported: {error}") from error
    except Exception as error:  # of any kind: the next recording may work
        raise InputError(f"librosa fails on this recording: {type(error).__name__}: {error}") from error
    return Beats(np.unique(times_s))
