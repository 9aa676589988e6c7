"""What a corpus of stems is made of: songs with one recording an instrument, the corpus, and stretches to learn from.

A solo is a song of one instrument. Files are read when asked for, and only the stretch that is wanted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.mixture_fit import LAG_S, MixtureFit, fit_mixture, fit_rest
from levada.data.problems import Problem
from levada.data.sources import Source
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats

__all__ = ["REST", "SOLOS", "Multitrack", "StemCorpus", "StemSpan", "facts_of"]

Floats32 = npt.NDArray[np.float32]

REST = "rest"
"""The instrument that is the mixture without its stem, in corpora that have one stem beside each mixture."""

SOLOS = "solos.json"
"""The file beside a mixture that says which recordings it was made of (`levada remix`)."""

LOOKS, LOOK_S = 3, 10.0  # stretches, and their length, from which the relation of mixture and stems is estimated
LEAD_S = 0.1  # read on either side of a stretch, so that resampling has no edges in it


@dataclass(frozen=True)
class Multitrack:
    """One song, of which it is known what each instrument plays."""

    id: str  # unique in its corpus: for a folder, its path
    stems: Mapping[str, tuple[Path, ...]] = field(hash=False)  # plain name -> its takes, which are summed
    mixture: Path | None = None  # all of them together, if there is such a recording
    group: str = ""  # performers, session or instrument set: never on both sides of a split
    annotation: Path | None = None  # the beat file, if there is one
    has_rest: bool = False  # the mixture holds more than the one stem that it has
    channels: Mapping[Path, int] = field(default_factory=dict, hash=False)  # mono files that are one channel of two
    mixture_right: Path | None = None  # the right channel of a mixture that is two mono files
    corpus: Source | None = field(default=None, repr=False, compare=False)  # its name, licence and citation

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
        return max(facts_of(path).duration_s for path in sources)

    @cached_property
    def stem_hashes(self) -> tuple[str, ...]:
        """SHA-256 of the file of each stem, sorted."""
        return tuple(sorted(audio.content_hash(path) for path in self.files))

    @property
    def hashes(self) -> tuple[str, ...]:
        """Those of the files that a model trained on this song is trained on: its stems."""
        return self.stem_hashes

    @cached_property
    def sources(self) -> Mapping[str, float]:
        """Recordings that it was mixed from: SHA-256 -> length in seconds; empty for what was recorded as it is.

        Raises
        ------
        InputError
            If the file that says so is damaged.
        """
        place = (self.mixture or self.files[0]).with_name(SOLOS)
        if not place.is_file():
            return {}
        try:
            solos = json.loads(place.read_text(encoding="utf-8")).values()
            return {digest: float(solo["duration_s"]) for solo in solos for digest in solo["sha256"]}
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise InputError(f"does not say what the mixture is made of: {error}", path=place) from None

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over those of all files: what a model card remembers of its training data."""
        mixture = [audio.content_hash(path) for path in self.mixture_files]
        return hashlib.sha256("\n".join(sorted([*self.stem_hashes, *mixture])).encode()).hexdigest()

    @property
    def width(self) -> int:
        """Channels of the mixture; without one, the most that a stem has."""
        files = self.mixture_files or self.files
        return max(2 if path in self.channels else facts_of(path).channels for path in files)

    @cached_property
    def fit(self) -> MixtureFit | None:
        """How the recorded mixture relates to the stems, estimated from 30 s; nothing if there is none.

        Raises
        ------
        InputError
            If a file cannot be read.
        """
        if self.mixture is None:
            return None
        rate, width = facts_of(self.mixture).rate, self.width
        lag, length = round(LAG_S * rate), round(min(LOOK_S, self.duration_s / LOOKS) * rate)
        windows = []
        for first_s in np.linspace(0, self.duration_s - length / rate, LOOKS) if length else ():
            first = round(float(first_s) * rate)
            stems = np.stack([self._sum(takes, first, length, rate, width) for takes in self.stems.values()])
            windows.append((stems, self._sum(self.mixture_files, first - lag, length + 2 * lag, rate, width)))
        if not windows:
            return MixtureFit((1.0,) * len(self.stems))
        return (fit_rest if self.has_rest else fit_mixture)(windows, rate=rate, lag=lag)

    def _sum(self, takes: Sequence[Path], first: int, length: int, rate: int, width: int) -> Floats32:
        """Takes from a sample on, as float32 [shape=(width, length)]; silent before and after the recordings."""
        total = np.zeros((width, length), np.float32)
        for path in takes:
            samples = _samples(path, first, length, rate)
            channel = self.channels.get(path)
            if channel is None:
                total += _widened(samples, width)
            elif width == 1:
                total += samples[:1] / np.float32(2)  # the mean of two channels, of which the other is silent here
            else:
                total[channel] += samples[0]
        return total


