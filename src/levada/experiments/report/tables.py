"""Tables of a report as rows of text, and as CSV, LaTeX and Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from levada.beat_tracking.metrics import SCORE_NAMES as BEAT_SCORE_NAMES
from levada.beat_tracking.metrics import SCORES
from levada.experiments.report.compare import (
    Comparison,
    changes,
    comparisons,
    mean,
    selection_comparisons,
    verdicts,
)
from levada.experiments.report.figures import SCORE_NAMES, text
from levada.experiments.report.results import Method, Results
from levada.learning.statistics import Interval

__all__ = [
    "Row",
    "Table",
    "all_changes",
    "all_pairs",
    "all_scores",
    "amount_text",
    "costs",
    "file_name",
    "gained_and_lost",
    "known",
    "more_scores",
    "numbers",
    "selection",
    "summary",
    "verdict_table",
    "write_latex",
    "write_markdown",
]

Row = Mapping[str, object]
MAX_CHANGES = 8  # recordings in the tables of gains and losses
PAGE_WIDTH, PAGE_LINES = 82, 44  # characters and lines of footnotesize on a page of LaTeX's article
WRAPPED, GAP = 18, 2  # characters of the widest column, and between columns
_INTERVAL = re.compile(r"([+-]?\d[\d.]*) (\[[^\]]*\]|\(range [^)]*\))")
_COSTS = ("adapt_cpu_s", "adapt_s", "score_cpu_s", "cpu_s", "wall_s", "peak_mb")
_COST_NAMES = {"adapt_cpu_s": "CPU s to adapt", "score_cpu_s": "CPU s to score", "peak_mb": "peak MB"}
_TEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "≥": r"$\geq$",
    "–": "--",
}


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Parameters
    ----------
    name : str
        Name of its files.
    caption : str
    rows : sequence of mapping
        From heading to cell; all have the same headings.
    numbers : sequence of mapping
        The same for programs, written as CSV: one unrounded number a cell. The rows, if not given.
    keys : int
        Number of leading columns that identify a row; each part of a table that is too wide repeats them.
    """

    name: str
    caption: str
    rows: Sequence[Row]
    numbers: Sequence[Row] = ()
    keys: int = 2

    @property
    def headings(self) -> list[str]:
        """Its columns."""
        return list(self.rows[0]) if self.rows else []


def all_scores(results: Results) -> Table:
    """All scores: a row for each recording of each run, for stems one for each stem."""
    has_stems = results.has("si_sdr_i")
    rows = [
        {
            "corpus": corpus, "method": method.name, **method.levels(), **_amount(results, corpus, minutes),
            "seed": row.seed,
            "run": row.run, "track": row.track, "group": row.group,
            **({"instrument": row.instrument} if has_stems else {}),
            **{name: row.scores.get(name, math.nan) for name in results.scores},
            "kind": row.kind, "detail": row.detail, "trained_on": str(row.trained_on), "error": row.error,
        }
        for (corpus, method, minutes), scored in results.table.items()
        for row in scored
    ]  # fmt: skip
    return Table("all", "Every recording in every run.", rows)


def summary(results: Results, corpus: str) -> Table:
    """Mean scores with intervals of every method and budget of a corpus."""
    names = {score: name for score, name in SCORE_NAMES.items() if results.has(score, corpus)}
    return _means(results, corpus, names, table="summary", caption=f"Mean scores on {corpus}, [95 % interval].")


def more_scores(results: Results, corpus: str) -> Table:
    """The same of the scores of beats that the summary leaves out; no rows where no run has them."""
    names = {score: name for score, name in BEAT_SCORE_NAMES.items() if score not in SCORE_NAMES}
    if not any(results.has(score, corpus) for score in names if score not in SCORES):
        return Table(f"scores-{file_name(corpus)}", "", ())
    caption = f"More scores on {corpus}, [95 % interval]; – for runs of a version of levada without them."
    return _means(results, corpus, names, table="scores", caption=caption)


