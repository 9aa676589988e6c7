"""A report of runs whose scores are known."""

import csv
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from levada.beat_tracking.metrics import SCORES
from levada.errors import InputError
from levada.experiments.report import PAGE, write_report
from levada.experiments.report.axes import settings_table
from levada.experiments.report.compare import comparisons, verdicts
from levada.experiments.report.results import collect
from levada.experiments.report.tables import Table, gained_and_lost, summary, write_latex, write_markdown
from levada.experiments.report.text import findings, leading_method, missing, selection_text, verdict_text
from levada.experiments.report.transfer import forgotten, matrix
from levada.experiments.store import fingerprint, read_runs, write_run

HEADINGS = ("track", "group", "model", "start_s", "end_s", *SCORES, "trim_s", "kind", "detail", "duration_s", "cpu_s",
            "trained_on", "error")  # fmt: skip


def a_run(out, strategy, base="base", *, minutes=1.5, seed=0, beat=0.9, downbeat=0.6, corpus="drums",
          selection="random", tracks=8, spread=0.0, code="a", study="minutes", error="", failed=(),
          kind="right", more=(), also=()):  # fmt: skip
    """Write a run of eight recordings whose scores are these, give or take."""
    bare = strategy == "pretrained"
    config = {
        "corpus": corpus, "strategy": strategy, "base": base, "minutes": 0.0 if bare else minutes,
        "selection": "" if bare else selection, "augmentation": "" if bare else "all", "layers": "" if bare else "all",
        "seed": seed, "code": code, "data": "d", **dict(more),
        **({"also": [{"corpus": name, "data": "d"} for name in dict(also)]} if also else {}),
    }  # fmt: skip
    rng = np.random.default_rng(seed)
    lines = [",".join(HEADINGS)]
    for number in range(tracks):
        up = float(rng.normal(0, spread)) if spread else 0.0
        of = {name: beat if name.startswith("beat") else downbeat for name in SCORES}
        scores = [f"{min(value + up, 1.0):.6f}" for value in of.values()]
        broken = number in failed
        cells = [f"song{number}", f"player{number}", "m", "0", "30", *([""] * len(SCORES) if broken else scores), "5"]
        lines.append(",".join([*cells, "" if broken else kind, "as said", "30", "1", "False", "it broke" * broken]))
    identifier = fingerprint(config)
    record = {
        "format": 1, "id": identifier, "study": study, "config": config, "labels": [], "labels_minutes": minutes,
        "test": [], "costs": {"adapt_cpu_s": 10.0, "score_cpu_s": 2.0, "peak_mb": 500.0}, "environment": {},
        "model": {}, "error": error,
    }  # fmt: skip
    files = {"run.json": json.dumps(record).encode(), "scores.csv": ("\n".join(lines) + "\n").encode()}
    for name, score in dict(also).items():
        of = [f"song{n},player{n},m,0,30,{','.join([str(score)] * len(SCORES))},5,right,,30,1,False," for n in range(8)]
        files[f"also/{name}.csv"] = ("\n".join([",".join(HEADINGS), *of]) + "\n").encode()
    return write_run(out, files)


@pytest.fixture
def out(tmp_path):
    """Two seeds of a study: labels help, the rival is worse, scratch is worst."""
    return a_study(tmp_path / "study")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The folder of the report of such a study; not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    write_report(a_study(folder / "study"), out=folder / "report")
    return folder / "report"


def a_study(folder):
    for seed in (0, 1):
        for model, beat in (("base", 0.8), ("flux", 0.85), ("madmom", 0.7)):
            a_run(folder, "pretrained", model, beat=beat, downbeat=0.5, seed=seed, kind="wrong downbeat phase")
        for minutes, beat in ((0.5, 0.9), (1.5, 0.95)):
            a_run(folder, "finetune+augment", minutes=minutes, beat=beat, seed=seed, spread=0.01)
            a_run(folder, "scratch", "", minutes=minutes, beat=0.4, downbeat=0.2, seed=seed, kind="phase shift")
    return folder


