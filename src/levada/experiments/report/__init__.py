"""What came of a study: one page that works offline, figures a paper can print, tables as CSV, LaTeX and Markdown.

- `results`: runs as one table of scores.
- `compare`: arm against arm, verdicts, recordings that changed.
- `gaps`: what was left out, is not done, or is not alike.
- `stems`: instrument by instrument, and which instrument ended up in which stem.
- `words`, `figures`, `tables`, `page`: the same for readers.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from levada.experiments.report import figures, stems, tables
from levada.experiments.report import text as words
from levada.experiments.report.page import Image, Section, page
from levada.experiments.report.results import Arm, Results, collect
from levada.experiments.report.tables import Table
from levada.experiments.store import read_runs
from levada.io.files import atomic_folder
from levada.separation.plots import plot_leakage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAGE", "ReportSummary", "write_report"]

PAGE = "index.html"


@dataclass(frozen=True)
class ReportSummary:
    """What was written.

    Parameters
    ----------
    page : Path
    runs : int
        Runs with scores.
    failed : int
        Runs without.
    findings : tuple of str
        What came out, in sentences.
    """

    page: Path
    runs: int
    failed: int
    findings: tuple[str, ...]


def write_report(
    runs: str | Path, *, out: str | Path, force: bool = False, progress: Callable[[int, int], None] | None = None
) -> ReportSummary:
    """Write the report of a folder of runs.

    Parameters
    ----------
    runs : path-like
        The folder that `levada study` filled.
    out : path-like
        The folder of the report: `index.html`, `figures/` (PDF, SVG, PNG) and `tables/` (CSV, LaTeX, Markdown).
    force : bool
        Whether a report that exists may be replaced.
    progress : callable, optional
        Told parts made, and of how many.

    Returns
    -------
    ReportSummary

    Raises
    ------
    InputError
        If there are no runs, or the report exists or cannot be written.
    MissingExtra
        If matplotlib is not installed.
    """
    results = collect(read_runs(runs))
    parts = 4 * len(results.corpora) + 3
    made = 0

    def one_more() -> None:
        nonlocal made
        made += 1
        if progress is not None:
            progress(made, parts)

    findings = words.findings(results)
    chosen = words.on_selection(results)
    with atomic_folder(out, marker=PAGE, force=force) as temporary:
        writer = _Writer(temporary)
        sections: list[Section] = []
        for corpus in results.corpora:
            sections += _corpus(results, corpus, writer, one_more)
        sections.append(_verdicts(results, chosen, writer))
        one_more()
        sections.append(_changes(results, writer))
        sections.append(_costs(results, writer))
        one_more()
        gone = words.missing(results)
        none = () if gone else ("Nothing: all runs are there.",)
        sections.append(Section("What is missing, and what to beware of", none, (), gone))
        sections.append(Section("How it was measured", words.about(results)))
        tables.write_csv(tables.every(results), writer.tables / "all.csv")
        tables.write_csv(tables.every_change(results), writer.tables / "changes.csv")
        studies = ", ".join(sorted({run.study for run in results.runs}))
        title = f"How many minutes, which strategy: {studies}" if studies else "A study without scores"
        lead = [*findings, *([chosen] if chosen else [])]
        foot = f"Made by levada from {len(results.runs)} runs. Figures are in figures/, tables in tables/."
        (temporary / PAGE).write_text(page(title, lead, sections, foot=foot), encoding="utf-8")
        one_more()
    return ReportSummary(Path(out) / PAGE, len(results.runs), len(results.failed), tuple(findings))


class _Writer:
    """Puts figures and tables into their folders, and hands back what the page shows of them."""

    def __init__(self, folder: Path) -> None:
        self.figures, self.tables = folder / "figures", folder / "tables"
        self.figures.mkdir()
        self.tables.mkdir()

    def image(self, figure: Figure, name: str, words: str, caption: str) -> Image:
        figures.save(figure, self.figures, name)
        return Image(figures.as_image(figure), words, caption)

    def drawn(self, draw: Callable[[Path], None], name: str, words: str, caption: str) -> Image:
        """A picture that somebody else draws into a file."""
        for suffix in figures.SUFFIXES:
            draw(self.figures / f"{name}{suffix}")
        shown = base64.b64encode((self.figures / f"{name}.png").read_bytes()).decode("ascii")
        return Image(f"data:image/png;base64,{shown}", words, caption)

    def table(self, table: Table) -> Table:
        tables.write_csv(table, self.tables / f"{table.name}.csv")
        tables.write_latex(table, self.tables / f"{table.name}.tex")
        tables.write_markdown(table, self.tables / f"{table.name}.md")
        return table


def _corpus(results: Results, corpus: str, writer: _Writer, done: Callable[[], None]) -> Iterator[Section]:
    """Curves and means of a corpus; arm against arm; kinds of error."""
    scored = writer.table(tables.summary(results, corpus))
    parts: list[Image | Table] = []
    labels = results.labels_of(corpus)
    name = scored.name.removeprefix("summary-")
    if scored.rows and any(results.has(score, corpus) for score in figures.NAMES):
        caption = (
            f"{corpus}: scores against minutes of {labels} (logarithmic); models without {labels} at the left edge, "
            "the one that is adapted as a dotted line through all budgets. "
            "Lines down and up are 95 % intervals; points stand a little apart so that they can be seen; hollow ones "
            "have fewer seeds, and so other recordings, than the rest."
        )
        words_of = f"Learning curves on {corpus}; the numbers are in the table below."
        parts.append(writer.image(figures.curves(results, corpus), f"curves-{name}", words_of, caption))
    done()
    yield Section(f"{corpus}: scores by minutes of {labels}", (), [*parts, scored])
    minutes = words.main_budget(results, corpus)
    arm = None if minutes is None else words.leading(results, corpus, minutes)
    parts = []
    if minutes is not None and arm is not None and len(results.at(corpus, minutes)) > 1:
        caption = (
            f"{corpus}, {minutes:g} minutes: {arm.name} less each other, on the same recordings and seeds, with 95 % "
            "intervals. Filled where the interval leaves zero out."
        )
        words_of = f"Differences of {arm.name} to all others on {corpus}; the numbers are in the table below."
        parts.append(
            writer.image(figures.differences(results, corpus, minutes, arm), f"differences-{name}", words_of, caption)
        )
    done()
    yield Section(
        f"{corpus}: each against each", (), [*parts, writer.table(tables.pairs(results, corpus))], folded=True
    )
    done()
    budget = 0.0 if minutes is None else minutes
    if results.at(corpus, budget) and results.has("beat_f", corpus):
        caption = (
            f"{corpus}: what is wrong, as shares of the recordings scored, without labels and with {budget:g} minutes."
        )
        words_of = f"Kinds of error on {corpus} before and after labels."
        image = writer.image(figures.errors(results, corpus, budget), f"errors-{name}", words_of, caption)
        yield Section(f"{corpus}: kinds of error", (), [image])
    if results.instruments_of(corpus):
        yield _instruments(results, corpus, minutes, arm, writer)
    done()


def _instruments(results: Results, corpus: str, minutes: float | None, arm: Arm | None, writer: _Writer) -> Section:
    """Instrument by instrument, and where the sound of each went."""
    parts: list[Image | Table] = [writer.table(stems.by_instrument(results, corpus, minutes))]
    matrix = None if minutes is None or arm is None else stems.leaks(results, corpus, minutes, arm)
    if matrix is not None:
        name = f"leaks-{tables.file_name(corpus)}"
        caption = (
            f"{corpus}: the darker, the more of the instrument below is in the stem at the left, in percent; mean over "
            "songs and seeds. All in the diagonal would be all in its place."
        )
        words_of = f"Which instrument is in which stem on {corpus}; the numbers are in the table below."
        parts += [
            writer.drawn(partial(plot_leakage, panels=[matrix]), name, words_of, caption),
            writer.table(stems.leak_table(matrix, corpus)),
        ]
    return Section(f"{corpus}: instruments", (), parts)


def _verdicts(results: Results, chosen: str, writer: _Writer) -> Section:
    """Whether labels pay: against base, rivals and scratch; whether choosing them pays."""
    parts = [writer.table(tables.sure(results))]
    if chosen:
        parts.append(writer.table(tables.schemes(results)))
    said = (
        "Yes where the mean is at or above the other's; in brackets the least favourable of those compared, with the "
        "difference and its interval. A “no” whose interval has zero inside is not told apart from nothing.",
        *([chosen] if chosen else []),
    )
    return Section("Is it worth it?", said, parts, words.worth(results))


def _changes(results: Results, writer: _Writer) -> Section:
    parts = [writer.table(tables.gained_and_lost(results, lost=lost)) for lost in (True, False)]
    return Section("Recordings that got worse, and better", (), parts)


def _costs(results: Results, writer: _Writer) -> Section:
    parts: list[Image | Table] = []
    if any(not arm.untouched for arm in results.arms) and results.costs:
        caption = "What a run costs, over all corpora."
        parts.append(writer.image(figures.costs(results), "costs", "Time and memory by budget.", caption))
    return Section("What it cost", (), [*parts, writer.table(tables.costs(results))], folded=True)
