"""Statistics of rendered audio beside those of recordings: `python benchmarks/listening.py`.

Spectra, onsets and levels of rendered pieces beside those of the recordings in `../shared/real`, in Markdown. The
renders are of traditions and kit styles as they ship, ten seeds each. A check and not a target: these are the
recordings that `real.py` scores on, and one tamborim is not all tamborims.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.signal import welch

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.decoder import pick_peaks
from levada.beat_tracking.spectrogram import GRID, log_spectrogram
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats
from levada.synth.acoustics import degrade
from levada.synth.composition import Material, compose, kit_styles
from levada.synth.instruments import PITCHED, RATE, InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.soundfont import SoundFont
from levada.synth.performance import Performance, perform
from levada.synth.render import synthesise_stems
from levada.synth.traditions import Tradition, read_tradition

REAL = Path(__file__).parents[2] / "shared" / "real"
GROUPS = {
    "candombe": "candombe/*.flac",
    "tamborim": "brid/*.flac",
    "kit": "mdb_drums/drums_only/*.flac",
    "mix": "mdb_drums/full_mixes/*/mixture.flac",
    "pop": "pop/*.flac",
}
POPULAR = ("pop", "dance-pop", "indie", "latin-pop", "disco")
THIRDS_HZ = 1000 * 2 ** (np.arange(-13, 13) / 3)  # 50 Hz to 16 kHz
FLOOR_DB = -80.0
PIECE_S = 20.0

Generator = np.random.Generator


@dataclass(frozen=True)
class Heard:
    """What is measured of a recording."""

    thirds_db: np.ndarray  # power in third octaves relative to all of it, in dB
    onsets_per_s: float  # peaks of spectral flux that are as likely a beat as not
    contrast_db: float  # how far the strongest twentieth of all rises of the spectrum stands above the median one
    crest_db: float  # peak over root mean square
    range_db: float  # from the 10th to the 95th percentile of the level in 400 ms
    floor_db: float  # the quietest twentieth of the level in 20 ms, below the loudest


FIGURES = {"onsets_per_s": "onsets a second", "contrast_db": "contrast dB", "crest_db": "crest dB",
           "range_db": "range dB", "floor_db": "floor dB"}  # fmt: skip


def measure(samples: np.ndarray, *, between: Beats) -> Heard:
    """Measure mono audio at 44.1 kHz [shape=(samples,)] from its first beat to its last: silence around is no music."""
    samples = samples[round(between.times_s[0] * RATE) : round(between.times_s[-1] * RATE)]
    hz, power = welch(samples, RATE, nperseg=8192)
    edges = np.append(THIRDS_HZ, THIRDS_HZ[-1] * 2 ** (1 / 3)) * 2 ** (-1 / 6)
    bands = np.array([power[(hz >= low) & (hz < high)].sum() for low, high in pairwise(edges)])
    thirds_db = decibels(bands / max(bands.sum(), 1e-20)).clip(FLOOR_DB)
    spectrum = log_spectrogram(samples[None], RATE)
    peaks = pick_peaks(spectral_flux.activations(spectrum), fps=GRID.fps, threshold=0.5, min_distance_s=0.05)
    rises = np.maximum(spectrum[2:] - spectrum[:-2], 0).mean(axis=1) + 1e-3
    long_db, short_db = levels_db(samples, 0.4), levels_db(samples, 0.02)
    return Heard(
        thirds_db,
        len(peaks) / (len(samples) / RATE),
        float(20 * np.log10(np.quantile(rises, 0.95) / np.median(rises))),
        float(decibels(np.max(samples**2) / np.mean(samples**2))),
        float(np.quantile(long_db, 0.95) - np.quantile(long_db, 0.1)),
        float(np.quantile(short_db, 0.05) - np.quantile(short_db, 0.95)),
    )


def levels_db(samples: np.ndarray, frame_s: float) -> np.ndarray:
    """Level in consecutive frames, not below -100 dB of full scale."""
    size = round(frame_s * RATE)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    return decibels((frames**2).mean(axis=1)).clip(-100)


def decibels(power: np.ndarray | float) -> np.ndarray:
    """Powers in dB."""
    return 10 * np.log10(np.maximum(power, 1e-20))


def recorded(group: str) -> list[Heard]:
    """The recordings of a group."""
    found = []
    for path in sorted(REAL.glob(GROUPS[group])):
        samples, rate = audio.read(path)
        assert rate == RATE, f"{path} has another rate"
        found.append(measure(samples.mean(axis=0), between=read_beats(path.with_suffix(".beats"))))
    return found


def played(group: str, rng: Generator) -> Performance:
    """A performance of what a group's recordings are of."""
    if group == "candombe":
        return perform(read_tradition("candombe"), duration_s=PIECE_S, rng=rng)
    if group == "tamborim":
        return perform(only(read_tradition("samba-enredo"), {"tamborim"}), duration_s=PIECE_S, rng=rng)
    if group == "kit":
        fours = [kit for kit in kit_styles() if kit.beats == 4]
        kit = fours[int(rng.integers(len(fours)))]
        return perform(only(kit, {part.voice for part in kit.instruments} - set(PITCHED)), duration_s=PIECE_S, rng=rng)
    styles = {kit.name: float(kit.name in POPULAR if group == "pop" else kit.beats == 4) for kit in kit_styles()}
    return compose(rng, Material(styles, groove_share=0, pop909_share=0, tunes_share=0, drumless=0, piece_s=PIECE_S))


