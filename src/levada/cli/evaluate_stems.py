"""`levada evaluate --task stems`: separators on songs of which the stems are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.cli import terminal
from levada.cli.outputs import finish_scores
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Corpus, Multitrack, Span
    from levada.separation.evaluation import StemEvaluation
    from levada.separation.song_scores import HeldOut, Separating

__all__ = ["evaluate", "notes", "show"]

NMF = "nmf"
MINUTES = 1.5
"""What a plain NMF learns from, if nobody says otherwise."""


def evaluate(
    corpus: str,
    *,
    model: list[str] | None,
    out: Path | None,
    plot: Path | None,
    oracle: bool,
    minutes: float | None,
    exclude_trained: bool,
    processes: int,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Score separators on a corpus of stems, the mixture beside them."""
    from levada.separation.evaluation import evaluate_stems

    if plot is not None:
        from levada.learning.figures import blank

        blank(plot, width=1, height=1)  # what cannot be drawn is said before the work
    opened = open_corpus(corpus)
    if opened.is_solos:
        raise InputError("holds solos, and nothing to take apart: levada remix makes mixtures of them", path=corpus)
    separators = {name: _separator(name, opened, minutes or MINUTES, seed) for name in dict.fromkeys(model or ["base"])}
    with terminal.progress("scoring", at_once=processes) as progress:
        evaluation = evaluate_stems(
            opened.tracks, separators, out=out, force=force, oracle=oracle, exclude_trained=exclude_trained,
            processes=processes, progress=progress,
        )  # fmt: skip
    if plot is not None:
        _draw(plot, evaluation, force=force)
    show(evaluation, as_json=as_json)
    finish_scores(evaluation.rows)


def open_corpus(place: str) -> Corpus[Multitrack]:
    """Open a corpus of stems, and print what was assumed of its files."""
    from levada.data import load_corpus, log_notes

    opened = load_corpus(place, labels="stems")
    log_notes(opened.notes, terminal.say)
    return opened


def show(evaluation: StemEvaluation, *, as_json: bool) -> None:
    """Print the tables, or JSON, and then what a reader of them must know."""
    if as_json:
        print(evaluation.to_json())
    else:
        terminal.print_stem_evaluation(evaluation)
    notes(evaluation)


def notes(evaluation: StemEvaluation) -> None:
    """Print what a reader of the means must know."""
    for warning in evaluation.warnings:
        terminal.say(f"note: {warning}")


def _separator(name: str, corpus: Corpus[Multitrack], minutes: float, seed: int) -> Separating | HeldOut:
    """A model by its name."""
    from levada.separation.pretrained import load_separator

    if name == NMF and not Path(NMF).is_dir():
        return _dictionaries(corpus.tracks, minutes, seed)
    return load_separator(name)


def _dictionaries(songs: Sequence[Multitrack], minutes: float, seed: int) -> HeldOut:
    """A plain NMF for each group of songs, learnt from others."""
    import numpy as np

    from levada.separation.adaptation import adapt as adapt_stems
    from levada.separation.cross_validation import held_out
    from levada.separation.pretrained import separator_of

    def learn(spans: Sequence[Span[Multitrack]]) -> Any:
        return separator_of(adapt_stems(spans, strategy=NMF), name=NMF)

    with terminal.progress("learning nmf from other songs") as progress:
        return held_out(songs, learn, minutes=minutes, rng=np.random.default_rng(seed), progress=progress)


def _draw(plot: Path, evaluation: StemEvaluation, *, force: bool) -> None:
    from levada.separation.plots import Leaks, plot_leakage
    from levada.separation.song_scores import MIXTURE

    panels = [Leaks(model, *evaluation.leaks(model)) for model in evaluation.models if model != MIXTURE]
    plot_leakage(plot, panels, force=force)
