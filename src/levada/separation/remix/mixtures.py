"""Artificial mixtures of solos: their plan, and their files.

The plan depends on the seed alone and is made before audio is read, so that an interrupted run can be resumed. Solos of
one group (a player, a session, a set of instruments) are on one side of the split only.
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
from levada.io.text import escape_csv_cell
from levada.separation.remix.solos import (
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

__all__ = ["RemixSettings", "Remixed", "remix"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator
RECORD, TOML = "mixtures.csv", "corpus.toml"
HALVES, TRIES = ("half-1", "half-2"), 50
LEAD_S, LOUD = 0.1, 0.1
PLAIN_DB, PEAK = 3.0, 0.7


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
        Tempi of the mixtures, from and to; any by default.
    rooms : bool
        Whether all are put into one room, each in a place of its own; mixtures are mono then, and otherwise have as
        many channels as the solos. Their rate is the highest that a solo has.
    test : float, optional
        Share of the groups whose solos are mixed for testing alone. By default the groups are dealt into two halves, so
        that mixtures of one half can test what was learnt from the other; 0 mixes all with all, which are then one
        group.
    most : int
        Instruments in a mixture, at most.
    seed : int
    """

    mixtures: int = 20
    seconds: float = 20.0
    coherent: bool = True
    stretch: float = 0.08
    tempo_bpm: tuple[float, float] | None = None
    rooms: bool = True
    test: float | None = None
    most: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mixtures < 1 or self.most < 2 or not 1 <= self.seconds <= 900:
            raise InputError("there must be a mixture or more, of 1 to 900 s and two instruments or more")
        if not 0 <= self.stretch <= 0.25:
            raise InputError(f"a tempo is changed by a share from 0 to 0.25, not {self.stretch:g}: strokes would smear")
        if not 0 <= (self.test or 0) < 1 or self.seed < 0:
            raise InputError("the share for testing lies from 0 to below 1, and a seed is not negative")
        if self.tempo_bpm is not None and not 0 < self.tempo_bpm[0] <= self.tempo_bpm[1]:
            raise InputError("tempi are two numbers above 0, the lower one first")


@dataclass(frozen=True)
class Remixed:
    """The result of `remix`.

    Parameters
    ----------
    folder : Path
    written, kept : tuple of Path
        Folders of mixtures that were made now, and those that an earlier run had made.
    left_out : tuple of str
        Why some solos are in no mixture.
    groups : tuple of str
        Groups of mixtures that have no solo in common, nor any two solos of one group.
    rate : int
        Of the mixtures, in Hz.
    channels : int
        Of the mixtures.
    solo_channels : int
        The most that a solo has.
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
    """One instrument of a mixture: bars of a view, or a stretch from a time on."""

    solo: Solo
    view: View | None
    first: float  # a bar, or a time in seconds


@dataclass(frozen=True, eq=False)
class _Mixture:
    """The plan of a mixture."""

    place: Path
    parts: tuple[_Part, ...]
    tempo_bpm: float
    metre: int
    seed: tuple[int, ...]


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
        Solos; stems of songs are solos too.
    out : path-like
        The folder of mixtures: a folder each, with a file an instrument, their sum and the beats.
    settings : RemixSettings
    instruments : collection of str, optional
        Those that are wanted; all by default.
    tracker : object with `beats`, optional
        Estimates the beats of solos without annotation.
    force : bool
        Whether another run's mixtures there may be replaced.
    progress : callable, optional
        Called with the mixtures done and all mixtures.

    Returns
    -------
    Remixed

    Raises
    ------
    InputError
        If there are fewer than two instruments, or none that fit together; the folder holds something else, or cannot
        be written.
    """
    out = Path(out)
    solos = solos_of(corpus, instruments=instruments)
    if len({solo.instrument for solo in solos}) < 2:
        raise InputError("holds fewer than two instruments, which makes no mixture", path=corpus.root)
    config = _config(solos, settings, tracker)
    with RunFolder.acquire(out, kind="mixtures", config=config, force=force) as held:
        return _remixed(held, corpus, solos, settings, tracker, progress)