def only(tradition: Tradition, voices: set[str]) -> Tradition:
    """A tradition with some of its voices alone, which are always there."""
    parts = [replace(part, presence=1.0, players=(1, 1)) for part in tradition.instruments if part.voice in voices]
    return replace(tradition, instruments=tuple(parts), ensemble=None)


def rendered(group: str, seeds: int, sounds: InstrumentSource, *, dry: bool) -> list[Heard]:
    """Renders of a group, measured."""
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        performance = played(group, rng)
        mixture = np.sum(list(synthesise_stems(performance, rng=rng, sounds=sounds).values()), axis=0)
        found.append(measure((mixture if dry else degrade(mixture, rng=rng))[0], between=performance.beats))
    return found


def spread(values: list[float]) -> str:
    """A mean and the standard deviation around it."""
    return f"{np.mean(values):.1f}" + (f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Root mean square of the differences of two spectra, in dB."""
    return float(np.sqrt(np.mean((one - other) ** 2)))


def row(group: str, real: list[Heard], ours: list[Heard]) -> str:
    """A group in the table of figures: real and rendered, bold where all renders lie on one side of the real mean."""
    theirs = np.array([sound.thirds_db for sound in real])
    mine = np.array([sound.thirds_db for sound in ours])
    centre = theirs.mean(axis=0)
    others = [apart(one, (theirs.sum(axis=0) - one) / (len(theirs) - 1)) for one in theirs] if len(real) > 1 else []
    cells = [f"{apart(mine.mean(axis=0), centre):.1f}", spread([apart(one, centre) for one in mine])]
    cells.append(spread(others) if others else "–")
    for name in FIGURES:
        there, here = ([float(getattr(sound, name)) for sound in side] for side in (real, ours))
        outside = not min(here) <= np.mean(there) <= max(here)
        cells.append(f"{spread(there)} → {f'**{spread(here)}**' if outside else spread(here)}")
    return f"| {group} | {' | '.join(cells)} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    arguments.add_argument("--seeds", type=int, default=10)
    arguments.add_argument("--soundfont", type=Path, nargs="+", default=[], help="play on these, not on our own voices")
    arguments.add_argument("--dry", action="store_true", help="without any room or microphone")
    wanted = arguments.parse_args()
    sounds: InstrumentSource = synthesise
    if wanted.soundfont:
        sounds = mix_sources([(1.0, SoundFont(path)) for path in wanted.soundfont] + [(0.0, synthesise)])
    heading = ["group", "spectrum dB", "of one render", "of one recording", *FIGURES.values()]
    print(f"| {' | '.join(heading)} |\n{'|---' * len(heading)}|", flush=True)
    differences, began = {}, time.perf_counter()
    for group in wanted.only:
        real, ours = recorded(group), rendered(group, wanted.seeds, sounds, dry=wanted.dry)
        print(row(group, real, ours), flush=True)
        differences[group] = np.mean([one.thirds_db for one in ours], 0) - np.mean([one.thirds_db for one in real], 0)
    print(f"\n| rendered - real, dB | {' | '.join(differences)} |\n{'|---' * (len(differences) + 1)}|")
    for band, hz in enumerate(THIRDS_HZ):
        print(f"| {hz:.0f} Hz | {' | '.join(f'{each[band]:+.0f}' for each in differences.values())} |")
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
