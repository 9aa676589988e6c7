"""Random pieces for pretraining: drum kits, human drummers, songs and folk tunes, with an arranged band.

Beats and their positions in the bar are exact. Everything else is sampled: style, tempo, drift, instruments, notes,
timing and levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from levada.errors import InputError, check_number
from levada.io.beats import Beats
from levada.synth import songs
from levada.synth.arrangement import (
    Bar,
    Note,
    Part,
    Swing,
    arrange_band,
    arrange_drums,
    sample_beats,
    sample_form,
    tempo_drift,
    to_performance,
)
from levada.synth.instruments import PITCHED
from levada.synth.performance import Performance
from levada.synth.songs import groove
from levada.synth.traditions import FOLDER, Instrument, Tradition, read_tradition

__all__ = ["Material", "compose", "kit_styles"]

Generator = np.random.Generator
PERCUSSION = ("conga", "bongo", "timbale", "djembe", "woodblock", "claves", "cowbell", "agogo", "triangle", "shaker",
              "maracas", "tambourine", "guiro", "surdo", "clap", "rim")  # fmt: skip
METRES = {(4, False): 0.63, (4, True): 0.14, (3, False): 0.07, (3, True): 0.03, (2, False): 0.05, (2, True): 0.055,
          (5, False): 0.008, (5, True): 0.004, (7, False): 0.012}  # fmt: skip
SONG_VOICES = {
    "melody": ("singer", "singer", "singer", "reed", "flute", "keys", "piano", "strings", "brass", "pluck", "guitar"),
    "bridge": ("reed", "strings", "keys", "flute", "pluck", "organ", "brass", "guitar", "singer"),
    "piano": ("piano", "piano", "keys", "pluck", "guitar", "organ", "accordion", "strings"),
}
SONG_LEVELS_DB = {"melody": 1.0, "bridge": -4.0, "piano": -3.0}


@dataclass(frozen=True)
class Material:
    """Sources of pieces, and their proportions.

    Parameters
    ----------
    styles : mapping of str to float
        Weight of each kit style among those of its metre; 1 by default.
    groove : str
        Folder of the Groove MIDI Dataset; empty for none.
    groove_share : float
        Proportion of pieces with its drummers.
    pop909 : str
        Folder of POP909; empty for none.
    pop909_share : float
        Proportion of pieces that are its songs.
    tunes_share : float
        Proportion of pieces that are folk tunes in the public domain.
    drumless : float
        Proportion of arranged pieces without drums; songs and tunes may lack them too.
    piece_s : float
        Length of a piece, in seconds.
    """

    styles: Mapping[str, float] = field(default_factory=dict)
    groove: str = ""
    groove_share: float = 0.2
    pop909: str = ""
    pop909_share: float = 0.2
    tunes_share: float = 0.12
    drumless: float = 0.05
    piece_s: float = 40.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("groove", "pop909"):
                if not isinstance(value, str):
                    raise InputError(f"{entry.name} must be the name of a folder, not {value!r}")
            elif entry.name == "styles":
                _check_styles(value)
            else:
                check_number(entry.name, value, 0)
        if not self.piece_s >= 1:
            raise InputError(f"piece_s must be 1 s or more, not {self.piece_s:g}")
        shares = self.groove_share + self.pop909_share + self.tunes_share + self.drumless
        if shares > 1 + 1e-9:
            raise InputError(f"groove_share, pop909_share, tunes_share and drumless add up to {shares:g}, above 1")

    def sources(self) -> str:
        """Describe the sources and their licences, for a model card."""
        parts = [f"Kit styles ({', '.join(kit.name for kit in kit_styles())}) with invented bands."]
        if self.groove and self.groove_share:
            parts.append(
                f"{self.groove_share:.0%} of the pieces are performances of the Groove MIDI Dataset (Gillick et al., "
                "ICML 2019, CC BY 4.0), its training split."
            )
        if self.pop909 and self.pop909_share:
            parts.append(f"{self.pop909_share:.0%} are songs of POP909 (Wang et al., ISMIR 2020, MIT licence).")
        if self.tunes_share:
            parts.append(
                f"{self.tunes_share:.0%} are tunes in the public domain (O'Neill's 1850, Ryan's Mammoth Collection), "
                "as transcribed by volunteers."
            )
        return " ".join(parts)


def _check_styles(styles: object) -> None:
    if not isinstance(styles, Mapping):
        raise InputError(f"styles must be a table of names and numbers, not {styles!r}")
    known = [path.stem for path in _kit_files()]
    unknown = [str(name) for name in styles if name not in known]
    if unknown:
        raise InputError(f"there is no style {', '.join(unknown)}; there are {', '.join(known)}")
    for name, weight in styles.items():
        check_number(f"the weight of {name}", weight, 0)
    if not any(styles.get(name, 1.0) for name in known):
        raise InputError("styles leave nothing to play: every weight is 0")


def _kit_files() -> list[Path]:
    return sorted((FOLDER / "kits").glob("*.toml"))


@lru_cache(maxsize=1)
def kit_styles() -> tuple[Tradition, ...]:
    """Return the kit styles that ship with levada."""
    return tuple(read_tradition(path) for path in _kit_files())


@lru_cache(maxsize=4)
def _takes(folder: str) -> tuple[groove.Groove, ...]:
    return tuple(groove.list_grooves(folder))


@lru_cache(maxsize=4)
def _pop909(folder: str) -> tuple[Path, ...]:
    return tuple(songs.list_pop909(folder))


@lru_cache(maxsize=1)
def _tunes() -> tuple[str, ...]:
    return tuple(songs.list_tunes())


@lru_cache(maxsize=128)
def _read_pop909(path: Path) -> songs.Song:
    return songs.read_pop909(path)


@lru_cache(maxsize=1024)
def _read_tune(name: str) -> songs.Song:
    return songs.read_tune(name)


def compose(rng: Generator, material: Material) -> Performance:
    """Compose a random piece.

    Parameters
    ----------
    rng : numpy.random.Generator
    material : Material

    Returns
    -------
    Performance

    Raises
    ------
    InputError
        If a folder is missing, or does not hold what it should.
    """
    kind, shares = rng.random(), np.cumsum([material.groove_share, material.pop909_share, material.tunes_share])
    if kind < shares[0] and material.groove:
        drummers = _takes(material.groove)
        return _drummer(drummers[int(rng.integers(len(drummers)))], material, rng)
    if shares[0] <= kind < shares[1] and material.pop909:
        found = _pop909(material.pop909)
        return _song(_read_pop909(found[int(rng.integers(len(found)))]), material, rng, drums=0.7)
    if shares[1] <= kind < shares[2]:
        return _song(_tune(rng), material, rng, drums=0.4)
    if shares[2] <= kind < shares[2] + material.drumless:
        return _chamber(material, rng)
    return _kit_piece(material, rng)


def _tune(rng: Generator) -> songs.Song:
    """Choose a tune; most in duple metre are skipped, as that is rare on recordings."""
    names = _tunes()
    for _ in range(10):
        song = _read_tune(names[int(rng.integers(len(names)))])
        if song.metre != 2 or rng.random() < 0.2:
            break
    return song


def _kit_piece(material: Material, rng: Generator) -> Performance:
    """Compose a piece of a kit style, with parts of other styles of its metre, random percussion and a band."""
    kit = _style(material, rng)
    mean, deviation = kit.tempo_bpm
    beats, duration_s = sample_beats(float(rng.normal(mean, deviation)), kit.beats, material.piece_s, rng)
    compound, swing = kit.tatums == 3, _swing(kit.tatums == 3, rng)
    bars = sample_form(beats.positions, metre=kit.beats, rng=rng)
    drums = arrange_drums(_borrowed(kit, rng), bars, beats, rng=rng, swing=swing, duration_s=duration_s)
    if rng.random() < 0.1:
        return drums
    others = arrange_band(
        beats, metre=kit.beats, compound=compound, rng=rng, busy=float(rng.uniform(0.2, 1)), bars=bars,
        grids=_grids(kit), swing=swing, kick_s=_kicks(drums), duration_s=duration_s,
    )  # fmt: skip
    return _with_breaks(_merge(drums, others), bars, rng)


def _chamber(material: Material, rng: Generator) -> Performance:
    """Compose a piece without drums, often in free tempo."""
    metre, compound = _metre(rng)
    tempo = float(np.exp(rng.normal(math.log(62 if compound else 95), 0.28)))
    beats, duration_s = sample_beats(tempo, metre, material.piece_s, rng, loose=rng.random() < 0.7)
    return arrange_band(
        beats, metre=metre, compound=compound, rng=rng, busy=float(rng.uniform(0.3, 1)), duration_s=duration_s,
        swing=Swing(), only=("chords", "bass", "melody", "pad", "riff"),
    )  # fmt: skip


def _drummer(take: groove.Groove, material: Material, rng: Generator) -> Performance:
    """Compose a piece on a recorded drum performance, usually with a band."""
    faster = float(np.exp(rng.normal(0, 0.1)))
    played = groove.read_groove(
        take, start_beat=int(rng.integers(1000)), duration_s=material.piece_s * 1.1, faster=faster
    )
    metre = groove.PULSES[take.metre][0]
    if len(played.beats) < 2:
        return played
    beats = played.beats
    if rng.random() < 0.5:  # the metronome tempo may drift
        wander = np.cumsum(beats.intervals_s * tempo_drift(len(beats) - 1, rng)) + beats.times_s[0]
        times = np.concatenate([beats.times_s[:1], wander])
        strokes = np.interp([stroke.time_s for stroke in played.strokes], beats.times_s, times).tolist()
        moved = tuple(stroke._replace(time_s=at) for stroke, at in zip(played.strokes, strokes, strict=True))
        end_s = float(times[-1])
        moved = tuple(stroke for stroke in moved if stroke.time_s < end_s)
        played, beats = replace(played, strokes=moved, duration_s=end_s), Beats(times[:-1], beats.positions[:-1])
    end_s = min(played.duration_s, material.piece_s)
    beats = beats.between(0, end_s)
    drums = replace(
        played,
        strokes=tuple(stroke for stroke in played.strokes if stroke.time_s < end_s),
        beats=beats,
        levels_db={part: float(rng.normal(0, 3)) for part in played.voices},
        duration_s=end_s,
    )
    if len(beats) < 2 or rng.random() < 0.15:
        return drums
    compound = _in_three(drums)
    others = arrange_band(
        beats, metre=metre, compound=compound, rng=rng, busy=float(rng.uniform(0.2, 1)), duration_s=end_s,
        swing=Swing(), kick_s=_kicks(drums),
    )  # fmt: skip
    return _merge(others, drums)


def _kicks(drums: Performance) -> list[float]:
    return [stroke.time_s for stroke in drums.strokes if stroke.part == "kick"]


def _in_three(drums: Performance) -> bool:
    """Whether strokes between beats are nearer to thirds of a beat than to fourths."""
    places = np.interp([stroke.time_s for stroke in drums.strokes], drums.beats.times_s, np.arange(len(drums.beats)))
    inner = places % 1
    thirds, fourths = (
        sum(int((np.abs(inner - place) < 0.06).sum()) for place in found)
        for found in ((1 / 3, 2 / 3), (0.25, 0.5, 0.75))
    )
    return thirds > fourths


def _song(song: songs.Song, material: Material, rng: Generator, *, drums: float) -> Performance:
    """Arrange an excerpt of a song, with drums at a given probability."""
    tempo = float(song.tempo_bpm * np.exp(rng.normal(0, 0.09)))
    with_drums = rng.random() < drums
    loose = not with_drums and rng.random() < 0.6
    period = -(-song.beats // song.metre) * song.metre
    start = int(rng.integers(max(1, song.beats - int(material.piece_s * tempo / 60)))) if song.beats > 64 else 0
    first = (song.first - 1 + start) % song.metre
    beats, duration_s = sample_beats(tempo, song.metre, material.piece_s, rng, loose=loose, first=first)
    rounds = range(-(-(len(beats) + start) // period)) if period - start < len(beats) else range(1)
    chosen = [name for name in song.parts if name == "melody" or rng.random() < 0.8]
    shift = int(rng.integers(-6, 6))
    parts = {
        name: Part(
            _one_of(SONG_VOICES.get(name, SONG_VOICES["bridge"]), rng),
            SONG_LEVELS_DB.get(name, -3.0) + float(rng.normal(0, 3)),
            float(np.clip(rng.normal(0.003, 0.008), -0.015, 0.025)),
            float(rng.uniform(0.002, 0.012)),
        )
        for name in chosen
    }
    notes = [
        Note(note.beat + turn * period - start, note.length, name, note.velocity, note.midi + shift)
        for name in chosen for turn in rounds for note in song.parts[name]
        if -0.5 < note.beat + turn * period - start < len(beats) + 1
    ]  # fmt: skip
    chords = [
        (chord.beat + turn * period - start, chord.length, tuple((pitch + shift) % 12 for pitch in chord.pitches))
        for turn in rounds for chord in song.chords
        if -16 < chord.beat + turn * period - start < len(beats) + 1
    ]  # fmt: skip
    swing = _swing(song.compound, rng) if with_drums and song.compound else Swing()
    lead = to_performance(notes, parts, beats, rng=rng, compound=song.compound, swing=swing, duration_s=duration_s)
    bars = sample_form(beats.positions, metre=song.metre, rng=rng)
    players = [lead]
    kit = _fitting(song.metre, song.compound, tempo, rng)
    if with_drums and kit:
        players.append(arrange_drums(_borrowed(kit, rng), bars, beats, rng=rng, swing=swing, duration_s=duration_s))
    if with_drums or not chords or rng.random() < 0.75:
        players.insert(0, arrange_band(
            beats, metre=song.metre, compound=song.compound, rng=rng, chords=chords or None, bars=bars,
            busy=float(rng.uniform(0.3, 0.9)), only=("bass", "chords", "pad"), swing=swing,
            grids=_grids(kit) if kit else None, kick_s=[at for each in players[1:] for at in _kicks(each)],
            duration_s=duration_s,
        ))  # fmt: skip
    return _with_breaks(_merge(*players), bars, rng) if with_drums else _merge(*players)


def _style(material: Material, rng: Generator) -> Tradition:
    """Sample a kit style, with metres as frequent as in popular music."""
    known = kit_styles()
    same = [(kit.beats, kit.tatums == 3) for kit in known]
    weights = np.array(
        [
            METRES.get(metre, 0.01) * material.styles.get(kit.name, 1.0) / same.count(metre)
            for kit, metre in zip(known, same, strict=True)
        ]
    )
    return known[int(rng.choice(len(known), p=weights / weights.sum()))]


def _metre(rng: Generator) -> tuple[int, bool]:
    shares = np.array(list(METRES.values()))
    return list(METRES)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _fitting(metre: int, compound: bool, tempo: float, rng: Generator) -> Tradition | None:
    """A kit style of that metre whose tempo is not far away."""
    found = [kit for kit in kit_styles() if (kit.beats, kit.tatums == 3) == (metre, compound)]
    if not found:
        return None
    away = np.array([math.log(tempo / kit.tempo_bpm[0]) / 0.25 for kit in found])
    weights = np.exp(-(away**2)) + 1e-6
    return found[int(rng.choice(len(found), p=weights / weights.sum()))]


def _swing(compound: bool, rng: Generator) -> Swing:
    if compound:
        return Swing(third=float(np.clip(rng.normal(0, 0.025), -0.07, 0.07)))
    return Swing(
        float(rng.uniform(0.5, 0.62)) if rng.random() < 0.1 else 0.5,
        float(rng.uniform(0.5, 0.64)) if rng.random() < 0.25 else 0.5,
    )


def _grids(kit: Tradition) -> dict[str, tuple[str, ...]]:
    """Return the rhythms of pitched voices and bass drum of a kit style, on the grid of the band."""
    wide = {1: "...", 2: "."}.get(kit.tatums, "")
    found = {
        part.voice: tuple("".join(letter + wide for letter in pattern.grid) for pattern in part.patterns)
        for part in kit.instruments
        if part.voice in PITCHED or part.voice == "kick"
    }
    bass = found.get("bass", ())
    return {**found, "bass": bass * 2 + found.get("kick", ())}


def _borrowed(kit: Tradition, rng: Generator) -> Tradition:
    """Return the drums of a kit style, some from other styles of its metre, with random percussion."""
    alike = [other for other in kit_styles() if (other.beats, other.tatums) == (kit.beats, kit.tatums)]
    parts = {part.name: part for part in kit.instruments if part.voice not in PITCHED}
    for name in list(parts):
        if rng.random() < 0.08:
            lender = {part.name: part for part in alike[int(rng.integers(len(alike)))].instruments}
            parts[name] = lender.get(name, parts[name])
    pattern = kit.instruments[0].patterns[0]
    for _ in range(int(rng.choice(3, p=[0.65, 0.27, 0.08]))):
        voice = PERCUSSION[int(rng.integers(len(PERCUSSION)))]
        grids = tuple(replace(pattern, grid=_ostinato(kit, rng)) for _ in range(2))
        parts[voice] = Instrument(voice, voice, grids, level_db=-4)
    return replace(kit, instruments=tuple(parts.values()))


def _ostinato(kit: Tradition, rng: Generator) -> str:
    """Sample a rhythm that repeats every beat or every cycle."""
    length = kit.tatums if rng.random() < 0.35 else kit.cycle
    density = rng.uniform(0.2, 0.8)
    cell = "".join(
        rng.choice(list("xXo"), p=[0.6, 0.25, 0.15]) if rng.random() < density else "." for _ in range(length)
    )
    return (cell if set(cell) != {"."} else "x" + cell[1:]) * (kit.cycle // length)


def _one_of(voices: Sequence[str], rng: Generator) -> str:
    known = [voice for voice in voices if voice in PITCHED]
    return known[int(rng.integers(len(known)))]


def _with_breaks(played: Performance, bars: Sequence[Bar], rng: Generator) -> Performance:
    """Add random breaks after the downbeat of the last bar of a section."""
    if rng.random() > 0.12:
        return played
    times, last = played.beats.times_s, len(played.beats) - 1
    silent = [
        (times[max(0, bar.start)] + 0.12, times[bar.start + bar.beats] - 0.05)
        for bar in bars
        if bar.left == 0 and bar.start + bar.beats <= last and rng.random() < 0.6
    ]
    kept = (stroke for stroke in played.strokes if not any(start < stroke.time_s < end for start, end in silent))
    return replace(played, strokes=tuple(kept))


def _merge(*played: Performance) -> Performance:
    """Merge performances of the same beats."""
    return replace(
        played[0],
        strokes=tuple(sorted(stroke for each in played for stroke in each.strokes)),
        voices={part: voice for each in played for part, voice in each.voices.items()},
        levels_db={part: level for each in played for part, level in each.levels_db.items()},
    )
