"""Songs with one recording an instrument. A solo is a song of one instrument; only the stretch that is used is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.mixture_fit import LAG_S, MixtureFit, fit_mixture, fit_rest
from levada.data.sources import Source
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats

__all__ = ["REST", "SOLOS", "Multitrack", "audio_info"]

Floats32 = npt.NDArray[np.float32]

REST = "rest"
"""The instrument that is the mixture without its stem, in corpora that have one stem beside each mixture."""

SOLOS = "solos.json"
"""The file beside a mixture that lists the recordings it was mixed from (`levada remix`)."""

FIT_WINDOWS, FIT_WINDOW_S = 3, 10.0  # number and length of the stretches from which `Multitrack.fit` is estimated
LEAD_S = 0.1  # read on either side of a stretch, so that resampling has no edges in it


@dataclass(frozen=True)
class Multitrack:
    """A song with a recording of each instrument."""

    id: str  # unique in its corpus: for a folder, its path
    stems: Mapping[str, tuple[Path, ...]] = field(hash=False)  # plain name -> its files, which are summed
    mixture: Path | None = None  # a recording of all of them, if there is one
    group: str = ""  # performers, session or instrument set: never in both parts of a split
    annotation: Path | None = None  # the beat file, if there is one
    has_rest: bool = False  # the mixture holds more than the one stem that it has
    channels: Mapping[Path, int] = field(default_factory=dict, hash=False)  # mono files that are one channel of two
    mixture_right: Path | None = None  # the right channel of a mixture that is two mono files
    corpus: Source | None = field(default=None, repr=False, compare=False)  # its name, licence and citation

    @property
    def is_annotated(self) -> bool:
        """True: the stems of a song are its labels."""
        return True

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the stems, sorted; with "rest" where the mixture holds more."""
        return tuple(sorted([*self.stems, *([REST] if self.has_rest else [])]))

    @property
    def files(self) -> tuple[Path, ...]:
        """The recordings of all stems."""
        return tuple(path for takes in self.stems.values() for path in takes)

    @property
    def mixture_files(self) -> tuple[Path, ...]:
        """The recording of the mixture: one file, two if each is a channel, or none."""
        return tuple(path for path in (self.mixture, self.mixture_right) if path is not None)

    def beats(self) -> Beats:
        """Read the annotated beats.

        Raises
        ------
        InputError
            If there is no annotation, or it cannot be read.
        """
        if self.annotation is None:
            raise InputError("has no beat annotation beside it", path=self.mixture or self.files[0])
        return read_beats(self.annotation)

    @cached_property
    def duration_s(self) -> float:
        """Length of the mixture, or else of the longest stem, in seconds."""
        sources = [self.mixture] if self.mixture is not None else self.files
        return max(audio_info(path).duration_s for path in sources)

    @cached_property
    def stem_hashes(self) -> tuple[str, ...]:
        """SHA-256 of the file of each stem, sorted."""
        return tuple(sorted(audio.content_hash(path) for path in self.files))

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the files that a model trained on this song was trained on: its stems."""
        return self.stem_hashes

    @cached_property
    def sources(self) -> Mapping[str, float]:
        """Recordings that the song was mixed from: SHA-256 -> length in seconds; empty if it was recorded as it is.

        Raises
        ------
        InputError
            If the file that lists them is damaged.
        """
        path = (self.mixture or self.files[0]).with_name(SOLOS)
        if not path.is_file():
            return {}
        try:
            solos = json.loads(path.read_text(encoding="utf-8")).values()
            return {digest: float(solo["duration_s"]) for solo in solos for digest in solo["sha256"]}
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"does not list what the mixture was mixed from: {error}", path=path) from None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over those of all files, in hexadecimal."""
        mixture = [audio.content_hash(path) for path in self.mixture_files]
        return hashlib.sha256("\n".join(sorted([*self.stem_hashes, *mixture])).encode()).hexdigest()

    @property
    def width(self) -> int:
        """Channels of the mixture; without one, the most that a stem has."""
        files = self.mixture_files or self.files
        return max(2 if path in self.channels else audio_info(path).channels for path in files)

    @cached_property
    def fit(self) -> MixtureFit | None:
        """The relation of the recorded mixture to the stems, estimated from 30 s; None without a recorded mixture.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        if self.mixture is None:
            return None
        rate, width = audio_info(self.mixture).rate, self.width
        lag, length = round(LAG_S * rate), round(min(FIT_WINDOW_S, self.duration_s / FIT_WINDOWS) * rate)
        windows = []
        for first_s in np.linspace(0, self.duration_s - length / rate, FIT_WINDOWS) if length else ():
            first = round(float(first_s) * rate)
            stems = np.stack([self._sum(takes, first, length, rate, width) for takes in self.stems.values()])
            windows.append((stems, self._sum(self.mixture_files, first - lag, length + 2 * lag, rate, width)))
        if not windows:
            return MixtureFit((1.0,) * len(self.stems))
        return (fit_rest if self.has_rest else fit_mixture)(windows, rate=rate, lag=lag)

    def read(
        self,
        instruments: Sequence[str],
        *,
        rate: int,
        channels: int | None = 1,
        start_s: float = 0.0,
        end_s: float | None = None,
    ) -> tuple[Floats32, Floats32]:
        """Read the stems of instruments, and the mixture.

        Parameters
        ----------
        instruments : sequence of str
            Names of stems. Those that the song lacks are silent; stems that are not named are in the mixture only.
        rate : int
            In Hz; recordings at another are resampled.
        channels : int or None
            1 is the mean of the song's channels; None keeps them.
        start_s, end_s : float
            A part of the song, in seconds; all of it by default.

        Returns
        -------
        stems : float32 [shape=(instruments, channels, samples)]
            Takes of one instrument are summed, a mono stem is in every channel, and a stem that ends early is silent
            after its end. They are as they are in the mixture: at its levels, and a delay of it is undone.
        mixture : float32 [shape=(channels, samples)]
            As recorded, unless the recording is not made of these stems (`fit`): then their sum.

        Raises
        ------
        InputError
            If a file cannot be read, or the part has no length.
        """
        end_s = self.duration_s if end_s is None else end_s
        if not 0 <= start_s < end_s:
            raise InputError(f"{self.id} has no stretch from {start_s:g} s to {end_s:g} s")
        fit, width = self.fit, channels if channels is not None else self.width
        first, length = round(start_s * rate), max(1, round((end_s - start_s) * rate))
        played = {name: self._sum(takes, first, length, rate, width) for name, takes in self.stems.items()}
        if fit is not None and fit.is_used:
            for stem, gain in zip(played.values(), fit.gains, strict=True):
                stem *= np.float32(gain)
            mixture = self._sum(self.mixture_files, first + round(fit.delay_s * rate), length, rate, width)
        else:
            mixture = np.sum([*played.values()], axis=0, dtype=np.float32)
        if self.has_rest:
            played[REST] = mixture - next(iter(played.values()))
        stems = np.zeros((len(instruments), width, length), np.float32)
        for index, name in enumerate(instruments):
            if name in played:
                stems[index] = played[name]
        return stems, mixture

    def _sum(self, takes: Sequence[Path], first: int, length: int, rate: int, width: int) -> Floats32:
        """Sum files from a sample on: float32 [shape=(width, length)], zero before and after the recordings."""
        total = np.zeros((width, length), np.float32)
        for path in takes:
            samples = _samples(path, first, length, rate)
            channel = self.channels.get(path)
            if channel is None:
                total += _with_channels(samples, width)
            elif width == 1:
                total += samples[:1] / np.float32(2)  # the mean of two channels, of which the other is silent here
            else:
                total[channel] += samples[0]
        return total


def _samples(path: Path, first: int, length: int, rate: int) -> Floats32:
    """Read samples of a file at a rate, zero outside of it: float32 [shape=(channels, length)]."""
    info = audio_info(path)
    start, early = max(0, first), max(0, -first)
    samples = np.zeros((info.channels, length), np.float32)
    start_s, wanted_s = start / rate, (length - early) / rate
    lead_s, tail_s = (min(LEAD_S, start_s), LEAD_S) if info.rate != rate else (0.0, 0.0)
    if early >= length or round((start_s - lead_s) * info.rate) >= info.samples:
        return samples
    part, own = audio.read(path, start_s=start_s - lead_s, duration_s=wanted_s + lead_s + tail_s)
    part = audio.resample(part, rate=own, to=rate)[:, round(lead_s * rate) :][:, : length - early]
    samples[:, early : early + part.shape[1]] = part
    return samples


def _with_channels(samples: Floats32, count: int) -> Floats32:
    """Convert to a number of channels: where it differs, the mean in each of them."""
    if samples.shape[0] == count:
        return samples
    return np.repeat(audio.to_mono(samples)[None], count, axis=0)


def audio_info(path: Path) -> audio.AudioInfo:
    """Read the properties of a recording, once as long as the file does not change."""
    try:
        state = path.stat()
    except OSError:
        return audio.info(path)  # raises an error that explains why
    return _cached_info(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8192)
def _cached_info(path: Path, _changed: int, _size: int) -> audio.AudioInfo:
    return audio.info(path)
