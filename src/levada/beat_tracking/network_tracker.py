"""Networks as beat trackers: spectrogram to activations, and activations to beats by the decoder.

A recording is read in pieces. Each piece is processed with the frames around it that are in the receptive
field of the network, so an hour takes little more memory than a song and gives the same beats as in one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking import networks, spectral_flux
from levada.beat_tracking.analysis import Analysis, analyse_beats
from levada.beat_tracking.decoder import DecoderSettings, decode_activations, probabilities
from levada.beat_tracking.decoder.sampling import sample_beats
from levada.beat_tracking.decoder.settings import TempoRange
from levada.beat_tracking.networks.tcn_inference import TcnInference
from levada.beat_tracking.spectrogram import (
    FRONT_ENDS,
    LOG_BANDS,
    N_BANDS,
    FrontEnd,
    log_spectrogram,
    stream_log_spectrogram,
)
from levada.beat_tracking.tracker import AudioLike, Progress, Spans, restricted_identity
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.metres import Metre

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = [
    "NetworkTracker",
    "flux_tracker", "front_end_of", "network_tracker", "predict", "spectrogram_pieces", "tracker_of_weights",
]  # fmt: skip

Floats32 = npt.NDArray[np.float32]
Predict = Callable[[Iterable[Floats32]], Floats32]

CHUNK_STEPS = 15_000


@dataclass(frozen=True)
class NetworkTracker:
    """A tracker with a network and a decoder.

    Parameters
    ----------
    name : str
        Name in tables.
    predict : callable
        From consecutive pieces of a spectrogram to activations [shape=(frames, 2)].
    settings : DecoderSettings
        The decoder's priors on tempo and metre.
    identity : str
        A digest that changes whenever its beats might.
    trained_spans : mapping
        SHA-256 of each recording it was trained on -> the spans used, in seconds.
    front_end : FrontEnd
        The spectrogram that is its input.
    networks : tuple of nn.Module or TcnInference
        Those that `predict` runs.
    """

    name: str
    predict: Predict
    settings: DecoderSettings = field(default_factory=DecoderSettings)
    identity: str = ""
    trained_spans: Spans = field(default_factory=dict)
    front_end: FrontEnd = LOG_BANDS
    networks: tuple[Any, ...] = ()

    def track(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Beats:
        """Find the beats of a recording; see `levada.BeatTracker.track`."""
        return self.analyse(audio, rate, hints=hints, progress=progress).beats

    def analyse(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Analysis:
        """Find the beats of a recording and other readings of it; see `levada.BeatTracker.analyse`."""
        first, second = (None, None) if progress is None else _halves(progress)
        activations = self.activations(audio, rate, progress=first)
        return self.analyse_activations(activations, hints=hints, progress=second)

    def sample(
        self, audio: AudioLike, rate: int | None = None, *, n: int = 200, seed: int = 0, hints: Beats | None = None,
        progress: Progress | None = None,
    ) -> list[Beats]:  # fmt: skip
        """Sample readings of a recording; see `levada.BeatTracker.sample`."""
        activations = self.activations(audio, rate, progress=progress)
        fps = self.front_end.grid.fps
        return sample_beats(activations, n, fps=fps, settings=self.settings, hints=hints, seed=seed)

    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> NetworkTracker:
        """Return the tracker for a range of tempi and some metres; see `levada.BeatTracker.track`."""
        return replace(
            self,
            settings=self.settings.restrict(tempo_bpm=tempo_bpm, metres=metres),
            identity=restricted_identity(self.identity, tempo_bpm=tempo_bpm, metres=metres),
        )

    def activations(self, audio: AudioLike, rate: int | None = None, *, progress: Progress | None = None) -> Floats32:
        """Compute the probability of a beat and of a downbeat in each frame [shape=(frames, 2)].

        Parameters
        ----------
        audio : path-like, or array_like [shape=(channels, samples)] or [shape=(samples,)]
            A file of any length, or samples.
        rate : int, optional
            Sampling rate of the samples, in Hz.
        progress : callable, optional
            Called with the seconds read so far, and of how many.
        """
        return self.predict(spectrogram_pieces(audio, rate, front_end=self.front_end, progress=progress))

    def decode(self, activations: Floats32, *, hints: Beats | None = None) -> Beats:
        """Decode activations into beats."""
        return self.analyse_activations(activations, hints=hints).beats

    def analyse_activations(
        self, activations: Floats32, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Analysis:
        """Decode activations into beats and other readings."""
        fps = self.front_end.grid.fps
        return analyse_beats(
            decode_activations(activations, fps=fps, settings=self.settings, hints=hints, progress=progress)
        )


def _halves(progress: Progress) -> tuple[Progress, Progress]:
    """Return the progress of the first and of the second half of the work: activations, and decoding."""
    return (
        lambda done, total: progress(done // 2, total),
        lambda done, total: progress((total + done) // 2, total),
    )


def spectrogram_pieces(
    source: AudioLike,
    rate: int | None = None,
    *,
    front_end: FrontEnd = LOG_BANDS,
    progress: Progress | None = None,
) -> Iterator[Floats32]:
    """Yield consecutive pieces of the spectrogram of a file or an excerpt, or that of samples in one piece.

    Parameters
    ----------
    source : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
    rate : int, optional
        Sampling rate of samples, in Hz.
    front_end : FrontEnd
    progress : callable, optional
        Called with the seconds read so far, and of how many.

    Yields
    ------
    float32 [shape=(frames, bands)]

    Raises
    ------
    InputError
        If samples come without a rate, or a file with one.
    """
    if isinstance(source, str | Path | audio.AudioExcerpt):
        excerpt = source if isinstance(source, audio.AudioExcerpt) else audio.AudioExcerpt(source)
        if rate is not None:
            raise InputError("has its own sampling rate: leave out `rate`", path=excerpt.path)
        info = audio.info(excerpt.path)
        length_s = excerpt.duration_s or info.duration_s - excerpt.start_s
        frames = 0
        for piece in stream_log_spectrogram(audio.read_blocks(source), info.rate, front_end=front_end):
            yield piece
            frames += len(piece)
            if progress is not None:
                progress(round(front_end.grid.time_s(frames)), round(length_s))
        return
    yield log_spectrogram(*audio.samples_of(source, rate), front_end=front_end)


def flux_tracker() -> NetworkTracker:
    """Return "flux": spectral flux and bass onsets behind the decoder, the baseline without learning."""
    return NetworkTracker("flux", _flux_activations, identity="flux")


def _flux_activations(pieces: Iterable[Floats32]) -> Floats32:
    return spectral_flux.activations(np.concatenate([np.zeros((0, N_BANDS), np.float32), *pieces]))


def network_tracker(
    network: Any, *, name: str, settings: DecoderSettings, identity: str = "", trained_spans: Spans | None = None
) -> NetworkTracker:
    """Return the tracker of a network.

    Parameters
    ----------
    network : nn.Module or TcnInference
        From a spectrogram [shape=(batch, frames, bands)] to the logits of a beat, and of a downbeat given a beat
        [shape=(batch, frames, 2)]. Its attribute `front_end` names its spectrogram, "log81" by default.
    name : str
    settings : DecoderSettings
    identity : str
    trained_spans : mapping, optional
    """
    return NetworkTracker(
        name,
        partial(predict, network.eval()),
        settings,
        identity,
        dict(trained_spans or {}),
        front_end_of(network),
        (network,),
    )


def tracker_of_weights(weights: Weights, *, name: str, identity: str = "") -> NetworkTracker:
    """Return the tracker of a network with the priors and the card that it was saved with."""
    return network_tracker(
        networks.inference_of(weights),
        name=name,
        settings=DecoderSettings.from_dict(weights.decoder),
        identity=identity,
        trained_spans=weights.card.trained_on,
    )


def front_end_of(network: Any) -> FrontEnd:
    """Return the spectrogram that a network takes, named by its attribute `front_end`; "log81" by default."""
    return FRONT_ENDS[getattr(network, "front_end", "log81")]


def predict(network: Any, pieces: Iterable[Floats32], *, chunk_steps: int = CHUNK_STEPS) -> Floats32:
    """Compute the activations of a recording that arrives in pieces.

    Parameters
    ----------
    network : nn.Module or TcnInference
        In evaluation mode. One with a `front` and a `body` takes an hour in the memory of a song; others take all of
        the recording at once.
    pieces : iterable of float32 [shape=(frames, bands)]
        Consecutive stretches of the spectrogram.
    chunk_steps : int
        Steps of the `body` at once.

    Returns
    -------
    float32 [shape=(frames, 2)]
        The same as for the spectrogram in one piece.
    """
    if isinstance(network, TcnInference):
        if network.module is None:
            return _in_pieces(network, pieces, chunk_steps)
        network = network.module
    return _in_pieces(_OnTorch(network), pieces, chunk_steps) if hasattr(network, "body") else _whole(network, pieces)


def _whole(net: Any, pieces: Iterable[Floats32]) -> Floats32:
    import torch

    from levada.learning.weights import device_of

    bands = np.concatenate([np.zeros((0, front_end_of(net).bands), np.float32), *pieces])
    if not len(bands):
        return np.zeros((0, 2), np.float32)
    with torch.inference_mode():
        logits = net(torch.from_numpy(bands)[None].to(device_of(net)))[0].cpu().numpy()
    return probabilities(logits).astype(np.float32)


class _OnTorch:
    """A network of PyTorch as `TcnInference`: from arrays to arrays, time first."""

    def __init__(self, net: Any) -> None:
        self._net = net
        self.stride, self.front_context_frames = net.stride, net.front_context_frames
        self.body_context_steps = net.body_context_steps

    def front(self, bands: Floats32) -> Floats32:
        return self._run(self._net.front, bands).T

    def body(self, features: Floats32) -> Floats32:
        return self._run(self._net.body, features.T)

    def _run(self, function: Callable[[Any], Any], values: Floats32) -> Floats32:
        import torch

        from levada.learning.weights import device_of

        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(values))[None].to(device_of(self._net))
            result: Floats32 = function(given)[0].cpu().numpy()
        return result


def _in_pieces(net: TcnInference | _OnTorch, pieces: Iterable[Floats32], chunk_steps: int) -> Floats32:
    n_frames = 0

    def counted() -> Iterator[Floats32]:
        nonlocal n_frames
        for piece in pieces:
            n_frames += len(piece)
            yield piece

    neighbours = _with_neighbours(counted(), net.front_context_frames, multiple=net.stride)
    chunks = [np.zeros((0, 2), np.float32)]
    for features, first, last in _chunks(map(net.front, neighbours), chunk_steps, net.body_context_steps):
        logits = net.body(features)[net.stride * first : net.stride * last]
        chunks.append(probabilities(logits).astype(np.float32))
    return np.concatenate(chunks)[:n_frames]


def _chunks(pieces: Iterable[Floats32], size: int, context: int) -> Iterator[tuple[Floats32, int, int]]:
    """Yield chunks of so many rows with up to `context` rows before and after them, and where in that they lie."""
    rows, first, n = list[Floats32](), 0, 0
    for piece in chain(pieces, [None]):
        if piece is not None:
            rows.append(piece)
            n += len(piece)
        while n >= first + size + context or (piece is None and n > first):
            buffer, last = np.concatenate(rows), min(first + size, n)
            yield buffer[: last + context], first, last
            dropped = max(0, last - context)
            rows, first, n = [buffer[dropped:]], last - dropped, n - dropped


def _with_neighbours(pieces: Iterable[Floats32], context: int, *, multiple: int = 1) -> Iterator[Floats32]:
    """Yield pieces of a multiple of so many rows, each with `context` rows before and after it.

    The first and the last row of the recording are repeated, the last also to fill the last piece.
    """
    buffer: Floats32 | None = None
    for piece in pieces:
        for start in range(0, len(piece), 4096):
            part = piece[start : start + 4096]
            buffer = np.concatenate([part[:1].repeat(context, 0) if buffer is None else buffer, part])
            inside = (len(buffer) - 2 * context) // multiple * multiple
            if inside > 0:
                yield buffer[: inside + 2 * context]
                buffer = buffer[inside:]
    if buffer is not None:
        yield np.concatenate(
            [buffer, buffer[-1:].repeat(context + (2 * context - len(buffer) - context) % multiple, 0)]
        )
