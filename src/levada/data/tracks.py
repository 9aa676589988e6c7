"""What a corpus is made of: tracks, the corpus itself, and the annotated stretches used for training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from levada.data.sources import Source
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import BeatAnnotation, read_annotation

__all__ = ["Corpus", "Span", "Track"]


@dataclass(frozen=True)
class Track:
    """One recording, and its beat annotation if it has one. Files are read when first asked for."""

    id: str  # unique in its corpus: for a folder, the path inside it without the suffix
    audio: Path  # the recording
    annotation: Path | None = None  # the beat file, if there is one
    group: str = ""  # performer, session or instrument set: never on both sides of a split
    alternatives: tuple[Path, ...] = ()  # other annotations of the same recording, not used
    load: Callable[[], Beats] | None = field(default=None, repr=False, compare=False)  # reader of another's format
    corpus: Source | None = field(default=None, repr=False, compare=False)  # its name, licence and citation
    convention: str = ""  # what the labels mean, where it was named (`levada.io.formats.CONVENTIONS`)

    @property
    def is_annotated(self) -> bool:
        """Whether there is an annotation to read."""
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
        """The annotation, and what was assumed to read it."""
        if self.load is not None:
            return BeatAnnotation(self.load(), "mirdata", "positions")
        if self.annotation is None:
            raise InputError("has no beat annotation beside it", path=self.audio)
        return read_annotation(self.annotation, convention=self.convention)

    @cached_property
    def duration_s(self) -> float:
        """Length of the recording, in seconds."""
        return audio.info(self.audio).duration_s

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the audio file, in hexadecimal: what a model card remembers of its training data."""
        return audio.content_hash(self.audio)

    @property
    def hashes(self) -> tuple[str, ...]:
        """The content hash, as the one file that a model trained on this recording is trained on."""
        return (self.content_hash,)

    @property
    def sources(self) -> Mapping[str, float]:
        """None: of what songs are mixed from, this gives the hashes and lengths."""
        return {}


@dataclass(frozen=True)
class Corpus:
    """Recordings that belong together, with the licence and the citation that travel with them."""

    name: str  # what reports call it
    tracks: tuple[Track, ...]  # sorted by id
    root: Path  # the folder everything lies in
    licence: str = ""  # of the recordings and annotations; empty when nobody said
    citation: str = ""  # what to cite, BibTeX or plain words
    grouping: str = "each recording is its own group"  # where the groups come from, in one sentence
    strays: tuple[Path, ...] = ()  # annotations whose recording is missing
    caveat: str = ""  # what the grouping risks, in one sentence that belongs beside every score; empty for nothing
    machine_made: tuple[Path, ...] = ()  # beats that levada wrote into the folder, which are no annotations
    ignored: tuple[Path, ...] = ()  # other files in the folder, of which nothing is used
    annotators: tuple[str, ...] = ()  # people of whom there are annotations that say so
    annotator: str = ""  # the one whose annotations are used; empty for annotations that are nobody's
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)  # the dataset's own, by id

    def __post_init__(self) -> None:
        source = Source(self.name, self.licence, self.citation)
        tracks = tuple(track if track.corpus else replace(track, corpus=source) for track in self.tracks)
        object.__setattr__(self, "tracks", tracks)

    @property
    def unedited(self) -> str:
        """Which beats in the folder are no labels as levada wrote them, in a sentence; empty where there are none."""
        if not self.machine_made:
            return ""
        count = len(self.machine_made)
        some = f"written by levada and not edited since{f' (and {count - 1} more)' if count > 1 else ''}"
        return f"{some}: no label; if it is right as it is, remove its comment 'written by levada'"

    @property
    def annotated(self) -> tuple[Track, ...]:
        """The tracks that have an annotation; the others are there to be tracked later."""
        return tuple(track for track in self.tracks if track.is_annotated)

    @property
    def groups(self) -> dict[str, tuple[Track, ...]]:
        """The annotated tracks of each group, sorted by name."""
        names = sorted({track.group for track in self.annotated})
        return {name: tuple(t for t in self.annotated if t.group == name) for name in names}


@dataclass(frozen=True)
class Span:
    """An annotated stretch of a recording.

    Both ends belong to it: without its closing downbeat the last bar would not be a whole one.
    """

    track: Track  # the recording
    start_s: float  # where the stretch begins in the recording, in seconds
    end_s: float  # where it ends

    @property
    def recording(self) -> Track:
        """The recording, under the name that stretches of songs with stems use too."""
        return self.track

    @property
    def duration_s(self) -> float:
        """Its length in seconds: what it costs of a budget."""
        return self.end_s - self.start_s

    @cached_property
    def beats(self) -> Beats:
        """The annotated beats inside, at their times in the whole recording."""
        return self.track.beats().between(self.start_s, math.nextafter(self.end_s, math.inf))
