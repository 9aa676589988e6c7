"""One instrument from few mixtures, as in a tutorial on Brazilian percussion: `python benchmarks/surdo.py`.

Solos become artificial mixtures, a part of which trains separators of the surdo against the rest: a U-Net from scratch,
the U-Net of bass that comes with levada (all of it, or its encoder or decoder frozen), dictionaries, and the default.
The others are scored. It prints a table, and writes into a folder the scores, the loss of each training (`loss.png`)
and two test mixtures with the surdo by each model (`listen/`):

    python benchmarks/surdo.py my-solos -o surdo

Without solos of your own, stems of rendered sambas are mixed. A run that was stopped goes on with the models that are
missing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from levada.data import Corpus, Multitrack, Span, load_corpus
from levada.data.rendered import render_corpus
from levada.data.sampling import sample_files
from levada.io import audio
from levada.learning.figures import new_figure
from levada.learning.figures import save as save_figure
from levada.learning.names import UNET_BASS
from levada.learning.statistics import mean_interval
from levada.learning.training_log import read_log
from levada.separation.adaptation import UNET, UNET_FINETUNE, adapt
from levada.separation.evaluation import evaluate_stems
from levada.separation.pretrained import base_weights
from levada.separation.remix import RemixSettings, remix
from levada.separation.separator import Separator
from levada.synth.traditions import read_tradition

SECONDS, TRAIN, VALIDATION, TEST = 10.0, 100, 10, 30
SIZE = {"channels": (8, 16, 32, 64, 128), "bins": 256, "batch": 8}
FROZEN = {"fine-tuned": (), "fine-tuned, encoder frozen": ("up",), "fine-tuned, decoder frozen": ("down",)}
WITHOUT_BASE = ("nmf", "nmf-conv", "auto", "unet")
LISTENED = 2


def main() -> None:
    """Mix, train, score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("solos", nargs="?", type=Path, help="a folder of solos, or of songs with stems")
    parser.add_argument("-o", "--out", type=Path, default=Path("surdo"))
    parser.add_argument("--target", default="surdo")
    parser.add_argument("--base", default=UNET_BASS, help="a U-Net of another instrument, to be fine-tuned")
    parser.add_argument("--fraction", nargs="+", type=float, default=[0.25, 0.5, 1.0])
    parser.add_argument("--mixtures", type=int, default=TRAIN + VALIDATION + TEST)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--models", nargs="+", help="some of the models alone")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    train, test = _mixtures(given)
    models = [*WITHOUT_BASE, *FROZEN]
    separators: dict[str, Separator] = {}
    costs: dict[str, float] = {}
    for fraction in given.fraction:
        count = max(2, round(fraction * len(train.tracks)))
        spans = sample_files(train.tracks, files=count, seed=np.random.default_rng(given.seed))
        for model in [name for name in models if not given.models or name in given.models]:
            name = f"{model} | {fraction:g}"
            folder = given.out / "models" / _file_name(name)
            began = time.process_time()
            if not folder.exists():
                _adapt(model, spans, folder, given)
            costs[name] = time.process_time() - began
            separators[name] = Separator.from_pretrained(folder)
            print(f"{name}: {costs[name]:.0f} CPU-s", flush=True)
    evaluation = evaluate_stems(test.tracks, separators, oracle=True)
    evaluation.write_csv(given.out / "scores.csv", force=True)
    print(f"\n{len(train.tracks)} mixtures of {SECONDS:g} s to train on, {len(test.tracks)} scored: {given.target}\n")
    print("| model | fraction | SI-SDR improvement, dB | SDR, dB | CPU-s |\n|---|---|---|---|---|")
    for name in evaluation.models:
        rows = [row for row in evaluation.of(name) if row.instrument == given.target and row.scores]
        improved, sdr = (mean_interval([row.scores[key] for row in rows]).text(digits=1) for key in ("si_sdr_i", "sdr"))
        label = name if " | " in name else f"{name} |"
        print(f"| {label} | {improved} | {sdr} | {costs.get(name, 0):.0f} |")
    _plot_losses(given.out, separators)
    _write_audio(given, test, separators)


def _mixtures(given: argparse.Namespace) -> tuple[Corpus[Multitrack], Corpus[Multitrack]]:
    """Mix solos, groups of them on one side only."""
    solos = given.solos
    if solos is None:
        solos = given.out / "solos"
        render_corpus(solos, read_tradition("samba"), minutes=8, recordings=24, seed=5000, multitrack=True)
    settings = RemixSettings(
        given.mixtures, SECONDS, coherent=False, rooms=False, test=TEST / (TRAIN + VALIDATION + TEST), most=5,
        target=given.target, seed=given.seed,
    )  # fmt: skip
    remix(load_corpus(solos, labels="stems"), given.out / "mixtures", settings=settings)
    train, test = (load_corpus(given.out / "mixtures" / side, labels="stems") for side in ("train", "test"))
    return train, test


def _adapt(model: str, spans: Sequence[Span[Multitrack]], folder: Path, given: argparse.Namespace) -> None:
    if model in ("nmf", "nmf-conv", "auto"):
        Separator.from_pretrained("base").adapt(spans, strategy=model, seed=given.seed, out=folder)
        return
    base = base_weights(given.base) if model in FROZEN else None
    settings = replace(
        UNET if base is None else UNET_FINETUNE, **SIZE, steps=given.steps, layers=FROZEN.get(model, ()),
        validation=VALIDATION / (TRAIN + VALIDATION), seed=given.seed,
    )  # fmt: skip
    adapt(spans, strategy="unet" if base is None else "finetune+augment", base=base, settings=settings, out=folder)


def _file_name(name: str) -> str:
    return name.replace(" | ", "-").replace(", ", "-").replace(" ", "-")


def _plot_losses(out: Path, separators: dict[str, Separator]) -> None:
    """Draw the loss in training and in validation of every network that was trained."""
    networks = [name for name in separators if name.startswith(("unet", "fine-tuned"))]
    if not networks:
        return
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for name in networks:
        folder = out / "models" / _file_name(name)
        rows = [row for row in read_log(folder / "log.csv") if row.get("validation_loss") is not None]
        axes.plot([row["step"] for row in rows], [row["validation_loss"] for row in rows], label=name)
    axes.set(xlabel="step", ylabel="validation_loss", yscale="log")
    axes.legend(fontsize=7)
    save_figure(figure, out / "loss.png", force=True)


def _write_audio(given: argparse.Namespace, test: Corpus[Multitrack], separators: dict[str, Separator]) -> None:
    """Write mixtures, and the target in them: true, and by each model."""
    for song in test.tracks[:LISTENED]:
        folder = given.out / "listen" / song.id.replace("/", "-")
        rate = audio.info(song.files[0]).rate
        stems, mixture = song.read((given.target,), rate=rate, channels=None)
        audio.write(folder / "mixture.wav", mixture, rate=rate, force=True)
        audio.write(folder / "true.wav", stems[0], rate=rate, force=True)
        for name, separator in separators.items():
            stem = separator.separate(mixture, rate)[given.target]
            audio.write(folder / f"{_file_name(name)}.wav", stem, rate=rate, force=True)


if __name__ == "__main__":
    main()
