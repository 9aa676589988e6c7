"""Recordings that the tests of the studio write."""

import numpy as np

from levada.io import audio
from levada.io.beats import Beats

RATE = 22_050


def clicks(path, *, bpm=120.0, seconds=20.0, metre=4):
    """Write clicks, the first of each bar higher and louder, and return their beats."""
    times = np.arange(0.5, seconds - 0.5, 60 / bpm)
    beats = Beats(times, np.arange(len(times)) % metre + 1)
    audio.write(path, audio.clicks(beats, rate=RATE, duration_s=seconds) * 0.5, rate=RATE, force=True)
    return beats
