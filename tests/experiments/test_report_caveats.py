"""What a reader is warned of."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from levada.beat_tracking.metrics import SCORES
from levada.experiments.report.caveats import budget_deviations, fallbacks, study_notes
from levada.experiments.report.results import collect
from levada.experiments.spec import Budget


@dataclass(frozen=True)
class Made:
    """A run as `study.store.Run`, without files."""

    id: str
    strategy: str = "finetune"
    base: str = "base"
    minutes: float = 1.5
    seed: int = 0
    corpus: str = "drums"
    study: str = "minutes"
    beat_f: float = 0.5
    record: dict = field(default_factory=lambda: {"labels_minutes": 1.49})
    extra: dict = field(default_factory=dict)
    folder: Path = Path("/nowhere/runs/x")
    selection: str = "random"
    augmentation: str = "all"
    layers: str = "all"
    costs: dict = field(default_factory=dict)

    @property
    def budget(self):
        return Budget(self.minutes)

    @property
    def label(self):
        return f"{self.strategy} from {self.base}"

    @property
    def config(self):
        return {"data": "d", "seed": self.seed, **self.extra}

    @property
    def scores(self):
        return ({"track": "a", "group": "g", "kind": "right", **dict.fromkeys(SCORES, self.beat_f)},)


class TestToldByStudies:
    def study(self, tmp_path, text):
        (tmp_path / "studies").mkdir()
        (tmp_path / "studies" / "minutes.json").write_text(text)
        return study_notes([Made("a" * 16, folder=tmp_path / "runs" / ("a" * 16))])

    def test_what_was_left_out_and_is_not_done(self, tmp_path):
        kept = {"name": "minutes", "runs": ["a" * 16, "b" * 16], "left_out": ["madmom: not there"], "notes": ["beware"]}
        assert self.study(tmp_path, json.dumps(kept)) == [
            "minutes: 1 of 2 runs are not done; `levada study` resumes them.",
            "minutes left out madmom: not there.",
            "beware.",
        ]

    @pytest.mark.parametrize("text", ["", "[1]", "{", '{"runs": 3}', '{"notes": "no list"}', '"runs"'])
    def test_damaged_files_are_passed_over(self, tmp_path, text):
        assert self.study(tmp_path, text) == []

    def test_no_study_beside_the_runs(self):
        assert study_notes([Made("a")]) == []


class TestSettings:
    def test_runs_that_differ_in_a_setting_are_never_averaged(self):
        runs = [
            Made("a", extra={"settings": {"steps": 100, "batch": 4, "seed": 0}, "trim_s": 5.0}, beat_f=0.4),
            Made("b", extra={"settings": {"steps": 300, "batch": 4, "seed": 0}, "trim_s": 5.0}, beat_f=0.8),
            Made("c", extra={"settings": {"steps": 300, "batch": 4, "seed": 1}, "trim_s": 5.0}, beat_f=0.6, seed=1),
            Made("d", extra={"settings": {"steps": 300, "batch": 4, "seed": 0}, "trim_s": 0.0}, beat_f=0.1),
        ]
        results = collect(runs)
        found = {arm.name: results.values((corpus, arm, m), "beat_f") for corpus, arm, m in results.table}
        assert found == {
            "finetune from base, steps 100, trim_s 5.0": {(0, "a"): 0.4},
            "finetune from base, steps 300, trim_s 5.0": {(0, "a"): 0.8, (1, "a"): 0.6},
            "finetune from base, steps 300, trim_s 0.0": {(0, "a"): 0.1},
        }

    def test_code_and_weights_are_settings(self):
        results = collect([Made("a", extra={"code": "1" * 64}), Made("b", extra={"code": "2" * 64})])
        assert [arm.name for arm in results.methods] == [f"finetune from base, code {one * 6}" for one in "12"]

    def test_halves_are_another_corpus(self):
        results = collect([Made("a", extra={"halves": True}), Made("b", extra={"halves": False})])
        assert results.corpora == ("drums (in halves)", "drums (not in halves)")
        assert len(results.methods) == 1

    def test_an_arm_is_compared_with_the_base_that_was_scored_alike(self):
        runs = [
            Made("a", strategy="pretrained", minutes=0.0, extra={"trim_s": 0.0}, beat_f=0.3),
            Made("b", strategy="pretrained", minutes=0.0, extra={"trim_s": 5.0}, beat_f=0.6),
            Made("c", extra={"trim_s": 0.0}),
            Made("d", extra={"trim_s": 5.0}),
        ]
        results = collect(runs)
        for arm in results.methods:
            if not arm.is_pretrained:
                assert dict(results.base_of("drums", arm).settings)["trim_s"] == dict(arm.settings)["trim_s"]
                assert results.external_of("drums", arm) == []


class TestOtherBudgets:
    def test_a_budget_that_was_not_reached(self):
        runs = [Made("a", minutes=6.0, record={"labels_minutes": 4.9}), Made("b", minutes=6.0, seed=1), Made("c")]
        (said,) = budget_deviations(collect(runs))
        assert said == "drums: the runs of 6 minutes had 1.49 to 4.90 minutes of labels."

    def test_nothing_to_say(self):
        assert budget_deviations(collect([Made("a"), Made("b", record={})])) == []


class TestFallbacks:
    def test_are_counted(self):
        fell, not_fell = ({"labels_minutes": 1.5, "model": {"fell_back": way}} for way in (True, False))
        results = collect([Made("a", record=fell), Made("b", seed=1, record=not_fell), Made("c", seed=2, record=fell)])
        (said,) = fallbacks(results)
        assert said.endswith("kept the network it started from in 2 of 3 runs.")

    def test_models_without_a_word_of_it(self):
        assert fallbacks(collect([Made("a", record={"model": None}), Made("b", seed=1)])) == []