def _means(results: Results, corpus: str, names: Mapping[str, str], *, table: str, caption: str) -> Table:
    """Means of scores, given with their names."""
    rows: list[Row] = []
    figures: list[Row] = []
    for minutes in (0.0, *results.budgets_of(corpus)):
        for method, _ in results.at(corpus, minutes, pretrained=False):
            means = {score: mean(results, corpus, method, minutes, score) for score in names}
            unit = results.unit_of(corpus)
            key = {"corpus": corpus, "method": method.name, **method.levels(), unit: minutes}
            figures += [{**key, "score": score, **numbers(value, "mean")} for score, value in means.items()]
            rows.append(
                {unit: f"{minutes:g}" if minutes else "–", "method": method.name}
                | ({} if unit == "minutes" else {"minutes": _labelled(results, corpus, method, minutes)})
                | {"seeds": _seeds(results, corpus, method, minutes)}
                | known(results, corpus, method, minutes)
                | {names[score]: text(score, value) for score, value in means.items()}
            )
    caption += (
        f" Rows with as many {results.unit_of(corpus)} are means over the seeds that all of them have, and so over the "
        "same recordings."
    )
    return Table(f"{table}-{file_name(corpus)}", caption, rows, figures, keys=3)


def _amount(results: Results, corpus: str, amount: float) -> dict[str, object]:
    """Column of a budget, for programs; in words where corpora have budgets of several units."""
    unit = results.unit_of()
    return {unit: results.short_text(corpus, amount) if unit == "budget" and amount else amount}


def amount_text(results: Results, corpus: str, amount: float) -> dict[str, object]:
    """The same for readers."""
    ((unit, value),) = _amount(results, corpus, amount).items()
    return {unit: "–" if not amount else f"{value:g}" if isinstance(value, float) else value}


def _labelled(results: Results, corpus: str, method: Method, amount: float) -> str:
    """Minutes of labels that a budget of another unit came to, as a mean over runs."""
    minutes = [one for one in results.labelled_min.get((corpus, method, amount), ()) if not math.isnan(one)]
    return f"{sum(minutes) / len(minutes):.2f}" if amount and minutes else "–"


def _seeds(results: Results, corpus: str, method: Method, minutes: float) -> str:
    """Number of seeds that a row is a mean of, and of all seeds of the corpus where these are more."""
    most, common = len(results.seeds_of(corpus)), results.common_seeds(corpus, minutes)
    count = len(common or results.seeds_of(corpus, minutes, method))
    return f"{count}{f' of {most}' if count < most else ''}{'' if common else ', not those of others'}"


def known(results: Results, corpus: str, method: Method, minutes: float) -> dict[str, str]:
    """Column with the number of scored instruments that a method knows; no column for beats."""
    if not results.has("si_sdr_i", corpus):
        return {}
    counts = results.known_of(corpus, method, minutes)
    return {"instruments known": "–" if counts is None else f"{counts[0]} of {counts[1]}"}


def all_pairs(results: Results, corpus: str) -> Table:
    """All pairs of methods at each budget."""
    found = comparisons(results, (*results.main, "downbeat_cmlt"), corpus=corpus)
    rows = [
        {
            **amount_text(results, corpus, one.minutes),
            "method": one.first.name,
            "against": one.second.name,
            **_difference(one),
        }
        | {name: getattr(one.difference, name) for name in ("recordings", "groups", "seeds")}
        for one in found
        if one.difference.values
    ]
    caption = f"Paired differences on {corpus}: method less the other."
    return Table(f"pairs-{file_name(corpus)}", caption, rows, _compared(results, found), keys=4)


def verdict_table(results: Results) -> Table:
    """Whether each method is at or above its base, every other model without labels, and training from scratch."""
    found = verdicts(results, results.main)
    rows = [
        {
            "corpus": one.corpus, **amount_text(results, one.corpus, one.minutes), "method": one.method.name,
            "score": SCORE_NAMES[one.score], "value": text(one.score, one.value), "≥ base": _holds(one.base),
            "≥ best other model": _holds(one.external), "≥ scratch": _holds(one.scratch),
        }
        for one in found
    ]  # fmt: skip
    compared = [c for one in found for c in (one.base, one.external, one.scratch) if c is not None]
    caption = "At or above its base, the best other model without labels, and the same labels from scratch?"
    return Table("verdicts", caption, rows, _compared(results, compared), keys=4)


