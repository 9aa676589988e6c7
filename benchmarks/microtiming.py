"""How far microtiming is from the truth: onsets of each instrument, and positions of rendered and separated stems.

    python benchmarks/microtiming.py                # some minutes

Everything is rendered here with seeds that no constant was chosen on, so that the time of every stroke is exact. Prints
two tables for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import argparse

import numpy as np

import levada
from levada.beat_tracking.microtiming import Microtiming, measure_stems, tatum_grid
from levada.beat_tracking.onsets import find_onsets
from levada.io.beats import Beats
from levada.synth.instruments import PITCHED, RATE, STRUCK, synthesise
from levada.synth.performance import Stroke

PLAYERS, STROKES, APART_S = range(100, 104), 14, 0.5
NEAR_S = 0.050  # an onset is found if one is so near
SHAKEN = ("shaker", "maracas", "chekere", "guiro", "guira", "tambourine", "pandeiro")
SUSTAINED = ("organ", "pad", "reed", "singer", "accordion", "flute", "brass", "strings", "cuica", "whistle")
METAL = ("agogo", "cowbell", "gongue", "triangle", "hat", "open-hat", "ride", "crash")
CLICKS = ("claves", "woodblock", "rim", "cata", "clap")
TRADITIONS = ("candombe", "samba-enredo", "samba", "bateria", "maracatu", "son", "rumba", "cumbia", "bembe", "plena")
SEEDS, LENGTH_S, LEAST = (10, 11), 20.0, 5  # rendered songs, and onsets of a position that is compared
OWN_S = 0.020  # an onset is of the stem if one of its strokes is so near


def main() -> None:
    """Print the tables."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print_attacks()
    print_stems()


def print_attacks() -> None:
    """Print errors of onsets by kind of attack; instruments that are blown, bowed or sung have a row each."""
    struck = [voice for voice in STRUCK if voice not in {*SHAKEN, *SUSTAINED, *METAL, *CLICKS, "quijada"}]
    plucked = [voice for voice in PITCHED if voice not in SUSTAINED]
    kinds: dict[str, tuple[str, ...] | list[str]] = {
        "clicks": CLICKS, "drums": struck, "metal": METAL, "shaken and scraped": SHAKEN, "plucked and keys": plucked,
    }  # fmt: skip
    kinds |= {voice: [voice] for voice in SUSTAINED}
    print("| attack | instruments | found | median ms | largest ms | 90 % ms |")
    print("|---|---|---|---|---|---|")
    for kind, voices in kinds.items():
        errors = {voice: np.concatenate([errors_of(voice, player) for player in PLAYERS]) for voice in voices}
        every = 1000 * np.concatenate(list(errors.values()))
        found = len(every) / (len(voices) * len(PLAYERS) * STROKES)
        medians = [1000 * float(np.median(one)) for one in errors.values() if len(one)]
        largest = max(medians, key=abs)
        within = float(np.quantile(np.abs(every), 0.9))
        figures = f"{100 * found:.0f} % | {np.median(every):+.1f} | {largest:+.1f} | {within:.1f}"
        print(f"| {kind} | {len(voices)} | {figures} |")
    print()


def errors_of(voice: str, player: int) -> np.ndarray:
    """Errors of the onsets that are found, in seconds, of one player of a voice."""
    rng = np.random.default_rng(player)
    instrument, samples = synthesise(voice, rng), np.zeros(round((STROKES + 2) * APART_S * RATE), np.float32)
    starts = np.rint((0.3 + APART_S * np.arange(STROKES) + rng.uniform(0, 0.02, STROKES)) * RATE).astype(int)
    for start in starts.tolist():
        pitch_hz = (80 if voice == "bass" else 220) * 2 ** (rng.integers(-6, 7) / 12)
        stroke = "shake" if voice in SHAKEN[:3] else "open"
        velocity = rng.uniform(0.3, 1)
        played = instrument.play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=0.3, rng=rng)
        samples[start : start + len(played)] += played[: len(samples) - start]
    found = find_onsets(samples, RATE).times_s
    nearest = np.array([found[np.abs(found - at).argmin()] - at for at in starts / RATE]) if len(found) else np.zeros(0)
    return nearest[np.abs(nearest) < NEAR_S]


def print_stems() -> None:
    """Print errors of the mean at each position, in true and in separated stems."""
    counts = {kind: [0, 0, 0, 0] for kind in ("true", "separated")}  # stems, withheld, onsets, own
    errors: dict[str, list[float]] = {kind: [] for kind in counts}
    for tradition in TRADITIONS:
        for seed in SEEDS:
            song = levada.render(tradition, duration_s=LENGTH_S, seed=seed)
            separator = levada.Separator.from_pretrained(tradition, instruments=list(song.stems))
            kinds = {"true": song.stems, "separated": separator.separate(song.mixture, song.rate)}
            for kind, stems in kinds.items():
                for name, timing in measure_stems(stems, song.beats, rate=song.rate).items():
                    if name == "other":
                        continue
                    count = counts[kind]
                    count[0] += 1
                    if timing.withheld:
                        count[1] += 1
                        continue
                    own = own_onsets(timing, song.strokes[name])
                    count[2] += len(own)
                    count[3] += int(own.sum())
                    errors[kind] += place_errors(timing, song.beats, song.strokes[name])
    print("| stems | number | withheld | own onsets | positions | median ms | half ms | 90 % ms |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, (number, withheld, onsets, own_number) in counts.items():
        ms = 1000 * np.array(errors[kind])
        half, most = np.quantile(np.abs(ms), [0.5, 0.9])
        share = f"{100 * own_number / onsets:.0f} %"
        print(
            f"| {kind} | {number} | {withheld} | {share} | {len(ms)} | {np.median(ms):+.2f} | {half:.1f} | {most:.1f} |"
        )


def own_onsets(timing: Microtiming, strokes: tuple[Stroke, ...]) -> np.ndarray:
    """Whether each onset is near a stroke of the instrument."""
    true_s = np.array([stroke.time_s for stroke in strokes])
    return np.array([np.abs(true_s - time_s).min() < OWN_S for time_s in timing.times_s])


def place_errors(timing: Microtiming, beats: Beats, strokes: tuple[Stroke, ...]) -> list[float]:
    """Errors of the mean at each position that has five onsets and five strokes, in seconds."""
    count = timing.tatums_per_beat
    grid = tatum_grid(beats, count)
    played: dict[tuple[int, int], list[float]] = {}
    for time_s in sorted({stroke.time_s for stroke in strokes}):
        nearest = int(np.abs(grid - time_s).argmin())
        key = (int(beats.positions[nearest // count]), nearest % count + 1)
        if grid[0] - 0.05 < time_s < grid[-1] + 0.05:
            played.setdefault(key, []).append(time_s - grid[nearest])
    return [
        place.mean_s - float(np.mean(played[place.beat, place.tatum]))
        for place in timing.places()
        if place.n >= LEAST and len(played.get((place.beat, place.tatum), [])) >= LEAST
    ]


if __name__ == "__main__":
    main()
