"""Separation by masks on the spectra of a mixture, in consecutive pieces.

A mask is the share of an instrument in each bin of each frame. Masks of all instruments sum to one and the phases are
those of the mixture, so that stems sum to the mixture. Long recordings are processed in pieces: each with the context
that its masks depend on, so that the result is that of the whole recording at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io import audio
from levada.learning.card import Card
from levada.separation import nmf
from levada.separation.stft import N_BANDS, Stft
from levada.synth.instrument_names import OTHER, find_voice, normalise_name, slug

__all__ = [
    "Decision", "MaskSeparator", "SeparatorLike", "Spans",
    "consecutive_spectra", "for_recording", "for_stream", "gathered", "level_of", "masked", "matched", "mean_masks",
    "product", "sample_pieces", "sound_of",
]  # fmt: skip

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
Spans = Mapping[str, list[tuple[float, float]]]
Progress = Callable[[int, int], None]

PIECE_FRAMES = 384
"""Frames, 23 ms apart, that are separated at once, without their context: 9 s."""
SHORTEST = 64
PIECE_S, MOST_PIECES = 4.0, 16
"""Length and largest number of the evenly spaced pieces that decide how a recording is separated."""
LEAST_MASK = np.float32(1e-3)
"""Added to both masks before they are multiplied, so that neither can silence an instrument alone."""
BLIND, MOST_BLIND = replace(nmf.CONVOLUTIVE, bases=2, learning_steps=10, steps=15), 16
"""Settings of dictionaries that are learnt from a recording itself, and the largest number of its instruments."""
BLIND_CARD = Card("blind", "Learnt from a recording that is separated", "that of the recording", "none", 0, {"none": 0})


@dataclass(frozen=True)
class Decision:
    """How a recording is separated, and why.

    Parameters
    ----------
    weight : float
        Weight of the network, from 0 (dictionaries alone) to 1 (the network alone).
    divergence : float
        Of the recording from its reconstruction by the dictionaries; see `levada.separation.nmf.divergence`.
    held_out : float
        The same of labels that the dictionaries did not learn from.
    """

    weight: float
    divergence: float
    held_out: float

    def line(self) -> str:
        """Describe the decision in one line."""
        parts = {0.0: "dictionaries alone", 1.0: "the network alone"}
        how = parts.get(self.weight, f"dictionaries, and the network with a weight of {self.weight:.2f}")
        return (
            f"separated by {how}: the dictionaries explain it with a divergence of {self.divergence:.2f}, "
            f"held-out labels with {self.held_out:.2f}"
        )


class SeparatorLike(Protocol):
    """A separator: its name, instruments and training data, and how it separates.

    One that decides for each recording how has ``for_recording(pieces, rate)`` too; see `for_recording`.
    """

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the stems."""

    @property
    def identity(self) -> str:
        """A digest that changes whenever its stems might."""

    @property
    def trained_on(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the spans used, in seconds."""

    def separate(self, audio: Floats32, rate: int, /, *, progress: Progress | None = None) -> Mapping[str, Floats32]:
        """Separate a mixture in memory; the stems sum to it."""

    def stream(self, pieces: Iterator[Floats32], rate: int, /, *, level: float) -> Iterator[dict[str, Floats32]]:
        """Separate a mixture in consecutive pieces, in constant memory."""


@dataclass(frozen=True)
class MaskSeparator:
    """A separator by masks.

    Parameters
    ----------
    name : str
        Name in tables.
    instruments : tuple of str
        Names of the stems, in the order of the masks.
    masks : callable
        From the power of a mixture, float32 [shape=(frames, bins)], mean of its channels, the level of the whole
        recording (see `level_of`) and the rate in Hz, to float32 [shape=(instruments, frames, bins)]. They sum to one.
    context_frames : int
        Frames on either side that the mask of a frame depends on.
    stride_frames : int
        Pieces begin at multiples of so many frames.
    identity : str
        A digest that changes whenever its stems might.
    trained_on : mapping
        SHA-256 of each recording it was trained on -> the spans used, in seconds.
    piece_frames : int
        Frames of a stereo recording that are separated at once; affects only memory.
    restrict : callable, optional
        From some of the instruments to a separator of these; see `restricted`.
    mean_weight : float
        Weight of the mean mask of the whole recording beside the mask of each frame, from 0 to 1; see `for_recording`.
    blind_weight : float
        Weight of dictionaries that are learnt from the recording itself, from 0 to 1; see `for_recording`.
    networks : tuple
        Those that `masks` runs, as `levada.learning.model.LoadedModel` moves them to a device.
    """

    name: str
    instruments: tuple[str, ...]
    masks: Callable[[Floats32, float, int], Floats32]
    context_frames: int = 0
    stride_frames: int = 1
    identity: str = ""
    trained_on: Spans = field(default_factory=dict)
    piece_frames: int = PIECE_FRAMES
    restrict: Callable[[Sequence[str]], MaskSeparator] | None = None
    mean_weight: float = 0.0
    blind_weight: float = 0.0
    networks: tuple[Any, ...] = ()

    def restricted(self, instruments: Sequence[str]) -> MaskSeparator:
        """Return the separator of a mixture in which only some of its instruments play.

        Parameters
        ----------
        instruments : sequence of str
            Names among `instruments`.

        Returns
        -------
        MaskSeparator
            A separator whose stems are these and sum to the mixture; itself if it cannot be restricted.
        """
        kept = [name for name in self.instruments if name in instruments]
        return self if self.restrict is None or len(kept) == len(self.instruments) else self.restrict(kept)

    def for_recording(self, pieces: Iterable[Floats32], rate: int) -> tuple[MaskSeparator, None]:
        """Estimate the mean masks and the dictionaries of a recording, if they have a weight.

        A network that was not trained on the drums of a recording errs less in the spectrum and the level that each has
        on average than in single frames: the mean over frames, weighted by their power, of its own masks is better than
        these, and a weighted mean of both is better still. Dictionaries that are learnt from these masks and fitted to
        the recording (`nmf.learn_blindly`) correct what is not alike from stroke to stroke. Of more instruments than
        `MOST_BLIND`, most of which do not play, they are not learnt.

        Parameters
        ----------
        pieces : iterable of float32 [shape=(channels, n)]
            Consecutive pieces of the whole recording.
        rate : int
            In Hz.

        Returns
        -------
        separator : MaskSeparator
        decision : None
        """
        if not self.mean_weight:
            return self, None
        sampled = sample_pieces(pieces, rate)
        powers = [_power(Stft(rate).forward(piece)) for piece in sampled]
        return self.fitted(powers, level_of(sampled, rate), rate), None

    def fitted(self, powers: Sequence[Floats32], level: float, rate: int) -> MaskSeparator:
        """Estimate the mean masks and the dictionaries of a recording from the power of pieces of it.

        Parameters
        ----------
        powers : sequence of float32 [shape=(frames, bins)]
        level : float
            Of the whole recording: see `level_of`.
        rate : int
            In Hz.
        """
        of_pieces = [self.masks(power, level, rate) for power in powers]
        means = mean_masks(of_pieces, powers)
        with_means = replace(
            self, masks=partial(_add_means, self.masks, means, self.mean_weight), mean_weight=0.0, restrict=None
        )
        if not self.blind_weight or not 1 < len(self.instruments) <= MOST_BLIND:
            return with_means
        averaged = [_averaged(masks, means, self.mean_weight) for masks in of_pieces]
        return with_means.with_blind_dictionaries(powers, averaged, self.blind_weight)

    def with_blind_dictionaries(
        self, powers: Sequence[Floats32], masks: Sequence[Floats32], weight: float
    ) -> MaskSeparator:
        """Multiply its masks with those of dictionaries that are learnt from a recording; see `nmf.learn_blindly`.

        Parameters
        ----------
        powers : sequence of float32 [shape=(frames, bins)]
            Of pieces of the recording.
        masks : sequence of float32 [shape=(instruments, frames, bins)]
            Of each piece, to start from.
        weight : float
            Of the dictionaries, from 0 to 1.
        """
        bases = nmf.learn_blindly([np.sqrt(power) for power in powers], masks, settings=BLIND)
        dictionaries = nmf.Dictionaries(self.instruments, bases, BLIND_CARD, BLIND)
        return replace(
            self,
            masks=partial(_with_dictionaries, self.masks, dictionaries, weight),
            context_frames=max(self.context_frames, dictionaries.context_frames),
            restrict=None,
        )

    def separate(self, samples: Floats32, rate: int, *, progress: Progress | None = None) -> dict[str, Floats32]:
        """Separate a mixture in memory.

        Parameters
        ----------
        samples : float32 [shape=(channels, samples)]
        rate : int
            In Hz.
        progress : callable, optional
            Called with the seconds done and all seconds.

        Returns
        -------
        dict of str to float32 [shape=(channels, samples)]
            They sum to the mixture.

        Raises
        ------
        InputError
            If there are no samples, or one of them is not finite.
        """
        sound = sound_of(samples)
        level, (chosen, _) = level_of([sound], rate), self.for_recording([sound], rate)
        return gathered(self.instruments, sound, rate, chosen.stream([sound], rate, level=level), progress)

    def stream(self, pieces: Iterable[Floats32], rate: int, *, level: float) -> Iterator[dict[str, Floats32]]:
        """Separate a mixture in consecutive pieces.

        Parameters
        ----------
        pieces : iterable of float32 [shape=(channels, n)]
            Of any length, consecutive.
        rate : int
            In Hz.
        level : float
            Of the whole recording: see `level_of`.

        Yields
        ------
        dict of str to float32 [shape=(channels, n)]
            Consecutive pieces of each stem, together as long as the mixture.
        """
        if self.mean_weight:
            chosen, pieces = for_stream(self, pieces, rate)
            return chosen.stream(iter(pieces), rate, level=level)
        return masked(
            pieces,
            rate,
            self.instruments,
            lambda power, _: self.masks(power, level, rate),
            context=self.context_frames,
            stride=self.stride_frames,
            size=self.piece_frames,
        )


def for_recording(
    separator: SeparatorLike, pieces: Iterable[Floats32], rate: int
) -> tuple[SeparatorLike, Decision | None]:
    """Decide how a recording is separated, where a separator decides that for each.

    Parameters
    ----------
    separator : SeparatorLike
    pieces : iterable of float32 [shape=(channels, n)]
        Consecutive pieces of the whole recording.
    rate : int
        In Hz.

    Returns
    -------
    separator : SeparatorLike
        The same one where there is nothing to decide; then no piece is read.
    decision : Decision or None
    """
    choose = getattr(separator, "for_recording", None)
    chosen: tuple[SeparatorLike, Decision | None] = (separator, None) if choose is None else choose(pieces, rate)
    return chosen


def for_stream(
    separator: SeparatorLike, pieces: Iterable[Floats32], rate: int
) -> tuple[SeparatorLike, Iterable[Floats32]]:
    """Decide how a recording is separated by its first minute, and return all of its pieces again."""
    remaining, first, length = iter(pieces), list[Floats32](), 0
    while length < PIECE_S * MOST_PIECES * rate and (piece := next(remaining, None)) is not None:
        first.append(piece)
        length += piece.shape[1]
    return for_recording(separator, first, rate)[0], chain(first, remaining)


def sample_pieces(pieces: Iterable[Floats32], rate: int) -> list[Floats32]:
    """Return evenly spaced pieces of a recording whose length is not known: all of it, if it takes a minute or less.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(channels, n)]
        Of any length, consecutive.
    rate : int
        In Hz.

    Returns
    -------
    list of float32 [shape=(channels, n)]
        Of `PIECE_S` each, but for the last one; at most `MOST_PIECES`.
    """
    length, rest, kept, stride, number = round(PIECE_S * rate), list[Floats32](), list[Floats32](), 1, 0
    for piece in chain(pieces, [None]):
        rest += [] if piece is None else [piece]
        while rest and (piece is None or sum(one.shape[1] for one in rest) >= length):
            whole = np.concatenate(rest, axis=1)
            if number % stride == 0:
                kept.append(whole[:, :length])
            rest, number = [whole[:, length:]] if whole.shape[1] > length else [], number + 1
            if len(kept) > MOST_PIECES:
                kept, stride = kept[::2], stride * 2
    return kept


def mean_masks(masks: Iterable[Floats32], powers: Sequence[Floats32]) -> Floats32:
    """Compute mean masks over frames, weighted by their power.

    Parameters
    ----------
    masks : iterable of float32 [shape=(instruments, frames, bins)]
    powers : sequence of float32 [shape=(frames, bins)]
        Of the mixture.

    Returns
    -------
    float32 [shape=(instruments, bins)]
        They sum to one; equal where there is no power.
    """
    sums = [(mask * power).sum(axis=1) for mask, power in zip(masks, powers, strict=True)]
    total = np.sum(sums, axis=0) + np.float32(1e-20)
    return np.asarray(total / total.sum(axis=0), np.float32)


def _add_means(
    masks: Callable[[Floats32, float, int], Floats32],
    means: Floats32,
    weight: float,
    power: Floats32,
    level: float,
    rate: int,
) -> Floats32:
    return _averaged(masks(power, level, rate), means, weight)


def _averaged(masks: Floats32, means: Floats32, weight: float) -> Floats32:
    averaged = np.float32(1 - weight) * masks
    averaged += np.float32(weight) * means[:, None]
    return averaged


def _with_dictionaries(
    masks: Callable[[Floats32, float, int], Floats32],
    dictionaries: nmf.Dictionaries,
    weight: float,
    power: Floats32,
    level: float,
    rate: int,
) -> Floats32:
    return product(nmf.masks(dictionaries, np.sqrt(power)), masks(power, level, rate), 1 - weight)


def product(dictionaries: Floats32, network: Floats32, weight: float) -> Floats32:
    """Multiply masks [shape=(instruments, ...)], and scale the product so that it sums to one.

    Parameters
    ----------
    dictionaries, network : float32 [shape=(instruments, ...)]
    weight : float
        Of the network, from 0 (dictionaries alone) to 1.

    Returns
    -------
    float32 [shape=(instruments, ...)]
    """
    if weight in (0, 1):
        return network if weight else dictionaries
    parts = (network + LEAST_MASK) ** np.float32(weight) * (dictionaries + LEAST_MASK) ** np.float32(1 - weight)
    return np.asarray(parts / parts.sum(axis=0), np.float32)


def _power(spectra: Complex64) -> Floats32:
    """Return the mean power over channels [shape=(frames, bins)]."""
    power: Floats32 = np.mean(spectra.real**2 + spectra.imag**2, axis=0)
    return power


def masked(
    pieces: Iterable[Floats32],
    rate: int,
    instruments: Sequence[str],
    masks_at: Callable[[Floats32, int], Floats32],
    *,
    context: int = 0,
    stride: int = 1,
    size: int = PIECE_FRAMES,
) -> Iterator[dict[str, Floats32]]:
    """Separate a mixture in consecutive pieces, with masks of each piece.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(channels, n)]
    rate : int
    instruments : sequence of str
    masks_at : callable
        From the power of consecutive frames [shape=(frames, bins)], and the number of the first frame, to masks.
    context : int
        Frames on either side that masks depend on.
    stride : int
        Pieces begin at multiples of so many frames.
    size : int
        Frames at once of a stereo recording at 44.1 kHz; fewer for more channels or bins.

    Yields
    ------
    dict of str to float32 [shape=(channels, n)]
    """
    stft = Stft(rate)
    before = -(-(context + 1) // stride) * stride  # the frame before a piece is half of its first samples
    buffer: Complex64 | None = None
    first = at = yielded = 0  # first frame of the buffer, first frame not separated yet, and samples yielded
    for spectra, length, last in consecutive_spectra(pieces, stft):
        if buffer is None:
            size = _fitting(size, stride, spectra)
        buffer = spectra if buffer is None else np.concatenate([buffer, spectra], axis=1)
        end = first + buffer.shape[1]
        while at < end and (last or end >= at + size + context):
            to = end if last and end <= at + size + context else at + size
            visible = buffer[:, : min(end, to + context) - first]
            masks = masks_at(_power(visible), first)
            start = max(0, at - 1)
            count = length - yielded if last and to == end else (to - 1 - start) * stft.hop
            inner = slice(start - first, to - first)
            yield {
                name: stft.inverse(buffer[:, inner] * masks[number, inner], count)
                for number, name in enumerate(instruments)
            }
            yielded, at = yielded + count, to
            keep = max(first, at - before)
            buffer, first = buffer[:, keep - first :], keep


def _fitting(size: int, stride: int, spectra: Complex64) -> int:
    """Return how many frames take as much memory as `size` frames of a stereo recording at 44.1 kHz."""
    channels, _, bins = spectra.shape
    fewer: int = max(SHORTEST, size * 2 * Stft(44100).n_bins // (channels * bins))
    return -(-max(1, min(size, fewer)) // stride) * stride


def consecutive_spectra(pieces: Iterable[Floats32], stft: Stft) -> Iterator[tuple[Complex64, int, bool]]:
    """Yield consecutive frames, the number of samples read so far, and whether these frames are the last.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(channels, n)]
    stft : Stft
    """
    hop, block = stft.hop, PIECE_FRAMES * stft.hop
    rest: Floats32 | None = None
    length = 0
    for piece in pieces:
        for start in range(0, piece.shape[1], block):
            new = np.asarray(piece[:, start : start + block], np.float32)
            length += new.shape[1]
            before = np.zeros((len(new), hop), np.float32) if rest is None else rest
            rest = np.concatenate([before, new], axis=1)
            whole = rest.shape[1] // hop
            if whole > 1 and rest.shape[1] > block:
                yield stft.forward(rest[:, : whole * hop])[:, 1:-1], length, False
                rest = rest[:, (whole - 1) * hop :]
    if rest is not None and length:
        after = -rest.shape[1] % hop + hop  # a frame beyond the last sample, as in one piece
        yield stft.forward(np.pad(rest, [(0, 0), (0, after)]))[:, 1:-1], length, True


def level_of(pieces: Iterable[Floats32], rate: int) -> float:
    """Compute the level of a recording: its power, mean over bands, frames and channels.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(channels, n)]
        Consecutive pieces of the whole recording.
    rate : int
        In Hz.

    Returns
    -------
    float
        0 for silence.
    """
    stft, total, frames = Stft(rate), 0.0, 0
    for spectra, _, _ in consecutive_spectra(pieces, stft):
        flat = spectra.view(np.float32).ravel()
        total += float(np.dot(flat, flat)) / len(spectra)
        frames += spectra.shape[1]
    return total / max(1, frames * N_BANDS)


def matched(name: str, instruments: Sequence[str]) -> str | None:
    """Find the instrument of a separator that a name stands for.

    Parameters
    ----------
    name : str
        In any spelling, or another name of the same voice, such as "ganzá" for "shaker".
    instruments : sequence of str

    Returns
    -------
    str or None
        None if no instrument fits, or several do.
    """
    exact = [one for one in instruments if slug(one) == slug(name)]
    exact = exact or [one for one in instruments if normalise_name(one) == normalise_name(name)]
    if exact:
        return exact[0] if len(exact) == 1 else None
    voice = find_voice(name, among=instruments)
    if voice in (None, OTHER):
        return None
    same_voice = [one for one in instruments if find_voice(one, among=instruments) == voice]
    return same_voice[0] if len(same_voice) == 1 else None


def sound_of(samples: npt.ArrayLike) -> Floats32:
    """Check samples in memory: float32 [shape=(channels, samples)], all finite."""
    sound = audio.channels_first(samples)
    if sound.ndim != 2 or not sound.size:
        raise InputError(f"there are no samples to separate: shape {sound.shape}")
    if not np.isfinite(sound).all():
        raise InputError("the samples to separate are not all finite")
    return sound


def gathered(
    instruments: Sequence[str],
    sound: Floats32,
    rate: int,
    pieces: Iterable[Mapping[str, Floats32]],
    progress: Progress | None,
) -> dict[str, Floats32]:
    """Concatenate pieces of stems."""
    stems, done = {name: np.empty_like(sound) for name in instruments}, 0
    for piece in pieces:
        count = next(iter(piece.values())).shape[1]
        for name, stem in stems.items():
            stem[:, done : done + count] = piece[name]
        done += count
        if progress is not None:
            progress(round(done / rate), round(sound.shape[1] / rate))
    return stems
