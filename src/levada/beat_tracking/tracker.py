"""Recordings become beats: one, or a folder of them.

A tracker hears (spectrogram to activations) and decodes (activations to beats). It hears in pieces, each with as much
music around it as the network can see, so that an hour takes little more memory than a song and gives the same beats
as in one piece.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.decoder import DecoderSettings, decode_beats, probabilities
from levada.beat_tracking.spectrogram import FRONT_ENDS, LOG_BANDS, N_BANDS, FrontEnd, log_bands, stream_log_bands
from levada.errors import InputError, collected_warnings, log_again
from levada.io import audio, workers
from levada.io.batch import BatchReport, Result, process_folder
from levada.io.beats import Beats
from levada.io.formats import FORMATS, write_beats

__all__ = [
    "Listener",
    "Outside",
    "Tracker",
    "flux_tracker",
    "hear",
    "net_tracker",
    "provenance",
    "track_folder",
]

Floats32 = npt.NDArray[np.float32]
Hear = Callable[[Iterable[Floats32]], Floats32]
Spans = Mapping[str, list[tuple[float, float]]]

CHUNK_STEPS = 15_000
WORTH_A_PROCESS_S = 1800.0  # of music: below that, starting another one costs more than it saves


class Tracker(Protocol):
    """Anything that finds beats, and what must be known of it."""

    @property
    def name(self) -> str:
        """What tables call it."""

    @property
    def identity(self) -> str:
        """Changes whenever its beats might."""

    @property
    def trained_spans(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the stretches used, in seconds."""

    def beats(self, samples: Floats32, rate: int, *, hints: Beats | None = None) -> Beats:
        """Beats of a recording in memory."""

    def file(
        self, path: str | Path, *, hints: Beats | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Beats:
        """Beats of a file; progress is told seconds heard, and of how many."""


@dataclass(frozen=True)
class Listener:
    """A tracker that turns a spectrogram into activations, and those into beats.

    Parameters
    ----------
    name : str
        What tables call it.
    hear : callable
        From consecutive pieces of a log-band spectrogram to activations [shape=(frames, 2)].
    settings : DecoderSettings
        What its decoder believes of tempo and metre.
    identity : str
        Changes whenever its beats might.
    trained_spans : mapping
        SHA-256 of each recording it was trained on -> the stretches used, in seconds.
    front_end : FrontEnd
        The kind of spectrogram it hears.
    """

    name: str
    hear: Hear
    settings: DecoderSettings = field(default_factory=DecoderSettings)
    identity: str = ""
    trained_spans: Spans = field(default_factory=dict)
    front_end: FrontEnd = LOG_BANDS

    @property
    def trained_on(self) -> frozenset[str]:
        """SHA-256 of each recording it was trained on."""
        return frozenset(self.trained_spans)

    def activations(self, samples: Floats32, rate: int) -> Floats32:
        """Probability of a beat and of a downbeat in each frame [shape=(frames, 2)]."""
        return self.hear([log_bands(samples, rate, front_end=self.front_end)])

    def beats(self, samples: Floats32, rate: int, *, hints: Beats | None = None) -> Beats:
        """Beats of a recording in memory.

        Parameters
        ----------
        samples : float32 [shape=(channels, samples)]
        rate : int
        hints : Beats, optional
            Beats that are certain; the result passes through them.

        Returns
        -------
        Beats
        """
        return self.decode(self.activations(samples, rate), hints=hints)

    def file(
        self, path: str | Path, *, hints: Beats | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Beats:
        """Beats of a file of any length, in flat memory."""
        return self.decode(self.file_activations(path, progress=progress), hints=hints)

    def file_activations(self, path: str | Path, *, progress: Callable[[int, int], None] | None = None) -> Floats32:
        """Activations of a file of any length.

        Parameters
        ----------
        path : path-like
        progress : callable, optional
            Told how many seconds have been heard, and of how many.

        Returns
        -------
        float32 [shape=(frames, 2)]
        """
        about = audio.info(path)
        pieces = stream_log_bands(audio.read_blocks(path), about.rate, front_end=self.front_end)
        if progress is not None:
            pieces = _counted(pieces, self.front_end.grid.time_s(1), about.duration_s, progress)
        return self.hear(pieces)

    def decode(self, activations: Floats32, *, hints: Beats | None = None) -> Beats:
        """Beats from activations."""
        return decode_beats(activations, fps=self.front_end.grid.fps, settings=self.settings, hints=hints)


def _counted(
    pieces: Iterable[Floats32], frame_s: float, duration_s: float, progress: Callable[[int, int], None]
) -> Iterator[Floats32]:
    frames = 0
    for piece in pieces:
        yield piece
        frames += len(piece)
        progress(round(frames * frame_s), round(duration_s))


@dataclass(frozen=True)
class Outside:
    """A tracker made elsewhere: one function from a recording to its beats.

    Parameters
    ----------
    name : str
        What tables call it.
    find : callable
        From samples [shape=(channels, samples)] and rate to beats.
    identity : str
        Changes whenever its beats might.
    """

    name: str
    find: Callable[[Floats32, int], Beats]
    identity: str = ""
    trained_spans: Spans = field(default_factory=dict)

    def beats(self, samples: Floats32, rate: int, *, hints: Beats | None = None) -> Beats:
        """Beats of a recording in memory.

        Raises
        ------
        InputError
            If there are hints, which it cannot take.
        """
        if hints is not None:
            raise InputError(f"{self.name} takes no hints: use a model of levada's")
        return self.find(samples, rate)

    def file(
        self,
        path: str | Path,
        *,
        hints: Beats | None = None,
        progress: Callable[[int, int], None] | None = None,  # noqa: ARG002  # it does not tell how far it is
    ) -> Beats:
        """Beats of a file, which is read whole."""
        return self.beats(*audio.read(path), hints=hints)


def flux_tracker() -> Listener:
    """Spectral flux and bass onsets behind the decoder: no learning, the floor of every table."""
    return Listener("flux", _hear_flux, identity="flux")


def _hear_flux(pieces: Iterable[Floats32]) -> Floats32:
    return spectral_flux.activations(np.concatenate([np.zeros((0, N_BANDS), np.float32), *pieces]))


def net_tracker(
    net: Any,
    *,
    name: str,
    settings: DecoderSettings,
    identity: str = "",
    trained_spans: Spans | None = None,
) -> Listener:
    """A network behind the decoder."""
    ear = FRONT_ENDS[net.front_end]
    return Listener(name, partial(hear, net.eval()), settings, identity, dict(trained_spans or {}), ear)


def hear(net: Any, pieces: Iterable[Floats32]) -> Floats32:
    """Activations of a recording that arrives in pieces.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode. One with a `front` and a `body` hears an hour in the memory of a song; others hear it whole.
    pieces : iterable of float32 [shape=(frames, bands)]
        Consecutive stretches of the spectrogram.

    Returns
    -------
    float32 [shape=(frames, 2)]
        The same as for the spectrogram in one piece.
    """
    return _in_pieces(net, pieces) if hasattr(net, "body") else _whole(net, pieces)


def _whole(net: Any, pieces: Iterable[Floats32]) -> Floats32:
    import torch

    bands = np.concatenate([np.zeros((0, FRONT_ENDS[net.front_end].bands), np.float32), *pieces])
    if not len(bands):
        return np.zeros((0, 2), np.float32)
    with torch.inference_mode():
        logits = net(torch.from_numpy(bands)[None])[0].numpy()
    return probabilities(logits).astype(np.float32)


def _in_pieces(net: Any, pieces: Iterable[Floats32]) -> Floats32:
    import torch

    heard = 0

    def counted() -> Iterator[Floats32]:
        nonlocal heard
        for piece in pieces:
            heard += len(piece)
            yield piece

    with torch.inference_mode():
        folded = [
            net.front(torch.from_numpy(bands)[None])[0]
            for bands in _with_neighbours(counted(), net.front_context_frames, multiple=net.stride)
        ]
        if not folded:
            return np.zeros((0, 2), np.float32)
        features = torch.cat(folded, 1)[None]
        del folded
        steps, context = features.shape[-1], net.body_context_steps
        chunks = []
        for start in range(0, steps, CHUNK_STEPS):
            end = min(start + CHUNK_STEPS, steps)
            first, last = max(0, start - context), min(steps, end + context)
            logits = net.body(features[..., first:last].contiguous())[0]
            kept = logits[net.stride * (start - first) : net.stride * (end - first)]
            chunks.append(probabilities(kept.numpy()).astype(np.float32))
        return np.concatenate(chunks)[:heard]


def _with_neighbours(pieces: Iterable[Floats32], context: int, *, multiple: int = 1) -> Iterator[Floats32]:
    """Pieces of a multiple of so many rows, each with the last rows before it and the first after it.

    The ends of the recording are repeated, the last also to fill the last piece.
    """
    held: Floats32 | None = None
    for piece in pieces:
        for start in range(0, len(piece), 4096):
            part = piece[start : start + 4096]
            held = np.concatenate([part[:1].repeat(context, 0) if held is None else held, part])
            inside = (len(held) - 2 * context) // multiple * multiple
            if inside > 0:
                yield held[: inside + 2 * context]
                held = held[inside:]
    if held is not None:
        yield np.concatenate([held, held[-1:].repeat(context + (2 * context - len(held) - context) % multiple, 0)])


def track_folder(
    folder: str | Path,
    tracker: Tracker,
    *,
    out: str | Path,
    processes: int | None = 1,
    each: Callable[..., Iterator[tuple[Path, Any]]] | None = None,
    suffix: str = ".beats",
    table: str | Path | None = None,
    force: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """Beats for every recording in a folder and the folders inside it; a killed run goes on where it was.

    Parameters
    ----------
    folder : path-like
    tracker : Tracker
    out : path-like
        Where the beat files go, in folders like those of the recordings.
    processes : int, optional
        Recordings tracked at the same time; None for two where there is music enough and a core for each, else one.
    each : callable, optional
        What tracks them on other machines, as `cluster.each` with an address does: from a function, recordings, and
        what `load`s of a recording what the function gets, to pairs of recording and result. Bytes go there, beats come
        back, and are written here.
    suffix : str
        Of the beat files: any format that can be written.
    table : path-like, optional
        Write a row for each recording here (.csv, .jsonl), also when interrupted.
    force : bool
        Track again what has been tracked before.
    progress : callable, optional
        Told how many recordings are done, of how many, and which was the last.

    Returns
    -------
    BatchReport

    Raises
    ------
    InputError
        If there is nothing to track, `out` holds beats of another model or cannot be written, or the suffix names no
        format.
    """
    known = [ending for kind in FORMATS.values() for ending in kind.suffixes]
    if not suffix.lower().endswith(tuple(known)):
        raise InputError(f"{suffix!r} names no format of beats: use one of {', '.join(known)}")

    def process(recordings: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
        run = (
            workers.parallel_map(tracker.file, recordings, processes=processes or _processes_worth_starting(recordings))
            if each is None
            else each(partial(_elsewhere, tracker), recordings, load=_carried)
        )
        for done, (path, found) in enumerate(run, start=1):
            yield path, found if isinstance(found, Exception) else partial(_write, found, path, tracker)
            if progress is not None:
                progress(done, len(recordings), path.name)

    config = {"tracker": tracker.identity or tracker.name, "suffix": suffix}
    about = {"model": tracker.name, "digest": tracker.identity}
    return process_folder(
        folder, out, process, kind="beats", config=config, about=about, suffix=suffix, table=table, force=force
    )


def provenance(tracker: Tracker) -> dict[str, str]:
    """Return what made the beats of a tracker, for the formats that have a place for it.

    Parameters
    ----------
    tracker : Tracker
    """
    from levada import __version__

    return {"version": __version__, "model": tracker.name, "identity": tracker.identity}


def _write(beats: Beats, recording: Path, tracker: Tracker, target: Path) -> dict[str, Any]:
    """Write beats, and return what a table says of them."""
    write_beats(target, beats, duration_s=audio.info(recording).duration_s, provenance=provenance(tracker))
    sure = beats.confidence
    return {
        "tempo_bpm": round(beats.tempo_bpm, 3) if len(beats) > 1 else None,
        "metre": " ".join(map(str, beats.metres)),
        "beats": len(beats),
        "confidence": None if sure is None or not len(beats) else round(float(np.mean(sure)), 4),
    }


def _processes_worth_starting(recordings: Sequence[Path]) -> int:
    length_s, cores = 0.0, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for path in recordings:
        with suppress(InputError):  # it is reported when its turn comes
            length_s += audio.info(path).duration_s
    return 2 if cores > 1 and len(recordings) > 1 and length_s > WORTH_A_PROCESS_S else 1


def _carried(path: Path) -> tuple[str, bytes]:
    return str(path), path.read_bytes()


def _elsewhere(tracker: Tracker, carried: tuple[str, bytes]) -> Beats:
    """Beats of a recording that lies on another machine."""
    name, content = carried
    with tempfile.TemporaryDirectory(prefix="levada-") as folder:
        path = Path(folder) / ("recording" + Path(name).suffix)
        path.write_bytes(content)
        try:
            with collected_warnings() as warned:
                return tracker.file(path)
        except InputError as error:
            raise InputError(error.problem.replace(str(path), name), path=name) from None
        finally:
            log_again((logger, level, message.replace(str(path), name)) for logger, level, message in warned)