def _remixed(
    held: RunFolder, corpus: Corpus[Multitrack], solos: Sequence[Solo], settings: RemixSettings,
    tracker: BeatEstimator | None, progress: Callable[[int, int], None] | None,
) -> Remixed:  # fmt: skip
    """Plan the mixtures, and write those that are missing."""
    out = held.path
    known, left_out = _views(solos, tracker, settings) if settings.coherent else ({}, [])
    if settings.coherent and not known:
        raise InputError(f"holds no solo that can be put on a beat: {'; '.join(left_out)}", path=corpus.root)
    usable = [solo for solo in solos if solo in known or not settings.coherent]
    sides = _sides(usable, known, settings, corpus.root)
    decided = [
        mixture
        for number, (side, own) in enumerate(sides.items(), start=len(sides) - 1)
        for mixture in _decided(out / side, own, known, settings, corpus.root, number)
    ]
    facts = _facts(out, corpus, sides, decided, settings)
    for name, text in facts.items():
        held.write_text(name, text)
    rate = max(audio_info(path).rate for solo in usable for path in solo.files)
    width = max(solo.song.width for solo in usable)
    channels = 1 if settings.rooms else width
    items = {one.place: one.place.relative_to(out).as_posix() for one in decided}
    written, kept = list[Path](), [place for place, item in items.items() if held.is_done(item)]
    for mixture in decided:
        if mixture.place not in kept:
            with held.writing(items[mixture.place]) as temporary:
                _write(mixture, settings, temporary / items[mixture.place], rate, channels)
            written.append(mixture.place)
        if progress is not None:
            progress(len(written) + len(kept), len(decided))
    held.remove_others([*facts, *items.values()])
    used = {part.solo.id for mixture in decided for part in mixture.parts}
    unused = [solo.id for solo in known if solo.id not in used]
    if unused and settings.coherent:
        left_out.append(f"in no mixture, by chance or for a tempo of their own: {', '.join(unused)}")
    groups = tuple(side or corpus.name for side in sides)
    return Remixed(out, tuple(written), tuple(kept), tuple(left_out), groups, rate, channels, width)


def _views(
    solos: Sequence[Solo], tracker: BeatEstimator | None, settings: RemixSettings
) -> tuple[dict[Solo, tuple[View, ...]], list[str]]:
    """Return the bars of every solo, and why some have none."""
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
    found = dict[Solo, tuple[View, ...]]()
    for (view, tracked_beats), level in zip(bars, levels, strict=True):
        count = int(tracked_beats * 2.0**level)
        if tracked_beats and count < FEWEST:
            left_out.append(
                f"{view.solo.id} is too short for its tempo to be trusted: {count} beats are estimated, {FEWEST} are "
                "needed; a beat file beside it would say where they are"
            )
            continue
        try:
            found[view.solo] = views_of(view, level)
        except InputError as error:
            left_out.append(str(error))
    return found, left_out


def _sides(
    solos: Sequence[Solo], known: Mapping[Solo, tuple[View, ...]], settings: RemixSettings, root: Path
) -> dict[str, list[Solo]]:
    """Solos that are mixed with each other: for training and for testing, or two halves; groups are whole."""
    groups = sorted({solo.group for solo in solos})
    if settings.test == 0 or (settings.test is None and min(len(groups), settings.mixtures) < 2):
        return {"": list(solos)}
    if len(groups) < 2:
        raise InputError("all solos are of one group: nothing can be kept for testing alone; leave out --test")
    names, share = (HALVES, 0.5) if settings.test is None else (("train", "test"), settings.test)
    count = min(len(groups) - 1, max(1, round(share * len(groups))))
    rng = np.random.default_rng([settings.seed, 1])
    for _ in range(TRIES):
        second = {groups[int(index)] for index in rng.permutation(len(groups))[:count]}
        sides = {
            names[0]: [solo for solo in solos if solo.group not in second],
            names[1]: [solo for solo in solos if solo.group in second],
        }
        if all(_can_mix(own, known, settings) for own in sides.values()):
            return sides
    if settings.test is None:
        return {"": list(solos)}
    raise InputError(
        "no split by groups leaves two instruments that can be mixed on either side: more groups, or no --test",
        path=root,
    )


def _can_mix(solos: Sequence[Solo], known: Mapping[Solo, tuple[View, ...]], settings: RemixSettings) -> bool:
    """Whether two instruments can be mixed."""
    if not settings.coherent:
        return len({solo.instrument for solo in solos}) > 1
    views = [view for solo in solos for view in known[solo]]
    return any(_partners(view, views, settings) for view in _starts(views, settings))


def _starts(views: Sequence[View], settings: RemixSettings) -> list[View]:
    """Those whose tempo a mixture may have."""
    low, high = settings.tempo_bpm or (0.0, np.inf)
    return [view for view in views if low <= view.tempo_bpm <= high]


