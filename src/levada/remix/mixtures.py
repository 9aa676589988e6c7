"""Artificial mixtures: who plays with whom, where each begins, and the files of it.

Everything is decided before anything is heard, from the seed alone, so that a run that was interrupted goes on. Solos
of one group (a player, a session, a set of instruments) are on one side of the split only.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada import audio
from levada.beats import Beats
from levada.corpus import StemCorpus
from levada.errors import InputError
from levada.files import atomic, atomic_folder
from levada.formats import write_beats
from levada.microphone import multitracked
from levada.remix.solos import Hears, Solo, View, beats_of, solos_of, views_of
from levada.remix.stretch import onsets, placed

__all__ = ["RemixSettings", "Remixed", "remix"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator
RATE = 44100
RUN, RECORD, TOML = "remix.json", "mixtures.csv", "corpus.toml"
LEAD_S, NEAR_S, LOUD = 0.1, 0.04, 0.1
PLAIN_DB, PEAK = 3.0, 0.7


@dataclass(frozen=True)
class RemixSettings:
    """What mixtures are made.

    Parameters
    ----------
    mixtures : int
    seconds : float
        About how long each is: whole bars.
    coherent : bool
        Whether solos are brought to one tempo and one bar; otherwise they lie anywhere, as they are.
    stretch : float
        How far the tempo of a solo may be changed, as a share of it.
    tempo_bpm : tuple of float, optional
        Tempi of the mixtures, from and to; any by default.
    rooms : bool
        Whether all are put into one room, each in a place of its own.
    test : float
        Share of the groups whose solos are mixed for testing alone: 0 makes no split.
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
    test: float = 0.0
    most: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if self.mixtures < 1 or self.most < 2 or not 1 <= self.seconds <= 900:
            raise InputError("there must be a mixture or more, of 1 to 900 s and two instruments or more")
        if not 0 <= self.stretch <= 0.25:
            raise InputError(f"a tempo is changed by a share from 0 to 0.25, not {self.stretch:g}: strokes would smear")
        if not 0 <= self.test < 1 or self.seed < 0:
            raise InputError("the share for testing lies from 0 to below 1, and a seed is not negative")
        if self.tempo_bpm is not None and not 0 < self.tempo_bpm[0] <= self.tempo_bpm[1]:
            raise InputError("tempi are two numbers above 0, the lower one first")


@dataclass(frozen=True)
class Remixed:
    """What was made.

    Parameters
    ----------
    folder : Path
    written, kept : tuple of Path
        Folders of mixtures that were made now, and those that an earlier run had made.
    left_out : tuple of str
        Why some solos are in no mixture.
    """

    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Part:
    """What one plays in a mixture: bars of a view, or a stretch from a time on."""

    solo: Solo
    view: View | None
    first: float  # a bar, or a time in seconds


@dataclass(frozen=True, eq=False)
class _Mixture:
    """A mixture that is decided."""

    place: Path
    parts: tuple[_Part, ...]
    tempo_bpm: float
    metre: int
    seed: tuple[int, ...]


