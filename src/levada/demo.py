"""The whole road in about a minute: recordings, a few labels, an adapted tracker, before and after.

Without recordings of one's own, a tradition the base model has never heard is rendered: other patterns, other
instruments, another feeling of where the beat is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from levada import audio, models
from levada.adapt.beats import DEFAULTS
from levada.adapt.run import adapt, with_scores
from levada.corpus import Corpus, Track, draw, open_corpus, split
from levada.errors import InputError
from levada.evaluate import Evaluation, evaluate
from levada.files import atomic
from levada.formats import write_beats
from levada.nets.weights import load
from levada.plot import Panel, plot_activations
from levada.render import render
from levada.tradition import read_tradition

__all__ = ["Demo", "demo", "render_corpus"]

TRADITION = "candombe"
RECORDINGS, LENGTH_S = 12, 40.0
MARK = "levada-demo.txt"


@dataclass(frozen=True)
class Demo:
    """What the demo found.

    Parameters
    ----------
    evaluation : Evaluation
        The base model, its decoder adapted, the whole adapted, and spectral flux, on recordings of groups that
        gave no labels.
    minutes : float
        Labels used.
    adapt_s, total_s : float
        Seconds the adaptation took, and all of it.
    """

    evaluation: Evaluation
    minutes: float
    adapt_s: float
    total_s: float


def demo(
    out: str | Path,
    *,
    corpus: str | Path | None = None,
    minutes: float = 1.5,
    seed: int = 0,
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[..., None] | None = None,
) -> Demo:
    """Adapt to a tradition, score before and after, and leave everything to look at and listen to.

    Parameters
    ----------
    out : path-like
        A folder for the recordings, the adapted model, beat files, recordings with clicks, and a picture.
    corpus : path-like, optional
        Annotated recordings; rendered ones by default.
    minutes : float
        Labels to adapt to.
    seed : int
    force : bool
        Whether an earlier demo there may be replaced.
    say : callable
        Told what is being done.
    progress : callable, optional
        Told steps done and steps in all.

    Returns
    -------
    Demo
    """
    began = time.monotonic()
    out = _emptied(Path(out), force=force)
    if corpus is None:
        say(f"rendering {RECORDINGS} recordings of {TRADITION}, which the base model has never heard")
        corpus = render_corpus(out / "recordings", tradition=TRADITION, seed=seed, progress=progress)
    opened = open_corpus(corpus)
    train, unseen = _sides(opened, minutes, np.random.default_rng(seed))
    spans = draw(train, minutes=minutes, rng=np.random.default_rng(seed))
    used = sum(span.duration_s for span in spans) / 60
    base = load(models.find("base"))
    say(f"adapting to {used:.2f} minutes of {len({span.track.id for span in spans})} recordings")
    started = time.monotonic()
    settings = DEFAULTS["finetune+augment"].seeded(seed)
    adapted = adapt(spans, base=base, out=out / "adapted", settings=settings, force=force, progress=progress)
    adapt_s = time.monotonic() - started
    decoder = adapt(spans, strategy="decoder", base=base, out=out / "decoder-only", force=force)
    say(f"scoring on {len(unseen)} recordings of other groups")
    trackers = {
        "base": models.tracker(base, name="base"),
        "decoder adapted": models.tracker(decoder, name="decoder adapted"),
        "adapted": models.tracker(adapted, name="adapted"),
        models.FLUX: models.load(models.FLUX),
    }
    evaluation = evaluate(unseen, trackers, out=out / "scores.csv", force=True, progress=progress)
    summary = evaluation.summary()["adapted"]
    with_scores(out / "adapted", adapted, {name: str(summary[name]) for name in ("beat_f", "downbeat_f")})
    _leave(out, evaluation, unseen, trackers)
    return Demo(evaluation, used, adapt_s, time.monotonic() - began)


def render_corpus(
    folder: str | Path,
    *,
    tradition: str,
    recordings: int = RECORDINGS,
    length_s: float = LENGTH_S,
    seed: int = 0,
    progress: Callable[..., None] | None = None,
) -> Path:
    """Render a corpus: each recording has its own ensemble, room and tempo, and is a group of its own."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    known = read_tradition(tradition)
    for number in range(recordings):
        piece = render(known, duration_s=length_s, rng=np.random.default_rng([seed, number]))
        stem = folder / f"{tradition}-{number + 1:02}"
        audio.write(stem.with_suffix(".flac"), piece.mixture, rate=piece.rate)
        write_beats(stem.with_suffix(".beats"), piece.beats)
        if progress is not None:
            progress(number + 1, recordings)
    with atomic(folder / "corpus.toml") as temporary:
        temporary.write_text(
            f'name = "{tradition}, rendered"\nlicence = "CC0-1.0"\ncitation = "rendered by levada, seed {seed}"\n',
            encoding="utf-8",
        )
    return folder