def _partners(one: View, views: Sequence[View], settings: RemixSettings) -> list[View]:
    """Views of other instruments that can be brought to the tempo and the metre of one."""
    return [
        view
        for view in views
        if view.metre == one.metre
        and abs(one.tempo_bpm / view.tempo_bpm - 1) <= settings.stretch
        and view.solo.instrument != one.solo.instrument
    ]


def _decided(
    folder: Path,
    solos: Sequence[Solo],
    known: Mapping[Solo, tuple[View, ...]],
    settings: RemixSettings,
    root: Path,
    side: int,
) -> list[_Mixture]:
    """Plan the mixtures of one side."""
    second = round((0.5 if settings.test is None else settings.test) * settings.mixtures)
    count = max(1, (settings.mixtures, settings.mixtures - second, second)[side])
    if len({solo.instrument for solo in solos}) < 2:
        raise InputError("holds fewer than two instruments that can be mixed", path=root)
    found = []
    for number in range(1, count + 1):
        seed = (settings.seed, 2, side, number)
        rng = np.random.default_rng(seed)
        parts, tempo, metre = (
            _together(solos, known, settings, rng, root)
            if settings.coherent
            else (_anyhow(solos, settings, rng), 0.0, 0)
        )
        found.append(_Mixture(folder / f"mix-{number:03}", tuple(parts), tempo, metre, seed))
    return found


def _together(
    solos: Sequence[Solo],
    known: Mapping[Solo, tuple[View, ...]],
    settings: RemixSettings,
    rng: Generator,
    root: Path,
) -> tuple[list[_Part], float, int]:
    """One solo, and others whose tempo can be made its own."""
    views = [view for solo in solos for view in known[solo]]
    starts = _starts(views, settings)
    for index in rng.permutation(len(starts)):
        one = starts[int(index)]
        fits = _partners(one, views, settings)
        names = sorted({view.solo.instrument for view in fits})
        if not names:
            continue
        wanted = int(rng.integers(1, min(len(names), settings.most - 1) + 1))
        chosen = [one]
        for name in rng.permutation(names)[:wanted]:
            own = [view for view in fits if view.solo.instrument == name]
            chosen.append(own[int(rng.integers(len(own)))])
        parts = [_Part(view.solo, view, float(rng.integers(view.bars))) for view in chosen]
        return parts, one.tempo_bpm, one.metre
    tempi = ", ".join(f"{known[solo][0].solo.id} {known[solo][0].tempo_bpm:.0f}" for solo in solos)
    raise InputError(
        f"no two instruments have a tempo and a metre in common within {settings.stretch:.0%} ({tempi} bpm); a larger "
        "--stretch, or --incoherent, mixes them",
        path=root,
    )


def _anyhow(solos: Sequence[Solo], settings: RemixSettings, rng: Generator) -> list[_Part]:
    names = sorted({solo.instrument for solo in solos})
    count = int(rng.integers(2, min(len(names), settings.most) + 1))
    parts = []
    for name in rng.permutation(names)[:count]:
        own = [solo for solo in solos if solo.instrument == name]
        solo = own[int(rng.integers(len(own)))]
        parts.append(_Part(solo, None, float(rng.uniform(0, max(0.0, solo.song.duration_s - settings.seconds)))))
    return parts


def _grid(mixture: _Mixture, settings: RemixSettings) -> Beats:
    """Beats of a mixture: whole bars."""
    size = mixture.metre or 4
    bars = max(1, round(settings.seconds * mixture.tempo_bpm / 60 / size))
    number = np.arange(bars * size + 1)
    positions = number % size + 1 if mixture.metre else 0 * number
    return Beats(LEAD_S + number * 60 / mixture.tempo_bpm, positions)


