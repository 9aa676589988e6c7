"""What a report says of stems alone: instrument by instrument, and which instrument ended up in which stem."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from levada.experiments.report.compare import interval
from levada.experiments.report.results import Arm, Results
from levada.experiments.report.tables import Row, Table, file_name, known, numbers
from levada.experiments.task import LEAKS
from levada.separation.plots import Leaks

__all__ = ["by_instrument", "leak_table", "leaks"]


def by_instrument(results: Results, corpus: str, minutes: float | None) -> Table:
    """How much better than the mixture each instrument is, with every arm at one budget and those that need none.

    Parameters
    ----------
    results : Results
    corpus : str
    minutes : float, optional
        The budget.
    """
    names = results.instruments_of(corpus)
    rows: list[Row] = []
    figures: list[Row] = []
    for arm, budget in results.at(corpus, minutes or 0.0, zero=minutes is not None):
        of = {name: results.values((corpus, arm, budget), "si_sdr_i", instrument=name) for name in names}
        means = {name: interval(values, results.groups.get(corpus, {}), "si_sdr_i") for name, values in of.items()}
        row = {"minutes": f"{budget:g}" if budget else "–", "arm": arm.name, **known(results, corpus, arm, budget)}
        rows.append(row | {name: one.text(digits=1) for name, one in means.items()})
        figures += [
            {"corpus": corpus, "arm": arm.name, "minutes": budget, "instrument": name, **numbers(one, "si_sdr_i")}
            for name, one in means.items()
            if one.values
        ]
    caption = f"SI-SDR improvement on {corpus} in dB, instrument by instrument, [95 % interval]."
    return Table(f"instruments-{file_name(corpus)}", caption, rows, figures)


def leaks(results: Results, corpus: str, minutes: float, arm: Arm) -> Leaks | None:
    """Where the sound of each instrument went with an arm: the mean over the runs that kept it, or nothing.

    Parameters
    ----------
    results : Results
    corpus : str
    minutes : float
        The budget.
    arm : Arm
    """
    found: dict[tuple[str, str], list[float]] = {}
    for run in results.runs:
        key = results.corpus_of[run.id], results.arm_of[run.id], float(run.minutes)
        if key == (corpus, arm, minutes):
            for stem, instrument, share in _read(run.folder / LEAKS):
                found.setdefault((stem, instrument), []).append(share)
    if not found:
        return None
    order = results.instruments_of(corpus)
    stems, instruments = (_sorted([place[axis] for place in found], order) for axis in (0, 1))
    shares = np.full((len(stems), len(instruments)), math.nan)
    for (stem, instrument), values in found.items():
        shares[stems.index(stem), instruments.index(instrument)] = sum(values) / len(values)
    return Leaks(f"{arm.name}, {minutes:g} minutes", stems, instruments, shares)


def leak_table(matrix: Leaks, corpus: str) -> Table:
    """The same as a table: percent of the instrument above that is in the stem at the left."""
    rows = [
        {"stem": stem} | {name: _percent(share) for name, share in zip(matrix.instruments, shares, strict=True)}
        for stem, shares in zip(matrix.stems, matrix.shares.tolist(), strict=True)
    ]
    caption = f"{matrix.title} on {corpus}: percent of each instrument, above, that is in each stem, at the left."
    return Table(f"leaks-{file_name(corpus)}", caption, rows)


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:z.0f}"


def _sorted(names: Sequence[str], order: Sequence[str]) -> tuple[str, ...]:
    """Each name once, those of an order first and as they stand there."""
    place = {name: index for index, name in enumerate(order)}
    return tuple(sorted(set(names), key=lambda name: (place.get(name, len(place)), name)))


def _read(path: Path) -> list[tuple[str, str, float]]:
    """Shares that a run kept; nothing for a run that kept none, and for shares that are not known."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(row["stem"], row["instrument"], float(row["share"] or "nan")) for row in csv.DictReader(file)]
    return [row for row in rows if math.isfinite(row[2])]
