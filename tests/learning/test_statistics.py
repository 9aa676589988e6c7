"""Confidence intervals: against scipy, and their coverage by simulation."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from levada.beat_tracking.metrics import score_bounds
from levada.errors import InputError
from levada.learning.statistics import mean_interval, paired_interval

SAMPLES = 1000  # of each cell
ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("levada_coverage", ROOT / "benchmarks" / "interval_coverage.py")
coverage = sys.modules["levada_coverage"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(coverage)


class TestMeanInterval:
    def test_symmetric_groups_of_one_size_have_the_t_interval_of_their_means(self):
        of_groups = np.array([0.2, 0.4, 0.5, 0.6, 0.8])
        values = np.concatenate([of_groups - 0.1, of_groups + 0.1])
        found = mean_interval(values, groups=[*range(5)] * 2)
        low, high = stats.t.interval(0.95, 4, of_groups.mean(), stats.sem(of_groups))
        assert (found.mean, found.low, found.high) == pytest.approx((0.5, low, high))
        assert (found.kind, found.over, found.values, found.groups) == ("interval", "groups", 10, 5)

    def test_the_longer_tail_moves_its_end_alone(self):
        values = np.array([0.1, 0.8, 0.85, 0.9, 0.95])
        found, n = mean_interval(values), 5
        low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
        third = ((values - values.mean()) ** 3).mean()
        shift = third / (6 * values.var(ddof=1) * n) * (1 + 2 * stats.norm.ppf(0.975) ** 2)  # Hall 1992, section 3.10
        assert shift < -0.01
        assert (found.low, found.high) == pytest.approx((low + shift, high))

    def test_unequal_groups_weigh_what_they_hold(self):
        values, groups = [0.1, 0.3, 0.5, 0.5, 0.5, 0.9], list("aabbbc")
        found = mean_interval(values, groups=groups)
        variance = np.var([0.2, 0.5, 0.9], ddof=1) * ((2 / 6) ** 2 + (3 / 6) ** 2 + (1 / 6) ** 2)
        assert found.mean == pytest.approx(np.mean(values))
        half = stats.t.ppf(0.975, 2) * math.sqrt(variance)
        assert min(found.high - found.mean, found.mean - found.low) == pytest.approx(half)

    def test_seeds_add_their_variance(self):
        groups, seeds = np.repeat(np.arange(5), 3), np.tile(np.arange(3), 5)
        values = 0.1 * groups + 0.2 * seeds
        found = mean_interval(values, groups=groups.tolist(), seeds=seeds.tolist())
        a, b = np.var(0.1 * np.arange(5), ddof=1) / 5, np.var(0.2 * np.arange(3), ddof=1) / 3
        half = stats.t.ppf(0.975, (a + b) ** 2 / (a**2 / 4 + b**2 / 2)) * math.sqrt(a + b)
        assert (found.high - found.low) / 2 == pytest.approx(half)
        assert (found.over, found.seeds) == ("groups and seeds", 3)

    def test_the_same_values_under_every_seed_have_the_interval_of_one(self):
        values = [0.2, 0.5, 0.6, 0.9]
        once = mean_interval(values)
        often = mean_interval(values * 3, groups=[*range(4)] * 3, seeds=np.repeat([0, 1, 2], 4).tolist())
        assert (often.low, often.high) == pytest.approx((once.low, once.high))

    def test_ends_stay_in_the_range_of_the_score(self):
        found = mean_interval([0.1, 0.9, 1.0], bounds=score_bounds("beat_f"))
        assert (found.low, found.high) == (0, 1)
        found = paired_interval([1.0, 1.0, 0.0], [0.0, 0.1, 0.9], bounds=score_bounds("beat_f"))
        assert (found.low, found.high) == (-1, 1)
        assert score_bounds("si_sdr_i") is None

    def test_two_groups_have_a_range(self):
        found = mean_interval([0.5, 0.7, 0.82], groups=["a", "a", "b"])
        assert (found.kind, found.over, found.low, found.high) == ("range", "groups", 0.6, 0.82)
        assert str(found) == "0.67 (range 0.60 to 0.82, 2 groups)"
        assert not mean_interval([0.6, 0.8]).excludes_zero

    def test_equal_groups_have_a_range(self):
        found = mean_interval([0.4, 0.6, 0.5, 0.5, 0.45, 0.55], groups=list("aabbcc"))
        assert (found.kind, found.low, found.high) == ("range", 0.5, 0.5)
        assert not found.excludes_zero

    def test_one_group_has_the_range_of_its_recordings(self):
        found = mean_interval([0.2, 0.4, 0.6, 0.8], groups=["a"] * 4, recordings=list("xxyy"), seeds=[0, 1] * 2)
        assert (found.kind, found.over, found.recordings) == ("range", "recordings", 2)
        assert (found.low, found.high) == pytest.approx((0.3, 0.7))

    def test_one_recording_has_the_range_of_seeds(self):
        found = mean_interval([0.2, 0.6], groups=["a"] * 2, recordings=["x"] * 2, seeds=[0, 1])
        assert (found.kind, found.over, found.low, found.high) == ("range", "seeds", 0.2, 0.6)

    def test_one_value_or_none(self):
        one, none = mean_interval([0.3]), mean_interval([math.nan])
        assert (one.mean, one.kind, str(one)) == (0.3, "", "0.30")
        assert math.isnan(one.low)
        assert (str(none), none.values, none.groups) == ("–", 0, 0)

    def test_nans_are_left_out(self):
        found = mean_interval([0.2, math.nan, 0.4, 0.5], groups=list("abca"), seeds=[0, 1, 0, 0])
        assert found.mean == pytest.approx(1.1 / 3)
        assert (found.values, found.groups, found.recordings, found.seeds) == (3, 2, 3, 1)

    def test_digits_that_mean_something(self):
        assert str(mean_interval([0.2, 0.5, 0.6, 0.9])) == "0.55 [0.09, 1.01]"
        assert str(mean_interval([0.912, 0.913, 0.914, 0.917])) == "0.914 [0.911, 0.918]"
        assert paired_interval([7.0, 9.0, 8.0], [1.0, 3.0, 0.0]).text(digits=1, sign="+") == "+6.7 [+3.8, +9.7]"

    def test_a_difference_is_paired(self):
        a = np.array([0.2, 0.9, 0.5, np.nan, 0.4])
        found = paired_interval(a + np.array([0.1, 0.11, 0.1, 0, 0.09]), a)
        assert (found.values, found.mean) == (4, pytest.approx(0.1))
        assert 0.08 < found.low < found.high < 0.12
        assert found.excludes_zero

    def test_bad_input(self):
        with pytest.raises(InputError, match="2 values but 1 groups"):
            mean_interval([0.1, 0.2], groups=["a"])
        with pytest.raises(InputError, match="2 values but 3 seeds"):
            mean_interval([0.1, 0.2], seeds=[0, 1, 2])
        with pytest.raises(InputError, match="between 0 and 1, not 95"):
            mean_interval([0.1, 0.2], level=95)
        with pytest.raises(InputError, match="not 2 and 3"):
            paired_interval([0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.fixture(scope="module")
def simulated():
    """Coverage and width by kind of table and row; its standard error is .007 at .95."""
    return coverage.tables(SAMPLES, seed=1, bootstraps=False)


@pytest.mark.slow
class TestCoverage:
    @pytest.mark.parametrize(
        ("name", "fewest"), [("normal", 3), ("beta(.5, .3)", 8), ("beta(8, 1)", 12), ("beta(1, .2)", 20)]
    )
    def test_of_groups(self, simulated, name, fewest):
        rows = {int(n): row for (kind, n), row in simulated["groups"].items() if kind == name and int(n) >= fewest}
        assert rows
        assert all(0.93 <= covers <= 0.98 for covers, *_ in rows.values())
        assert all(0.99 <= width <= 1.2 for _, width, *_ in rows.values())

    def test_of_unequal_groups(self, simulated):
        assert all(covers >= 0.93 for covers, *_ in simulated["sizes"].values())

    def test_of_groups_crossed_with_seeds(self, simulated):
        rows = {cells: row[0] for cells, row in simulated["seeds"].items()}
        assert all(covers >= (0.92 if int(seeds) > 2 else 0.86) for (*_, seeds), covers in rows.items())

    def test_the_documentation_prints_what_is_computed(self, simulated):
        text = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
        compared = 0
        for name, rows in simulated.items():
            table = text.split(f"<!-- table: {name} -->\n")[1].split("\n\n")[0]
            printed = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
            assert len(printed) == len(rows)
            for cells, (covers, width, of_t, _) in rows.items():
                row = next(row for row in printed if tuple(row[: len(cells)]) == cells)
                shown = dict(zip(coverage.FIGURES, map(float, row[len(cells) :]), strict=True))
                for mine, theirs in ((covers, shown["coverage"]), (of_t, shown["t over group means"])):
                    p = (mine + theirs) / 2
                    error = math.sqrt(p * (1 - p) * (1 / SAMPLES + 1 / coverage.SAMPLES))
                    assert mine == pytest.approx(theirs, abs=4.5 * error + 0.001)
                assert width == pytest.approx(shown["width / t"], rel=0.15)
                compared += 1
        assert compared > 60