@pytest.mark.slow
class TestPage:
    def test_is_one_file_that_needs_nothing_else(self, out, tmp_path):
        told = []
        made = write_report(out, out=tmp_path / "report", progress=lambda *now: told.append(now))
        html = made.page.read_text(encoding="utf-8")
        assert (made.runs, made.failed) == (14, 0)
        assert told[-1][0] == told[-1][1]
        assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", html)
        assert "http" not in re.sub(r"data:image/svg\+xml;base64,[\w+/=]+", "", html)
        assert len(html) < 3_000_000
        assert html.count("<img ") == 4
        assert all(words for words in re.findall(r'<img alt="([^"]*)"', html))
        for name in ("curves-drums", "differences-drums", "errors-drums", "costs"):
            for suffix in ("pdf", "svg", "png"):
                assert (tmp_path / "report" / "figures" / f"{name}.{suffix}").stat().st_size > 1000

    def test_its_tags_close(self, written):
        class Parser(HTMLParser):
            def __init__(self):
                super().__init__()
                self.open = []

            def handle_starttag(self, tag, _):
                if tag not in ("meta", "img"):
                    self.open.append(tag)

            def handle_endtag(self, tag):
                assert self.open.pop() == tag

        parser = Parser()
        parser.feed((written / PAGE).read_text(encoding="utf-8"))
        assert parser.open == []

    def test_names_are_no_html(self, tmp_path):
        a_run(tmp_path / "s", "finetune+augment", corpus="<b>drums</b> & co")
        a_run(tmp_path / "s", "pretrained", corpus="<b>drums</b> & co")
        html = write_report(tmp_path / "s", out=tmp_path / "report").page.read_text(encoding="utf-8")
        assert "<b>" not in html
        assert "&lt;b&gt;drums&lt;/b&gt; &amp; co" in html

    def test_the_same_runs_give_the_same_page(self, out, written, tmp_path):
        assert write_report(out, out=tmp_path / "again").page.read_bytes() == (written / PAGE).read_bytes()

    def test_every_row_is_in_a_table(self, written):
        with open(written / "tables" / "all.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 14 * 8
        best = [float(row["beat_f"]) for row in rows if row["strategy"] == "scratch"]
        assert best == [pytest.approx(0.4)] * 32

    def test_an_existing_report_is_kept(self, tmp_path):
        a_run(tmp_path / "s", "pretrained", tracks=2)
        write_report(tmp_path / "s", out=tmp_path / "report")
        before = (tmp_path / "report" / PAGE).stat().st_ino
        with pytest.raises(InputError, match="exists already"):
            write_report(tmp_path / "s", out=tmp_path / "report")
        assert (tmp_path / "report" / PAGE).stat().st_ino == before
        write_report(tmp_path / "s", out=tmp_path / "report", force=True)
        assert (tmp_path / "report" / PAGE).stat().st_ino != before

    def test_a_folder_of_something_else_is_never_replaced(self, out, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "thesis.tex").write_text("years")
        with pytest.raises(InputError, match="holds other files"):
            write_report(out, out=tmp_path / "thesis", force=True)
        assert (tmp_path / "thesis" / "thesis.tex").read_text() == "years"

    @pytest.mark.parametrize(
        "made",
        [
            [("pretrained", {})],
            [("finetune+augment", {})],
            [("scratch", {"base": "", "tracks": 1})],
            [("pretrained", {}), ("bayes", {"base": "", "failed": range(8)})],
            [("pretrained", {"downbeat": float("nan")}), ("decoder", {"downbeat": float("nan")})],
        ],
        ids=["no labels", "no base", "one recording", "all failed", "no downbeats"],
    )
    def test_little_is_reported_too(self, tmp_path, made):
        for strategy, said in made:
            a_run(tmp_path / "s", strategy, **said)
        assert write_report(tmp_path / "s", out=tmp_path / "report").page.is_file()
        assert (tmp_path / "report" / PAGE).stat().st_size > 3000

    def test_an_empty_folder_is_no_study(self, tmp_path):
        (tmp_path / "s").mkdir()
        with pytest.raises(InputError):
            write_report(tmp_path / "s", out=tmp_path / "report")
        assert not (tmp_path / "report").exists()


class TestWords:
    def test_what_came_out(self, out):
        (said,) = findings(collect(read_runs(out)))
        assert said.startswith("drums: with 1.5 minutes of labels, finetune+augment from base reaches beat F 0.953 [")
        assert re.search(
            r"Beat F: against base without labels \+0\.15\d \[[^]]*\], a gain; against flux, the best other", said
        )
        assert "model without labels (0.85 (range 0.85 to 0.85, 8 groups)), +0.1" in said
        assert "No other strategy had higher means with as many labels; against the next, scratch: beat F +0.55" in said

    @pytest.mark.parametrize("best", ["bayes", "finetune", "finetune+augment"])
    def test_it_speaks_of_the_best_strategy(self, tmp_path, best):
        for strategy in ("bayes", "finetune", "finetune+augment", "decoder"):
            a_run(tmp_path, strategy, beat=0.99 if strategy == best else 0.7, spread=0.01)
        results = collect(read_runs(tmp_path))
        assert leading_method(results, "drums", 1.5).strategy == best
        (said,) = findings(results)
        assert said.startswith(f"drums: with 1.5 minutes of labels, {best} from base reaches beat F 0.9")

    def test_a_strategy_without_downbeats_is_not_the_best(self, tmp_path):
        a_run(tmp_path, "finetune", beat=0.8, downbeat=0.8)
        a_run(tmp_path, "decoder", beat=0.9, downbeat=float("nan"))
        assert leading_method(collect(read_runs(tmp_path)), "drums", 1.5).strategy == "finetune"

    def test_a_rival_without_scores_is_not_the_best(self, out):
        for seed in (0, 1):
            a_run(out, "pretrained", "beatnet", seed=seed, beat=float("nan"), downbeat=0.9)
        (said,) = findings(collect(read_runs(out)))
        assert "Beat F: against base" in said
        assert "against flux, the best other model without labels (0.85" in said
        assert "against beatnet, the best other model without labels (0.90" in said

    def test_few_groups_are_no_difference(self, tmp_path):
        a_run(tmp_path, "pretrained", tracks=3, beat=0.1)
        a_run(tmp_path, "finetune+augment", tracks=3, beat=1.0)
        (said,) = findings(collect(read_runs(tmp_path)))
        assert "+0.90 (range +0.90 to +0.90, 3 groups), a range, which is no evidence of a difference" in said
        assert "a gain" not in said

    def test_what_is_missing(self, out):
        a_run(out, "bayes", "", seed=0, failed=[2], code="b")
        a_run(out, "decoder", seed=1, error="the disk is full", study="other")
        said = " ".join(missing(collect(read_runs(out))))
        assert "the disk is full" in said
        assert "bayes has no scores for song2: it broke" in said
        assert "2 versions" in said
        assert "several studies: minutes, other" in said
        assert "drums has not decoder from base, bayes with 0.5 minutes" in said

    def test_a_budget_with_fewer_seeds_is_told(self, out):
        a_run(out, "scratch", "", minutes=3, seed=0, beat=0.4)
        assert "drums with 3 minutes has 1 of 2 seeds" in " ".join(missing(collect(read_runs(out))))

    def test_selection(self, out):
        assert selection_text(collect(read_runs(out))) == ""
        for seed in (0, 1):
            a_run(out, "finetune+augment", selection="facility", beat=1.0, seed=seed, spread=0.001)
        said = selection_text(collect(read_runs(out)))
        assert re.search(r"strategies: facility beat F \+0\.0[45]\d \[\+[^]]*\], downbeat F [+-]0\.\d+ \[", said)
        assert "Of 3 separate comparisons, 1 are above drawing at random and 0 below it" in said


class TestWorth:
    def test_counts_how_often_an_arm_is_at_or_above(self, out):
        said = verdict_text(collect(read_runs(out)))
        assert said[0].startswith("scratch: at or above its base in 0 of 6, ")
        assert said[1] == (
            "finetune+augment from base: at or above its base in 6 of 6, at or above every other model "
            "in 6 of 6, at or above scratch in 6 of 6."
        )

    def test_nothing_learnt_nothing_said(self, tmp_path):
        a_run(tmp_path, "pretrained")
        assert verdict_text(collect(read_runs(tmp_path))) == []


@pytest.mark.slow
class TestNumbers:
    def test_csv_has_one_number_a_cell(self, written):
        def rows(name):
            with open(written / "tables" / f"{name}.csv", encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))

        means = [row for row in rows("summary-drums") if row["score"] == "beat_f" and row["strategy"] == "scratch"]
        assert [(row["groups"], row["seeds"]) for row in means] == [("8", "2")] * 2
        assert [float(row["mean"]) for row in means] == pytest.approx([0.4, 0.4])
        assert {(row["ends"], row["over"]) for row in means} == {("range", "groups")}
        for row in (*rows("pairs-drums"), *rows("verdicts")):
            assert float(row["low"]) <= float(row["difference"]) <= float(row["high"])
        assert {float(row["peak_mb"]) for row in rows("costs")} == {500.0}
        assert {row["track"] for row in rows("changes")} == {f"song{number}" for number in range(8)}

    def test_a_number_stays_with_its_interval_on_the_page(self, written):
        html = (written / PAGE).read_text(encoding="utf-8")
        assert '<td>0.40 <span class="ends under">(range 0.40 to 0.40, 8 groups)</span></td>' in html
        assert re.search(r'yes \(flux <span class="ends">\+0\.\d+ \[\+[\d.]+, \+[\d.]+\]</span>\)', html)