def remix(
    corpus: StemCorpus,
    out: str | Path,
    *,
    settings: RemixSettings = RemixSettings(),
    instruments: Collection[str] | None = None,
    tracker: Hears | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Remixed:
    """Mix solos; a run that was interrupted goes on where it was.

    Parameters
    ----------
    corpus : StemCorpus
        Solos; stems of songs are solos too.
    out : path-like
        The folder of mixtures: a folder each, with a file an instrument, their sum and the beats.
    settings : RemixSettings
    instruments : collection of str, optional
        Those that are wanted; all by default.
    tracker : object with `beats`, optional
        Hears the beats of solos that have none.
    force : bool
        Whether another run's mixtures there may be replaced.
    progress : callable, optional
        Told mixtures done, and of how many.

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
    run = _described(solos, settings)
    _claim(out, run, force=force)
    known, left_out = _views(solos, tracker) if settings.coherent else ({}, [])
    if settings.coherent and not known:
        raise InputError(f"holds no solo that can be put on a beat: {'; '.join(left_out)}", path=corpus.root)
    decided = [
        mixture
        for side, own in _sides([solo for solo in solos if solo in known or not settings.coherent], settings).items()
        for mixture in _decided(out / side, own, known, settings, corpus.root, len(side))
    ]
    _write_facts(out, corpus, run, decided, settings)
    written, kept = list[Path](), [one.place for one in decided if one.place.is_dir()]
    for mixture in decided:
        if mixture.place not in kept:
            _write(mixture, settings)
            written.append(mixture.place)
        if progress is not None:
            progress(len(written) + len(kept), len(decided))
    used = {part.solo.id for mixture in decided for part in mixture.parts}
    unused = [solo.id for solo in known if solo.id not in used]
    if unused and settings.coherent:
        left_out.append(f"in no mixture, by chance or for a tempo of their own: {', '.join(unused)}")
    return Remixed(out, tuple(written), tuple(kept), tuple(left_out))


def _views(solos: Sequence[Solo], tracker: Hears | None) -> tuple[dict[Solo, tuple[View, ...]], list[str]]:
    """Bars of every solo, and why some have none."""
    found, left_out = dict[Solo, tuple[View, ...]](), list[str]()
    for solo in solos:
        try:
            beats, tracked = beats_of(solo, tracker)
            found[solo] = views_of(solo, beats, tracked=tracked)
        except InputError as error:
            left_out.append(str(error))
    return found, left_out


def _sides(solos: Sequence[Solo], settings: RemixSettings) -> dict[str, list[Solo]]:
    """Solos for training and for testing; groups are whole."""
    if not settings.test:
        return {"": list(solos)}
    groups = sorted({solo.group for solo in solos})
    if len(groups) < 2:
        raise InputError("all solos are of one group: nothing can be kept for testing alone; leave out --test")
    order = np.random.default_rng([settings.seed, 1]).permutation(len(groups))
    count = min(len(groups) - 1, max(1, round(settings.test * len(groups))))
    tested = {groups[int(index)] for index in order[:count]}
    return {
        "train": [solo for solo in solos if solo.group not in tested],
        "test": [solo for solo in solos if solo.group in tested],
    }


def _decided(
    folder: Path,
    solos: Sequence[Solo],
    known: Mapping[Solo, tuple[View, ...]],
    settings: RemixSettings,
    root: Path,
    side: int,
) -> list[_Mixture]:
    """Who plays in each mixture of one side."""
    count = settings.mixtures
    if settings.test:
        share = settings.test if folder.name == "test" else 1 - settings.test
        count = max(1, round(settings.mixtures * share))
    if len({solo.instrument for solo in solos}) < 2:
        raise InputError(
            f"leaves fewer than two instruments for {folder.name or 'mixtures'}: more groups, or no --test", path=root
        )
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
    low, high = settings.tempo_bpm or (0.0, np.inf)
    views = [view for solo in solos for view in known[solo]]
    starts = [view for view in views if low <= view.tempo_bpm <= high]
    for index in rng.permutation(len(starts)):
        one = starts[int(index)]
        fits = [
            view
            for view in views
            if view.metre == one.metre and abs(one.tempo_bpm / view.tempo_bpm - 1) <= settings.stretch
        ]
        names = sorted({view.solo.instrument for view in fits} - {one.solo.instrument})
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


def _played(part: _Part, grid: Beats, length: int) -> Floats32:
    """A solo on the beats of a mixture: float32 [shape=(length,)]."""
    view = part.view
    assert view is not None
    size, new_s = view.size, grid.times_s
    sound = part.solo.read(0.0, float(view.beats_s[-1]) + 0.5, rate=RATE, channels=1)
    struck = onsets(sound, RATE) / RATE
    old, new, loose = list[float](), list[float](), list[bool]()
    for bar in range((len(new_s) - 1) // size):
        source = (int(part.first) + bar) % view.bars
        own_s, target_s = (
            times[size * at : size * (at + 1) + 1] for times, at in ((view.beats_s, source), (new_s, bar))
        )
        inside = struck[(struck >= own_s[0] - NEAR_S) & (struck < own_s[-1] - NEAR_S)]
        at_s = np.interp(inside, own_s, target_s) + np.minimum(0, inside - own_s[0])
        if not len(inside) or inside[0] > own_s[0] + NEAR_S:
            old.append(float(own_s[0]))
            new.append(float(target_s[0]))
            loose.append(True)
        old += [float(value) for value in inside]
        new += [float(value) for value in at_s]
        loose += [False] * len(inside)
    kept = [at for at in range(len(new)) if at == 0 or new[at] > max(new[:at])]
    was, becomes = (np.rint(np.array(times)[kept] * RATE).astype(np.int64) for times in (old, new))
    free = np.array(loose, bool)[kept]
    return np.asarray(placed(sound, was, becomes, length, rate=RATE, loose=free)[0])


def _write(mixture: _Mixture, settings: RemixSettings) -> None:
    """Hear, mix and write one mixture, whole or not at all."""
    rng = np.random.default_rng((*mixture.seed, 3))
    grid = _grid(mixture, settings) if settings.coherent else Beats([])
    end_s = float(grid.times_s[-1]) if settings.coherent else settings.seconds
    length = round(end_s * RATE)
    played = {}
    for part in mixture.parts:
        if part.view is not None:
            sound = _played(part, grid, length)
        else:
            heard = part.solo.read(part.first, part.first + settings.seconds, rate=RATE, channels=1)[0]
            sound = np.pad(heard[:length], (0, max(0, length - len(heard))))
        loud = float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))
        played[part.solo.instrument] = sound * np.float32(LOUD / max(loud, 1e-6))
    stems = (
        multitracked({name: [sound] for name, sound in played.items()}, rng=rng)
        if settings.rooms
        else _levelled(played, rng)
    )
    mixture.place.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(mixture.place, known_by="mixture.wav") as temporary:
        for name, stem in stems.items():
            audio.write(temporary / f"{name}.wav", stem[None], rate=RATE)
        if settings.coherent:
            write_beats(temporary / "mixture.beats", grid)
        audio.write(temporary / "mixture.wav", sum(stems.values(), np.zeros((1, length), np.float32)), rate=RATE)


def _levelled(played: Mapping[str, Floats32], rng: Generator) -> dict[str, Floats32]:
    """Equally loud, more or less, and never clipped."""
    found = {name: sound * np.float32(10 ** (rng.normal(0, PLAIN_DB) / 20)) for name, sound in played.items()}
    peak = max(float(np.abs(one).max()) for one in [*found.values(), sum(found.values(), np.zeros(1, np.float32))])
    return {name: sound * np.float32(PEAK / max(peak, 1e-9)) for name, sound in found.items()}


def _described(solos: Sequence[Solo], settings: RemixSettings) -> dict[str, object]:
    """What makes a run the same run."""
    return {
        "settings": json.loads(json.dumps(asdict(settings))),
        "solos": [[solo.id, solo.instrument, solo.group, *solo.song.stem_hashes] for solo in solos],
    }


def _claim(out: Path, run: Mapping[str, object], *, force: bool) -> None:
    """Make the folder, or take the one that this very run, or with `force` another one, left."""
    if out.exists() and not out.is_dir():
        raise InputError("is a file: give the name of a folder", path=out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: make it first", path=out)
    try:
        out.mkdir(exist_ok=True)
        theirs = json.loads((out / RUN).read_text(encoding="utf-8")) if (out / RUN).exists() else None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be used: {error}", path=out) from None
    if theirs is None and any(not path.name.startswith(".") for path in out.iterdir()):
        raise InputError(f"holds something else (there is no {RUN} of levada's in it); give another name", path=out)
    if theirs is not None and theirs != run:
        if not force:
            raise InputError("holds other mixtures; give another name, or --force to replace them", path=out)
        for place in [*out.glob("mix-*"), *out.glob("train/mix-*"), *out.glob("test/mix-*")]:
            shutil.rmtree(place)


def _write_facts(
    out: Path, corpus: StemCorpus, run: Mapping[str, object], decided: Sequence[_Mixture], settings: RemixSettings
) -> None:
    """What was made, where each stem came from, and under which licence."""
    with atomic(out / RUN, force=True) as temporary:
        temporary.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
    how = "on one beat" if settings.coherent else "without regard to their beats"
    facts = {"name": f"{corpus.name}, remixed", "licence": corpus.licence, "citation": corpus.citation}
    told = {**facts, "citation": f"Mixed by levada from solos of {corpus.name}, {how}. {corpus.citation}".strip()}
    for folder in {mixture.place.parent for mixture in decided} | {out}:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic(folder / TOML, force=True) as temporary:
            lines = [f"{key} = {json.dumps(said, ensure_ascii=False)}\n" for key, said in told.items() if said]
            temporary.write_text("".join(lines), encoding="utf-8")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mixture", "instrument", "solo", "group", "from", "tempo_bpm", "tempo_before_bpm"])
    for mixture in decided:
        for part in mixture.parts:
            before = "" if part.view is None else f"{part.view.tempo_bpm:.2f}"
            start = part.first if part.view is None else float(part.view.beats_s[int(part.first) * part.view.size])
            place = mixture.place.relative_to(out).as_posix()
            after = f"{mixture.tempo_bpm:.2f}" if before else ""
            writer.writerow([place, part.solo.instrument, part.solo.id, part.solo.group, f"{start:.3f}", after, before])
    with atomic(out / RECORD, force=True) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
