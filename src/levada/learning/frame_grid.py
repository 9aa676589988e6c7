"""Where frames of a spectrogram lie in time, with an exact frame rate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["FrameGrid"]


@dataclass(frozen=True)
class FrameGrid:
    """Where frames lie in time.

    Parameters
    ----------
    rate : int
        Samples per second.
    hop : int
        Samples from one frame's centre to the next.
    """

    rate: int = 44100
    hop: int = 441

    @property
    def fps(self) -> Fraction:
        """Frames per second, exactly."""
        return Fraction(self.rate, self.hop)

    def frames(self, samples: int) -> int:
        """How many frames a number of samples has."""
        return -(-samples // self.hop)

    def time_s(self, frame: float) -> float:
        """Time of a frame's centre, in seconds."""
        return float(frame * self.hop / self.rate)

    def frame(self, time_s: float) -> int:
        """The frame whose centre is nearest to a time in seconds."""
        return int(np.floor(time_s * self.rate / self.hop + 0.5))