class TestTables:
    def test_verdicts(self, out):
        found = {
            (one.method.strategy, one.minutes, one.score): one for one in verdicts(collect(read_runs(out)), ("beat_f",))
        }
        best = found["finetune+augment", 1.5, "beat_f"]
        assert best.base.difference.mean == pytest.approx(0.15, abs=0.02)
        assert best.external.second.base == "flux"
        assert best.scratch.difference.excludes_zero
        assert best.scratch.verdict == "above"
        assert found["scratch", 1.5, "beat_f"].external.difference.mean == pytest.approx(-0.45)

    def test_each_against_each(self, out):
        found = comparisons(collect(read_runs(out)), ("beat_f",))
        assert len(found) == 3 + 2 * (2 * 3 + 1)
        assert all(one.difference.recordings == 8 for one in found)

    def test_summary_has_a_row_an_arm_and_budget(self, out):
        rows = summary(collect(read_runs(out)), "drums").rows
        assert [row["minutes"] for row in rows] == ["–"] * 3 + ["0.5"] * 2 + ["1.5"] * 2
        assert rows[0]["method"] == "base"
        assert rows[0]["beat F"].startswith("0.80")

    def test_who_lost(self, tmp_path):
        a_run(tmp_path, "pretrained", beat=0.9, downbeat=0.6, kind="right")
        a_run(tmp_path, "finetune+augment", beat=0.3, downbeat=0.9, kind="phase shift")
        results = collect(read_runs(tmp_path))
        lost, gained = (gained_and_lost(results, lost=way).rows for way in (True, False))
        assert {row["score"] for row in lost} == {"beat F"}
        assert {row["score"] for row in gained} == {"downbeat F"}
        assert (lost[0]["before"], lost[0]["after"]) == ("0.90", "0.30")

    def test_markdown(self, tmp_path):
        write_markdown(Table("t", "Scores.", [{"model": "a|b", "beat F": "0.98 [0.93, 1.00]"}]), tmp_path / "t.md")
        assert (tmp_path / "t.md").read_text(encoding="utf-8") == (
            "| model | beat F |\n| --- | --- |\n| a\\|b | 0.98 [0.93, 1.00] |\n"
        )

    def test_latex_is_escaped(self, tmp_path):
        table = Table("t", "50 % of {it} & more_", [{"a_b": "x~y", "≥ base": "1–2 \\ #1 $ ^"}])
        write_latex(table, tmp_path / "t.tex")
        text = (tmp_path / "t.tex").read_text(encoding="utf-8")
        assert r"\caption{50 \% of \{it\} \& more\_}" in text
        assert r"a\_b & $\geq$ base \\" in text
        assert r"x\textasciitilde{}y & 1--2 \textbackslash{} \#1 \$ \textasciicircum{} \\" in text
        assert r"\begin{tabular}{ll}" in text


