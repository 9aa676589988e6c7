"""Figures of separated stems: spectrograms, and the leakage between instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.learning.figures import blank, save
from levada.separation.stft import BAND_EDGES, REFERENCE_HOP, REFERENCE_RATE, Stft

__all__ = ["Leaks", "plot_leakage", "plot_stems"]

RANGE_DB = 60.0  # of the colour scale
MAX_COLUMNS = 1200  # in time: more cannot be seen
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10000)


@dataclass(frozen=True)
class Leaks:
    """Leakage of one model.

    Parameters
    ----------
    title : str
    stems, instruments : tuple of str
        Labels of the rows and of the columns.
    shares : float [shape=(stems, instruments)]
        Share of each instrument that is in each stem; NaN where it is not known.
    """

    title: str
    stems: tuple[str, ...]
    instruments: tuple[str, ...]
    shares: npt.NDArray[np.float64]


def plot_leakage(path: str | Path, panels: Sequence[Leaks], *, force: bool = False) -> None:
    """Draw the share of each instrument in each stem, a matrix for each model.

    The darker a cell, the more of the instrument below is in the stem at the left; numbers are in percent.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    panels : sequence of Leaks
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If there is nothing to plot, a matrix does not fit its labels, or the file exists, cannot be written or has an
        unknown suffix.
    MissingExtra
        If matplotlib is not installed.
    """
    drawn = [panel for panel in panels if panel.stems and panel.instruments]
    if not drawn:
        raise InputError("there is nothing to plot: no stem was scored")
    for panel in drawn:
        expected = (len(panel.stems), len(panel.instruments))
        if np.shape(panel.shares) != expected:
            raise InputError(f"the matrix of {panel.title} has shape {np.shape(panel.shares)}, its labels {expected}")
    widths = [0.75 * len(panel.instruments) + 1.6 for panel in drawn]
    height = 0.5 * max(len(panel.stems) for panel in drawn) + 1.9
    figure = blank(path, width=max(sum(widths), 4), height=height)
    panes = figure.subplots(1, len(drawn), squeeze=False, width_ratios=widths)[0]
    for axes, panel in zip(panes, drawn, strict=True):
        _matrix(axes, panel)
    panes[0].set_ylabel("stem")
    figure.supxlabel("instrument: percent of it that is in each stem", fontsize=9)
    save(figure, path, force=force)


def plot_stems(
    path: str | Path,
    mixture: npt.ArrayLike,
    stems: Mapping[str, npt.ArrayLike],
    rate: int,
    *,
    start_s: float = 0.0,
    force: bool = False,
) -> None:
    """Draw the spectrogram of a mixture and of each of its stems, one below the other.

    Frequencies are logarithmic; all panels have one scale, in decibels relative to the maximum of the mixture.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    mixture : float32 [shape=(channels, samples)]
    stems : mapping of str to float32 [shape=(channels, samples)]
    rate : int
        In Hz.
    start_s : float
        Start of the time axis, in seconds.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If there is nothing to plot, a stem is not as long as the mixture, or the file exists, cannot be written or has
        an unknown suffix.
    MissingExtra
        If matplotlib is not installed.
    """
    audio = {"mixture": np.atleast_2d(mixture)} | {name: np.atleast_2d(stem) for name, stem in stems.items()}
    length = audio["mixture"].shape[-1]
    if not length or not stems:
        raise InputError("there is nothing to plot: no stems, or no samples")
    for name, sound in audio.items():
        if sound.shape[-1] != length:
            raise InputError(f"the stem {name} has {sound.shape[-1]} samples, and the mixture {length}")
    figure = blank(path, width=11, height=0.9 + 1.5 * len(audio))
    rows = figure.subplots(len(audio), 1, sharex=True, squeeze=False)[:, 0]
    powers = {name: _power(sound, rate) for name, sound in audio.items()}
    loudest = max(float(powers["mixture"].max()), 1e-20)
    edges_hz = np.append(BAND_EDGES, 2 * BAND_EDGES[-1] - BAND_EDGES[-2]) * REFERENCE_RATE / (2 * REFERENCE_HOP)
    times_s = start_s + np.linspace(0, length / rate, len(powers["mixture"]) + 1)
    image: Any = None
    for axes, (name, power) in zip(rows, powers.items(), strict=True):
        decibels = 10 * np.log10(np.maximum(power / loudest, 10 ** (-RANGE_DB / 10)))
        image = axes.pcolormesh(
            times_s, edges_hz[1:], decibels.T[1:], cmap="magma", vmin=-RANGE_DB, vmax=0, rasterized=True
        )
        axes.set_yscale("log")
        axes.set_ylim(30, min(rate / 2, edges_hz[-1]))
        axes.set_yticks([tick for tick in TICKS_HZ if tick < rate / 2], minor=False)
        axes.yaxis.set_major_formatter(lambda hertz, _: f"{hertz:g}" if hertz < 1000 else f"{hertz / 1000:g}k")
        axes.minorticks_off()
        axes.set_title(name, loc="left", fontsize=11)
    rows[-1].set_xlabel("time (s)")
    figure.supylabel("frequency (Hz)", fontsize=10)
    figure.colorbar(image, ax=list(rows), label="dB below the loudest", aspect=40, pad=0.01)
    save(figure, path, force=force)


def _matrix(axes: Any, panel: Leaks) -> None:
    shares = np.asarray(panel.shares, np.float64)
    axes.imshow(np.nan_to_num(np.clip(shares, 0, 1)), cmap="Greys", vmin=0, vmax=1.15, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        text = "–" if np.isnan(share) else f"{100 * share:z.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if share > 0.6 else "black")
    axes.set_xticks(range(len(panel.instruments)), panel.instruments, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(panel.stems)), panel.stems)
    axes.tick_params(length=0, labelsize=9)
    axes.set_title(panel.title, loc="left", fontsize=11)


def _power(sound: npt.NDArray[Any], rate: int) -> npt.NDArray[np.float32]:
    """Compute the mean power of channels in bands, and the maximum of neighbouring frames where there are too many."""
    transform = Stft(rate)
    power = np.zeros((transform.n_frames(sound.shape[-1]), len(BAND_EDGES)), np.float32)
    for channel in sound:
        spectrum = transform.forward(np.asarray(channel, np.float32))
        power += transform.to_bands(spectrum.real**2 + spectrum.imag**2) / len(sound)
    many = -(-len(power) // MAX_COLUMNS)
    return np.maximum.reduceat(power, np.arange(0, len(power), many)) if many > 1 else power