def _write(mixture: _Mixture, settings: RemixSettings, folder: Path, rate: int, channels: int) -> None:
    """Read, mix and write one mixture."""
    rng = np.random.default_rng((*mixture.seed, 3))
    grid = _grid(mixture, settings) if settings.coherent else Beats([])
    end_s = float(grid.times_s[-1]) if settings.coherent else settings.seconds
    length = round(end_s * rate)
    played = {}
    for part in mixture.parts:
        if part.view is not None:
            sound = part.view.play(grid.times_s, int(part.first), length, rate=rate, channels=channels)
        else:
            heard = part.solo.read(part.first, part.first + settings.seconds, rate=rate, channels=channels)
            sound = np.pad(heard[:, :length], ((0, 0), (0, max(0, length - heard.shape[1]))))
        loud = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
        played[part.solo.instrument] = sound * np.float32(LOUD / max(loud, 1e-6))
    stems = (
        {
            name: stem[None]
            for name, stem in mix_down({name: [sound[0]] for name, sound in played.items()}, rng=rng, rate=rate).items()
        }
        if settings.rooms
        else _levelled(played, rng)
    )
    folder.mkdir(parents=True)
    for name, stem in stems.items():
        audio.write(folder / f"{name}.wav", stem, rate=rate)
    if settings.coherent:
        write_beats(folder / "mixture.beats", grid)
    sources = {part.solo.id: _source(part.solo) for part in mixture.parts}
    (folder / SOLOS).write_text(json.dumps(sources, indent=1) + "\n", encoding="utf-8")
    audio.write(folder / "mixture.wav", np.sum([*stems.values()], axis=0, dtype=np.float32), rate=rate)


def _source(solo: Solo) -> dict[str, object]:
    """Describe a solo of a mixture, so that both are recognised as the same recording."""
    return {
        "instrument": solo.instrument,
        "group": solo.group,
        "duration_s": solo.song.duration_s,
        "sha256": list(solo.song.stem_hashes),
    }


def _levelled(played: Mapping[str, Floats32], rng: Generator) -> dict[str, Floats32]:
    """Scale to about equal loudness, without clipping."""
    found = {name: sound * np.float32(10 ** (rng.normal(0, PLAIN_DB) / 20)) for name, sound in played.items()}
    peak = max(float(np.abs(one).max()) for one in [*found.values(), sum(found.values(), np.zeros(1, np.float32))])
    return {name: sound * np.float32(PEAK / max(peak, 1e-9)) for name, sound in found.items()}


def _config(solos: Sequence[Solo], settings: RemixSettings, tracker: BeatEstimator | None) -> dict[str, object]:
    """Return all that determines the mixtures."""
    known = {}
    for solo in solos:
        labels = solo.song.annotation
        known[solo.id] = [solo.instrument, solo.group, *solo.song.stem_hashes]
        known[solo.id] += [audio.content_hash(labels)] if labels is not None and settings.coherent else []
    name = None
    if settings.coherent and tracker is not None:
        name = [getattr(tracker, key, type(tracker).__name__) for key in ("name", "identity")]
    return {"settings": asdict(settings), "tracker": name, "solos": known}


def _groups(sides: Collection[str], name: str) -> dict[str, str]:
    """``[groups]`` of a folder of mixtures, by patterns that fit as soon as the first mixture is there."""
    first, *others = sides
    return {f"{first}/*": first, "*": others[0]} if others else {"*": first or name}


def _facts(
    out: Path, corpus: Corpus[Multitrack], sides: Collection[str], decided: Sequence[_Mixture], settings: RemixSettings
) -> dict[str, str]:
    """Return text files by name: the corpus with its licence, and the source of each stem."""
    how = "on one beat" if settings.coherent else "without regard to their beats"
    facts = {"name": f"{corpus.name}, remixed", "licence": corpus.licence, "citation": corpus.citation}
    told = {**facts, "citation": f"Mixed by levada from solos of {corpus.name}, {how}. {corpus.citation}".strip()}
    found = dict[str, str]()
    for folder, groups in {
        out: _groups(sides, corpus.name),
        **{out / side: {"*": side} for side in sides if side},
    }.items():
        lines = [f"{key} = {json.dumps(said, ensure_ascii=False)}\n" for key, said in told.items() if said]
        lines += ["\n[groups]\n", *(f"{json.dumps(own)} = {json.dumps(group)}\n" for own, group in groups.items())]
        found[(folder / TOML).relative_to(out).as_posix()] = "".join(lines)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mixture", "instrument", "solo", "group", "from", "tempo_bpm", "tempo_before_bpm"])
    for mixture in decided:
        for part in mixture.parts:
            before = "" if part.view is None else f"{part.view.tempo_bpm:.2f}"
            start = part.first if part.view is None else float(part.view.beats_s[int(part.first) * part.view.size])
            place = mixture.place.relative_to(out).as_posix()
            after = f"{mixture.tempo_bpm:.2f}" if before else ""
            cells = (place, part.solo.instrument, part.solo.id, part.solo.group, f"{start:.3f}", after, before)
            writer.writerow(map(escape_csv_cell, cells))
    return {**found, RECORD: text.getvalue()}
