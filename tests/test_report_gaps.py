"""What a reader is warned of."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from levada.report.gaps import fallbacks, other_budgets, repeats, told_by_studies
from levada.report.results import collect
from levada.scores import SCORES


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
    about: dict = field(default_factory=lambda: {"labels_minutes": 1.49})
    extra: dict = field(default_factory=dict)
    folder: Path = Path("/nowhere/runs/x")
    selection: str = "random"
    augmentation: str = "all"
    layers: str = "all"
    costs: dict = field(default_factory=dict)

    @property
    def label(self):
        return f"{self.strategy} from {self.base}"

    @property
    def deciding(self):
        return {"data": "d", "seed": self.seed, **self.extra}

    @property
    def scores(self):
        return ({"track": "a", "group": "g", "kind": "right", **dict.fromkeys(SCORES, self.beat_f)},)


class TestToldByStudies:
    def study(self, tmp_path, text):
        (tmp_path / "studies").mkdir()
        (tmp_path / "studies" / "minutes.json").write_text(text)
        return told_by_studies([Made("a" * 16, folder=tmp_path / "runs" / ("a" * 16))])

    def test_what_was_left_out_and_is_not_done(self, tmp_path):
        kept = {"name": "minutes", "runs": ["a" * 16, "b" * 16], "left_out": ["madmom: not there"], "notes": ["beware"]}
        assert self.study(tmp_path, json.dumps(kept)) == [
            "minutes: 1 of 2 runs are not done; `levada study` goes on with them.",
            "minutes left out madmom: not there.",
            "beware.",
        ]

    @pytest.mark.parametrize("text", ["", "[1]", "{", '{"runs": 3}', '{"notes": "no list"}', '"runs"'])
    def test_damaged_files_are_passed_over(self, tmp_path, text):
        assert self.study(tmp_path, text) == []

    def test_no_study_beside_the_runs(self):
        assert told_by_studies([Made("a")]) == []


class TestRepeats:
    def test_the_setting_that_differs_is_named_and_the_mean_taken(self):
        runs = [
            Made("a", extra={"settings": {"steps": 100, "batch": 4}}, beat_f=0.4),
            Made("b", extra={"settings": {"steps": 300, "batch": 4}}, beat_f=0.8),
            Made("c", seed=1),
        ]
        results = collect(runs)
        (said,) = repeats(results)
        assert said.startswith("drums: 1 runs repeat another and differ from it in settings.steps alone")
        (key,) = results.table
        assert results.values(key, "beat_f")[0, "a"] == pytest.approx(0.6)

    def test_seeds_and_budgets_are_no_repeats(self):
        assert repeats(collect([Made("a"), Made("b", seed=1), Made("c", minutes=3.0)])) == []


class TestOtherBudgets:
    def test_a_budget_that_was_not_reached(self):
        runs = [Made("a", minutes=6.0, about={"labels_minutes": 4.9}), Made("b", minutes=6.0, seed=1), Made("c")]
        (said,) = other_budgets(collect(runs))
        assert said == "drums: the runs of 6 minutes had 1.49 to 4.90 minutes of labels."

    def test_nothing_to_say(self):
        assert other_budgets(collect([Made("a"), Made("b", about={})])) == []


class TestFallbacks:
    def test_are_counted(self):
        fell, not_fell = ({"labels_minutes": 1.5, "model": {"fell_back": way}} for way in (True, False))
        results = collect([Made("a", about=fell), Made("b", seed=1, about=not_fell), Made("c", seed=2, about=fell)])
        (said,) = fallbacks(results)
        assert said.endswith("kept the network it began with in 2 of 3 runs.")

    def test_models_without_a_word_of_it(self):
        assert fallbacks(collect([Made("a", about={"model": None}), Made("b", seed=1)])) == []
