"""Tables of a report as rows of text, and as CSV, LaTeX and Markdown."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from levada.experiments.report.compare import Comparison, Verdict, changes, comparisons, mean, selections, verdicts
from levada.experiments.report.figures import NAMES, text
from levada.experiments.report.results import Arm, Results
from levada.io.text import escape_csv_cell
from levada.learning.statistics import Interval

__all__ = [
    "Row",
    "Table",
    "costs",
    "every",
    "every_change",
    "file_name",
    "gained_and_lost",
    "known",
    "numbers",
    "pairs",
    "schemes",
    "summary",
    "sure",
    "write_csv",
    "write_latex",
    "write_markdown",
]

Row = Mapping[str, object]
CHANGED = 8
PAGE_WIDTH, PAGE_LINES = 82, 44  # characters and lines of footnotesize on a page of LaTeX's article
WRAPPED, GAP = 18, 2  # characters of the widest column, and between columns
_INTERVAL = re.compile(r"([+-]?\d[\d.]*) (\[[^\]]*\]|\(range [^)]*\))")
_COSTS = ("adapt_cpu_s", "adapt_s", "score_cpu_s", "cpu_s", "wall_s", "peak_mb")


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Parameters
    ----------
    name : str
        Of its files.
    caption : str
    rows : sequence of mapping
        From heading to cell; all have the same headings.
    numbers : sequence of mapping
        The same for programs, which is what its CSV has: one number a cell, all digits. The rows, if not given.
    keys : int
        How many of the first columns say what a row is about: a part of a table that is too wide repeats them.
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


def every(results: Results) -> Table:
    """All that was measured: a row a recording and run, for stems one a stem."""
    stems = results.has("si_sdr_i")
    rows = [
        {
            "corpus": corpus, "arm": arm.name, **arm.levels(), "minutes": minutes, "seed": row.seed, "run": row.run,
            "track": row.track, "group": row.group, **({"instrument": row.instrument} if stems else {}),
            **{name: row.scores.get(name, math.nan) for name in results.scores},
            "kind": row.kind, "detail": row.detail, "trained_on": str(row.trained_on), "error": row.error,
        }
        for (corpus, arm, minutes), scored in results.table.items()
        for row in scored
    ]  # fmt: skip
    return Table("all", "Every recording in every run.", rows)


def summary(results: Results, corpus: str) -> Table:
    """Mean scores with intervals of every arm and budget of a corpus."""
    rows: list[Row] = []
    digits: list[Row] = []
    scores = [score for score in NAMES if results.has(score, corpus)]
    for minutes in (0.0, *results.budgets_of(corpus)):
        for arm, _ in results.at(corpus, minutes, zero=False):
            means = {score: mean(results, corpus, arm, minutes, score) for score in scores}
            digits += [
                {"corpus": corpus, "arm": arm.name, **arm.levels(), "minutes": minutes, "score": score}
                | dict(numbers(one, "mean"))
                for score, one in means.items()
            ]
            found = {NAMES[score]: text(score, one) for score, one in means.items()}
            row = {"minutes": f"{minutes:g}" if minutes else "–", "arm": arm.name}
            row |= {"seeds": _seeds(results, corpus, arm, minutes), **known(results, corpus, arm, minutes)}
            rows.append(row | found)
    caption = (
        f"Mean scores on {corpus}, [95 % interval]. Rows with as many minutes are means over the seeds that all "
        "of them have, and so over the same recordings."
    )
    return Table(f"summary-{file_name(corpus)}", caption, rows, digits, keys=3)


def _seeds(results: Results, corpus: str, arm: Arm, minutes: float) -> str:
    """How many seeds a row is a mean of, and of how many where that is not all of the corpus."""
    most = len({row.seed for key, rows in results.table.items() if key[0] == corpus for row in rows if row.scores})
    common = results.common_seeds(corpus, minutes)
    own = len(common or results.seeds_of(corpus, arm, minutes))
    return f"{own}{f' of {most}' if own < most else ''}{'' if common else ', not those of others'}"


def known(results: Results, corpus: str, arm: Arm, minutes: float) -> dict[str, str]:
    """How many of the instruments that it was scored on an arm knows, as a column; no column for beats."""
    if not results.has("si_sdr_i", corpus):
        return {}
    counts = results.known_of(corpus, arm, minutes)
    return {"instruments known": "–" if counts is None else f"{counts[0]} of {counts[1]}"}


def pairs(results: Results, corpus: str) -> Table:
    """Each arm against each other at each budget."""
    found = comparisons(results, (*results.main, "downbeat_cmlt"), corpus=corpus)
    rows = [
        {
            "minutes": f"{one.minutes:g}" if one.minutes else "–", "arm": one.first.name, "against": one.second.name,
            "score": NAMES[one.score], "difference": _signed(one), "verdict": one.verdict,
            "recordings": one.difference.recordings, "groups": one.difference.groups, "seeds": one.difference.seeds,
        }
        for one in found
        if one.difference.values
    ]  # fmt: skip
    return Table(
        f"pairs-{file_name(corpus)}",
        f"Paired differences on {corpus}: arm less the other.",
        rows,
        _compared(found),
        keys=4,
    )


def sure(results: Results) -> Table:
    """Whether each arm is at or above its base, every rival without labels, and training from scratch."""
    every = verdicts(results, results.main)
    rows = [
        {
            "corpus": one.corpus, "minutes": f"{one.minutes:g}", "arm": one.arm.name, "score": NAMES[one.score],
            "value": text(one.score, one.value), "≥ base": _holds(one.base), "≥ best rival": _holds(one.rival),
            "≥ scratch": _holds(one.scratch),
        }
        for one in every
    ]  # fmt: skip
    return Table(
        "verdicts",
        "At or above the model it began with, the best untouched rival, and the same labels from scratch?",
        rows,
        _compared([c for one in every for c in (one.base, one.rival, one.scratch) if c is not None]),
        keys=4,
    )


def schemes(results: Results) -> Table:
    """Each scheme of selection against drawing at random."""
    found = selections(results, results.main)
    rows = [
        {
            "corpus": one.corpus, "minutes": f"{one.minutes:g}", "arm": one.first.name, "score": NAMES[one.score],
            "difference": _signed(one), "verdict": one.verdict,
        }
        for one in found
        if one.difference.values
    ]  # fmt: skip
    return Table("selection", "Schemes of selection less drawing at random.", rows, _compared(found))


def costs(results: Results) -> Table:
    """Seconds and memory of the runs of every arm and budget."""
    rows = []
    for (corpus, arm, minutes), runs in results.costs.items():
        means = {
            name: [float(run[key]) for run in runs if key in run and not math.isnan(float(run[key]))]
            for name, key in (
                ("CPU s to adapt", "adapt_cpu_s"),
                ("CPU s to score", "score_cpu_s"),
                ("peak MB", "peak_mb"),
            )
        }
        cells = {name: f"{sum(of) / len(of):.1f}" if of else "–" for name, of in means.items()}
        rows.append({"corpus": corpus, "minutes": f"{minutes:g}" if minutes else "–", "arm": arm.name, **cells})
    digits = [
        {
            "corpus": results.corpus_of[run.id], "arm": results.arm_of[run.id].name, "minutes": float(run.minutes),
            "seed": run.seed, "run": run.id, **{name: float(run.costs.get(name, math.nan)) for name in _COSTS},
        }
        for run in results.runs
    ]  # fmt: skip
    return Table("costs", "Mean cost of a run.", rows, digits)


def gained_and_lost(results: Results, *, lost: bool) -> Table:
    """The recordings that changed most under labels, at the main budgets of each corpus."""
    from levada.experiments.report.text import leading, main_budget

    rows, beats = [], results.labels_of() != "stems"
    for corpus in results.corpora:
        minutes = main_budget(results, corpus)
        arm = None if minutes is None else leading(results, corpus, minutes)
        found = [
            one
            for score in results.main
            for one in changes(results, score)
            if one.corpus == corpus and one.arm == arm and one.minutes == minutes
        ]
        found.sort(key=lambda one: one.gain, reverse=not lost)
        rows += [
            {
                "corpus": corpus, "recording": one.track, "arm": f"{one.arm.name}, {one.minutes:g} min",
                "score": NAMES[one.score], "before": f"{one.before:.2f}", "after": f"{one.after:.2f}",
                **({"what was wrong before": one.kind_before, "what is wrong after": one.kind_after} if beats else {}),
            }
            for one in found[:CHANGED]
            if (one.gain < -0.01 if lost else one.gain > 0.01)
        ]  # fmt: skip
    what = "lost" if lost else "gained"
    return Table(what, f"Recordings that {what} most, against the untouched base.", rows)


def every_change(results: Results) -> Table:
    """Every recording before and after labels, for every arm and budget."""
    rows = [
        {
            "corpus": one.corpus, "arm": one.arm.name, "minutes": one.minutes, "base": one.base.base,
            "track": one.track, "group": one.group, "score": one.score, "before": one.before, "after": one.after,
            "gain": one.gain, "seeds": one.seeds, "kind_before": one.kind_before, "kind_after": one.kind_after,
        }
        for score in results.main
        for one in changes(results, score)
    ]  # fmt: skip
    return Table("changes", "Every recording before and after labels.", rows)


def write_csv(table: Table, path: Path) -> None:
    """Write a table as CSV: its numbers where it has some."""
    rows = table.numbers or table.rows
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["nothing"])
        writer.writeheader()
        for row in rows:
            writer.writerow({key: escape_csv_cell(_plain(cell)) for key, cell in row.items()})


def write_markdown(table: Table, path: Path) -> None:
    """Write a table as Markdown, for pages such as a README."""
    lines: list[Sequence[object]] = [table.headings, ["---"] * len(table.headings)]
    lines += [list(row.values()) for row in table.rows]
    cells = [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in lines]
    path.write_text("".join(f"| {' | '.join(line)} |\n" for line in cells) if table.rows else "", encoding="utf-8")


def write_latex(table: Table, path: Path) -> None:
    """Write a table as LaTeX, for booktabs: as many floats as it takes for each to fit a page of 345 by 550 points.

    Ends of intervals stand under their means. Columns that do not fit beside the others follow in a float of their own,
    with the columns that say what a row is about before them.
    """
    floats = [(columns, rows) for columns in _columns(table) for rows in _pages(table, columns)]
    text = io.StringIO()
    text.write("% \\usepackage{booktabs}\n")
    for number, (columns, rows) in enumerate(floats, start=1):
        part = f" ({number} of {len(floats)})" if len(floats) > 1 else ""
        text.write("\\begin{table}\n\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}\n")
        text.write(f"\\caption{{{_escaped(table.caption + part)}}}\n")
        text.write("\\begin{tabular}{" + "".join(_alignment(table, name) for name in columns) + "}\n\\toprule\n")
        text.write(_line(columns) + "\\midrule\n")
        for row in rows:
            text.write(_line(row[name] for name in columns))
        text.write("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
    path.write_text(text.getvalue(), encoding="utf-8")


def _columns(table: Table) -> list[list[str]]:
    """Give the columns of each part of a table, so that none is wider than a page."""
    keys, parts = table.headings[: table.keys], [list[str]()]
    taken = start = sum(_width(table, name) for name in keys)
    for name in table.headings[table.keys :]:
        taken += _width(table, name)
        if taken > PAGE_WIDTH and parts[-1]:
            parts.append([])
            taken = start + _width(table, name)
        parts[-1].append(name)
    return [[*keys, *part] for part in parts]


def _pages(table: Table, columns: Sequence[str]) -> Iterator[list[Row]]:
    """Give the rows of each float of some columns, so that none is longer than a page."""
    page, taken = list[Row](), 0
    for row in table.rows:
        lines = max((_height(table, name, str(row[name])) for name in columns), default=1)
        if page and taken + lines > PAGE_LINES:
            yield page
            page, taken = [], 0
        page.append(row)
        taken += lines
    yield page


def _height(table: Table, name: str, cell: str) -> int:
    """Lines that a cell takes."""
    return 2 if _INTERVAL.fullmatch(cell) else math.ceil(len(cell) / (_width(table, name) - GAP))


def _width(table: Table, name: str) -> int:
    """Characters that a column takes, with the gap beside it; long texts are wrapped."""
    ends = [_INTERVAL.fullmatch(str(row[name])) for row in table.rows]
    cells = [
        0.8 * len(_ends(one[2])) if one else len(str(row[name])) for one, row in zip(ends, table.rows, strict=True)
    ]
    return GAP + math.ceil(min(WRAPPED, max([len(name), *cells])))


def _alignment(table: Table, name: str) -> str:
    longest = max((len(str(row[name])) for row in table.rows if not _INTERVAL.fullmatch(str(row[name]))), default=0)
    return f"p{{{WRAPPED / 2:g}em}}" if longest > WRAPPED else "l"


def _ends(text: str) -> str:
    """The ends of an interval, shorter for print."""
    found = re.fullmatch(r"\(range (.*) to (.*), .*\)", text)
    return f"range {found[1]} to {found[2]}" if found else text


def _line(cells: Iterable[object]) -> str:
    return " & ".join(_cell(str(cell)) for cell in cells) + " \\\\\n"


def _cell(text: str) -> str:
    found = _INTERVAL.fullmatch(text)
    if not found:
        return _escaped(text)
    return rf"\shortstack[l]{{{_escaped(found[1])}\\{{\scriptsize {_escaped(_ends(found[2]))}}}}}"


def _escaped(text: str) -> str:
    special = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "≥": r"$\geq$",
        "–": "--",
    }
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def _plain(cell: object) -> object:
    return "" if isinstance(cell, float) and math.isnan(cell) else cell


def numbers(found: Interval, name: str) -> dict[str, object]:
    """An interval as columns of a CSV."""
    return {
        name: found.mean, "low": found.low, "high": found.high, "ends": found.kind, "over": found.over,
        "values": found.values, "recordings": found.recordings, "groups": found.groups, "seeds": found.seeds,
    }  # fmt: skip


def _compared(found: Iterable[Comparison]) -> list[Row]:
    """Comparisons as rows of a CSV."""
    return [
        {
            "corpus": one.corpus, "minutes": one.minutes, "score": one.score, "first": one.first.name,
            "second": one.second.name, **numbers(one.difference, "difference"), "verdict": one.verdict,
        }
        for one in found
        if one.difference.values
    ]  # fmt: skip


def _signed(one: Comparison) -> str:
    return text(one.score, one.difference, sign="+")


def _holds(found: Comparison | None) -> str:
    holds = Verdict.holds(found)
    if found is None or holds is None:
        return "–"
    return f"{'yes' if holds else 'no'} ({found.second.name} {_signed(found)})"


def file_name(name: str) -> str:
    """A corpus as part of the name of a file."""
    return "".join(character if character.isalnum() or character in "-_" else "-" for character in name) or "corpus"
