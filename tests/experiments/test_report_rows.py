"""What rows of a report are over: recordings, seeds, stems; and how they fit on paper."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from levada.beat_tracking.metrics import ALL_SCORES, SCORES
from levada.experiments.report.compare import changes, mean
from levada.experiments.report.figures import curves
from levada.experiments.report.results import collect
from levada.experiments.report.stems import by_instrument
from levada.experiments.report.tables import Table, more_scores, summary, write_latex
from levada.experiments.report.text import methods_text
from levada.experiments.spec import Budget
from levada.separation.metrics import STEM_SCORES


@dataclass(frozen=True)
class Made:
    """A run as `study.store.Run`, without files."""

    id: str
    rows: tuple
    strategy: str = "finetune"
    minutes: float = 1.5
    seed: int = 0
    base: str = "base"
    corpus: str = "drums"
    study: str = "minutes"
    selection: str = "random"
    augmentation: str = "all"
    layers: str = "all"
    costs: dict = field(default_factory=dict)
    record: dict = field(default_factory=dict)
    folder: Path = Path("/nowhere/runs/x")

    @property
    def budget(self):
        return Budget(self.minutes)

    @property
    def label(self):
        return self.strategy

    @property
    def config(self):
        return {"data": "d", "seed": self.seed}

    @property
    def scores(self):
        return self.rows


def row(track, value, **more):
    return {"track": track, "group": track, "kind": "right", **dict.fromkeys(SCORES, value), **more}


def stem(track, instrument, value, **more):
    scores = dict.fromkeys(STEM_SCORES, math.nan) | {"si_sdr_i": value}
    return {"track": track, "group": track, "instrument": instrument, **scores, **more}


def named(results):
    return {arm.strategy: arm for arm in results.methods}


class TestRecordings:
    def test_what_a_model_was_trained_on_is_left_out_for_all_and_named(self):
        results = collect([
            Made("a", (row("x", 0.9, trained_on="True"), row("y", 0.5)), "pretrained", 0.0),
            Made("b", (row("x", 0.2), row("y", 0.6))),
        ])  # fmt: skip
        for key in results.table:
            assert {track for _, track in results.values(key, "beat_f")} == {"y"}
        assert results.trained_on == {"drums": {"x": ("pretrained",)}}
        assert any("left out for all models" in said and "x (pretrained)" in said for said in methods_text(results))


class TestSeeds:
    def test_rows_of_a_budget_are_over_the_seeds_that_all_have(self):
        runs = [Made(f"a{s}", (row("x", 0.1 * s), row("y", 0.1 * s)), seed=s) for s in (1, 2, 9)]
        runs += [Made(f"b{s}", (row("x", 0.5), row("y", 0.5)), "scratch", seed=s) for s in (1, 2)]
        results = collect(runs)
        assert mean(results, "drums", named(results)["finetune"], 1.5, "beat_f").mean == pytest.approx(0.15)
        assert [r["seeds"] for r in summary(results, "drums").rows] == ["2 of 3", "2 of 3"]

    def test_rows_without_a_seed_in_common_say_so(self):
        results = collect([Made("a", (row("x", 0.1),), seed=1), Made("b", (row("x", 0.2),), "scratch", seed=2)])
        assert [r["seeds"] for r in summary(results, "drums").rows] == ["1 of 2, not those of others"] * 2


class TestMoreScores:
    def test_of_runs_without_them_are_missing(self):
        before = Made("a", (row("x", 0.1), row("y", 0.3)), "scratch")
        after = Made("b", (row("x", 0.2, **dict.fromkeys(ALL_SCORES, 0.25)),))
        rows = {line["method"]: line for line in more_scores(collect([before, after]), "drums").rows}
        assert [rows[name]["beat Cemgil"] for name in ("scratch", "finetune")] == ["–", "0.25"]
        assert {"beat P-score", "tempo accuracy 2", "downbeat CMLc"} < set(rows["finetune"])
        assert "beat F" not in rows["finetune"]  # of the summary

    def test_of_old_runs_alone_make_no_table(self):
        assert not more_scores(collect([Made("a", (row("x", 0.1),))]), "drums").rows


class TestKinds:
    def test_kinds_are_those_of_the_seeds_that_lost(self):
        runs = [Made(f"u{s}", (row("x", 0.9),), "pretrained", 0.0, s) for s in (0, 1)]
        runs += [Made("a", (row("x", 0.9),), seed=0), Made("b", (row("x", 0.0, kind="half tempo"),), seed=1)]
        (change,) = changes(collect(runs), "beat_f")
        assert change.gain == pytest.approx(-0.45)
        assert (change.kind_before, change.kind_after) == ("right", "half tempo")

    def test_two_kinds_are_both_named(self):
        runs = [Made(f"u{s}", (row("x", 0.9),), "pretrained", 0.0, s) for s in (0, 1)]
        runs += [Made("a", (row("x", 0.1, kind="other"),)), Made("b", (row("x", 0.2, kind="half tempo"),), seed=1)]
        (change,) = changes(collect(runs), "beat_f")
        assert sorted(change.kind_after.split("; ")) == ["half tempo (1 of 2)", "other (1 of 2)"]


class TestDownbeats:
    def test_a_tracker_without_any_has_a_dash(self):
        rows = tuple(row(track, 0.0, beat_f=0.9, downbeats=0) for track in "xyz")
        results = collect([Made("a", rows), Made("b", tuple(row(t, 0.0, downbeats=3) for t in "xyz"), "scratch")])
        cells = {r["method"]: r["downbeat F"] for r in summary(results, "drums").rows}
        assert cells["finetune"] == "–"
        assert cells["scratch"].startswith("0.00")


class TestStems:
    def test_all_rows_are_on_the_same_stems(self):
        results = collect([
            Made("a", (stem("x", "surdo", 8.0, known=True), stem("x", "caixa", 2.0, known=True)), "nmf"),
            Made("b", (stem("x", "surdo", 9.0, known=True), stem("y", "surdo", 7.0, known=False)), "unet"),
        ])  # fmt: skip
        arms = named(results)
        assert results.values(("drums", arms["nmf"], 1.5), "si_sdr_i") == {(0, "x"): 8.0}
        assert results.values(("drums", arms["unet"], 1.5), "si_sdr_i") == {(0, "x"): 9.0, (0, "y"): 7.0}

    def test_how_many_instruments_are_known_is_a_column(self):
        results = collect([Made("a", (stem("x", "surdo", 8.0, known=True), stem("x", "caixa", 2.0, known=False)))])
        assert by_instrument(results, "drums", 1.5).rows[0]["instruments known"] == "1 of 2"
        assert summary(results, "drums").rows[0]["instruments known"] == "1 of 2"


class TestPaper:
    def test_latex_fits_a_page(self, tmp_path):
        scores = {f"score number {n}": "0.95 [0.94, 0.96]" for n in range(8)}
        rows = [{"minutes": "1.5", "method": f"finetune+augment from base, labels {n}", **scores} for n in range(81)]
        write_latex(Table("t", "Scores.", rows), tmp_path / "t.tex")
        floats = (tmp_path / "t.tex").read_text(encoding="utf-8").split("\\begin{table}")[1:]
        seen = set()
        for one in floats:
            lines = one.split("\\midrule\n")[1].split("\\bottomrule")[0].splitlines()
            assert len(lines) <= 40
            seen |= {
                (line.split(" & ")[1], heading) for line in lines for heading in re.findall(r"score number \d", one)
            }
            for line in lines:
                cells = line.removesuffix(r" \\").split(" & ")
                width = [0.8 * len("[0.94, 0.96]") if "shortstack" in cell else min(len(cell), 18) for cell in cells]
                assert sum(width) + 2 * len(cells) <= 84  # characters of 4.1 points
        assert len(seen) == 81 * 8

    def test_legends_show_the_strokes_of_lines(self):
        pytest.importorskip("matplotlib")
        runs = [
            Made(f"{strategy}{m}", (row("x", 0.4), row("y", 0.5)), strategy, m)
            for strategy in ("scratch", "finetune", "bayes")
            for m in (0.5, 1.5)
        ]
        (legend,) = curves(collect(runs), "drums").legends
        strokes = [line.get_linestyle() for line in legend.get_lines()]
        assert len(set(strokes)) == 3
        assert "None" not in strokes
