"""Tables of stems alone: instrument by instrument, and which instrument ended up in which stem."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from levada.data import REST
from levada.experiments.report.compare import interval
from levada.experiments.report.results import Method, Results
from levada.experiments.report.tables import Row, Table, file_name, known, numbers
from levada.separation.plots import Leaks
from levada.separation.task import LEAKS

__all__ = ["by_instrument", "leak_table", "leaks", "one_instrument"]


def by_instrument(results: Results, corpus: str, minutes: float | None) -> Table:
    """SI-SDR improvement of each instrument, with every method at one budget and those without labels."""
    names = results.instruments_of(corpus)
    rows: list[Row] = []
    figures: list[Row] = []
    for method, budget in results.at(corpus, minutes or 0.0, pretrained=minutes is not None):
        values = {name: results.values((corpus, method, budget), "si_sdr_i", instrument=name) for name in names}
        means = {name: interval(of, results.groups.get(corpus, {}), "si_sdr_i") for name, of in values.items()}
        row = {results.unit_of(corpus): f"{budget:g}" if budget else "–", "method": method.name}
        rows.append(
            row | known(results, corpus, method, budget) | {name: one.text(digits=1) for name, one in means.items()}
        )
        figures += [
            {
                "corpus": corpus,
                "method": method.name,
                results.unit_of(corpus): budget,
                "instrument": name,
                **numbers(one, "si_sdr_i"),
            }
            for name, one in means.items()
            if one.values
        ]
    caption = f"SI-SDR improvement on {corpus} in dB, instrument by instrument, [95 % interval]."
    return Table(f"instruments-{file_name(corpus)}", caption, rows, figures)


def one_instrument(results: Results, corpus: str) -> Table | None:
    """Scores of the one instrument that is separated from the rest, at every budget; None where there are several."""
    names = [name for name in results.instruments_of(corpus) if name != REST]
    if len(names) != 1 or REST not in results.instruments_of(corpus):
        return None
    rows: list[Row] = []
    figures: list[Row] = []
    for amount in (0.0, *results.budgets_of(corpus)):
        for method, budget in results.at(corpus, amount, pretrained=False):
            key = (corpus, method, budget)
            costs = [run["adapt_cpu_s"] for run in results.costs.get(key, ()) if "adapt_cpu_s" in run]
            means = {
                score: interval(results.values(key, score, instrument=names[0]), results.groups.get(corpus, {}), score)
                for score in ("si_sdr_i", "sdr")
            }
            row: dict[str, object] = {"method": method.name, results.unit_of(corpus): f"{budget:g}" if budget else ""}
            texts = {"SI-SDR improvement, dB": means["si_sdr_i"], "SDR, dB": means["sdr"]}
            row |= {heading: one.text(digits=1) for heading, one in texts.items()}
            rows.append(row | {"CPU-s": f"{np.mean(costs):.0f}" if costs and budget else ""})
            figures += [
                {
                    "corpus": corpus, "method": method.name, results.unit_of(corpus): budget, "score": score,
                    **numbers(one, "mean"),
                }
                for score, one in means.items()
            ]  # fmt: skip
    caption = f"{names[0]} on {corpus}, [95 % interval], and processor seconds to adapt."
    return Table(f"{file_name(names[0])}-{file_name(corpus)}", caption, rows, figures)


def leaks(results: Results, corpus: str, minutes: float, method: Method) -> Leaks | None:
    """Share of each instrument in each stem with a method at a budget, over its runs; None where none was stored."""
    shares_of: dict[tuple[str, str], list[float]] = {}
    for run in results.runs:
        if (results.corpus_of[run.id], results.method_of[run.id], run.budget.amount) == (corpus, method, minutes):
            for stem, instrument, share in _read(run.folder / LEAKS):
                shares_of.setdefault((stem, instrument), []).append(share)
    if not shares_of:
        return None
    order = results.instruments_of(corpus)
    stems, instruments = (_sorted([names[axis] for names in shares_of], order) for axis in (0, 1))
    shares = np.full((len(stems), len(instruments)), math.nan)
    for (stem, instrument), values in shares_of.items():
        shares[stems.index(stem), instruments.index(instrument)] = sum(values) / len(values)
    return Leaks(f"{method.name}, {results.short_text(corpus, minutes)}", stems, instruments, shares)


def leak_table(matrix: Leaks, corpus: str) -> Table:
    """The same as a table: percent of the instrument of a column in the stem of a row."""
    rows = [
        {"stem": stem} | {name: _percent(share) for name, share in zip(matrix.instruments, shares, strict=True)}
        for stem, shares in zip(matrix.stems, matrix.shares.tolist(), strict=True)
    ]
    caption = f"{matrix.title} on {corpus}: percent of each instrument, above, that is in each stem, at the left."
    return Table(f"leaks-{file_name(corpus)}", caption, rows)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:z.0f}"


def _sorted(names: Sequence[str], order: Sequence[str]) -> tuple[str, ...]:
    """Each name once, in a given order; the others after these, by name."""
    rank = {name: index for index, name in enumerate(order)}
    return tuple(sorted(set(names), key=lambda name: (rank.get(name, len(rank)), name)))


def _read(path: Path) -> list[tuple[str, str, float]]:
    """Stem, instrument and share of each row of a run's table of leaks, without unknown shares."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["stem"], row["instrument"], float(row["share"] or "nan")) for row in csv.DictReader(file)]
    return [row for row in rows if math.isfinite(row[2])]
