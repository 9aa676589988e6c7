"""Report of a study: one page that works offline, figures for a paper, tables as CSV, LaTeX and Markdown.

- `results`: runs as one table of scores.
- `compare`: methods compared, verdicts, recordings that changed.
- `caveats`: what was left out, is not done, or is not comparable.
- `axes`: settings of strategies as axes.
- `transfer`: scores on corpora that a model was not adapted to.
- `stems`: instrument by instrument, and which instrument ended up in which stem.
- `players`: a page beside it with the sound of recordings before and after.
- `training`, `listening`: losses of networks in training, and stems to listen to, where runs kept some.
- `text`, `figures`, `tables`, `page`: the same for readers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from levada.beat_tracking.metrics import SCORE_TEXTS
from levada.experiments.report import axes, figures, listening, stems, tables, text, training, transfer
from levada.experiments.report.page import Image, Section, render_page
from levada.experiments.report.players import PLAYERS, PlayerPage, write_players
from levada.experiments.report.results import Method, Results, collect
from levada.experiments.report.tables import Table
from levada.experiments.store import read_runs
from levada.io.files import atomic_folder
from levada.io.tables import write_csv
from levada.separation.plots import plot_leakage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAGE", "ReportSummary", "write_report"]

PAGE = "index.html"


@dataclass(frozen=True)
class ReportSummary:
    """A report that was written.

    Parameters
    ----------
    page : Path
    runs : int
        Number of runs with scores.
    failed : int
        Number of runs without.
    findings : tuple of str
        Sentences.
    players : PlayerPage or None
        The page with sound, where one was asked for.
    """

    page: Path
    runs: int
    failed: int
    findings: tuple[str, ...]
    players: PlayerPage | None = None


def write_report(
    runs: str | Path,
    *,
    out: str | Path,
    players: int = 0,
    recordings: Sequence[str] = (),
    methods: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReportSummary:
    """Write the report of a folder of runs.

    Parameters
    ----------
    runs : path-like
        The folder of `levada study`.
    out : path-like
        The folder of the report: `index.html`, `figures/` (PDF, SVG, PNG) and `tables/` (CSV, LaTeX, Markdown).
    players : int
        Number of recordings of each corpus in `players.html`, a page beside it that has their sound; without any, and
        without `recordings`, there is no such page.
    recordings, methods : sequence of str
        See `players.write_players`.
    force : bool
        Whether a report that exists may be replaced.
    progress : callable, optional
        Called with the number of sections written, and of all.

    Returns
    -------
    ReportSummary

    Raises
    ------
    InputError
        If there are no runs, or the report exists or cannot be written; or no recording that is asked for can be
        played.
    MissingExtra
        If matplotlib is not installed.
    """
    results = collect(read_runs(runs))
    sound: PlayerPage | None = None
    findings, selection = text.findings(results), text.selection_text(results)
    with atomic_folder(out, marker=PAGE, force=force) as temporary:
        writer = _Writer(temporary)
        if players or recordings:
            sound = write_players(
                temporary / PLAYERS, results, runs=Path(runs), most=players, recordings=recordings, methods=methods
            )
        parts = [partial(_corpus, results, corpus, writer) for corpus in results.corpora]
        parts += [partial(_closing, results, selection, writer, sound)]
        sections: list[Section] = []
        for done, part in enumerate(parts, start=1):
            sections += part()
            if progress is not None:
                progress(done, len(parts))
        writer.csv(tables.all_scores(results))
        writer.csv(tables.all_changes(results))
        studies = ", ".join(sorted({run.study for run in results.runs}))
        title = f"How many minutes, which strategy: {studies}" if studies else "A study without scores"
        lead = [*findings, *([selection] if selection else [])]
        footer = f"Made by levada from {len(results.runs)} runs. Figures are in figures/, tables in tables/."
        (temporary / PAGE).write_text(render_page(title, lead, sections, footer=footer), encoding="utf-8")
    return ReportSummary(Path(out) / PAGE, len(results.runs), len(results.failed), tuple(findings), sound)


class _Writer:
    """Writes figures and tables into their folders, and returns what the page shows of them."""

    def __init__(self, folder: Path) -> None:
        self.figures, self.tables = folder / "figures", folder / "tables"
        self.figures.mkdir()
        self.tables.mkdir()

    def image(self, figure: Figure, name: str, alt: str, caption: str) -> Image:
        figures.save(figure, self.figures, name)
        return Image(figures.as_image(figure), alt, caption)

    def plotted(self, plot: Callable[[Path], None], name: str, alt: str, caption: str) -> Image:
        """An image of a function that plots into a file."""
        for suffix in figures.SUFFIXES:
            plot(self.figures / f"{name}{suffix}")
        encoded = base64.b64encode((self.figures / f"{name}.png").read_bytes()).decode("ascii")
        return Image(f"data:image/png;base64,{encoded}", alt, caption)

    def csv(self, table: Table) -> None:
        """The numbers of a table, where it has some; its rows otherwise."""
        path = self.tables / f"{table.name}.csv"
        if rows := table.numbers or table.rows:
            write_csv(path, rows)
        else:
            path.touch()

    def table(self, table: Table) -> Table:
        self.csv(table)
        tables.write_latex(table, self.tables / f"{table.name}.tex")
        tables.write_markdown(table, self.tables / f"{table.name}.md")
        return table


def _corpus(results: Results, corpus: str, writer: _Writer) -> Iterator[Section]:
    """Curves and means of a corpus; all pairs of methods; types of error; instruments."""
    summary = writer.table(tables.summary(results, corpus))
    labels, name = results.labels_of(corpus), summary.name.removeprefix("summary-")
    minutes = text.main_budget(results, corpus)
    method = None if minutes is None else text.leading_method(results, corpus, minutes)
    parts: list[Image | Table] = []
    if summary.rows and any(results.has(score, corpus) for score in figures.SCORE_NAMES):
        caption = (
            f"{corpus}: scores against {results.axis_of(corpus)} (logarithmic); models without {labels} at the left "
            "edge, the one that is adapted as a dotted line through all budgets. "
            "Vertical lines are 95 % intervals; points are shifted a little so that they can be seen; hollow ones "
            "have fewer seeds, and so other recordings, than the rest."
        )
        alt = f"Learning curves on {corpus}; the numbers are in the table below."
        parts.append(writer.image(figures.curves(results, corpus), f"curves-{name}", alt, caption))
    yield Section(f"{corpus}: scores by {results.axis_of(corpus)}", (), [*parts, summary])
    more = tables.more_scores(results, corpus)
    if more.rows:
        meanings = [f"{name}: {meaning}" for name, meaning in SCORE_TEXTS.items()]
        yield Section(f"{corpus}: more scores", (), [writer.table(more)], meanings, is_folded=True)
    parts = []
    if minutes is not None and method is not None and len(results.at(corpus, minutes)) > 1:
        caption = (
            f"{corpus}, {results.short_text(corpus, minutes)}: {method.name} less each other method, on the same "
            "recordings and seeds, with 95 % intervals. Filled where the interval excludes zero."
        )
        alt = f"Differences of {method.name} to all others on {corpus}; the numbers are in the table below."
        figure = figures.differences(results, corpus, minutes, method)
        parts.append(writer.image(figure, f"differences-{name}", alt, caption))
    parts.append(writer.table(tables.all_pairs(results, corpus)))
    yield Section(f"{corpus}: all pairs of methods", (), parts, is_folded=True)
    budget = 0.0 if minutes is None else minutes
    if results.at(corpus, budget) and results.has("beat_f", corpus):
        amount = results.short_text(corpus, budget)
        caption = f"{corpus}: types of error as shares of the recordings, without labels and with {amount}."
        alt = f"Types of error on {corpus} without and with labels."
        image = writer.image(figures.errors(results, corpus, budget), f"errors-{name}", alt, caption)
        yield Section(f"{corpus}: types of error", (), [image])
    if results.instruments_of(corpus):
        yield _instruments(results, corpus, minutes, method, writer)
    heard = listening.players(results, corpus, minutes)
    if heard is not None:
        yield Section(f"{corpus}: listen", (), [heard])
    losses = training.loss_curves(results, corpus)
    if losses:
        caption = f"{corpus}: loss on held-out labels while networks were trained, a line for each seed."
        alt = f"Losses of trainings on {corpus}; the numbers are in the table below."
        image = writer.image(training.plot_losses(results, corpus, losses), f"losses-{name}", alt, caption)
        trainings = writer.table(training.training_table(results, corpus, losses))
        yield Section(f"{corpus}: training", (), [image, trainings])


def _instruments(
    results: Results, corpus: str, minutes: float | None, method: Method | None, writer: _Writer
) -> Section:
    """Scores of each instrument, and in which stems it ended up."""
    alone = stems.one_instrument(results, corpus)
    parts: list[Image | Table] = [] if alone is None else [writer.table(alone)]
    parts.append(writer.table(stems.by_instrument(results, corpus, minutes)))
    matrix = None if minutes is None or method is None else stems.leaks(results, corpus, minutes, method)
    if matrix is not None:
        name = f"leaks-{tables.file_name(corpus)}"
        caption = (
            f"{corpus}: the darker, the more of the instrument below is in the stem at the left, in percent; mean over "
            "songs and seeds. A perfect separation would have all in the diagonal."
        )
        alt = f"Which instrument is in which stem on {corpus}; the numbers are in the table below."
        parts += [
            writer.plotted(partial(plot_leakage, panels=[matrix]), name, alt, caption),
            writer.table(stems.leak_table(matrix, corpus)),
        ]
    return Section(f"{corpus}: instruments", (), parts)


def _closing(results: Results, selection: str, writer: _Writer, sound: PlayerPage | None) -> Iterator[Section]:
    """Verdicts, changed recordings, costs, caveats and methods, over all corpora."""
    verdict_parts = [writer.table(tables.verdict_table(results))]
    paragraphs = [
        "Yes where the mean is at or above the other's; in brackets the least favourable of those compared, with the "
        "difference and its interval. A “no” whose interval includes zero cannot be distinguished from no difference."
    ]
    if selection:
        verdict_parts.append(writer.table(tables.selection(results)))
        paragraphs.append(selection)
    yield Section("Is it worth it?", paragraphs, verdict_parts, text.verdict_text(results))
    settings = axes.settings_table(results)
    if settings.rows:
        yield Section("Which settings?", (), [writer.table(settings)])
    if results.also:
        tradition = transfer.matrix(results)
        transferred = [writer.table(one) for one in (transfer.forgotten(results), tradition) if one.rows]
        yield Section("What was forgotten", (), transferred, transfer.forgotten_text(results))
    changed = [writer.table(tables.gained_and_lost(results, lost=lost)) for lost in (True, False)]
    links = []
    if sound is not None:
        size = f"{PLAYERS}, {sound.mb:.1f} MB with sound"
        words = f"Play {', '.join(sound.recordings)} with the labels and the beats before and after ({size})"
        links = [(PLAYERS, words)]
    yield Section("Recordings that got worse, and better", (), changed, links=links)
    parts: list[Image | Table] = []
    if any(not method.is_pretrained for method in results.methods) and results.costs:
        caption = "Costs of a run, over all corpora."
        parts.append(writer.image(figures.costs(results), "costs", "Time and memory by budget.", caption))
    yield Section("Costs", (), [*parts, writer.table(tables.costs(results))], is_folded=True)
    missing = [*text.missing(results), *(sound.notes if sound is not None else ())]
    yield Section("Missing results and caveats", () if missing else ("None: all runs are there.",), (), missing)
    yield Section("How it was measured", text.methods_text(results))
