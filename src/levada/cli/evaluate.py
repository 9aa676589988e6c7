"""`levada evaluate`: trackers or separators on recordings with labels, beside a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import corpora, outputs, terminal
from levada.cli.options import Convention, Force, Json, Labels, Seed
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Multitrack, Span
    from levada.separation.evaluation import StemEvaluation
    from levada.separation.separator import Separator
    from levada.separation.song_scores import CrossValidated

__all__ = ["evaluate", "show", "train_nmf"]

NMF = "nmf"
MINUTES = 1.5
"""Minutes that NMF is trained on by default."""


def evaluate(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, or mirdata:NAME.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="base, latin, flux (stems: base, nmf), or a model's folder; repeat it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a CSV with a row for each recording and model.")
    ] = None,
    trim: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Beats: seconds at the start that are not scored; by default 5, or 0 for recordings under 30 s.",
        ),
    ] = None,
    exclude_trained: Annotated[
        bool,
        typer.Option("--exclude-trained", help="Leave out recordings that a model was trained on, and their groups."),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Recordings scored at the same time.")] = 2,
    labels: Labels = None,
    convention: Convention = "",
    oracle: Annotated[
        bool, typer.Option("--oracle", help="Stems: add ideal masks, the upper bound of every separator with masks.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Stems: draw which instrument leaks into which stem (.png, .svg, .pdf).")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stems: minutes of other songs to train nmf on; default 1.5.")
    ] = None,
    seed: Seed = 0,
    page: Annotated[
        Path | None,
        typer.Option(help="Beats: write a page with the recordings that the first model tracks worst (.html)."),
    ] = None,
    all_scores: Annotated[
        bool, typer.Option("--all-scores", help="Beats: print all scores, and what each one measures.")
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score trackers on annotated recordings, with the types of their errors; or separators on songs with stems."""
    outputs.check_outputs(out, plot, page, force=force)
    outputs.check_plot(plot)
    if page is not None:
        from levada.player.player import check_page

        check_page(page)
    opened = corpora.load(corpus, labels=labels, convention=convention)
    names = list(dict.fromkeys(model or ["base"]))
    models: dict[str, Any]
    if opened.labels == "stems":
        from levada.separation.separator import Separator

        if opened.is_solos:
            raise InputError("holds solos, and no mixtures: levada remix makes mixtures of them", path=corpus)
        if trim is not None or all_scores or page is not None:
            raise InputError("--trim, --all-scores and --page are for beats, and this corpus has stems", path=corpus)
        _check_folders(names, Separator.from_pretrained)
        models = {name: _separator(name, opened.tracks, minutes or MINUTES, seed) for name in names}
    else:
        from levada.beat_tracking.pretrained import baseline, load_tracker
        from levada.learning.names import FLUX

        if oracle or plot is not None or minutes is not None:
            raise InputError("--oracle, --plot and --minutes are for stems, and this corpus has beats", path=corpus)
        corpora.print_notes(track for track in opened.tracks if track.is_annotated)
        _check_folders(names, load_tracker)
        models = {name: load_tracker(name) for name in names}
        models.setdefault(FLUX, baseline())
    from levada.models.evaluation import evaluate as score

    with terminal.progress("scoring", at_once=processes) as progress:
        evaluation: Any = score(
            models, opened, trim_s=trim, oracle=oracle, exclude_trained=exclude_trained, processes=processes,
            progress=progress,
        )  # fmt: skip
    if out is not None:
        evaluation.write_csv(out, force=force)
    if plot is not None:
        _plot_leakage(plot, evaluation, force=force)
    if page is not None:
        from levada.player.worst import save_worst

        save_worst(page, evaluation, opened.tracks, force=force)
    if as_json:
        print(evaluation.to_json())
    show(evaluation, tables=not as_json, all_scores=all_scores)
    outputs.finish_scores(evaluation.rows)


def show(evaluation: Any, *, tables: bool = True, all_scores: bool = False) -> None:
    """Print the tables of an evaluation of trackers or of separators, and its warnings."""
    if tables:
        is_stems = hasattr(evaluation, "instruments")
        (terminal.print_stem_evaluation if is_stems else terminal.print_evaluation)(evaluation)
        if all_scores:
            terminal.print_all_scores(evaluation)
    for warning in evaluation.warnings:
        terminal.info(f"note: {warning}")


def _check_folders(models: Sequence[str], load: Callable[[str], Any]) -> None:
    """Refuse models whose folders do not exist, before the others are loaded."""
    from levada.learning.names import folder_of

    for model in models:
        folder = folder_of(model)
        if folder is not None and not folder.exists():
            load(model)


def _plot_leakage(plot: Path, evaluation: StemEvaluation, *, force: bool) -> None:
    from levada.separation.plots import Leaks, plot_leakage
    from levada.separation.song_scores import MIXTURE

    panels = [Leaks(model, *evaluation.leaks(model)) for model in evaluation.models if model != MIXTURE]
    plot_leakage(plot, panels, force=force)


def _separator(name: str, songs: Sequence[Multitrack], minutes: float, seed: int) -> Separator | CrossValidated:
    """A separator by its name; NMF is trained, for each group of songs, on songs of other groups."""
    if name != NMF or Path(NMF).is_dir():
        from levada.separation.separator import Separator

        return Separator.from_pretrained(name)
    import numpy as np

    from levada.separation.cross_validation import cross_validate

    with terminal.progress("training nmf on other songs") as progress:
        return cross_validate(songs, train_nmf, minutes=minutes, rng=np.random.default_rng(seed), progress=progress)


def train_nmf(spans: Sequence[Span[Multitrack]]) -> Separator:
    """Train the baseline of separation, plain NMF dictionaries."""
    from levada.separation.adaptation import adapt
    from levada.separation.pretrained import separator_of

    return separator_of(adapt(spans, strategy=NMF), name=NMF)
