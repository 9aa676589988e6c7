"""Products of probabilities of very different sizes, given as logarithms."""

import numpy as np
import pytest

from levada.beat_tracking.decoder.recursion import sum_product

NEVER = -np.inf


def exact(scores, weights):
    terms = scores[:, None] + weights[..., None]
    return np.logaddexp.reduce(terms, axis=0)


@pytest.mark.parametrize("size", [1.0, 100.0, 1e4, 1e7])
def test_products_of_any_size_are_exact(size):
    rng = np.random.default_rng(0)
    weights = np.where(rng.random((12, 9)) < 0.7, NEVER, rng.uniform(-20, 0, (12, 9)))
    scores = size * rng.normal(size=(12, 400))
    scores[rng.random(scores.shape) < 0.2] = NEVER
    scores[:, 7] = NEVER
    found = sum_product.product(scores, sum_product.weights(weights))
    expected = exact(scores, weights)
    possible = expected > NEVER
    np.testing.assert_array_equal(found > NEVER, possible)
    np.testing.assert_allclose(found[possible], expected[possible], rtol=1e-12, atol=1e-9)


def test_what_the_best_row_does_not_reach_is_not_lost():
    weights = np.array([[0.0, NEVER], [NEVER, 0.0]])
    found = sum_product.product(np.array([[0.0], [-2000.0]]), sum_product.weights(weights))
    assert found.tolist() == [[0.0], [-2000.0]]
