"""Calibration of confidences: `python benchmarks/confidence.py`; results are in `studies/LOG.md`.

    python benchmarks/confidence.py --pieces 160 --seed 202                tables of reliability on rendered pieces
    python benchmarks/confidence.py --pieces 160 --seed 101 --fit          fit `confidence.CALIBRATION`, and print it
    python benchmarks/confidence.py --recordings ../shared/real/pop        each annotated recording of a folder
    --model base --cache FOLDER                                            keep activations of rendered pieces here

Pieces are of songs and of timbres that the base was not trained on, a quarter of them performed by traditions. A beat
is right in time within 70 ms of a reference beat, and right in its position if that beat has the same. A reading is the
right one if it agrees best with the reference, with a beat F-measure above .75 and one of beats with positions above
.6; else none is.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from levada.beat_tracking.analysis import analyse_beats
from levada.beat_tracking.confidence import (
    CALIBRATION,
    Calibration,
    ReadingFeatures,
    confidence_features,
    confidences,
    reading_features,
)
from levada.beat_tracking.decoder import DecodedBeats, decode_activations
from levada.beat_tracking.network_tracker import NetworkTracker
from levada.beat_tracking.pretraining import read_settings
from levada.beat_tracking.pretraining_pieces import validation_piece
from levada.beat_tracking.readings import ScoredReading, score_readings
from levada.beat_tracking.tracker import BeatTracker
from levada.data import load_corpus
from levada.io.beats import Beats, nearest
from levada.synth.instruments.soundfont import SoundFont, find_soundfont

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SETTINGS = Path(__file__).parents[1] / "pretraining" / "base.toml"
NEAR_S = 0.07
BEAT_F, POSITION_F = 0.75, 0.6
BINS = 10
KINDS = ("later", "metre", "offbeat", "twice", "half", "compound")


class Example(NamedTuple):
    """A decoded recording, its readings, and which of its beats and readings are right."""

    decoded: DecodedBeats
    scored: list[ScoredReading]
    features: ReadingFeatures
    in_time: Bools
    in_bar: Bools
    right: int  # index of the right reading; as many as there are for none


def backend(model: str) -> NetworkTracker:
    """Return the network of a model."""
    found = BeatTracker.from_pretrained(model).backend
    if not isinstance(found, NetworkTracker):
        raise SystemExit(f"{model} is no network")
    return found


def rendered(tracker: NetworkTracker, *, seed: int, pieces: int, cache: Path | None) -> Iterator[tuple[Floats, Beats]]:
    """Yield activations and beats of rendered pieces."""
    settings = read_settings(SETTINGS)
    settings = replace(
        settings,
        seed=seed,
        soundfonts=(),
        traditions=0.25,
        material=settings.material.held_out(),
        interludes=0.15,
        quiet=0.05,
    )
    font = SoundFont(find_soundfont(settings.validation_soundfont))
    for index in range(pieces):
        file = None if cache is None else cache / f"{tracker.identity or tracker.name}-{seed}-{index}.npz"
        if file is not None and file.is_file():
            with np.load(file) as stored:
                yield stored["activations"], Beats(stored["times_s"], stored["positions"])
            continue
        piece = validation_piece(index, settings, font)
        activations = tracker.predict([piece.bands.astype(np.float32)])
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez(file, activations=activations, times_s=piece.beats.times_s, positions=piece.beats.positions)
        yield activations.astype(np.float64), piece.beats


def example(activations: Floats, reference: Beats, tracker: NetworkTracker) -> Example:
    """Decode a recording, and compare its beats and readings with the reference."""
    decoded = decode_activations(activations, fps=tracker.front_end.grid.fps, settings=tracker.settings)
    scored = score_readings(decoded)
    matched = [right_beats(reference, reading.beats) for reading in scored]
    total = [len(reference) + len(reading.beats) for reading in scored]
    f = np.array([[2 * one.sum() / max(n, 1) for one in both] for both, n in zip(matched, total, strict=True)])
    best = int(f.sum(axis=1).argmax())
    right = best if f[best, 0] > BEAT_F and f[best, 1] > POSITION_F else len(scored)
    return Example(decoded, scored, reading_features(decoded, scored), *matched[0], right)


def right_beats(reference: Beats, beats: Beats) -> tuple[Bools, Bools]:
    """Return which beats are right in time, and in time and position."""
    if not len(reference) or not len(beats):
        nothing = np.zeros(len(beats), np.bool_)
        return nothing, nothing
    at = nearest(beats.times_s, reference.times_s)
    in_time = np.abs(beats.times_s - reference.times_s[at]) <= NEAR_S
    return in_time, in_time & (beats.positions == reference.positions[at])


def fit(examples: Sequence[Example]) -> Calibration:
    """Fit the readings by maximum likelihood with a prior on their constants, then both regressions."""

    def of(values: Floats) -> Calibration:
        slopes = dict(zip(KINDS, values[[0, 1, 2, 2, 2, 2]].tolist(), strict=True))
        return Calibration(
            slopes, dict(zip(KINDS, values[3:9].tolist(), strict=True)), (float(values[9]), float(values[10]))
        )

    def loss(values: Floats) -> float:
        calibration, total = of(values), 0.02 * float(np.sum((values[3:9] + 2) ** 2))
        for one in examples:
            probabilities = one.features.probabilities(calibration)
            right = probabilities[one.right] if one.right < len(probabilities) else 1 - probabilities.sum()
            total -= float(np.log(max(right, 1e-9)))
        return total / len(examples)

    bounds = [(0.05, 6)] * 3 + [(-6, 3)] * 6 + [(-6, 8), (-15, 0)]
    start = np.array([1.5, 1.5, 0.5, -1, -1.5, -2, -2, -2, -2.5, 1, -3])
    readings = of(np.round(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x, 2))
    features = [confidence_features(one.decoded, one.scored, one.features, calibration=readings) for one in examples]
    time, _ = regression([of_time for of_time, _ in features], [one.in_time for one in examples], least_limit=1.0)
    position, limit = regression(
        [of_position[one.in_time] for (_, of_position), one in zip(features, examples, strict=True)],
        [one.in_bar[one.in_time] for one in examples],
        least_limit=0.5,
    )
    return replace(readings, time=tuple(time), position=tuple(position), position_limit=limit)


def regression(inputs: Sequence[Floats], right: Sequence[Bools], *, least_limit: float) -> tuple[list[float], float]:
    """Fit a logistic regression whose slopes are not negative, times a limit between `least_limit` and 1."""
    features, targets = np.concatenate(inputs), np.concatenate(right).astype(np.float64)

    def loss(values: Floats) -> float:
        weights, limit = values[:-1], values[-1]
        probability = np.clip(limit / (1 + np.exp(-features @ weights)), 1e-9, 1 - 1e-9)
        likelihood = np.where(targets, np.log(probability), np.log(1 - probability))
        return float(1e-4 * np.sum(weights[1:] ** 2) - likelihood.mean())

    bounds = [(None, None)] + [(0, None)] * (features.shape[1] - 1) + [(least_limit, 1)]
    start = np.append(np.eye(features.shape[1])[1], 0.95)
    found = np.round(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x, 2).tolist()
    return found[:-1], found[-1]


def print_reliability(what: str, confidence: Floats, right: Bools) -> None:
    """Print the fraction that is right in bins of the confidence, and the expected calibration error."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = 0.0
    print(f"{what}\n  confidence  share  mean  right")
    for index in range(BINS):
        inside = bins == index
        if inside.any():
            mean, fraction = confidence[inside].mean(), right[inside].mean()
            error += inside.mean() * abs(mean - fraction)
            print(f"  {index / BINS:.1f} to {(index + 1) / BINS:.1f}  {inside.mean():.3f}  {mean:.3f}  {fraction:.3f}")
    print(f"  expected calibration error {error:.3f}\n")


