"""The relation of a recorded mixture to its stems: its delay, their levels in it, and what is left.

Mixtures are mastered: limited, exported at another level, or delayed by a plug-in. A separator's input is such a
recording, so it is what is scored, with the stems as they are in it. Only a recording that is not made of its stems at
all is replaced by their sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["LAG_S", "MATCHES_DB", "NEAR_DB", "MixtureFit", "fit_mixture", "fit_rest"]

Floats32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

MATCHES_DB = -40.0  # what a mixture may hold beyond its stems and still be their sum
NEAR_DB = -15.0  # beyond this it is not made of its stems
SIMPLER_DB = 3.0  # a fit with fewer gains is taken if it leaves at most so much more
LAG_S = 1.0  # the largest delay


@dataclass(frozen=True)
class MixtureFit:
    """The relation of a recorded mixture to its stems.

    Parameters
    ----------
    gains : tuple of float
        Of each stem in the mixture, in the order of the song's stems.
    delay : int
        Samples by which the mixture is later than its stems.
    rate : int
        Of these samples, in Hz.
    residual_db : float
        Energy of what the mixture holds beyond the stems, relative to the mixture; -inf if it is exactly their sum.
    is_used : bool
        Whether the recording is used as the mixture; otherwise the sum of the stems is.
    """

    gains: tuple[float, ...]
    delay: int = 0
    rate: int = 1
    residual_db: float = -math.inf
    is_used: bool = True

    @property
    def delay_s(self) -> float:
        """The delay in seconds."""
        return self.delay / self.rate

    def __str__(self) -> str:
        """Describe the mixture in a few words, for a table."""
        if not self.is_used:
            return f"sum of the stems; the recording differs from it by {self.residual_db:.0f} dB"
        changes = []
        if self.delay:
            changes.append(f"{abs(1000 * self.delay_s):.1f} ms {'later' if self.delay > 0 else 'earlier'}")
        levels = [20 * math.log10(max(abs(gain), 1e-6)) for gain in self.gains]
        if any(abs(level) > 0.1 for level in levels):
            least, most = f"{min(levels):+.1f}", f"{max(levels):+.1f}"
            changes.append(f"stems at {least} dB" if least == most else f"stems at {least} to {most} dB")
        if any(gain < 0 for gain in self.gains):
            changes.append("stems of opposite polarity")
        if self.residual_db > MATCHES_DB:
            changes.append(f"{self.residual_db:.0f} dB beyond the stems")
        return ", ".join(["recording", *changes])


def fit_mixture(windows: Sequence[tuple[Floats32, Floats32]], *, rate: int, lag: int) -> MixtureFit:
    """Fit a mixture by its stems, with one delay and a gain for each.

    The delay is where the cross-correlation of the sum and the mixture is largest; it is 0 if the mixture fits no
    better there. Of one gain that is 1, one gain for all and one for each (least squares), the simplest is taken that
    leaves at most 3 dB more than the best.

    Parameters
    ----------
    windows : sequence of (float32 [shape=(stems, channels, n)], float32 [shape=(channels, n + 2 * lag)])
        Stretches of the stems, and of the mixture from `lag` samples earlier to `lag` samples later.
    rate : int
        In Hz.
    lag : int
        The largest delay, in samples.

    Returns
    -------
    MixtureFit
    """
    count = windows[0][0].shape[0]
    plain = _least(windows, 0, lag)
    if plain.unit_db <= MATCHES_DB:
        return MixtureFit((1.0,) * count, 0, rate, plain.unit_db)
    delay = _delay([(stems.sum(0), recorded) for stems, recorded in windows], lag)
    moved = _least(windows, delay, lag) if delay else plain
    best = moved if moved.each_db < plain.each_db - 1 else plain
    if best is plain:
        delay = 0
    if best.unit_db <= max(best.each_db + SIMPLER_DB, MATCHES_DB):
        gains, residual_db = (1.0,) * count, best.unit_db
    elif best.one_db <= max(best.each_db + SIMPLER_DB, MATCHES_DB):
        gains, residual_db = (best.one,) * count, best.one_db
    else:
        gains, residual_db = best.each, best.each_db
    if residual_db > NEAR_DB:
        return MixtureFit((1.0,) * count, 0, rate, residual_db, is_used=False)
    return MixtureFit(gains, delay, rate, residual_db)


def fit_rest(windows: Sequence[tuple[Floats32, Floats32]], *, rate: int, lag: int) -> MixtureFit:
    """Find the delay of a mixture that holds more than its one stem; parameters as of `fit_mixture`.

    What it holds beyond the stem is the rest, and no error. A delay is used only if it is clear:
    where the correlation is largest, the stem's gain in the mixture is between -6 and 6 dB, and at delay 0 it is less
    than four fifths of that.
    """
    count = windows[0][0].shape[0]
    energy = sum(float(np.square(stems.sum(0), dtype=np.float64).sum()) for stems, _ in windows)
    pairs = [(stems.sum(0), recorded) for stems, recorded in windows]
    delay = _delay(pairs, lag)
    at_delay, at_zero = (sum(_product(one, other, at, lag) for one, other in pairs) for at in (delay, 0))
    is_clear = energy > 0 and 0.5 <= at_delay / energy <= 2 and at_zero < 0.8 * at_delay
    return MixtureFit((1.0,) * count, delay if is_clear else 0, rate)


@dataclass(frozen=True)
class _Least:
    """The residual of a mixture, with gains of 1, one gain, and one for each stem."""

    unit_db: float
    one: float
    one_db: float
    each: tuple[float, ...]
    each_db: float


def _least(windows: Sequence[tuple[Floats32, Floats32]], delay: int, lag: int) -> _Least:
    count = windows[0][0].shape[0]
    gram, cross, total = np.zeros((count, count)), np.zeros(count), 0.0
    for stems, recorded in windows:
        s = stems.reshape(count, -1).astype(np.float64)
        x = recorded[:, lag + delay :][:, : stems.shape[-1]].reshape(-1).astype(np.float64)
        gram += s @ s.T
        cross += s @ x
        total += float(x @ x)

    def left(gains: Floats) -> float:
        return _db(float(total - 2 * gains @ cross + gains @ gram @ gains), total)

    ones = np.ones(count)
    one = float(cross.sum() / gram.sum()) if gram.sum() > 0 else 1.0
    each = np.asarray(np.linalg.lstsq(gram, cross, rcond=1e-9)[0], np.float64)
    each[np.diag(gram) <= 1e-12 * max(np.trace(gram), 1e-300)] = 1.0  # undetermined for a stem that is silent here
    return _Least(left(ones), one, left(one * ones), tuple(float(gain) for gain in each), left(each))


def _delay(windows: Sequence[tuple[Floats32, Floats32]], lag: int) -> int:
    """Return the delay at which the cross-correlation of a sound and a recording is largest, at any polarity."""
    summed = np.zeros(2 * lag + 1)
    for sound, recorded in windows:
        size = 1 << (recorded.shape[-1] - 1).bit_length()
        spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(sound, size))
        summed += np.fft.irfft(spectrum, size)[:, : 2 * lag + 1].sum(axis=0)
    return int(np.argmax(np.abs(summed))) - lag


def _product(sound: Floats32, recorded: Floats32, delay: int, lag: int) -> float:
    moved = recorded[:, lag + delay :][:, : sound.shape[-1]]
    return float(np.sum(sound.astype(np.float64) * moved))


def _db(power: float, of: float) -> float:
    if of <= 0 or power <= 1e-13 * of:
        return -math.inf
    return 10 * math.log10(power / of)
