"""A corpus: recordings with beats, or songs with stems, with the licence and the citation that travel with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple

import numpy as np

from levada.arguments import checked
from levada.data.multitracks import Multitrack
from levada.data.problems import Problem
from levada.data.sampling import Seed, sample
from levada.data.sources import Source
from levada.data.tracks import Span, T, Track
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data.checking import Report

__all__ = ["Corpus", "Labels", "Split"]

Labels = Literal["beats", "stems"]


@dataclass(frozen=True, repr=False)
class Corpus(Generic[T]):
    """Recordings with beats (`Track`), or songs with stems (`Multitrack`)."""

    name: str  # used in reports
    tracks: tuple[T, ...]  # sorted by id
    root: Path  # the folder of all files
    licence: str = ""  # of recordings and labels; empty if not stated
    citation: str = ""  # what to cite, BibTeX or plain words
    grouping: str = "each recording is its own group"  # the origin of the groups, in one sentence
    caveat: str = ""  # a risk of the grouping, in a sentence to print beside every score; usually empty
    notes: tuple[Problem, ...] = ()  # assumptions about its files, and files that are not used
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)  # the dataset's own: ids by name

    def __post_init__(self) -> None:
        source = Source(self.name, self.licence, self.citation)
        tracks = tuple(track if track.corpus else replace(track, corpus=source) for track in self.tracks)
        object.__setattr__(self, "tracks", tracks)

    def __len__(self) -> int:
        return len(self.tracks)

    def __iter__(self) -> Iterator[T]:
        return iter(self.tracks)

    def __repr__(self) -> str:
        labelled = len(self.annotated)
        count = f"{len(self)} recording{'s' * (len(self) != 1)}"
        groups = f"{len(self.groups)} group{'s' * (len(self.groups) != 1)}"
        return f"Corpus({self.name!r}: {count}, {labelled} with {self.labels}, {groups})"

    @property
    def labels(self) -> Labels:
        """The kind of labels: beats, or stems."""
        return "stems" if any(isinstance(track, Multitrack) for track in self.tracks) else "beats"

    @property
    def annotated(self) -> tuple[T, ...]:
        """The tracks with labels; songs with stems always have them."""
        return tuple(track for track in self.tracks if track.is_annotated)

    @property
    def groups(self) -> dict[str, tuple[T, ...]]:
        """The annotated tracks of each group, sorted by name."""
        names = sorted({track.group for track in self.annotated})
        return {name: tuple(track for track in self.annotated if track.group == name) for name in names}

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the instruments of all stems, those of most songs first, then by name; empty for beats."""
        songs = _songs_by_instrument(self.tracks)
        return tuple(sorted(songs, key=lambda name: (-songs[name], name)))

    @property
    def is_solos(self) -> bool:
        """Whether every song is one instrument alone."""
        return bool(self.tracks) and all(
            isinstance(track, Multitrack) and len(track.stems) == 1 and track.mixture is None for track in self.tracks
        )

    @checked
    def split(self, *, test_size: float = 0.5, seed: Seed = 0, ignore_groups: bool = False) -> Split[T]:
        """Split the annotated tracks into training and test so that no group is in both.

        Every instrument of a corpus of stems stays in training, where groups allow; groups whose instruments are rare
        in the test set are tested first.

        Parameters
        ----------
        test_size : float
            Share of the tracks to test on, between 0 and 1, met as closely as whole groups allow.
        seed : int, sequence of int, or numpy.random.Generator
            Selects the groups.
        ignore_groups : bool
            Split tracks instead of groups. The scores then depend on performers that are in both parts, and must be
            reported so.

        Returns
        -------
        Split
            Two corpora, `train` and `test`, sorted as this one; each has at least one track.

        Raises
        ------
        InputError
            If `test_size` is not between 0 and 1, or there is only one group (or track).
        """
        if not 0 < test_size < 1:
            raise InputError(f"the share of test tracks must be between 0 and 1, not {test_size:g}")
        tracks = self.annotated
        groups = {track.id: (track,) for track in tracks} if ignore_groups else self.groups
        if len(groups) < 2:
            problem = f"has {len(tracks)} annotated recordings: a split into training and test needs 2"
            if len(tracks) > 1:
                problem = (
                    f"has all {len(tracks)} annotated recordings in one group ({next(iter(groups))}), so performers of "
                    "the test set would be in the training set: name groups under [groups] in corpus.toml"
                )
            raise InputError(problem, path=self.root)
        names = [list(groups)[index] for index in np.random.default_rng(seed).permutation(len(groups))]
        instruments = {name: _songs_by_instrument(groups[name]) for name in names}
        wanted, chosen, count = test_size * len(tracks), list[str](), 0
        tested, left = Counter[str](), _songs_by_instrument(tracks)
        while len(chosen) < len(names) - 1:
            nearer = [
                name
                for name in names
                if name not in chosen and abs(count + len(groups[name]) - wanted) < abs(count - wanted)
            ]
            safe = [name for name in nearer if all(left[one] > songs for one, songs in instruments[name].items())]
            if not (safe or (nearer and not chosen)):
                break
            name = min(safe or nearer, key=lambda name: min((tested[one] for one in instruments[name]), default=0))
            chosen.append(name)
            count += len(groups[name])
            tested.update(instruments[name])
            left.subtract(instruments[name])
        if not chosen:
            chosen.append(min(names, key=lambda name: len(groups[name])))
        in_test = {track.id for name in chosen for track in groups[name]}
        train, test = (
            tuple(track for track in tracks if (track.id in in_test) == is_test) for is_test in (False, True)
        )
        return Split(replace(self, tracks=train), replace(self, tracks=test))

    @checked
    def sample(self, *, minutes: float | None = None, seed: Seed = 0) -> list[Span[T]]:
        """Select a budget of labelled minutes at random: see `levada.data.sample`."""
        return sample(self.tracks, minutes=minutes, seed=seed)

    def check(self) -> Report:
        """Read all files and report their properties and problems: see `levada.data.checking`."""
        from levada.data.checking import check

        return check(self)


class Split(NamedTuple, Generic[T]):
    """Two parts of a corpus with no group in common."""

    train: Corpus[T]  # to learn from
    test: Corpus[T]  # to score


def _songs_by_instrument(tracks: Sequence[Track | Multitrack]) -> Counter[str]:
    """Count the songs that have each instrument."""
    return Counter(name for track in tracks if isinstance(track, Multitrack) for name in track.instruments)