def _emptied(out: Path, *, force: bool) -> Path:
    """A folder for the demo: a new one, or with `force` an earlier demo's."""
    import shutil

    if out.exists() and any(out.iterdir()):
        if not (out / MARK).exists():
            raise InputError("is not empty and no earlier demo; choose another folder", path=out)
        if not force:
            raise InputError("holds an earlier demo; --force replaces it", path=out)
        shutil.rmtree(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", path=out) from None
    (out / MARK).write_text(
        "recordings/           what was rendered, with its beats (if it was)\n"
        "before-and-after.png  activations and beats of a recording nobody gave labels of\n"
        "clicks/               unseen recordings with clicks on the beats, before and after\n"
        "beats/                the same beats as files\n"
        "adapted/              the adapted model: levada beats song.wav --model adapted\n"
        "decoder-only/         the same network, its decoder alone adapted\n"
        "scores.csv            a row for each unseen recording and model\n",
        encoding="utf-8",
    )
    return out


def _sides(corpus: Corpus, minutes: float, rng: np.random.Generator) -> tuple[list[Track], list[Track]]:
    """Groups to draw labels from, as few as have enough, and groups to score on."""
    for test in (0.62, 0.5, 0.3):
        train, unseen = split(corpus, test=test, rng=rng)
        if sum(track.beats().intervals_s.sum() for track in train) > 60 * minutes:
            return list(train), list(unseen)
    raise InputError(
        f"has too few annotated recordings to learn from {minutes:g} minutes and score on others", path=corpus.root
    )


def _leave(out: Path, evaluation: Evaluation, unseen: list[Track], trackers: dict[str, Any]) -> None:
    """Beat files, clicks and a picture: of all the unseen, of three, and of the one that gained most."""
    found = {(row.track, row.model): row for row in evaluation.rows if row.estimate is not None}
    (out / "beats").mkdir()
    (out / "clicks").mkdir()
    for track in unseen:
        for model, word in (("base", "before"), ("adapted", "after")):
            row = found.get((track.id, model))
            if row is not None and row.estimate is not None:
                name = f"{Path(track.id).name}-{word}"
                write_beats(out / "beats" / f"{name}.beats", row.estimate)
                if track in unseen[:3]:
                    samples, rate = audio.read(track.audio)
                    clicked = audio.with_clicks(samples, row.estimate, rate=rate)
                    audio.write(out / "clicks" / f"{name}.wav", clicked, rate=rate)

    def gain(track: Track) -> float:
        before, after = (found.get((track.id, model)) for model in ("base", "adapted"))
        return after.scores["beat_f"] - before.scores["beat_f"] if before and after else -1.0

    best = max(unseen, key=gain)
    samples, rate = audio.read(best.audio)
    panels = []
    for model, title in (("base", "before"), ("adapted", "after")):
        activations = trackers[model].activations(samples, rate)
        panels.append(Panel(f"{title}: {best.id}", activations, trackers[model].decode(activations)))
    middle = audio.info(best.audio).duration_s / 2
    plot_activations(
        out / "before-and-after.png", panels, reference=best.beats(), start_s=max(0, middle - 6), end_s=middle + 6
    )
