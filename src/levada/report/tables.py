"""Tables of a report as rows of text, and as CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from levada.report.compare import Comparison, Verdict, changes, comparisons, mean, selections, verdicts
from levada.report.figures import NAMES
from levada.report.intervals import Estimate
from levada.report.results import Results

__all__ = [
    "Row",
    "Table",
    "costs",
    "every",
    "every_change",
    "file_name",
    "gained_and_lost",
    "numbers",
    "pairs",
    "schemes",
    "summary",
    "sure",
    "write_csv",
    "write_latex",
]

Row = Mapping[str, object]
CHANGED = 8
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
    """

    name: str
    caption: str
    rows: Sequence[Row]
    numbers: Sequence[Row] = ()

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
            found = {NAMES[score]: one.short for score, one in means.items()}
            seeds = len({row.seed for row in results.table[corpus, arm, minutes]})
            rows.append({"minutes": f"{minutes:g}" if minutes else "–", "arm": arm.name, "seeds": seeds, **found})
    return Table(f"summary-{file_name(corpus)}", f"Mean scores on {corpus}, [95 % interval].", rows, digits)


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
        f"pairs-{file_name(corpus)}", f"Paired differences on {corpus}: arm less the other.", rows, _compared(found)
    )


def sure(results: Results) -> Table:
    """Whether each arm is at or above its base, every rival without labels, and training from scratch."""
    every = verdicts(results, results.main)
    rows = [
        {
            "corpus": one.corpus, "minutes": f"{one.minutes:g}", "arm": one.arm.name, "score": NAMES[one.score],
            "value": one.value.short, "≥ base": _holds(one.base), "≥ best rival": _holds(one.rival),
            "≥ scratch": _holds(one.scratch),
        }
        for one in every
    ]  # fmt: skip
    return Table(
        "verdicts",
        "At or above the model it began with, the best untouched rival, and the same labels from scratch?",
        rows,
        _compared([c for one in every for c in (one.base, one.rival, one.scratch) if c is not None]),
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
    from levada.report.words import leading, main_budget

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
            writer.writerow({key: _plain(cell) for key, cell in row.items()})


def write_latex(table: Table, path: Path) -> None:
    """Write a table as LaTeX, for booktabs."""
    text = io.StringIO()
    text.write("% \\usepackage{booktabs}\n\\begin{table}\n\\centering\\small\n")
    text.write(f"\\caption{{{_escaped(table.caption)}}}\n")
    text.write("\\begin{tabular}{" + "l" * max(1, len(table.headings)) + "}\n\\toprule\n")
    text.write(_line(table.headings) + "\\midrule\n")
    for row in table.rows:
        text.write(_line(row.values()))
    text.write("\\bottomrule\n\\end{tabular}\n\\end{table}\n")
    path.write_text(text.getvalue(), encoding="utf-8")


def _line(cells: Iterable[object]) -> str:
    return " & ".join(_escaped(str(cell)) for cell in cells) + " \\\\\n"


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


def numbers(found: Estimate, name: str) -> dict[str, object]:
    """An estimate as columns of a CSV."""
    return {
        name: found.mean, "low": found.low, "high": found.high, "values": found.values,
        "recordings": found.recordings, "groups": found.groups, "seeds": found.seeds, "resampled": found.resampled,
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
    gap = one.difference
    ends = "" if math.isnan(gap.low) else f" [{gap.low:+.3f}, {gap.high:+.3f}]"
    return f"{gap.mean:+.3f}{ends}"


def _holds(found: Comparison | None) -> str:
    holds = Verdict.holds(found)
    if found is None or holds is None:
        return "–"
    return f"{'yes' if holds else 'no'} ({found.second.name} {_signed(found)})"


def file_name(name: str) -> str:
    """A corpus as part of the name of a file."""
    return "".join(character if character.isalnum() or character in "-_" else "-" for character in name) or "corpus"
