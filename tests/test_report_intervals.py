"""Means over groups and seeds."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.report.intervals import estimate, estimate_difference


def rng():
    return np.random.default_rng(0)


class TestEstimate:
    def test_spread_of_groups_is_found(self):
        noise = np.random.default_rng(1).normal(0, 1, 40)
        values = {(0, f"t{i}"): v for i, v in enumerate(noise)}
        found = estimate(values, {f"t{i}": f"g{i}" for i in range(40)}, rng=rng(), n=20000)
        sem = noise.std() / np.sqrt(40)
        assert found.mean == pytest.approx(noise.mean())
        assert (found.high - found.low) / 2 == pytest.approx(1.96 * sem, rel=0.05)
        assert (found.groups, found.seeds, found.resampled) == (40, 1, "groups")

    def test_seeds_widen_the_interval(self):
        groups = {f"t{i}": f"g{i}" for i in range(12)}
        same = {(s, t): 0.5 + 0.01 * i for s in range(4) for i, t in enumerate(groups)}
        differing = {(s, t): v + 0.2 * (s - 1.5) for (s, t), v in same.items()}
        still, moved = estimate(same, groups, rng=rng()), estimate(differing, groups, rng=rng())
        assert moved.resampled == "groups and seeds"
        assert moved.high - moved.low > 3 * (still.high - still.low)

    def test_recordings_of_one_group_move_together(self):
        tracks = [f"t{i}" for i in range(30)]
        values = {(0, t): float(i % 3) for i, t in enumerate(tracks)}
        alone = estimate(values, {t: t for t in tracks}, rng=rng())
        grouped = estimate(values, {t: f"g{i % 3}" for i, t in enumerate(tracks)}, rng=rng())
        assert grouped.high - grouped.low > 2 * (alone.high - alone.low)

    def test_one_group_draws_recordings_and_says_so(self):
        values = {(s, f"t{i}"): i / 10 for s in (0, 1) for i in range(5)}
        found = estimate(values, dict.fromkeys((f"t{i}" for i in range(5)), "g"), rng=rng())
        assert found.resampled == "recordings and seeds"
        assert found.low < found.mean < found.high
        assert found.few

    def test_one_recording_draws_seeds(self):
        found = estimate({(0, "t"): 0.2, (1, "t"): 0.6}, {"t": "g"}, rng=rng())
        assert (found.resampled, found.low, found.high) == ("seeds", 0.2, 0.6)

    def test_one_value_has_no_interval(self):
        found = estimate({(0, "t"): 0.7}, {"t": "g"}, rng=rng())
        assert found.resampled == "nothing"
        assert str(found) == "0.700"
        assert not found.excludes_zero

    def test_nothing_but_nan_is_a_dash(self):
        found = estimate({(0, "t"): float("nan")}, {"t": "g"}, rng=rng())
        assert str(found) == "–"
        assert (found.values, found.groups) == (0, 0)

    def test_seeds_that_share_no_group_still_give_an_interval(self):
        values = {(0, "a"): 0.0, (0, "b"): 0.1, (1, "c"): 0.8, (1, "d"): 1.0}
        found = estimate(values, {t: t for t in "abcd"}, rng=rng())
        assert 0 <= found.low < found.mean < found.high <= 1

    def test_covers_what_is_true(self):
        draw, hits = np.random.default_rng(3), 0
        groups = {f"t{i}": f"g{i // 2}" for i in range(20)}
        for _ in range(200):
            of_group, of_seed = draw.normal(0, 0.1, 10), draw.normal(0, 0.1, 5)
            values = {
                (s, t): of_group[i // 2] + of_seed[s] + draw.normal(0, 0.05)
                for s in range(5)
                for i, t in enumerate(groups)
                if draw.random() < 0.5
            }
            found = estimate(values, groups, rng=draw, n=500)
            hits += found.low <= 0 <= found.high
        assert 0.82 < hits / 200 <= 1  # percentile intervals over five seeds are known to be a little short

    @pytest.mark.parametrize(("n", "level"), [(0, 0.95), (100, 0.0), (100, 1.0)])
    def test_bad_settings(self, n, level):
        with pytest.raises(InputError, match="a draw or more"):
            estimate({(0, "t"): 1.0}, {"t": "g"}, rng=rng(), n=n, level=level)


class TestDifference:
    def test_only_what_both_have_counts(self):
        a = {(0, "a"): 0.9, (0, "b"): 0.8, (1, "a"): 0.1}
        b = {(0, "a"): 0.5, (0, "b"): 0.4, (2, "a"): 0.9}
        found = estimate_difference(a, b, {"a": "a", "b": "b"}, rng=rng())
        assert (found.mean, found.low, found.high, found.values) == pytest.approx((0.4, 0.4, 0.4, 2))
        assert found.excludes_zero
        assert found.few

    def test_pairing_is_sharper_than_two_means(self):
        draw = np.random.default_rng(5)
        groups = {f"t{i}": f"g{i}" for i in range(20)}
        b = {(0, t): draw.uniform() for t in groups}
        a = {place: value + 0.05 + draw.normal(0, 0.01) for place, value in b.items()}
        found = estimate_difference(a, b, groups, rng=rng())
        assert found.excludes_zero
        assert found.high - found.low < 0.05

    def test_nothing_in_common(self):
        found = estimate_difference({(0, "a"): 1.0}, {(1, "a"): 1.0}, {"a": "a"}, rng=rng())
        assert str(found) == "–"
        assert not found.excludes_zero