def print_tables(examples: Sequence[Example], calibration: Calibration) -> None:
    """Print reliability of both confidences and of readings, and the correlation over recordings."""
    both = [confidences(one.decoded, one.scored, one.features, calibration=calibration) for one in examples]
    columns = {
        "time of beats": ([time for time, _ in both], [one.in_time for one in examples]),
        "time and position of beats": ([position for _, position in both], [one.in_bar for one in examples]),
        "readings": (
            [one.features.probabilities(calibration) for one in examples],
            [np.arange(len(one.scored)) == one.right for one in examples],
        ),
    }
    for what, (confidence, right) in columns.items():
        print_reliability(what, np.concatenate(confidence), np.concatenate(right))
        if what != "readings":
            means = np.array([[c.mean(), r.mean()] for c, r in zip(confidence, right, strict=True)])
            print(f"  correlation of the means of recordings {np.corrcoef(means.T)[0, 1]:.2f}\n")


def print_recordings(tracker: NetworkTracker, folder: str) -> None:
    """Print the confidences of annotated recordings, and the fractions that are right."""
    print("recording                                  time  right  position  right  next reading")
    for track in load_corpus(folder, labels="beats").tracks:
        if track.annotation is None:
            continue
        activations = tracker.activations(track.audio)
        decoded = decode_activations(activations, fps=tracker.front_end.grid.fps, settings=tracker.settings)
        found = analyse_beats(decoded)
        in_time, in_bar = right_beats(track.beats(), found.beats)
        other = found.readings[0] if found.readings else None
        print(
            f"{track.id[-40:]:40}   {found.mean_time_confidence:.2f}   {in_time.mean():.2f}      "
            f"{found.mean_position_confidence:.2f}   {in_bar.mean():.2f}  "
            + (f"{other.name} {other.probability:.2f}" if other else "")
        )


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Calibration of confidences.")
    parser.add_argument("--model", default="base")
    parser.add_argument("--pieces", type=int, default=160)
    parser.add_argument("--seed", type=int, default=202)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--recordings")
    options = parser.parse_args()
    tracker = backend(options.model)
    if options.recordings:
        print_recordings(tracker, options.recordings)
        return
    pieces = rendered(tracker, seed=options.seed, pieces=options.pieces, cache=options.cache)
    examples = [one for found in pieces if len((one := example(*found, tracker)).decoded.beats) > 1]
    calibration = fit(examples) if options.fit else CALIBRATION
    if options.fit:
        print(calibration)
    print_tables(examples, calibration)


if __name__ == "__main__":
    main()