class TestBudgets:
    def folder(self, tmp_path, unit, *amounts):
        for seed in (0, 1):
            a_run(tmp_path, "pretrained", beat=0.8, seed=seed)
            for amount in amounts:
                more = {"minutes": 0.0, unit: amount}
                a_run(tmp_path, "finetune+augment", beat=0.9, seed=seed, more=more)
        return tmp_path

    def test_recordings_are_shown_as_such_with_their_minutes(self, tmp_path):
        a_run(tmp_path, "pretrained", corpus="scored only")
        results = collect(read_runs(self.folder(tmp_path, "files", 1, 2, 5)))
        assert results.budgets_of("drums") == (1, 2, 5)
        rows = summary(results, "drums").rows
        assert [(row["files"], row["minutes"]) for row in rows] == [
            ("–", "–"),
            ("1", "1.50"),
            ("2", "1.50"),
            ("5", "1.50"),
        ]
        assert findings(results)[0].startswith("drums: with labels of 2 recordings, finetune+augment from base")
        assert results.axis_of() == "recordings with labels"

    def test_fractions(self, tmp_path):
        results = collect(read_runs(self.folder(tmp_path, "fraction", 0.25, 1.0)))
        assert [row["fraction"] for row in summary(results, "drums").rows] == ["–", "0.25", "1"]
        assert "100 % of the labels for training" in findings(results)[0]

    def test_two_units_are_two_corpora_with_the_same_models_without_labels(self, tmp_path):
        self.folder(tmp_path, "files", 1)
        a_run(tmp_path, "finetune+augment", minutes=1.0)
        results = collect(read_runs(tmp_path))
        assert results.corpora == ("drums (files)", "drums (minutes)")
        assert all([method.base for method, _ in results.at(corpus, 1.0)] == ["base"] * 2 for corpus in results.corpora)
        assert missing(results) == []

    @pytest.mark.slow
    def test_the_page_of_both(self, tmp_path):
        self.folder(tmp_path / "study", "files", 1, 2)
        a_run(tmp_path / "study", "finetune+augment", minutes=1.0)
        html = write_report(tmp_path / "study", out=tmp_path / "report").page.read_text(encoding="utf-8")
        assert "drums (files): scores by recordings with labels" in html
        assert "drums (minutes): scores by minutes of labels" in html


