"""Lossy codecs: a transform coder at low bit rates, and the telephone.

The coder quantises MDCT coefficients with steps from a simple masking model, as MPEG layer 3 does. libsndfile's encoder
would take half a second for 40 s of music.
"""

from __future__ import annotations

import numpy as np

from levada.synth.acoustics.noise import Floats32, Generator, filter_minimum_phase
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = ["imdct", "lossy_codec", "mdct", "telephone"]

BLOCK = 576  # coefficients, as in MPEG layer 3: 13 ms
RATES_KBPS = (16, 24, 32, 48, 64, 96, 128)
CUTOFF_HZ = (4000, 5500, 7500, 10000, 11500, 15000, 16000)
# Edges of the scale factor bands of MPEG layer 3 at 44.1 kHz, long blocks.
EDGES = (0, 4, 8, 12, 16, 20, 24, 30, 36, 44, 52, 62, 74, 90, 110, 134, 162, 196, 238, 288, 342, 418)


def lossy_codec(samples: Floats32, *, rng: Generator, kbps: tuple[float, float] | None = None) -> Floats32:
    """Encode and decode at a low bit rate: band limit, spectral holes, pre-echo; no delay.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
    rng : numpy.random.Generator
    kbps : (float, float), optional
        Range of the bit rate in kilobits per second, from which it is sampled uniformly; by default from 16 to 128,
        log-uniformly.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    rate = log_uniform((16, 128), rng) if kbps is None else rng.uniform(*kbps)
    cutoff = int(np.interp(rate, RATES_KBPS, CUTOFF_HZ) / (RATE / 2) * BLOCK)
    to_mask_db = float(np.interp(np.log(rate), np.log([16, 128]), [2, 17]) + rng.uniform(-1.5, 1.5))
    spectrum = mdct(samples)
    spectrum[:, cutoff:] = 0
    widths = np.diff([*EDGES, BLOCK])
    energy = np.add.reduceat(spectrum**2, EDGES, axis=1) / widths
    mask = energy * np.float32(10 ** (-to_mask_db / 10))
    mask[:, 1:] = np.maximum(mask[:, 1:], mask[:, :-1] * np.float32(0.03))  # a band masks the next higher one
    mask[1:] = np.minimum(mask[1:], 8 * mask[:-1] + energy[1:] * np.float32(10 ** (-(to_mask_db + 12) / 10)))
    mask = np.maximum(mask, max(float(energy.max()) * 1e-8, 1e-20))  # threshold of hearing
    step = np.repeat(np.sqrt(12 * mask), widths, axis=1)
    return imdct(np.rint(spectrum / step) * step, count=len(samples))


def _window() -> Floats32:
    return np.asarray(np.sin(np.pi / (2 * BLOCK) * (np.arange(2 * BLOCK) + 0.5)), np.float32)


def mdct(samples: Floats32) -> Floats32:
    """Compute the modified discrete cosine transform (Princen and Bradley 1986): float32 [shape=(blocks, 576)]."""
    from scipy.fft import dct

    blocks = -(-len(samples) // BLOCK) + 1
    padded = np.zeros((blocks + 1, BLOCK), np.float32)
    padded.reshape(-1)[BLOCK : BLOCK + len(samples)] = samples
    window, half = _window(), BLOCK // 2
    first, second = padded[:-1] * window[:BLOCK], padded[1:] * window[BLOCK:]
    folded = np.empty((blocks, BLOCK), np.float32)
    folded[:, :half] = -second[:, :half][:, ::-1] - second[:, half:]
    folded[:, half:] = first[:, :half] - first[:, half:][:, ::-1]
    return np.asarray(dct(folded, type=4, norm="ortho"))


def imdct(spectrum: Floats32, *, count: int) -> Floats32:
    """Invert `mdct`: float32 [shape=(count,)]."""
    from scipy.fft import dct

    folded = dct(spectrum, type=4, norm="ortho")
    window, half = _window(), BLOCK // 2
    low, high = folded[:, :half], folded[:, half:]
    out = np.zeros((len(spectrum) + 1, BLOCK), np.float32)
    out[:-1] = np.concatenate([high, -high[:, ::-1]], axis=1) * window[:BLOCK]
    out[1:] += np.concatenate([-low[:, ::-1], -low], axis=1) * window[BLOCK:]
    return out.reshape(-1)[BLOCK : BLOCK + count]


def telephone(samples: Floats32, *, rng: Generator) -> Floats32:
    """Simulate a telephone: 300 to 3400 Hz, 8 bits with mu-law (ITU-T G.711).

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples a resonance of the band.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    narrow = filter_minimum_phase(
        samples,
        knots_hz=[100, 250, 300, rng.uniform(800, 2500), 3400, 3800, 5000],
        gains_db=[-40, -8, -3, rng.uniform(0, 6), -3, -25, -60],
    )
    top = np.float32(np.abs(narrow).max())
    if top == 0:
        return narrow
    small = np.log1p(np.float32(255) * np.abs(narrow) / top) * np.float32(127 / np.log(256))
    loud = np.expm1(np.rint(small) * np.float32(np.log(256) / 127))
    return np.asarray(np.sign(narrow) * top / 255 * loud, np.float32)
