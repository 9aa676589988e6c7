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
from typing import TypeVar

import numpy as np

from levada.errors import InputError, check_number
from levada.io.beats import Beats
from levada.synth import songs
from levada.synth.arrangement import (
    BACKBEAT,
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
from levada.synth.performance import Performance, Stroke
from levada.synth.songs import groove
from levada.synth.traditions import FOLDER, Instrument, Tradition, read_tradition

__all__ = ["Material", "compose", "kit_styles"]

Generator = np.random.Generator
T = TypeVar("T")
PERCUSSION = ("conga", "bongo", "timbale", "djembe", "woodblock", "claves", "cowbell", "agogo", "triangle", "shaker",
              "maracas", "tambourine", "guiro", "surdo", "clap", "rim")  # fmt: skip
METRES = {(4, False): 0.59, (4, True): 0.13, (3, False): 0.075, (3, True): 0.03, (2, False): 0.09, (2, True): 0.06,
          (5, False): 0.008, (5, True): 0.004, (7, False): 0.012}  # fmt: skip
EVEN = 0.25  # pieces in four in which only the harmony and the ends of phrases mark the bar
EARLY_S = 0.09  # a beat so much before the first stroke is not audible
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
    hold_out_every : int
        Every this many song, tune and drum performance is held out; 0 holds out none.
    part : str
        "train" for the others, "held out" for those.
    """

    styles: Mapping[str, float] = field(default_factory=dict)
    groove: str = ""
    groove_share: float = 0.2
    pop909: str = ""
    pop909_share: float = 0.2
    tunes_share: float = 0.12
    drumless: float = 0.05
    piece_s: float = 40.0
    hold_out_every: int = 0
    part: str = "train"

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name in ("groove", "pop909"):
                if not isinstance(value, str):
                    raise InputError(f"{entry.name} must be the name of a folder, not {value!r}")
            elif entry.name == "part":
                if value not in ("train", "held out"):
                    raise InputError(f'part must be "train" or "held out", not {value!r}')
            elif entry.name == "styles":
                _check_styles(value)
            else:
                check_number(entry.name, value, 0)
        if not self.piece_s >= 1:
            raise InputError(f"piece_s must be 1 s or more, not {self.piece_s:g}")
        shares = self.groove_share + self.pop909_share + self.tunes_share + self.drumless
        if shares > 1 + 1e-9:
            raise InputError(f"groove_share, pop909_share, tunes_share and drumless add up to {shares:g}, above 1")

    def held_out(self) -> Material:
        """Return the material of songs, tunes and drum performances that these pieces do not use."""
        return replace(self, part="held out") if self.hold_out_every else self

    def choose(self, items: Sequence[T], rng: Generator) -> T:
        """Choose one of the songs, tunes or drum performances of this part."""
        if self.hold_out_every:
            held_out = items[:: self.hold_out_every]
            items = held_out if self.part == "held out" else [x for i, x in enumerate(items) if i % self.hold_out_every]
        return items[int(rng.integers(len(items)))]

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
        played = _drummer(material.choose(drummers, rng), material, rng)
    elif shares[0] <= kind < shares[1] and material.pop909:
        found = _pop909(material.pop909)
        played = _song(_read_pop909(material.choose(found, rng)), material, rng, drums=0.7)
    elif shares[1] <= kind < shares[2]:
        played = _song(_tune(material, rng), material, rng, drums=0.4)
    elif shares[2] <= kind < shares[2] + material.drumless:
        played = _chamber(material, rng)
    else:
        played = _kit_piece(material, rng)
    return _audible(played)


def _tune(material: Material, rng: Generator) -> songs.Song:
    """Choose a tune; most in duple metre are skipped, as that is rare on recordings."""
    names = _tunes()
    for _ in range(10):
        song = _read_tune(material.choose(names, rng))
        if song.metre != 2 or rng.random() < 0.2:
            break
    return song


def _kit_piece(material: Material, rng: Generator) -> Performance:
    """Compose a piece of a kit style, with parts of other styles of its metre, random percussion and a band."""
    kit = _style(material, rng)
    mean, deviation = kit.tempo_bpm
    tempo = float(rng.normal(mean, deviation * (1 if rng.random() < 0.8 else 2)))
    first = kit.beats - 1 if kit.beats > 2 and rng.random() < 0.08 else None  # a pickup
    beats, duration_s = sample_beats(tempo, kit.beats, material.piece_s, rng, first=first)
    compound, swing = kit.tatums == 3, _swing(kit.tatums == 3, rng)
    even = kit.beats == 4 and rng.random() < EVEN
    bars = sample_form(beats.positions, metre=kit.beats, rng=rng)
    played_kit = _borrowed(kit, rng)
    drums = arrange_drums(played_kit, bars, beats, rng=rng, swing=swing, duration_s=duration_s, even=even)
    if rng.random() < 0.1 and not even:
        return drums
    others = arrange_band(
        beats, metre=kit.beats, compound=compound, rng=rng, busy=float(rng.uniform(0.2, 1)), bars=bars,
        grids=_grids(kit), swing=swing, kick_s=_kicks(drums), duration_s=duration_s, even=even,
    )  # fmt: skip
    played = _with_breaks(_with_intro(_merge(drums, others), bars, rng), bars, rng)
    return _marked(_from_pickup(played, rng) if first else played, bars, rng)


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
    if len(beats) < 2 or (rng.random() < 0.15 and not _equal_halves(drums)):
        return drums
    compound = _in_three(drums)
    others = arrange_band(
        beats, metre=metre, compound=compound, rng=rng, busy=float(rng.uniform(0.2, 1)), duration_s=end_s,
        swing=Swing(), kick_s=_kicks(drums), even=metre == 4 and rng.random() < EVEN,
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
        even = song.metre == 4 and rng.random() < EVEN
        drummer = _borrowed(kit, rng)
        players.append(arrange_drums(drummer, bars, beats, rng=rng, swing=swing, duration_s=duration_s, even=even))
    if with_drums or not chords or rng.random() < 0.75:
        players.insert(0, arrange_band(
            beats, metre=song.metre, compound=song.compound, rng=rng, chords=chords or None, bars=bars,
            busy=float(rng.uniform(0.3, 0.9)), only=("bass", "chords", "pad"), swing=swing,
            grids=_grids(kit) if kit else None, kick_s=[at for each in players[1:] for at in _kicks(each)],
            duration_s=duration_s,
        ))  # fmt: skip
    played = _merge(*players)
    if with_drums:
        played = _with_breaks(_with_intro(played, bars, rng), bars, rng)
    return _marked(played, bars, rng, cymbals=with_drums)


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
        if rng.random() < (0.03 if parts[name].voice in BACKBEAT else 0.08):
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


def _with_intro(played: Performance, bars: Sequence[Bar], rng: Generator) -> Performance:
    """Begin some pieces with the band alone, the drums alone, or one or two parts."""
    if rng.random() > 0.2:
        return played
    length = int(rng.choice([1, 2, 4, 8], p=[0.15, 0.3, 0.4, 0.15]))
    beat = max(0, bars[min(length, len(bars) // 3)].start)
    if not 0 < beat < len(played.beats):
        return played
    until_s = float(played.beats.times_s[beat]) - 0.1
    drums = {part for part, voice in played.voices.items() if voice not in PITCHED}
    kind = rng.random()
    few = set(rng.permutation(sorted(played.voices))[: int(rng.integers(1, 3))].tolist())
    resting = drums if kind < 0.55 else played.voices.keys() - drums if kind < 0.75 else played.voices.keys() - few
    kept = tuple(stroke for stroke in played.strokes if stroke.time_s >= until_s or stroke.part not in resting)
    return replace(played, strokes=kept) if kept and kept[0].time_s < until_s else played


def _from_pickup(played: Performance, rng: Generator) -> Performance:
    """Let the piece begin on its first beat, a pickup, which only some parts play."""
    times = played.beats.times_s
    first_s, one_s = float(times[0]) - EARLY_S, float(times[int(np.argmax(played.beats.positions == 1))]) - EARLY_S
    leading = {part for part in played.voices if rng.random() < (0.8 if part in ("melody", "snare", "tom") else 0.3)}
    kept = (s for s in played.strokes if s.time_s >= one_s or (s.time_s >= first_s and s.part in leading))
    return replace(played, strokes=tuple(kept))


def _marked(played: Performance, bars: Sequence[Bar], rng: Generator, *, cymbals: bool = True) -> Performance:
    """Mark the bar by accents and cymbals where both of its halves are the same in every part and in the harmony."""
    if not _equal_halves(played):
        return played
    times, period = played.beats.times_s, int(rng.choice([2, 4, 8], p=[0.3, 0.5, 0.2]))
    starts = [bar for bar in bars if 0 <= bar.start < len(times) - 1]
    accented = [float(times[bar.start]) for bar in starts]
    weaker = float(rng.uniform(0.55, 0.85))
    low = {part for part, voice in played.voices.items() if part == "chords" or voice in ("kick", "bass", "surdo")}

    def mark(stroke: Stroke) -> Stroke:
        on_one = min((abs(stroke.time_s - at) for at in accented), default=1.0) < 0.06
        return stroke if stroke.part not in low or on_one else stroke._replace(velocity=weaker * stroke.velocity)

    strokes = [mark(stroke) for stroke in played.strokes]
    if not cymbals:
        return replace(played, strokes=tuple(sorted(strokes)))
    crash = next((part for part, voice in played.voices.items() if voice == "crash"), "crash")
    struck_s = [stroke.time_s for stroke in strokes if stroke.part == crash]
    begun_s = strokes[0].time_s if strokes else 0.0
    strokes += [
        Stroke(float(times[bar.start]), crash, float(rng.uniform(0.6, 1)))
        for bar in starts
        if bar.number % period == 0 and times[bar.start] >= begun_s - 0.01
        and min((abs(times[bar.start] - at) for at in struck_s), default=1.0) > 0.1
    ]  # fmt: skip
    return replace(
        played,
        strokes=tuple(sorted(strokes)),
        voices={**played.voices, crash: "crash"},
        levels_db={crash: float(rng.normal(-3, 3)), **played.levels_db},
    )


def _equal_halves(played: Performance) -> bool:
    """Whether neither strokes nor changes of the pitch classes tell the halves of a bar apart."""
    beats, positions = played.beats, played.beats.positions
    metre = int(np.bincount(positions).argmax())
    metre = max(metre, int(positions.max()))
    if metre % 2 or len(beats) < 4 * metre:
        return False
    places = np.interp([stroke.time_s for stroke in played.strokes], beats.times_s, np.arange(len(beats)))
    profiles = {part: np.zeros((metre, 4)) for part in played.voices}
    chroma = np.zeros((len(beats), 12))
    for stroke, place in zip(played.strokes, places.tolist(), strict=True):
        beat, quarter = divmod(round(4 * place), 4)
        if beat >= len(beats):
            continue
        level = stroke.velocity * 10 ** (played.levels_db[stroke.part] / 20)
        profiles[stroke.part][positions[beat] - 1, quarter] += level
        if stroke.pitch_hz:
            chroma[beat, round(12 * math.log2(stroke.pitch_hz / 440)) % 12] += level
    profile, half = np.stack(list(profiles.values())), metre // 2
    different = float(np.abs(profile[:, :half] - profile[:, half:]).sum() / max(profile.sum(), 1e-9))
    pairs = chroma + np.roll(chroma, -1, 0)
    unit = pairs / np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-9)
    change = 1 - (unit[2:] * np.roll(unit, 2, 0)[2:]).sum(1)
    one, three = (float(change[positions[2:] == at].mean()) for at in (1, half + 1))
    return different < 0.16 and one - three < 0.2 * (one + three)


def _audible(played: Performance) -> Performance:
    """Leave out beats before the first stroke: nobody could annotate them."""
    if not played.strokes or len(played.beats) < 3:
        return played
    audible = played.beats.times_s > played.strokes[0].time_s - EARLY_S
    audible[-2:] = True
    beats = Beats(played.beats.times_s[audible], played.beats.positions[audible])
    return played if audible.all() else replace(played, beats=beats)


def _merge(*played: Performance) -> Performance:
    """Merge performances of the same beats."""
    return replace(
        played[0],
        strokes=tuple(sorted(stroke for each in played for stroke in each.strokes)),
        voices={part: voice for each in played for part, voice in each.voices.items()},
        levels_db={part: level for each in played for part, level in each.levels_db.items()},
    )
