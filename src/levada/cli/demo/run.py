"""What both demos do: labels are divided, a model is adapted to some, scored on the others, and all is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from levada.cli import corpora, terminal
from levada.cli.demo.output import make_folder
from levada.data import Split
from levada.errors import InputError
from levada.learning.adaptation import with_scores
from levada.models.evaluation import evaluate

__all__ = ["Demo", "Result", "divide", "run_demo"]


@dataclass(frozen=True)
class Demo:
    """What the demo of one kind of labels has of its own.

    Parameters
    ----------
    labels : {"beats", "stems"}
    contents : mapping of str to str
        Files and folders that it writes -> their description.
    base : callable
        Loads the model that is adapted.
    render : callable
        Renders a corpus into the output folder, and divides it into one to train on and one to test on.
    test_sizes : tuple of float
        Fractions to try for the test set of a corpus that is given.
    strategy, folder : str
        A second strategy of adaptation, for comparison, and the folder of its model.
    models : callable
        From the base, the model of the second strategy, the adapted one and the instruments of the labels to all
        models that are scored, by name.
    write : callable
        Writes audio and figures, from the output folder, the evaluation, the test corpus, the models and a callback of
        the progress.
    """

    labels: str
    contents: Mapping[str, str]
    base: Callable[[], Any]
    render: Callable[[Path], Split[Any]]
    test_sizes: tuple[float, ...]
    strategy: str
    folder: str
    models: Callable[[Any, Any, Any, Sequence[str]], Mapping[str, Any]]
    write: Callable[..., None]


@dataclass(frozen=True)
class Result:
    """Scores and times of a demo.

    Parameters
    ----------
    evaluation : Evaluation or StemEvaluation
        The base model, the adapted one and baselines, on recordings of groups that gave no labels.
    minutes : float
        Labels used.
    adapt_s, total_s : float
        Seconds that the adaptation took, and the whole demo.
    """

    evaluation: Any
    minutes: float
    adapt_s: float
    total_s: float


def run_demo(
    demo: Demo, out: str | Path, *, corpus: str | Path | None, minutes: float, seed: int, force: bool
) -> Result:
    """Adapt a model, score it before and after, and write everything into a folder.

    Parameters
    ----------
    demo : Demo
    out : path-like
        The folder of all results.
    corpus : path-like or None
        Labelled recordings; rendered ones if None.
    minutes : float
        Labels to adapt to.
    seed : int
    force : bool
        Whether an earlier demo there may be replaced.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        If the folder contains something else, or an earlier demo without `force`, or there are too few labelled
        recordings.
    """
    started, stems = time.monotonic(), demo.labels == "stems"
    base = demo.base()
    given = None if corpus is None else divide(corpus, demo.labels, minutes, seed, test_sizes=demo.test_sizes)
    out = make_folder(out, demo.contents, force=force)
    train, test = given or demo.render(out)
    spans = train.sample(minutes=minutes, seed=np.random.default_rng(seed))
    used = sum(span.duration_s for span in spans) / 60
    instruments = sorted({name for span in spans for name in span.track.instruments}) if stems else []
    recordings = terminal.count(len({span.track.id for span in spans}), "song" if stems else "recording")
    terminal.info(f"adapting to {used:.2f} minutes of {recordings}{': ' * stems}{', '.join(instruments)}")
    adapting = time.monotonic()
    with terminal.progress("adapting") as progress:
        tuned = base.adapt(spans, seed=seed, out=out / "adapted", progress=progress)
    adapt_s = time.monotonic() - adapting
    if "chosen" in tuned.model.card.scores:  # what auto chose, and why
        terminal.info(str(tuned.model.card.scores["chosen"]))
    with terminal.progress(f"adapting, {demo.strategy}") as progress:
        base.adapt(spans, strategy=demo.strategy, out=out / demo.folder, progress=progress)
    other, adapted = (type(base).from_pretrained(out / name) for name in (demo.folder, "adapted"))
    models = demo.models(base, other, adapted, instruments)
    terminal.info(f"scoring on {terminal.count(len(test.tracks), 'song' if stems else 'recording')} of other groups")
    with terminal.progress("scoring") as progress:
        evaluation = evaluate(models, test, oracle=stems, progress=progress)
    evaluation.write_csv(out / "scores.csv")
    with_scores(out / "adapted", adapted.model, evaluation.card_scores("adapted"))
    with terminal.progress("writing audio and figures") as progress:
        demo.write(out, evaluation, test.tracks, models, progress)
    return Result(evaluation, used, adapt_s, time.monotonic() - started)


def divide(source: str | Path, labels: str, minutes: float, seed: int, *, test_sizes: Sequence[float]) -> Split[Any]:
    """Load a corpus and divide its groups into a training set with enough labels and a test set.

    Raises
    ------
    InputError
        If it holds solos, or too few labels.
    """
    corpus = corpora.load(str(source), labels=labels)
    if corpus.is_solos:
        raise InputError("holds solos, and no mixtures: levada remix makes mixtures of them", path=corpus.root)
    parts = corpora.split(corpus, minutes, np.random.default_rng(seed), test_sizes=test_sizes)
    if parts is None:
        what = "songs with stems" if labels == "stems" else "annotated recordings"
        raise InputError(f"has too few {what} to train on {minutes:g} minutes and score on others", path=corpus.root)
    return parts
