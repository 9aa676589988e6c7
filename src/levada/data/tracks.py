"""Recordings with beat annotations, and labelled stretches of recordings and songs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic

import numpy as np
import numpy.typing as npt

from levada.data.sources import Source
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import BeatAnnotation, read_annotation

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from levada.data.multitracks import Multitrack

    T = TypeVar("T", bound="Track | Multitrack", default="Track")
else:
    from typing import TypeVar

    T = TypeVar("T")

__all__ = ["Span", "T", "Track"]

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Track:
    """A recording, and its beat annotation if it has one. Files are read on first use."""

    id: str  # unique in its corpus: for a folder, the path inside it without the suffix
    audio: Path  # the recording
    annotation: Path | None = None  # the beat file, if there is one
    group: str = ""  # performer, session or instrument set: never in both parts of a split
    alternatives: tuple[Path, ...] = ()  # other annotations of the same recording, not used
    load: Callable[[], Beats] | None = field(default=None, repr=False, compare=False)  # reads beats of another format
    corpus: Source | None = field(default=None, repr=False, compare=False)  # its name, licence and citation
    convention: str = ""  # of the labels, a name in `levada.io.formats.CONVENTIONS`; empty where it is recognised
    # where several annotations are equally right, all of them by name: first `annotation`, which is trained on
    readings: Mapping[str, Path] = field(default_factory=dict, compare=False)

    @property
    def is_annotated(self) -> bool:
        """Whether it has a beat annotation."""
        return self.annotation is not None or self.load is not None

    def beats(self) -> Beats:
        """Read the annotated beats, once.

        Raises
        ------
        InputError
            If there is no annotation, it cannot be read, or only its downbeats are marked.
        """
        if self.labels.only_downbeats:
            raise InputError(
                "marks downbeats only: the beats between are unknown, so nothing can be learnt or scored; mark all "
                "beats, or, if bars have one beat, name the convention positions",
                path=self.annotation,
            )
        return self.labels.beats

    @cached_property
    def labels(self) -> BeatAnnotation:
        """The annotation, and the assumptions made to read it."""
        if self.load is not None:
            return BeatAnnotation(self.load(), "mirdata", "positions")
        if self.annotation is None:
            raise InputError("has no beat annotation beside it", path=self.audio)
        return read_annotation(self.annotation, convention=self.convention)

    def by_reading(self) -> dict[str, Track]:
        """Return this track once for each of its readings, annotated with that one; empty where it has only one."""
        alone = replace(self, readings={}, alternatives=())
        return {name: replace(alone, annotation=path) for name, path in self.readings.items()}

    @cached_property
    def duration_s(self) -> float:
        """Length of the recording, in seconds."""
        return audio.info(self.audio).duration_s

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the audio file, in hexadecimal."""
        return audio.content_hash(self.audio)

    @property
    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of the files that a model trained on this recording was trained on: the recording."""
        return (self.content_hash,)

    @property
    def sources(self) -> Mapping[str, float]:
        """Empty: only songs are mixed from other recordings (`Multitrack.sources`)."""
        return {}


@dataclass(frozen=True)
class Span(Generic[T]):
    """A labelled stretch of a recording or a song.

    Both ends belong to a stretch of beats: without its closing downbeat the last bar would not be a whole one.
    """

    track: T  # the recording, or the song
    start_s: float  # start in the recording, in seconds
    end_s: float  # end in the recording, in seconds

    @property
    def duration_s(self) -> float:
        """Length in seconds, as it counts in a budget."""
        return self.end_s - self.start_s

    @cached_property
    def beats(self) -> Beats:
        """The annotated beats inside, at their times in the whole recording."""
        return self.track.beats().between(self.start_s, math.nextafter(self.end_s, math.inf))

    def read(
        self: Span[Multitrack], instruments: Sequence[str], *, rate: int, channels: int | None = 1
    ) -> tuple[Floats32, Floats32]:
        """Read the stems and the mixture of this stretch of a song: see `Multitrack.read`."""
        return self.track.read(instruments, rate=rate, channels=channels, start_s=self.start_s, end_s=self.end_s)