class TestOtherCorpora:
    def folder(self, folder):
        for seed, corpus in ((seed, corpus) for seed in (0, 1) for corpus in ("drums", "choir", "pop")):
            a_run(folder, "pretrained", beat=0.8, downbeat=0.5, seed=seed, corpus=corpus)
            if corpus != "pop":
                other = {"drums": "choir", "choir": "drums"}[corpus]
                a_run(folder, "finetune", beat=0.95, seed=seed, corpus=corpus, also={other: 0.85, "pop": 0.6})
        return folder

    def test_what_was_forgotten(self, tmp_path):
        rows = forgotten(collect(read_runs(self.folder(tmp_path)))).numbers
        gaps = {(r["adapted to"], r["scored on"], r["score"]): round(float(r["change"]), 6) for r in rows}
        assert gaps["drums", "pop", "beat_f"] == gaps["choir", "pop", "beat_f"] == -0.2
        assert gaps["drums", "choir", "beat_f"] == 0.05
        assert gaps["drums", "choir", "downbeat_f"] == 0.35
        assert {(row["groups"], row["seeds"]) for row in rows} == {(8, 2)}

    def test_the_matrix_has_corpora_that_are_scored_by_each_other(self, tmp_path):
        rows = [row for row in matrix(collect(read_runs(self.folder(tmp_path)))).rows if row["score"] == "beat F"]
        assert [row["adapted to"] for row in rows] == ["no adaptation", "choir", "drums"]
        means = [[str(row[name]).split()[0] for name in ("choir", "drums")] for row in rows]
        assert means == [["0.80", "0.80"], ["0.95", "0.85"], ["0.85", "0.95"]]
        assert "pop" not in rows[0]

    def test_without_others_there_is_neither(self, out):
        results = collect(read_runs(out))
        assert not forgotten(results).rows
        assert not matrix(results).rows

    @pytest.mark.slow
    def test_the_page_shows_both(self, tmp_path):
        html = write_report(self.folder(tmp_path / "study"), out=tmp_path / "report").page.read_text(encoding="utf-8")
        assert "What was forgotten" in html
        assert (tmp_path / "report" / "tables" / "matrix.csv").stat().st_size > 100


class TestSettings:
    def test_are_axes_all_else_equal(self, tmp_path):
        for seed, rate, steps in ((s, rate, steps) for s in (0, 1) for rate in (0.01, 0.002) for steps in (50, 100)):
            settings = {"learning_rate": rate, "steps": steps, "seed": seed}
            beat = 0.6 + 0.1 * (rate == 0.01) + 0.2 * (steps == 100)
            a_run(tmp_path, "scratch", "", beat=beat, seed=seed, more={"settings": settings})
        rows = settings_table(collect(read_runs(tmp_path))).rows
        assert [(row["setting"], row["value"]) for row in rows] == [
            ("learning_rate", "0.002"), ("learning_rate", "0.01"), ("steps", "50"), ("steps", "100")
        ]  # fmt: skip
        assert [str(row["difference in beat F"]).split()[0] for row in rows] == ["–", "+0.10", "–", "+0.20"]
        assert [str(row["beat F"]).split()[0] for row in rows] == ["0.70", "0.80", "0.65", "0.85"]

    def test_one_value_is_no_axis(self, out):
        assert not settings_table(collect(read_runs(out))).rows