def selection(results: Results) -> Table:
    """Each scheme of selection against drawing at random."""
    found = selection_comparisons(results, results.main)
    rows = [
        {
            "corpus": one.corpus,
            **amount_text(results, one.corpus, one.minutes),
            "method": one.first.name,
            **_difference(one),
        }
        for one in found
        if one.difference.values
    ]
    return Table("selection", "Schemes of selection less drawing at random.", rows, _compared(results, found))


def costs(results: Results) -> Table:
    """Seconds and memory of the runs of every method and budget."""
    rows: list[Row] = []
    for (corpus, method, minutes), runs in results.costs.items():
        cells = {}
        for key, name in _COST_NAMES.items():
            values = [float(run[key]) for run in runs if key in run and not math.isnan(float(run[key]))]
            cells[name] = f"{sum(values) / len(values):.1f}" if values else "–"
        rows.append({"corpus": corpus} | amount_text(results, corpus, minutes) | {"method": method.name} | cells)
    figures = [
        {
            "corpus": results.corpus_of[run.id], "method": results.method_of[run.id].name,
            **_amount(results, results.corpus_of[run.id], run.budget.amount), "seed": run.seed, "run": run.id,
            **{name: float(run.costs.get(name, math.nan)) for name in _COSTS},
        }
        for run in results.runs
    ]  # fmt: skip
    return Table("costs", "Mean cost of a run.", rows, figures)


def gained_and_lost(results: Results, *, lost: bool) -> Table:
    """The recordings that changed most with labels, at the main budget of each corpus."""
    from levada.experiments.report.text import leading_method, main_budget

    rows, has_kinds = [], results.labels_of() != "stems"
    for corpus in results.corpora:
        minutes = main_budget(results, corpus)
        method = None if minutes is None else leading_method(results, corpus, minutes)
        found = [
            one
            for score in results.main
            for one in changes(results, score)
            if (one.corpus, one.method, one.minutes) == (corpus, method, minutes)
            if (one.gain < -0.01 if lost else one.gain > 0.01)
        ]
        found.sort(key=lambda one: one.gain, reverse=not lost)
        for one in found[:MAX_CHANGES]:
            kinds = {"error before": one.kind_before, "error after": one.kind_after} if has_kinds else {}
            rows.append({
                "corpus": corpus, "recording": one.track,
                "method": f"{one.method.name}, {results.short_text(corpus, one.minutes)}",
                "score": SCORE_NAMES[one.score], "before": f"{one.before:.2f}", "after": f"{one.after:.2f}", **kinds,
            })  # fmt: skip
    name = "lost" if lost else "gained"
    return Table(name, f"Recordings that {name} most, against the base without labels.", rows)


def all_changes(results: Results) -> Table:
    """Every recording without and with labels, for every method and budget."""
    rows = [
        {
            "corpus": one.corpus, "method": one.method.name, **_amount(results, one.corpus, one.minutes),
            "base": one.base.base, "track": one.track, "group": one.group, "score": one.score,
            "before": one.before, "after": one.after, "gain": one.gain, "seeds": one.seeds,
            "kind_before": one.kind_before, "kind_after": one.kind_after,
        }
        for score in results.main
        for one in changes(results, score)
    ]  # fmt: skip
    return Table("changes", "Every recording without and with labels.", rows)


def write_markdown(table: Table, path: Path) -> None:
    """Write a table as Markdown, for pages such as a README."""
    lines: list[Sequence[object]] = [table.headings, ["---"] * len(table.headings)]
    lines += [list(row.values()) for row in table.rows]
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines]
    path.write_text("".join(f"| {' | '.join(line)} |\n" for line in cells) if table.rows else "", encoding="utf-8")


