"""Everything that is wrong with a corpus of stems.

Each recording is read once, in blocks, those of a song side by side, so that what they have in common is known: whether
the stems sum to the mixture, at which levels, which of them is upside down, and whether two are one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations, pairwise, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.check import CLIPPED, FULL_SCALE, SILENT, SongRow, reader_warnings
from levada.data.corpus import Corpus
from levada.data.multitracks import REST, Multitrack
from levada.data.problems import ORDER, Problem, listed
from levada.errors import InputError
from levada.io import audio
from levada.synth.instrument_names import OTHER, find_voice, normalise_name, slug

__all__ = ["check_stems", "song_rows"]

Floats = npt.NDArray[np.float64]

SHORT_S = 1.0  # nothing can be learnt from less
LONGER_S = 0.05  # by which lengths may differ
MATCHES_DB = -30.0  # what a mixture may have beyond its stems and be nothing to speak of
FLIPPED = 0.3  # the gain, below 0, from which on a stem is upside down
UPSIDE_DOWN = "is upside down: its polarity is the opposite of what it has in the mixture"
LEVEL_DB = 1.0  # by which a stem may be louder in the mixture than alone
SAME = 0.9999  # correlation of two recordings of a song that are one
ALIKE = 1e-5  # by which the marks of two recordings that are one may differ: rounding to 16 bits
AMBIENT = {"overhead", "overheads", "oh", "ohs", "room", "rooms", "roommic", "ambience", "ambient", "ambiente"}


@dataclass
class _Take:
    """What one pass over a recording tells."""

    path: Path
    instrument: str  # empty for the mixture
    rate: int = 0
    channels: int = 0
    samples: int = 0
    peak: float = 0.0
    full: int = 0  # samples at full scale
    moments: Floats = field(default_factory=lambda: np.zeros(4))  # of its energy in time, and of its size
    error: str = ""

    @property
    def duration_s(self) -> float:
        return self.samples / self.rate if self.rate else 0.0

    @property
    def is_heard(self) -> bool:
        return not self.error and self.peak > SILENT

    @property
    def mark(self) -> Floats:
        """Three numbers that are the same for the same take at any level, upside down or not."""
        energy, first, second, fourth = self.moments
        centre = first / energy
        return np.array([centre, np.sqrt(max(second / energy - centre**2, 0)), self.duration_s * fourth / energy**2])

    def hear(self, block: npt.NDArray[np.float32]) -> Floats:
        time_s = (self.samples + np.arange(block.shape[1])) / self.rate
        size = np.abs(block)
        top = float(size.max())
        self.peak = max(self.peak, top)
        if top >= FULL_SCALE:
            self.full += int(np.count_nonzero(size >= FULL_SCALE))
        self.samples += block.shape[1]
        heard = np.asarray(block.mean(axis=0), np.float64)
        energy = np.square(heard) / self.rate
        self.moments += [energy.sum(), energy @ time_s, energy @ time_s**2, energy @ energy * self.rate]
        return heard


@dataclass
class _Heard:
    """A song, and what its recordings have in common."""

    song: Multitrack
    takes: list[_Take]  # the mixture, if there is one, is the last
    common: Floats = field(default_factory=lambda: np.zeros((0, 0)))  # inner products of takes; empty if rates differ


def check_stems(corpus: Corpus[Multitrack]) -> tuple[Problem, ...]:
    """Read every recording of a corpus of stems and say what is wrong.

    Parameters
    ----------
    corpus : Corpus[Multitrack]

    Returns
    -------
    tuple of Problem
        Errors first, then warnings and notes; an error makes a song unusable or wrong. None is raised.
    """
    with reader_warnings() as said, ThreadPoolExecutor() as pool:
        songs = list(pool.map(_listen, corpus.tracks))
    problems = [*corpus.notes, *(Problem("warning", message, path) for path, message in said)]
    for heard in songs:
        problems += _alone(heard)
        problems += _against_mixture(heard)
        problems += _twice_in_song(heard)
    problems += _twice_in_corpus(songs)
    problems += _names(corpus)
    problems += _ambient(corpus)
    return tuple(sorted(problems, key=lambda one: (ORDER.index(one.severity), str(one.path or ""), one.message)))


def song_rows(corpus: Corpus[Multitrack]) -> tuple[SongRow, ...]:
    """Return a row for each song."""
    return tuple(
        SongRow(song.id, song.group, _duration_s(song), song.mixture is not None, song.instruments)
        for song in corpus.tracks
    )


def _duration_s(song: Multitrack) -> float:
    try:
        return song.duration_s
    except InputError:  # one of the problems
        return float("nan")


def _listen(song: Multitrack) -> _Heard:
    """One pass over all recordings of a song."""
    takes = [_Take(path, name) for name, paths in song.stems.items() for path in paths]
    takes += [_Take(song.mixture, "")] if song.mixture is not None else []
    for take in takes:
        try:
            facts = audio.info(take.path)
            take.rate, take.channels = facts.rate, facts.channels
        except InputError as error:
            take.error = error.problem
    side_by_side = len({take.rate for take in takes if not take.error}) == 1
    common = np.zeros((len(takes), len(takes)))
    for blocks in zip_longest(*(_blocks(take) for take in takes)):
        if side_by_side:
            longest = max((len(block) for block in blocks if block is not None), default=0)
            stack = np.zeros((len(takes), longest))
            for row, block in zip(stack, blocks, strict=True):
                if block is not None:
                    row[: len(block)] = block
            common += stack @ stack.T
    return _Heard(song, takes, common if side_by_side else np.zeros((0, 0)))


def _blocks(take: _Take) -> Iterator[Floats]:
    if take.error:
        return
    try:
        for block in audio.read_blocks(take.path, block_s=4.0):
            yield take.hear(block)
    except InputError as error:
        take.error = error.problem


def _alone(heard: _Heard) -> Iterator[Problem]:
    """What is wrong with each recording for itself."""
    for take in heard.takes:
        if take.error:
            yield Problem("error", take.error, take.path)
        elif take.duration_s < SHORT_S:
            samples = f"{take.samples} {'sample' if take.samples == 1 else 'samples'}"
            yield Problem("error", f"lasts {take.duration_s:.3g} s ({samples})", take.path)
        elif not take.is_heard:
            yield Problem("error", "is silent throughout", take.path)
        if take.full > CLIPPED * max(1, take.samples * take.channels):
            share = take.full / (take.samples * take.channels)
            yield Problem("warning", f"is clipped: {share:.1%} of its samples are at full scale", take.path)


def _against_mixture(heard: _Heard) -> Iterator[Problem]:
    """What does not fit together: lengths, rates, channels and the sum."""
    takes = [take for take in heard.takes if not take.error]
    if len(takes) < 2:
        return
    rates = Counter(take.rate for take in takes)
    if len(rates) > 1:
        told = listed(f"{take.path.name} at {take.rate} Hz" for take in takes)
        yield Problem("warning", f"has rates that differ: {told}; they are resampled when read", takes[0].path.parent)
    if len({take.channels for take in takes}) > 1:
        alone = [take for take in takes if take.channels == 1 and take.path not in heard.song.channels]
        mono = listed(take.path.name for take in alone)
        what = f"is mono and heard in every channel: {mono}" if mono else "has numbers of channels that differ"
        yield Problem("note", what, takes[0].path.parent)
    mixture = takes[-1] if not takes[-1].instrument else None
    if mixture is None:
        longest = max(take.duration_s for take in takes)
        short = [take for take in takes if longest - take.duration_s > LONGER_S]
        if short:
            told = listed(f"{take.path.name} {longest - take.duration_s:.2f} s" for take in short)
            yield Problem("note", f"has stems that end earlier, and are silent then: {told}", takes[0].path.parent)
        return
    for take in takes[:-1]:
        over_s = take.duration_s - mixture.duration_s
        if over_s > LONGER_S:
            what = f"is {over_s:.2f} s longer than its mixture: does it begin where the mixture does?"
            yield Problem("warning", what, take.path)
        elif over_s < -LONGER_S:
            what = f"is {-over_s:.2f} s shorter than its mixture, and silent then"
            yield Problem("note", what, take.path)
    if len(heard.common) and mixture.is_heard and any(take.is_heard for take in takes[:-1]):
        yield from _sums(heard, mixture)


def _sums(heard: _Heard, mixture: _Take) -> Iterator[Problem]:
    """Whether the stems sum to the mixture; if not, at which levels and with which delay they would."""
    index = heard.takes.index(mixture)
    use = [at for at, take in enumerate(heard.takes) if take.instrument and take.is_heard]
    stems, cross, total = heard.common[np.ix_(use, use)], heard.common[use, index], heard.common[index, index]
    fit = None if any(take.error for take in heard.takes) else heard.song.fit
    if fit is None or _db(total - 2 * cross.sum() + stems.sum(), total) <= MATCHES_DB:
        return
    if fit.delay:
        when = "later" if fit.delay > 0 else "earlier"
        what = f"is {abs(1000 * fit.delay_s):.1f} ms {when} than its stems; it is moved when it is used"
        yield Problem("warning", what, mixture.path)
    if heard.song.has_rest:
        gain = float(np.linalg.lstsq(stems, cross, rcond=1e-9)[0][0])
        change_db = 20 * np.log10(max(abs(gain), 1e-6))
        if gain < -FLIPPED:
            yield Problem("warning", UPSIDE_DOWN, heard.takes[use[0]].path)
        elif abs(change_db) > 3 * LEVEL_DB and not fit.delay:
            what = f"is {abs(change_db):.0f} dB {'louder' if change_db > 0 else 'softer'} in the mixture than alone"
            yield Problem(
                "warning", f"{what}: the rest is what remains of the mixture without it", heard.takes[use[0]].path
            )
        return
    if not fit.is_used:
        what = (
            f"is not the sum of its stems, at whatever levels ({fit.residual_db:.0f} dB are left): it holds more, was "
            "changed, or a stem begins elsewhere; the sum of the stems is used instead"
        )
        yield Problem("warning", what, mixture.path)
        return
    gains = dict(zip(heard.song.stems, fit.gains, strict=True))
    for take in heard.takes[:-1]:
        if gains[take.instrument] < -FLIPPED:
            yield Problem("warning", UPSIDE_DOWN, take.path)
    changed = [
        f"{name} {20 * np.log10(gain):+.1f} dB"
        for name, gain in gains.items()
        if gain > 1e-3 and abs(20 * np.log10(gain)) > LEVEL_DB
    ]
    if changed:
        what = f"has its stems at other levels than their files: {listed(changed)}; they are used at its levels"
        yield Problem("warning", what, mixture.path)
    if fit.residual_db > MATCHES_DB:
        what = (
            f"is not quite the sum of its stems ({fit.residual_db:.0f} dB are left): it may be limited or have effects"
        )
        yield Problem("note", what, mixture.path)


def _twice_in_song(heard: _Heard) -> Iterator[Problem]:
    """The same recording under two names of one song, at whatever level."""
    if not len(heard.common):
        return
    use = [at for at, take in enumerate(heard.takes) if take.instrument and take.is_heard]
    for one, other in combinations(use, 2):
        power = np.sqrt(heard.common[one, one] * heard.common[other, other])
        alike = heard.common[one, other] / max(power, 1e-30)
        channels = {heard.takes[at].path for at in (one, other)} <= heard.song.channels.keys()
        of_one = channels and heard.takes[one].instrument == heard.takes[other].instrument
        if abs(alike) > SAME and not of_one:
            how = "" if alike > 0 else ", upside down"
            what = f"is the same recording as {heard.takes[one].path.name}{how}"
            yield Problem("error", what, heard.takes[other].path)


def _twice_in_corpus(songs: Sequence[_Heard]) -> Iterator[Problem]:
    """The same take in two songs, of which one may be trained and the other tested on."""
    takes = [(take, heard.song) for heard in songs for take in heard.takes if take.is_heard and take.moments[0] > 0]
    takes.sort(key=lambda one: float(one[0].mark[0]))
    for (take, song), (other, another) in pairwise(takes):
        if song is not another and np.allclose(take.mark, other.mark, rtol=ALIKE, atol=0):
            here, there, apart = (other, take, another.group != song.group)
            if str(here.path) < str(there.path):
                here, there = there, here
            what = " in another group: it may be trained and tested on" if apart else ""
            yield Problem("error" if apart else "warning", f"holds the same take as {there.path}{what}", here.path)


def _names(corpus: Corpus[Multitrack]) -> Iterator[Problem]:
    """What is wrong with the instruments of the corpus as a whole."""
    root, names = corpus.root, corpus.instruments
    if len(names) < 2:
        what = f"has one instrument, {', '.join(names)}: there is nothing to separate it from"
        yield Problem("error", what, root)
    voices: dict[str, list[str]] = {}
    unknown: list[str] = []
    for name in names:
        voice = find_voice(name, among=names)
        if voice is None and name != REST:
            unknown.append(name)
        elif voice not in (None, OTHER):
            voices.setdefault(str(voice), []).append(name)
    numbered = [name for name in unknown if normalise_name(name).rpartition("-")[2].isdigit()]
    if numbered:
        what = f"has stems with a number for a name: {listed(numbered)}; name them under [instruments] in corpus.toml"
        yield Problem("warning", what, root)
    if len(unknown) > len(numbered):
        others = listed([name for name in unknown if name not in numbered])
        yield Problem(
            "note", f"has names that levada knows no instrument by: {others}; they are used as they are", root
        )
    for voice, several in voices.items():
        if len(several) > 1:
            what = f"has songs with {listed(sorted(several))}, which are all {voice}: they are kept apart"
            yield Problem("note", what, root)
    if not corpus.is_solos:
        often = Counter(name for song in corpus.tracks for name in song.instruments)
        some = [f"{name} ({often[name]})" for name in names if often[name] < len(corpus.tracks)]
        if some:
            yield Problem(
                "note", f"has instruments that only some of its {len(corpus.tracks)} songs have: {listed(some)}", root
            )


def _ambient(corpus: Corpus[Multitrack]) -> Iterator[Problem]:
    """Recordings of all instruments at once, by their names."""
    found = dict[str, Path]()
    for path in (path for song in corpus.tracks for path in song.files):
        name = slug(path.stem)
        words = AMBIENT & set(name.split("-"))
        for word in words:
            found.setdefault(f"*{word}*" if len(word) > 3 else f"*{path.stem.lower()}", path)
    if found:
        names, patterns = listed([path.name for path in found.values()]), json.dumps(sorted(found))
        what = f"has microphones that record all instruments at once ({names}): exclude = {patterns} in corpus.toml"
        yield Problem("note", f"{what} leaves them out", corpus.root)


def _db(power: float, of: float) -> float:
    return float(10 * np.log10(max(power, 1e-15 * of, 1e-300) / max(of, 1e-300)))
