"""Artificial mixtures of solos: their plan, and their files.

The plan depends only on the seed and is computed before audio is read, so that an interrupted run can be resumed. Solos
of one group (a player, a session, a set of instruments) are in one part of the split only.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data import Corpus, Multitrack
from levada.data.multitracks import SOLOS, audio_info
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats
from levada.io.run_folder import RunFolder
from levada.io.text import escape_csv_cell, unescape_csv_cell
from levada.separation.remix.solos import (
    BARE,
    FEWEST,
    BeatEstimator,
    Solo,
    View,
    bars_of,
    beats_of,
    metrical_levels,
    solos_of,
    views_of,
)
from levada.synth.acoustics import mix_down

__all__ = ["TEST", "TRAIN", "RemixSettings", "Remixed", "remix", "solo_groups"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator
RECORD, TOML = "mixtures.csv", "corpus.toml"
HALVES = ("half-1", "half-2")
TRAIN, TEST = "train", "test"
"""Folders of the two sides of a split."""
TRIES = 50  # random splits that are tried
LEAD_S = 0.1  # before the first beat
LOUD = 0.1  # root mean square of a solo
PLAIN_DB, PEAK = 3.0, 0.7  # without a room: standard deviation of the levels, and the peak of the loudest


@dataclass(frozen=True)
class RemixSettings:
    """Settings of artificial mixtures.

    Parameters
    ----------
    mixtures : int
    seconds : float
        Approximate length of each: whole bars.
    coherent : bool
        Whether solos are aligned to one tempo and one bar; otherwise they are mixed unchanged at random positions.
    stretch : float
        Largest change of the tempo of a solo, as a fraction.
    tempo_bpm : tuple of float, optional
        Lowest and highest tempo of the mixtures; any by default.
    rooms : bool
        Whether all are placed in one simulated room, each at another position; mixtures are mono then, and otherwise
        have as many channels as the solos. Their rate is the highest that a solo has.
    test : float, optional
        Share of the groups that are mixed for testing only. By default the groups are split into two halves, so that
        each half can test a model trained on the other; with 0 all solos are mixed together, as one group.
    fewest, most : int
        Minimum and maximum number of instruments in a mixture. Where fewer fit together, there are fewer.
    target : str
        An instrument that is in every mixture, and whose stem is the only one that is written beside it: what else
        plays is the rest of the mixture.
    seed : int
    """

    mixtures: int = 20
    seconds: float = 20.0
    coherent: bool = True
    stretch: float = 0.08
    tempo_bpm: tuple[float, float] | None = None
    rooms: bool = True
    test: float | None = None
    fewest: int = 2
    most: int = 8
    target: str = ""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mixtures < 1 or not 2 <= self.fewest <= self.most or not 1 <= self.seconds <= 900:
            raise InputError("there must be at least one mixture, of 1 to 900 s, with at least two instruments")
        if not 0 <= self.stretch <= 0.25:
            raise InputError(f"stretch must be from 0 to 0.25, not {self.stretch:g}: strokes would smear")
        if not 0 <= (self.test or 0) < 1 or self.seed < 0:
            raise InputError("the share for testing must be from 0 to below 1, and the seed must not be negative")
        if self.tempo_bpm is not None and not 0 < self.tempo_bpm[0] <= self.tempo_bpm[1]:
            raise InputError("tempi must be two numbers above 0, the lower one first")


@dataclass(frozen=True)
class Remixed:
    """The result of `remix`.

    Parameters
    ----------
    folder : Path
    written, kept : tuple of Path
        Folders of mixtures written by this run, and by an earlier run.
    left_out : tuple of str
        Reasons why some solos are in no mixture.
    groups : tuple of str
        Groups of mixtures without common solos or groups of solos.
    rate : int
        Sampling rate of the mixtures, in Hz.
    channels : int
        Channels of the mixtures.
    solo_channels : int
        Maximum number of channels of a solo.
    """

    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    left_out: tuple[str, ...]
    groups: tuple[str, ...]
    rate: int
    channels: int
    solo_channels: int


@dataclass(frozen=True, eq=False)
class _Part:
    """One instrument of a mixture: bars of a view, or a span that starts at a time."""

    solo: Solo
    view: View | None
    first: float  # a bar, or a time in seconds


@dataclass(frozen=True, eq=False)
class _Mixture:
    """The plan of a mixture; tempo and metre are 0 where solos are mixed without regard to their beats."""

    place: Path
    parts: tuple[_Part, ...]
    tempo_bpm: float
    metre: int
    seed: tuple[int, ...]

    def beats(self, seconds: float) -> Beats:
        """Return the beats of the mixture: whole bars."""
        if not self.tempo_bpm:
            return Beats([])
        size = self.metre or BARE
        bars = max(1, round(seconds * self.tempo_bpm / 60 / size))
        number = np.arange(bars * size + 1)
        return Beats(LEAD_S + number * 60 / self.tempo_bpm, number % size + 1 if self.metre else 0 * number)


def remix(
    corpus: Corpus[Multitrack],
    out: str | Path,
    *,
    settings: RemixSettings = RemixSettings(),
    instruments: Collection[str] | None = None,
    tracker: BeatEstimator | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Remixed:
    """Mix solos; an interrupted run is resumed.

    Parameters
    ----------
    corpus : Corpus[Multitrack]
        Solos; stems of songs are used as solos too.
    out : path-like
        The folder of mixtures: a folder for each, with a file for each instrument, their sum and the beats.
    settings : RemixSettings
    instruments : collection of str, optional
        Instruments to use; all by default.
    tracker : BeatEstimator, optional
        Estimates the beats of solos without annotation.
    force : bool
        Whether mixtures of another run may be replaced.
    progress : callable, optional
        Called with the mixtures done and all mixtures.

    Returns
    -------
    Remixed

    Raises
    ------
    InputError
        If there are fewer than two instruments, or none that can be mixed; or if the folder holds something else or
        cannot be written.
    """
    out = Path(out)
    solos = solos_of(corpus, instruments=instruments)
    if len({solo.instrument for solo in solos}) < 2:
        raise InputError("holds fewer than two instruments, and a mixture needs two", path=corpus.root)
    if settings.target and settings.target not in {solo.instrument for solo in solos}:
        names = ", ".join(sorted({solo.instrument for solo in solos}))
        raise InputError(f"has no {settings.target}; its instruments are {names}", path=corpus.root)
    config = _config(solos, settings, tracker)
    with RunFolder.acquire(out, kind="mixtures", config=config, force=force) as run:
        views, left_out = _views(solos, tracker, settings) if settings.coherent else ({}, [])
        if settings.coherent and not views:
            raise InputError(f"holds no solo that can be aligned to beats: {'; '.join(left_out)}", path=corpus.root)
        usable = [solo for solo in solos if solo in views or not settings.coherent]
        planner = _Planner(settings, views, corpus.root)
        parts = planner.split(usable)
        plans = [
            mixture
            for number, (part, members) in enumerate(parts.items(), start=len(parts) - 1)
            for mixture in planner.mixtures(out / part, members, number)
        ]
        texts = _text_files(out, corpus, parts, plans, settings)
        for name, text in texts.items():
            run.write_text(name, text)
        rate = max(audio_info(path).rate for solo in usable for path in solo.files)
        width = max(solo.song.width for solo in usable)
        channels = 1 if settings.rooms else width
        items = {one.place: one.place.relative_to(out).as_posix() for one in plans}
        written, kept = list[Path](), [place for place, item in items.items() if run.is_done(item)]
        for mixture in plans:
            if mixture.place not in kept:
                with run.writing(items[mixture.place]) as temporary:
                    _write(mixture, settings, temporary / items[mixture.place], rate, channels)
                written.append(mixture.place)
            if progress is not None:
                progress(len(written) + len(kept), len(plans))
        run.remove_others([*texts, *items.values()])
    used = {part.solo.id for mixture in plans for part in mixture.parts}
    if unused := [solo.id for solo in views if solo.id not in used]:
        left_out.append(f"in no mixture, by chance or because of their tempo: {', '.join(unused)}")
    groups = tuple(part or corpus.name for part in parts)
    return Remixed(out, tuple(written), tuple(kept), tuple(left_out), groups, rate, channels, width)


def solo_groups(folder: str | Path, instrument: str) -> dict[str, str]:
    """Return the group of the solo of an instrument in each mixture that `remix` wrote, by the name of the mixture."""
    with (Path(folder) / RECORD).open(encoding="utf-8", newline="") as file:
        rows = [{key: unescape_csv_cell(cell) for key, cell in row.items()} for row in csv.DictReader(file)]
    return {row["mixture"]: row["group"] for row in rows if row["instrument"] == instrument}


def _views(
    solos: Sequence[Solo], tracker: BeatEstimator | None, settings: RemixSettings
) -> tuple[dict[Solo, tuple[View, ...]], list[str]]:
    """Return the bars of every solo, and the reasons why some have none."""
    bars, left_out = list[tuple[View, int]](), list[str]()
    for solo in solos:
        try:
            beats, tracked = beats_of(solo, tracker)
            bars.append((bars_of(solo, beats, tracked=tracked), len(beats) if tracked else 0))
        except InputError as error:
            left_out.append(str(error))
    levels = metrical_levels(
        [view.tempo_bpm for view, _ in bars],
        [not count for _, count in bars],
        tempo_bpm=settings.tempo_bpm,
    )
    views = dict[Solo, tuple[View, ...]]()
    for (view, tracked_beats), level in zip(bars, levels, strict=True):
        count = int(tracked_beats * 2.0**level)
        if tracked_beats and count < FEWEST:
            left_out.append(
                f"{view.solo.id} is too short for its tempo to be trusted: {count} beats are estimated, {FEWEST} are "
                "needed; add a beat file"
            )
            continue
        try:
            views[view.solo] = views_of(view, level)
        except InputError as error:
            left_out.append(str(error))
    return views, left_out


@dataclass(frozen=True, eq=False)
class _Planner:
    """The choice of the solos of each mixture.

    Parameters
    ----------
    settings : RemixSettings
    views : mapping of Solo to tuple of View
        The bars of each solo; empty where solos are mixed without regard to their beats.
    root : Path
        The folder of the solos, for messages.
    """

    settings: RemixSettings
    views: Mapping[Solo, tuple[View, ...]]
    root: Path

    def split(self, solos: Sequence[Solo]) -> dict[str, list[Solo]]:
        """Split solos by group into training and test, or two halves; each part is mixed separately."""
        settings, groups = self.settings, sorted({solo.group for solo in solos})
        if settings.test == 0 or (settings.test is None and min(len(groups), settings.mixtures) < 2):
            return {"": list(solos)}
        if len(groups) < 2:
            raise InputError("all solos are of one group and cannot be split: leave out --test")
        names = HALVES if settings.test is None else (TRAIN, TEST)
        count = min(len(groups) - 1, max(1, round(self._test_size * len(groups))))
        rng = np.random.default_rng([settings.seed, 1])
        for _ in range(TRIES):
            second = {groups[int(index)] for index in rng.permutation(len(groups))[:count]}
            parts = {
                names[0]: [solo for solo in solos if solo.group not in second],
                names[1]: [solo for solo in solos if solo.group in second],
            }
            if all(self._can_mix(members) and self._has_target(members) for members in parts.values()):
                return parts
        if settings.test is None:
            return {"": list(solos)}
        raise InputError(
            "no split by groups has two instruments that can be mixed in each part: add groups, or leave out --test",
            path=self.root,
        )

    def mixtures(self, folder: Path, solos: Sequence[Solo], part: int) -> list[_Mixture]:
        """Plan the mixtures of one part of the split: 0 for all solos, 1 for the first part, 2 for the second."""
        if len({solo.instrument for solo in solos}) < 2:
            raise InputError("holds fewer than two instruments that can be mixed", path=self.root)
        total = self.settings.mixtures
        second = round(self._test_size * total)
        plans = []
        for number in range(1, max(1, (total, total - second, second)[part]) + 1):
            seed = (self.settings.seed, 2, part, number)
            choose = self._coherent if self.settings.coherent else self._random
            parts, tempo_bpm, metre = choose(solos, np.random.default_rng(seed))
            plans.append(_Mixture(folder / f"mix-{number:03}", tuple(parts), tempo_bpm, metre, seed))
        return plans

    @property
    def _test_size(self) -> float:
        return 0.5 if self.settings.test is None else self.settings.test

    def _can_mix(self, solos: Sequence[Solo]) -> bool:
        """Whether two instruments can be mixed."""
        if not self.settings.coherent:
            return len({solo.instrument for solo in solos}) > 1
        candidates = [view for solo in solos for view in self.views[solo]]
        return any(self._partners(view, candidates) for view in self._starts(candidates))

    def _has_target(self, solos: Sequence[Solo]) -> bool:
        return not self.settings.target or any(solo.instrument == self.settings.target for solo in solos)

    def _starts(self, views: Sequence[View]) -> list[View]:
        """Return the views whose tempo a mixture may have."""
        low, high = self.settings.tempo_bpm or (0.0, np.inf)
        return [view for view in views if low <= view.tempo_bpm <= high]

    def _partners(self, one: View, views: Sequence[View]) -> list[View]:
        """Return views of other instruments that can be stretched to the tempo and have the metre of one."""
        return [
            view
            for view in views
            if view.metre == one.metre
            and abs(one.tempo_bpm / view.tempo_bpm - 1) <= self.settings.stretch
            and view.solo.instrument != one.solo.instrument
        ]

    def _coherent(self, solos: Sequence[Solo], rng: Generator) -> tuple[list[_Part], float, int]:
        """Choose a solo, and others that can be stretched to its tempo."""
        candidates = [view for solo in solos for view in self.views[solo]]
        target = self.settings.target
        starts = [view for view in self._starts(candidates) if target in ("", view.solo.instrument)]
        for index in rng.permutation(len(starts)):
            one = starts[int(index)]
            fits = self._partners(one, candidates)
            names = sorted({view.solo.instrument for view in fits})
            if not names:
                continue
            wanted = self._count(len(names) + 1, rng) - 1
            chosen = [one]
            for name in rng.permutation(names)[:wanted]:
                options = [view for view in fits if view.solo.instrument == name]
                chosen.append(options[int(rng.integers(len(options)))])
            parts = [_Part(view.solo, view, float(rng.integers(view.bars))) for view in chosen]
            return parts, one.tempo_bpm, one.metre
        tempi = ", ".join(f"{self.views[solo][0].solo.id} {self.views[solo][0].tempo_bpm:.0f}" for solo in solos)
        raise InputError(
            f"no two instruments have a tempo and a metre in common within {self.settings.stretch:.0%} ({tempi} bpm); "
            "a larger --stretch, or --incoherent, mixes them",
            path=self.root,
        )

    def _count(self, available: int, rng: Generator) -> int:
        """Draw the number of instruments of a mixture."""
        most = min(available, self.settings.most)
        return int(rng.integers(min(self.settings.fewest, most), most + 1))

    def _random(self, solos: Sequence[Solo], rng: Generator) -> tuple[list[_Part], float, int]:
        """Choose solos of different instruments, and a random span of each."""
        names = sorted({solo.instrument for solo in solos})
        count = self._count(len(names), rng)
        parts, chosen = [], [str(name) for name in rng.permutation(names)[:count]]
        target = self.settings.target
        if target and target not in chosen:
            chosen[0] = target
        for name in chosen:
            options = [solo for solo in solos if solo.instrument == name]
            solo = options[int(rng.integers(len(options)))]
            start_s = float(rng.uniform(0, max(0.0, solo.song.duration_s - self.settings.seconds)))
            parts.append(_Part(solo, None, start_s))
        return parts, 0.0, 0


def _write(mixture: _Mixture, settings: RemixSettings, folder: Path, rate: int, channels: int) -> None:
    """Read, mix and write one mixture."""
    rng = np.random.default_rng((*mixture.seed, 3))
    beats = mixture.beats(settings.seconds)
    length = round((float(beats.times_s[-1]) if len(beats) else settings.seconds) * rate)
    sounds = {}
    for part in mixture.parts:
        if part.view is not None:
            sound = part.view.play(beats.times_s, int(part.first), length, rate=rate, channels=channels)
        else:
            samples = part.solo.read(part.first, part.first + settings.seconds, rate=rate, channels=channels)
            sound = np.pad(samples[:, :length], ((0, 0), (0, max(0, length - samples.shape[1]))))
        rms = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
        sounds[part.solo.instrument] = sound * np.float32(LOUD / max(rms, 1e-6))
    if settings.rooms:
        placed = mix_down({name: [sound[0]] for name, sound in sounds.items()}, rng=rng, rate=rate)
        stems = {name: stem[None] for name, stem in placed.items()}
    else:
        stems = _levelled(sounds, rng)
    folder.mkdir(parents=True)
    for name, stem in stems.items():
        if settings.target in ("", name):
            audio.write(folder / f"{name}.wav", stem, rate=rate)
    if len(beats):
        write_beats(folder / "mixture.beats", beats)
    sources = {  # so that a solo and its mixtures are recognised as the same recording
        part.solo.id: {
            "instrument": part.solo.instrument,
            "group": part.solo.group,
            "duration_s": part.solo.song.duration_s,
            "sha256": list(part.solo.song.stem_hashes),
        }
        for part in mixture.parts
    }
    (folder / SOLOS).write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    audio.write(folder / "mixture.wav", np.sum([*stems.values()], axis=0, dtype=np.float32), rate=rate)


def _levelled(sounds: Mapping[str, Floats32], rng: Generator) -> dict[str, Floats32]:
    """Scale to about equal loudness, without clipping."""
    stems = {name: sound * np.float32(10 ** (rng.normal(0, PLAIN_DB) / 20)) for name, sound in sounds.items()}
    peak = max(float(np.abs(one).max()) for one in [*stems.values(), sum(stems.values(), np.zeros(1, np.float32))])
    return {name: stem * np.float32(PEAK / max(peak, 1e-9)) for name, stem in stems.items()}


def _config(solos: Sequence[Solo], settings: RemixSettings, tracker: BeatEstimator | None) -> dict[str, object]:
    """Return all that determines the mixtures."""
    identities = {}
    for solo in solos:
        labels = solo.song.annotation
        identities[solo.id] = [solo.instrument, solo.group, *solo.song.stem_hashes]
        identities[solo.id] += [audio.content_hash(labels)] if labels is not None and settings.coherent else []
    name = None
    if settings.coherent and tracker is not None:
        name = [getattr(tracker, key, type(tracker).__name__) for key in ("name", "identity")]
    return {"settings": asdict(settings), "tracker": name, "solos": identities}


def _text_files(
    out: Path, corpus: Corpus[Multitrack], parts: Collection[str], plans: Sequence[_Mixture], settings: RemixSettings
) -> dict[str, str]:
    """Return text files by name: ``corpus.toml`` with the licence, and a table with the source of each stem."""
    how = "on one beat" if settings.coherent else "without regard to their beats"
    citation = f"Mixed by levada from solos of {corpus.name}, {how}. {corpus.citation}".strip()
    entries = {"name": f"{corpus.name}, remixed", "licence": corpus.licence, "citation": citation}
    first, *others = parts
    groups = {  # of each folder, as patterns that match as soon as there is a first mixture
        "": {f"{first}/*": first, "*": others[0]} if others else {"*": first or corpus.name},
        **{f"{part}/": {"*": part} for part in parts if part},
    }
    head = "".join(f"{key} = {_quoted(value)}\n" for key, value in entries.items() if value) + "\n[groups]\n"
    texts = {
        folder + TOML: head + "".join(f"{_quoted(pattern)} = {_quoted(group)}\n" for pattern, group in table.items())
        for folder, table in groups.items()
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mixture", "instrument", "solo", "group", "from", "tempo_bpm", "tempo_before_bpm"])
    for mixture in plans:
        for part in mixture.parts:
            before = "" if part.view is None else f"{part.view.tempo_bpm:.2f}"
            start = part.first if part.view is None else float(part.view.beats_s[int(part.first) * part.view.size])
            place = mixture.place.relative_to(out).as_posix()
            after = f"{mixture.tempo_bpm:.2f}" if before else ""
            cells = (place, part.solo.instrument, part.solo.id, part.solo.group, f"{start:.3f}", after, before)
            writer.writerow(map(escape_csv_cell, cells))
    return {**texts, RECORD: text.getvalue()}


def _quoted(text: str) -> str:
    """Write a string of TOML."""
    return json.dumps(text, ensure_ascii=False)