def write_latex(table: Table, path: Path) -> None:
    """Write a table as LaTeX, for booktabs: as many floats as it takes for each to fit a page of 345 by 550 points.

    Ends of intervals stand under their means. Columns that do not fit beside the others follow in a float of their own,
    with the columns that identify a row before them.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader(__package__), block_start_string="((*", block_end_string="*))",
        variable_start_string="(((", variable_end_string=")))", comment_start_string="((=", comment_end_string="=))",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"tex": _escape_tex, "cell": lambda cell: _tex_cell(str(cell))}
    floats = [(columns, rows) for columns in _columns(table) for rows in _pages(table, columns)]
    alignment = {name: _alignment(table, name) for name in table.headings}
    latex = environment.get_template("table.tex")
    path.write_text(latex.render(caption=table.caption, floats=floats, alignment=alignment), encoding="utf-8")


def _columns(table: Table) -> list[list[str]]:
    """Columns of each part of a table, so that none is wider than a page."""
    keys, parts = table.headings[: table.keys], [list[str]()]
    used = start = sum(_width(table, name) for name in keys)
    for name in table.headings[table.keys :]:
        used += _width(table, name)
        if used > PAGE_WIDTH and parts[-1]:
            parts.append([])
            used = start + _width(table, name)
        parts[-1].append(name)
    return [[*keys, *part] for part in parts]


def _pages(table: Table, columns: Sequence[str]) -> Iterator[list[Row]]:
    """Rows of each float of some columns, so that none is longer than a page."""
    page, used = list[Row](), 0
    for row in table.rows:
        lines = max((_height(table, name, str(row[name])) for name in columns), default=1)
        if page and used + lines > PAGE_LINES:
            yield page
            page, used = [], 0
        page.append(row)
        used += lines
    yield page


def _height(table: Table, name: str, cell: str) -> int:
    """Lines of a cell."""
    return 2 if _INTERVAL.fullmatch(cell) else math.ceil(len(cell) / (_width(table, name) - GAP))


def _width(table: Table, name: str) -> int:
    """Characters of a column, with the gap beside it; long texts are wrapped."""
    cells = [str(row[name]) for row in table.rows]
    matches = [(cell, _INTERVAL.fullmatch(cell)) for cell in cells]
    widths = [0.8 * len(_short_ends(match[2])) if match else len(cell) for cell, match in matches]
    return GAP + math.ceil(min(WRAPPED, max([len(name), *widths])))


def _alignment(table: Table, name: str) -> str:
    longest = max((len(str(row[name])) for row in table.rows if not _INTERVAL.fullmatch(str(row[name]))), default=0)
    return f"p{{{WRAPPED / 2:g}em}}" if longest > WRAPPED else "l"


def _short_ends(text: str) -> str:
    """The ends of an interval, shorter for print."""
    match = re.fullmatch(r"\(range (.*) to (.*), .*\)", text)
    return f"range {match[1]} to {match[2]}" if match else text


def _tex_cell(text: str) -> str:
    match = _INTERVAL.fullmatch(text)
    if not match:
        return _escape_tex(text)
    return rf"\shortstack[l]{{{_escape_tex(match[1])}\\{{\scriptsize {_escape_tex(_short_ends(match[2]))}}}}}"


def _escape_tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def numbers(value: Interval, name: str) -> dict[str, object]:
    """An interval as columns of a CSV."""
    return {
        name: value.mean, "low": value.low, "high": value.high, "ends": value.kind, "over": value.over,
        "values": value.values, "recordings": value.recordings, "groups": value.groups, "seeds": value.seeds,
    }  # fmt: skip


def _compared(results: Results, found: Iterable[Comparison]) -> list[Row]:
    """Comparisons as rows of a CSV."""
    return [
        {
            "corpus": one.corpus, **_amount(results, one.corpus, one.minutes), "score": one.score,
            "first": one.first.name, "second": one.second.name, **numbers(one.difference, "difference"),
            "verdict": one.verdict,
        }
        for one in found
        if one.difference.values
    ]  # fmt: skip


def _difference(one: Comparison) -> dict[str, str]:
    difference = text(one.score, one.difference, sign="+")
    return {"score": SCORE_NAMES[one.score], "difference": difference, "verdict": one.verdict}


def _holds(one: Comparison | None) -> str:
    if one is None:
        return "–"
    return f"{'yes' if one.holds else 'no'} ({one.second.name} {text(one.score, one.difference, sign='+')})"


def file_name(name: str) -> str:
    """The name of a corpus as part of the name of a file."""
    return "".join(character if character.isalnum() or character in "-_" else "-" for character in name) or "corpus"
