from itertools import combinations

import numpy as np
import pytest

from levada.beat_tracking.selection import schemes
from levada.beat_tracking.selection.schemes import SCHEMES
from levada.errors import InputError


def cosines(size: int, seed: int, dimensions: int = 3) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((size, dimensions))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.clip(points @ points.T, -1, 1)


def crowds(*sizes: int) -> np.ndarray:
    """Crowds of copies, each unlike the others."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(labels[:, None] == labels, 1.0, -0.2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", SCHEMES)
class TestEvery:
    def test_chooses_as_many_as_asked_and_none_twice(self, name):
        chosen = SCHEMES[name](cosines(12, 1), count=5, rng=rng())
        assert len(set(chosen)) == 5
        assert set(chosen) <= set(range(12))

    def test_the_same_seed_chooses_the_same(self, name):
        first, again = (SCHEMES[name](cosines(15, 2), count=6, rng=np.random.default_rng(7)) for _ in range(2))
        assert first == again

    def test_what_is_known_is_not_chosen_again(self, name):
        assert sorted(SCHEMES[name](cosines(6, 3), count=9, rng=rng(), annotated=[1, 4])) == [0, 2, 3, 5]

    def test_one_and_none(self, name):
        assert SCHEMES[name](np.ones((1, 1)), count=3, rng=rng()) == [0]
        assert SCHEMES[name](np.ones((1, 1)), count=1, rng=rng(), annotated=[0]) == []
        assert SCHEMES[name](cosines(4, 0), count=0, rng=rng()) == []

    def test_copies_of_one_recording_are_broken_by_the_seed(self, name):
        first = {SCHEMES[name](np.ones((8, 8)), count=1, rng=np.random.default_rng(seed))[0] for seed in range(30)}
        assert len(first) > 3


@pytest.mark.parametrize("name", ["facility", "diversity", "k-medoids", "uncertainty"])
def test_three_choices_are_of_three_crowds(name):
    labels = np.repeat([0, 1, 2], [5, 6, 4])
    for seed in range(5):
        chosen = SCHEMES[name](crowds(5, 6, 4), count=3, rng=np.random.default_rng(seed))
        assert set(labels[chosen]) == {0, 1, 2}


@pytest.mark.parametrize("name", ["facility", "diversity", "k-medoids", "uncertainty"])
def test_a_crowd_that_is_annotated_already_is_left_for_another(name):
    chosen = SCHEMES[name](crowds(7, 3, 2), count=2, rng=rng(), annotated=[0])
    assert sorted(np.repeat([0, 1, 2], [7, 3, 2])[chosen]) == [1, 2]


class TestFacility:
    @pytest.mark.parametrize("seed", range(8))
    def test_is_near_the_best_there_is(self, seed):
        alike, count = cosines(9, seed), 3
        gain = (1 + alike) / 2
        worth = {some: gain[:, some].max(axis=1).sum() for some in combinations(range(9), count)}
        chosen = tuple(sorted(schemes.facility(alike, count=count, rng=rng())))
        assert worth[chosen] >= 0.95 * max(worth.values())

    @pytest.mark.parametrize("seed", range(4))
    def test_the_first_is_the_best_one(self, seed):
        alike = cosines(9, seed)
        assert schemes.facility(alike, count=1, rng=rng()) == [int(alike.sum(axis=0).argmax())]

    def test_each_choice_adds_the_most(self):
        gain = (1 + cosines(10, 5)) / 2
        chosen = schemes.facility(2 * gain - 1, count=4, rng=rng())
        for n in range(1, 4):
            worth = [gain[:, [*chosen[:n], other]].max(axis=1).sum() for other in range(10)]
            assert worth[chosen[n]] == pytest.approx(max(worth))


class TestDiversity:
    @pytest.mark.parametrize("seed", range(8))
    def test_is_at_least_half_as_far_apart_as_the_best(self, seed):
        alike, count = cosines(9, seed), 4
        angles = np.arccos(alike)

        def apart(some) -> float:
            return min(angles[a, b] for a, b in combinations(some, 2))

        best = max(map(apart, combinations(range(9), count)))
        assert apart(schemes.diversity(alike, count=count, rng=rng())) >= best / 2

    def test_is_farthest_from_what_is_known(self):
        alike = cosines(10, 4)
        nearest = alike[:, [2, 3]].max(axis=1)
        assert schemes.diversity(alike, count=1, rng=rng(), annotated=[2, 3]) == [int(nearest.argmin())]


class TestVoteK:
    def test_is_that_of_its_paper(self):
        alike, near = cosines(30, 6), 10
        votes = np.zeros((30, 30), bool)
        for voter in range(30):
            others = sorted((one for one in range(30) if one != voter), key=lambda one: -alike[voter, one])
            votes[voter, others[:near]] = True
        chosen = schemes.vote_k(alike, count=6, rng=rng())
        for n in range(6):
            done = chosen[:n]
            weights = {v: 10.0 ** -sum(votes[v, c] for c in done) for v in range(30) if v not in done}
            score = {u: sum(w for v, w in weights.items() if votes[v, u]) for u in weights}
            assert score[chosen[n]] == pytest.approx(max(score.values()))

    def test_in_a_small_pool_not_all_vote_for_all(self):
        alike = cosines(9, 8)
        assert len({schemes.vote_k(alike, count=1, rng=np.random.default_rng(seed))[0] for seed in range(12)}) <= 2


class TestKMedoids:
    @pytest.mark.parametrize("seed", range(8))
    def test_is_the_best_there_is_where_that_can_be_counted(self, seed):
        far = 1 - cosines(9, seed)
        best = min(far[:, some].min(axis=1).sum() for some in combinations(range(9), 3))
        chosen = schemes.k_medoids(1 - far, count=3, rng=rng())
        assert far[:, chosen].min(axis=1).sum() == pytest.approx(best)

    def test_the_largest_cluster_comes_first(self):
        chosen = schemes.k_medoids(crowds(2, 6, 4), count=3, rng=rng())
        assert list(np.repeat([0, 1, 2], [2, 6, 4])[chosen]) == [1, 2, 0]


class TestUncertainty:
    def test_the_least_sure_one_first(self):
        unsure = np.array([0.1, 0.2, 0.9, 0.3])
        assert schemes.uncertainty(cosines(4, 0), count=1, rng=rng(), uncertainties=unsure) == [2]

    def test_a_copy_of_what_is_chosen_is_not_taken(self):
        chosen = schemes.uncertainty(crowds(3, 1), count=2, rng=rng(), uncertainties=np.array([0.9, 0.9, 0.8, 0.1]))
        assert chosen[0] in (0, 1)
        assert chosen[1] == 3

    def test_near_copies_of_what_is_hard_do_not_outweigh_all_else(self):
        alike = np.clip(crowds(10, *[1] * 10), -0.2, 0.9)
        np.fill_diagonal(alike, 1.0)
        unsure = np.concatenate([np.full(10, 0.3), np.linspace(0.0006, 0.01, 10)])
        chosen = schemes.uncertainty(alike, count=4, rng=rng(), uncertainties=unsure)
        assert chosen[0] < 10
        assert chosen[1:] == [19, 18, 17]

    def test_a_tracker_that_is_sure_of_everything_leaves_the_choice_to_novelty(self):
        chosen = schemes.uncertainty(crowds(5, 1, 5), count=3, rng=rng(), uncertainties=np.zeros(11))
        assert sorted(np.repeat([0, 1, 2], [5, 1, 5])[chosen]) == [0, 1, 2]


class TestNamed:
    def test_every_name(self):
        assert all(schemes.get_scheme(name) is scheme for name, scheme in SCHEMES.items())

    @pytest.mark.parametrize(
        ("name", "told"),
        [("facillity", "did you mean 'facility'"), ("kmedoids", "did you mean 'k-medoids'"), ("", "there are random")],
    )
    def test_one_that_there_is_not(self, name, told):
        with pytest.raises(InputError, match=told):
            schemes.get_scheme(name)
