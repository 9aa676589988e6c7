"""Learning of patterns from labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings, learn_settings
from levada.beat_tracking.patterns.bars import Bar, cells_of, count_metres, cut_bars
from levada.beat_tracking.patterns.features import band_onset_strength
from levada.beat_tracking.patterns.mixture import Mixture, fit_mixture, k_means
from levada.beat_tracking.patterns.model import BayesSettings, Patterns
from levada.beat_tracking.spectrogram import GRID, log_spectrogram
from levada.data import Span
from levada.data.unequal_beats import unequal_metres
from levada.errors import InputError
from levada.io import audio
from levada.io.metres import Metre, beats_in
from levada.learning.card import adapted_card

__all__ = ["train"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CONTEXT_S = 6.0  # before and after a labelled span, for the moving mean of onset strength


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames of labelled beats."""

    features: Floats  # (n, dimensions)
    bar: Ints  # (n,) index of the bar
    beat: Ints  # (n,) beat of the bar, from 0
    cell: Ints  # (n,) cell of the beat


def train(
    spans: Sequence[Span],
    *,
    settings: BayesSettings | None = None,
    start: DecoderSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Patterns:
    """Learn the patterns, tempi and metres of labelled spans.

    Each bar is cut into cells, and every cell of a pattern learns its weights of the Gaussians that all share. With few
    frames they are shrunk to those of its neighbours, of the same cell in the other beats, and of all cells. Bars are
    grouped into patterns where there are enough of them.

    Parameters
    ----------
    spans : sequence of Span
        Where no position in the bar is known, beats are learnt and bars are not.
    settings : BayesSettings, optional
    start : DecoderSettings, optional
        Priors of tempo where the labels have no evidence.
    progress : callable, optional
        Called with spans done, and of how many.

    Returns
    -------
    Patterns

    Raises
    ------
    InputError
        If there are no two labelled beats in a row, or there are no onsets there.

    References
    ----------
    F. Krebs, S. Böck and G. Widmer, "Rhythmic pattern modeling for beat and downbeat tracking in musical audio",
    ISMIR 2013.
    """
    settings = settings or BayesSettings()
    labels = [span.beats for span in spans]
    metres = count_metres(labels, unequal_metres(labels))
    order = sorted(metres, key=lambda metre: -metres[metre])
    bars: list[Bar] = []
    cells: list[_Frames] = []
    for done, span in enumerate(spans, start=1):
        cut = cut_bars(span.beats, order)
        if cut:
            cells.append(_cell_frames(span, cut, len(bars), settings))
            bars += cut
        if progress is not None:
            progress(done, len(spans))
    if not bars:
        raise InputError("there are no two annotated beats in a row to learn from")
    frames = _Frames(*(np.concatenate([getattr(part, name) for part in cells]) for name in _Frames.__annotations__))
    if len(frames.features) < settings.cells or not frames.features.any():
        raise InputError("there are no onsets where the labels are: are they of this recording?")
    rng = np.random.default_rng(settings.seed)
    mixture = fit_mixture(frames.features, components=settings.components, rng=rng)
    counts = _Counts(bars, frames, mixture, settings)
    known = sorted({bar.metre for bar in bars if bar.metre}, key=lambda metre: (beats_in(metre), str(metre)))
    groups: dict[Metre, list[Ints]]
    groups = {metre: counts.groups(metre, rng=rng) for metre in known} if known else {1: [np.arange(len(bars))]}
    width = max(int(cells_of(metre, settings.cells).max()) for metre in groups)
    shared = [[max(1, len(group)) for group in metre] for metre in groups.values()]
    return Patterns(
        settings=settings,
        bars=tuple(metre for metre, grouped in groups.items() for _ in grouped),
        shares=np.concatenate([np.array(share) / sum(share) for share in shared]),
        mixture=mixture,
        weights=np.concatenate(
            [counts.weights(metre if known else 0, grouped, width) for metre, grouped in groups.items()]
        ),
        decoder=_decoder(spans, Counter({metre: max(1, metres.get(metre, 0)) for metre in groups}), start),
        card=adapted_card(
            spans, origin="Rhythmic patterns of a bar-pointer model, learnt from labels alone", name="patterns"
        ),
        counted=bool(known),
    )


def _cell_frames(span: Span, bars: Sequence[Bar], index: int, settings: BayesSettings) -> _Frames:
    """Return the frames of the bars of a span, of which the first has the given index."""
    start_s = max(0.0, span.start_s - CONTEXT_S)
    samples, rate = audio.read(span.track.audio, start_s=start_s, duration_s=span.end_s + CONTEXT_S - start_s)
    features = band_onset_strength(log_spectrogram(samples, rate), edges_hz=settings.edges_hz, every=settings.every)
    fps = float(GRID.fps) / settings.every
    times = (
        round(start_s * rate) / rate + (np.arange(len(features)) + (settings.every - 1) / (2 * settings.every)) / fps
    )
    taken: list[tuple[Ints, Ints, Ints, Ints]] = []
    for i, bar in enumerate(bars, start=index):
        at = np.flatnonzero((times >= bar.times_s[0]) & (times < bar.times_s[-1]))
        beat = np.searchsorted(bar.times_s, times[at], side="right") - 1
        place = (times[at] - bar.times_s[beat]) / np.diff(bar.times_s)[beat]
        cells = cells_of(bar.metre, settings.cells)[beat + bar.first] if bar.metre else settings.cells
        cell = np.minimum((place * cells).astype(np.int64), cells - 1)
        taken.append((at, np.full(len(at), i), beat + bar.first, cell))
    at, bar_index, beat, cell = (np.concatenate(column) for column in zip(*taken, strict=True))
    return _Frames(features[at], bar_index, beat, cell)


class _Counts:
    """Counts of each Gaussian in each cell of each beat of each bar."""

    def __init__(self, bars: Sequence[Bar], frames: _Frames, mixture: Mixture, settings: BayesSettings) -> None:
        self._bars, self._frames, self._settings = bars, frames, settings
        self._background = mixture.weights
        self._share = (mixture.densities(frames.features) * mixture.weights[:, None]).T  # (n, components)
        visits = sum(int(self._visited(bar).sum()) for bar in bars)
        self._prior_weight = settings.shrinkage * len(frames.features) / visits  # in frames that a cell has in a beat
        everywhere = self._counted(frames.cell * settings.cells // self._frame_cells(), settings.cells)
        self._anywhere = self._with_prior(_smooth(everywhere, settings.smoothing), self._background)  # (cells, …)

    def _visited(self, bar: Bar) -> Ints:
        """Return the cells of each labelled beat of a bar."""
        n = len(bar.times_s) - 1
        if not bar.metre:
            return np.full(n, self._settings.cells)
        return cells_of(bar.metre, self._settings.cells)[bar.first : bar.first + n]

    def _frame_cells(self) -> Ints:
        """Return the number of cells of the beat of each frame."""
        each = [self._visited(bar) for bar in self._bars]
        starts = np.cumsum([0, *map(len, each)])[:-1]
        first = np.array([bar.first for bar in self._bars])
        cells: Ints = np.concatenate(each)[(starts - first)[self._frames.bar] + self._frames.beat]
        return cells

    def weights(self, metre: Metre, groups: Sequence[Ints], width: int) -> Floats:
        """Weights (beats, width, components) of a metre, given which bars are of which of its patterns.

        Cells that a beat lacks have the weights of all frames.
        """
        settings = self._settings
        if not metre:
            return self._padded(self._anywhere, np.array([settings.cells]), width)
        cells = cells_of(metre, settings.cells)
        mine = np.array([bar.metre == metre for bar in self._bars])[self._frames.bar]
        whole = _smooth(self._in_cells(mine, cells), settings.smoothing)
        anywhere = self._anywhere[np.concatenate([np.arange(n) * settings.cells // n for n in cells])]
        prior = self._with_prior(whole, anywhere)
        if len(groups) == 1:
            return self._padded(prior, cells, width)
        each = [self._in_cells(np.isin(self._frames.bar, group), cells) for group in groups]
        return np.concatenate(
            [self._padded(self._with_prior(_smooth(one, settings.smoothing), prior), cells, width) for one in each]
        )

    def groups(self, metre: Metre, *, rng: np.random.Generator) -> list[Ints]:
        """Group the bars of a metre into its patterns."""
        mine = np.array([i for i, bar in enumerate(self._bars) if bar.metre == metre])
        n = max(1, min(self._settings.patterns, len(mine) // self._settings.bars_per_pattern))
        if n == 1:
            return [mine]
        group = k_means(np.stack([self._mean(int(i), metre) for i in mine]), n, rng=rng)
        return [mine[group == i] for i in range(n) if (group == i).any()]

    def _mean(self, bar: int, metre: Metre) -> Floats:
        """Mean onsets in each cell of a bar (cells, dimensions), NaN where it is not labelled."""
        cells = cells_of(metre, self._settings.cells)
        at = self._frames.bar == bar
        place = (np.cumsum(cells) - cells)[self._frames.beat[at]] + self._frames.cell[at]
        n = int(cells.sum())
        count = np.bincount(place, minlength=n).astype(np.float64)
        sums = [np.bincount(place, values, minlength=n) for values in self._frames.features[at].T]
        with np.errstate(invalid="ignore"):
            mean: Floats = np.stack(sums, axis=1) / count[:, None]
        return mean

    def _in_cells(self, frames: npt.NDArray[np.bool_], cells: Ints) -> Floats:
        """Frames of each kind in the cells of a bar (cells, components)."""
        place = (np.cumsum(cells) - cells)[self._frames.beat[frames]] + self._frames.cell[frames]
        return self._counted(place, int(cells.sum()), self._share[frames])

    def _counted(self, place: Ints, n: int, share: Floats | None = None) -> Floats:
        """Frames of each kind in n cells (n, components)."""
        counts = np.zeros((n, self._share.shape[1]))
        np.add.at(counts, place, self._share if share is None else share)
        return counts

    def _with_prior(self, counts: Floats, prior: Floats) -> Floats:
        """Return weights from the counts and a prior."""
        prior_weight = self._prior_weight + 1e-3
        weights: Floats = (counts + prior_weight * prior) / (counts.sum(axis=-1, keepdims=True) + prior_weight)
        return weights

    def _padded(self, weights: Floats, cells: Ints, width: int) -> Floats:
        """Return the weights of the cells of each beat as (beats, width, components)."""
        padded = np.tile(self._background, (len(cells), width, 1))
        padded[np.arange(width) < cells[:, None]] = weights
        return padded


def _smooth(counts: Floats, share: float) -> Floats:
    """Smooth over neighbouring cells (cells, components), those of the next bar included."""
    smooth: Floats = (1 - 2 * share) * counts + share * (np.roll(counts, 1, axis=0) + np.roll(counts, -1, axis=0))
    return smooth


def _decoder(spans: Sequence[Span], metres: Counter[Metre], start: DecoderSettings | None) -> DecoderSettings:
    """Return tempo and metre change as learnt, with the metres of the patterns."""
    learnt = learn_settings([span.beats for span in spans], start=start)
    return replace(
        learnt,
        metres=tuple(metres),
        metre_weights=tuple(n / metres.total() for n in metres.values()),
        metre_change=learnt.metre_change if len(metres) > 1 else 0.0,
    )
