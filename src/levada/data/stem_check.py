"""What is wrong with songs and their stems.

The recordings of a song are read side by side, which shows what they have in common: whether the stems sum to the
mixture, at which levels, which of them has the opposite polarity, and whether two are the same.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise, zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.audio_scan import AudioScan
from levada.data.corpus import Corpus
from levada.data.multitracks import REST, Multitrack
from levada.data.problems import Problem
from levada.errors import InputError
from levada.io.tables import join_names
from levada.synth.instrument_names import OTHER, find_voice, normalise_name, slug

__all__ = ["SongRow", "rows_and_problems", "scan"]

Floats = npt.NDArray[np.float64]

LONGER_S = 0.05  # difference of lengths that is accepted
MATCHES_DB = -30.0  # what a mixture may have beyond its stems and not be reported
FLIPPED = 0.3  # the gain, below 0, from which on the polarity is the opposite
OPPOSITE = "has the opposite polarity of what it has in the mixture"
LEVEL_DB = 1.0  # difference of levels in the mixture and alone that is accepted
SAME = 0.9999  # correlation of two recordings of a song that are the same
ALIKE = 1e-5  # difference of the fingerprints of two equal recordings: rounding to 16 bits
AMBIENT = {"overhead", "overheads", "oh", "ohs", "room", "rooms", "roommic", "ambience", "ambient", "ambiente"}


@dataclass(frozen=True)
class SongRow:
    """One song in the table."""

    id: str  # of the song
    group: str  # performers, session or instrument set
    duration_s: float  # NaN if it cannot be read
    mixture: bool  # whether there is a recording of it
    instruments: tuple[str, ...]  # names of its stems


@dataclass
class _Take(AudioScan):
    """Properties of one recording of a song."""

    instrument: str = ""  # empty for the mixture
    moments: Floats = field(default_factory=lambda: np.zeros(4))  # of its energy in time, and of its size

    @property
    def fingerprint(self) -> Floats:
        """Three numbers that are the same for the same take at any level and polarity."""
        energy, first, second, fourth = self.moments
        centre = first / energy
        return np.array([centre, np.sqrt(max(second / energy - centre**2, 0)), self.duration_s * fourth / energy**2])

    def mono(self) -> Iterator[Floats]:
        """Read the mean of the channels in blocks [shape=(samples,)]."""
        for block in self.blocks(block_s=4.0):
            time_s = (self.samples + np.arange(block.shape[1])) / self.rate
            samples = np.asarray(block.mean(axis=0), np.float64)
            energy = np.square(samples) / self.rate
            self.moments += [energy.sum(), energy @ time_s, energy @ time_s**2, energy @ energy * self.rate]
            yield samples


@dataclass
class _SongScan:
    """Properties of the recordings of a song, and what they have in common."""

    song: Multitrack
    takes: list[_Take]  # the mixture, if there is one, is the last
    common: Floats  # inner products of takes; empty if rates differ


def scan(song: Multitrack) -> _SongScan:
    """Read all recordings of a song once, side by side."""
    takes = [_Take(path, instrument=name) for name, paths in song.stems.items() for path in paths]
    takes += [_Take(song.mixture)] if song.mixture is not None else []
    common = np.zeros((len(takes), len(takes)))
    for blocks in zip_longest(*(take.mono() for take in takes)):
        longest = max((len(block) for block in blocks if block is not None), default=0)
        stack = np.zeros((len(takes), longest))
        for row, block in zip(stack, blocks, strict=True):
            if block is not None:
                row[: len(block)] = block
        common += stack @ stack.T
    one_rate = len({take.rate for take in takes if not take.error}) == 1
    return _SongScan(song, takes, common if one_rate else np.zeros((0, 0)))


def rows_and_problems(corpus: Corpus[Multitrack], scans: Sequence[_SongScan]) -> tuple[list[SongRow], list[Problem]]:
    """Return a row for each song, and the problems of songs and instruments."""
    rows = [
        SongRow(song.id, song.group, _duration_s(song), song.mixture is not None, song.instruments)
        for song in corpus.tracks
    ]
    problems = list[Problem]()
    for one in scans:
        problems += [problem for take in one.takes for problem in take.problems()]
        problems += _mixture_problems(one)
        problems += _repeated_in_song(one)
    problems += _repeated_in_corpus(scans)
    problems += _name_problems(corpus)
    problems += _ambient(corpus)
    return rows, problems


def _duration_s(song: Multitrack) -> float:
    try:
        return song.duration_s
    except InputError:  # one of the problems
        return float("nan")


def _mixture_problems(scan: _SongScan) -> Iterator[Problem]:
    """Yield what does not fit together: lengths, rates, channels and the sum."""
    takes = [take for take in scan.takes if not take.error]
    if len(takes) < 2:
        return
    rates = Counter(take.rate for take in takes)
    if len(rates) > 1:
        names = join_names(f"{take.path.name} at {take.rate} Hz" for take in takes)
        yield Problem("warning", f"has rates that differ: {names}; they are resampled when read", takes[0].path.parent)
    if len({take.channels for take in takes}) > 1:
        alone = [take for take in takes if take.channels == 1 and take.path not in scan.song.channels]
        mono = join_names(take.path.name for take in alone)
        what = f"is mono and in every channel: {mono}" if mono else "has numbers of channels that differ"
        yield Problem("note", what, takes[0].path.parent)
    mixture = takes[-1] if not takes[-1].instrument else None
    if mixture is None:
        longest = max(take.duration_s for take in takes)
        short = [take for take in takes if longest - take.duration_s > LONGER_S]
        if short:
            names = join_names(f"{take.path.name} {longest - take.duration_s:.2f} s" for take in short)
            yield Problem("note", f"has stems that end earlier, and are silent then: {names}", takes[0].path.parent)
        return
    for take in takes[:-1]:
        over_s = take.duration_s - mixture.duration_s
        if over_s > LONGER_S:
            what = f"is {over_s:.2f} s longer than its mixture: does it begin where the mixture does?"
            yield Problem("warning", what, take.path)
        elif over_s < -LONGER_S:
            what = f"is {-over_s:.2f} s shorter than its mixture, and silent then"
            yield Problem("note", what, take.path)
    if len(scan.common) and mixture.is_audible and any(take.is_audible for take in takes[:-1]):
        yield from _sum_problems(scan, mixture)


def _sum_problems(scan: _SongScan, mixture: _Take) -> Iterator[Problem]:
    """Yield whether the stems sum to the mixture, and if not, at which levels and with which delay they would."""
    index = scan.takes.index(mixture)
    use = [at for at, take in enumerate(scan.takes) if take.instrument and take.is_audible]
    stems, cross, total = scan.common[np.ix_(use, use)], scan.common[use, index], scan.common[index, index]
    fit = None if any(take.error for take in scan.takes) else scan.song.fit
    if fit is None or _db(total - 2 * cross.sum() + stems.sum(), total) <= MATCHES_DB:
        return
    if fit.delay:
        when = "later" if fit.delay > 0 else "earlier"
        what = f"is {abs(1000 * fit.delay_s):.1f} ms {when} than its stems; it is moved when it is used"
        yield Problem("warning", what, mixture.path)
    if scan.song.has_rest:
        gain = float(np.linalg.lstsq(stems, cross, rcond=1e-9)[0][0])
        change_db = 20 * np.log10(max(abs(gain), 1e-6))
        if gain < -FLIPPED:
            yield Problem("warning", OPPOSITE, scan.takes[use[0]].path)
        elif abs(change_db) > 3 * LEVEL_DB and not fit.delay:
            what = f"is {abs(change_db):.0f} dB {'louder' if change_db > 0 else 'softer'} in the mixture than alone"
            yield Problem(
                "warning", f"{what}: the rest is what remains of the mixture without it", scan.takes[use[0]].path
            )
        return
    if not fit.is_used:
        what = (
            f"is not the sum of its stems, at whatever levels ({fit.residual_db:.0f} dB are left): it holds more, was "
            "changed, or a stem is misplaced; the sum of the stems is used instead"
        )
        yield Problem("warning", what, mixture.path)
        return
    gains = dict(zip(scan.song.stems, fit.gains, strict=True))
    for take in scan.takes[:-1]:
        if gains[take.instrument] < -FLIPPED:
            yield Problem("warning", OPPOSITE, take.path)
    changed = [
        f"{name} {20 * np.log10(gain):+.1f} dB"
        for name, gain in gains.items()
        if gain > 1e-3 and abs(20 * np.log10(gain)) > LEVEL_DB
    ]
    if changed:
        what = f"has its stems at other levels than their files: {join_names(changed)}; they are used at its levels"
        yield Problem("warning", what, mixture.path)
    if fit.residual_db > MATCHES_DB:
        what = (
            f"is not quite the sum of its stems ({fit.residual_db:.0f} dB are left): it may be limited or have effects"
        )
        yield Problem("note", what, mixture.path)


def _repeated_in_song(scan: _SongScan) -> Iterator[Problem]:
    """Yield recordings that a song has under two names, at whatever level."""
    if not len(scan.common):
        return
    use = [at for at, take in enumerate(scan.takes) if take.instrument and take.is_audible]
    for one, other in combinations(use, 2):
        power = np.sqrt(scan.common[one, one] * scan.common[other, other])
        alike = scan.common[one, other] / max(power, 1e-30)
        channels = {scan.takes[at].path for at in (one, other)} <= scan.song.channels.keys()
        of_one = channels and scan.takes[one].instrument == scan.takes[other].instrument
        if abs(alike) > SAME and not of_one:
            how = "" if alike > 0 else ", with opposite polarity"
            what = f"is the same recording as {scan.takes[one].path.name}{how}"
            yield Problem("error", what, scan.takes[other].path)


def _repeated_in_corpus(scans: Sequence[_SongScan]) -> Iterator[Problem]:
    """Yield takes that two songs have, of which one may be trained and the other tested on."""
    takes = [(take, scan.song) for scan in scans for take in scan.takes if take.is_audible and take.moments[0] > 0]
    takes.sort(key=lambda one: float(one[0].fingerprint[0]))
    for (take, song), (other, another) in pairwise(takes):
        if song is not another and np.allclose(take.fingerprint, other.fingerprint, rtol=ALIKE, atol=0):
            here, there, apart = (other, take, another.group != song.group)
            if str(here.path) < str(there.path):
                here, there = there, here
            what = " in another group: it may be trained and tested on" if apart else ""
            yield Problem("error" if apart else "warning", f"holds the same take as {there.path}{what}", here.path)


def _name_problems(corpus: Corpus[Multitrack]) -> Iterator[Problem]:
    """Yield problems of the instruments of the corpus as a whole."""
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
        what = f"has stems with a number for a name: {join_names(numbered)}; name them in corpus.toml, [instruments]"
        yield Problem("warning", what, root)
    if len(unknown) > len(numbered):
        others = join_names([name for name in unknown if name not in numbered])
        yield Problem(
            "note", f"has names that are not instruments of levada: {others}; they are used as they are", root
        )
    for voice, several in voices.items():
        if len(several) > 1:
            what = f"has songs with {join_names(sorted(several))}, which are all {voice}: they are kept apart"
            yield Problem("note", what, root)
    if not corpus.is_solos:
        often = Counter(name for song in corpus.tracks for name in song.instruments)
        some = [f"{name} ({often[name]})" for name in names if often[name] < len(corpus.tracks)]
        if some:
            what = f"has instruments that only some of its {len(corpus.tracks)} songs have: {join_names(some)}"
            yield Problem("note", what, root)


def _ambient(corpus: Corpus[Multitrack]) -> Iterator[Problem]:
    """Yield a note on recordings of all instruments at once, recognised by their names."""
    found = dict[str, Path]()
    for path in (path for song in corpus.tracks for path in song.files):
        name = slug(path.stem)
        words = AMBIENT & set(name.split("-"))
        for word in words:
            found.setdefault(f"*{word}*" if len(word) > 3 else f"*{path.stem.lower()}", path)
    if found:
        names, patterns = join_names([path.name for path in found.values()]), json.dumps(sorted(found))
        what = f"has microphones that record all instruments at once ({names}): exclude = {patterns} in corpus.toml"
        yield Problem("note", f"{what} leaves them out", corpus.root)


def _db(power: float, of: float) -> float:
    return float(10 * np.log10(max(power, 1e-15 * of, 1e-300) / max(of, 1e-300)))