@dataclass(frozen=True)
class StemSpan:
    """A stretch of a song."""

    song: Multitrack
    start_s: float  # where the stretch begins in the song, in seconds
    end_s: float  # where it ends

    @property
    def recording(self) -> Multitrack:
        """The song, under the name that stretches of recordings use too."""
        return self.song

    @property
    def duration_s(self) -> float:
        """Its length in seconds: what it costs of a budget."""
        return self.end_s - self.start_s

    def read(self, instruments: Sequence[str], *, rate: int, channels: int | None = 1) -> tuple[Floats32, Floats32]:
        """Read what instruments play in it, and all together.

        Parameters
        ----------
        instruments : sequence of str
            Names of stems. Those that the song lacks are silent; those of the song that are not asked for are heard
            in the mixture only.
        rate : int
            In Hz; recordings at another are resampled.
        channels : int or None
            How many: 1 is the mean of a song's; None leaves as many as the song has.

        Returns
        -------
        stems : float32 [shape=(instruments, channels, samples)]
            Takes of one instrument are summed, a mono stem is heard in every channel, and a stem that ends early is
            silent after it. They are as they are in the mixture: at its levels, and a delay of it is undone.
        mixture : float32 [shape=(channels, samples)]
            As it was recorded, unless that is not made of these stems (`Multitrack.fit`): then their sum.

        Raises
        ------
        InputError
            If a file cannot be read, or the stretch has no length.
        """
        if not 0 <= self.start_s < self.end_s:
            raise InputError(f"{self.song.id} has no stretch from {self.start_s:g} s to {self.end_s:g} s")
        song, fit = self.song, self.song.fit
        width = channels if channels is not None else song.width
        first, length = round(self.start_s * rate), max(1, round(self.duration_s * rate))
        played = {name: song._sum(takes, first, length, rate, width) for name, takes in song.stems.items()}
        if fit is not None and fit.is_used:
            for stem, gain in zip(played.values(), fit.gains, strict=True):
                stem *= np.float32(gain)
            mixture = song._sum(song.mixture_files, first + round(fit.delay_s * rate), length, rate, width)
        else:
            mixture = np.sum([*played.values()], axis=0, dtype=np.float32)
        if song.has_rest:
            played[REST] = mixture - next(iter(played.values()))
        stems = np.zeros((len(instruments), width, length), np.float32)
        for index, name in enumerate(instruments):
            if name in played:
                stems[index] = played[name]
        return stems, mixture


@dataclass(frozen=True)
class StemCorpus:
    """Songs with stems, or solos, that belong together, with the licence and the citation that travel with them."""

    name: str  # what reports call it
    songs: tuple[Multitrack, ...]  # sorted by id
    root: Path  # the folder everything lies in
    licence: str = ""  # empty when nobody said
    citation: str = ""  # what to cite, BibTeX or plain words
    grouping: str = "each recording is its own group"  # where the groups come from, in one sentence
    renamed: Mapping[str, str] = field(
        default_factory=dict, hash=False
    )  # other names of one instrument -> the one used
    passed_over: tuple[Path, ...] = ()  # recordings that are neither a stem nor the mixture of one
    notes: tuple[Problem, ...] = ()  # what was assumed of its files, and which are left out

    def __post_init__(self) -> None:
        source = Source(self.name, self.licence, self.citation)
        songs = tuple(song if song.corpus else replace(song, corpus=source) for song in self.songs)
        object.__setattr__(self, "songs", songs)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of all instruments, those of most songs first, then by name."""
        often = Counter(name for song in self.songs for name in song.instruments)
        return tuple(sorted(often, key=lambda name: (-often[name], name)))

    @property
    def is_solos(self) -> bool:
        """Whether nobody plays together: every song is one instrument alone."""
        return all(len(song.stems) == 1 and song.mixture is None for song in self.songs)

    @property
    def groups(self) -> dict[str, tuple[Multitrack, ...]]:
        """The songs of each group, sorted by name."""
        names = sorted({song.group for song in self.songs})
        return {name: tuple(song for song in self.songs if song.group == name) for name in names}


def _samples(path: Path, first: int, length: int, rate: int) -> Floats32:
    """Samples of a file at a rate, silent where it has none: float32 [shape=(channels, length)]."""
    facts = facts_of(path)
    start, early = max(0, first), max(0, -first)
    found = np.zeros((facts.channels, length), np.float32)
    start_s, wanted_s = start / rate, (length - early) / rate
    lead_s, tail_s = (min(LEAD_S, start_s), LEAD_S) if facts.rate != rate else (0.0, 0.0)
    if early >= length or round((start_s - lead_s) * facts.rate) >= facts.samples:
        return found
    samples, own = audio.read(path, start_s=start_s - lead_s, duration_s=wanted_s + lead_s + tail_s)
    samples = audio.resample(samples, rate=own, to=rate)[:, round(lead_s * rate) :][:, : length - early]
    found[:, early : early + samples.shape[1]] = samples
    return found


def _widened(samples: Floats32, count: int) -> Floats32:
    """As many channels: the mean where there are others, in each of them."""
    if samples.shape[0] == count:
        return samples
    return np.repeat(audio.to_mono(samples)[None], count, axis=0)


def facts_of(path: Path) -> audio.AudioInfo:
    """What a recording is, known once as long as the file is the same."""
    try:
        state = path.stat()
    except OSError:
        return audio.info(path)  # which says what is wrong
    return _known(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=8192)
def _known(path: Path, _changed: int, _size: int) -> audio.AudioInfo:
    return audio.info(path)
