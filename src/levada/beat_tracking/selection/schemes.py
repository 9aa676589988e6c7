"""Schemes of selection: the order in which recordings are worth annotating, from their similarities.

All take a matrix of cosine similarities, the number to choose, a generator that breaks ties, and which are annotated:
these are not chosen again, but recordings similar to them are worth less. `uncertainty` also takes the tracker's
uncertainty of each. Vote-k, facility, diversity and k-medoids are those of Maia et al., TISMIR 7(1), 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, suggest

__all__ = ["SCHEMES", "Scheme", "diversity", "facility", "get_scheme", "k_medoids", "random", "uncertainty", "vote_k"]

Floats = npt.NDArray[np.float64]
Scheme = Callable[..., list[int]]

NEIGHBOURS, RHO = 10, 10.0  # of vote-k, as published
RESTARTS, SWAPS = 10, 300  # of k-medoids, as published


def random(similarities: Floats, *, count: int, rng: np.random.Generator, annotated: Sequence[int] = ()) -> list[int]:
    """Choose at random.

    Parameters
    ----------
    similarities : float64 [shape=(n, n)]
        Cosine similarities.
    count : int
        Number to choose; all if there are fewer.
    rng : numpy.random.Generator
        Breaks ties; the same seed chooses the same ones.
    annotated : sequence of int
        Those that are annotated already.

    Returns
    -------
    list of int
        The most useful one first.
    """
    return _free(similarities, annotated, rng)[:count]


def vote_k(similarities: Floats, *, count: int, rng: np.random.Generator, annotated: Sequence[int] = ()) -> list[int]:
    """Choose those that many have among their neighbours; a vote weighs less the more neighbours are chosen already.

    Su et al., "Selective Annotation Makes Language Models Better Few-Shot Learners", ICLR 2023: each recording votes
    for its 10 nearest, with a weight of 10 to the minus how many of them are chosen. In a pool of fewer than 21 they
    are the nearer half, as otherwise all would vote for all. Parameters as for `random`.
    """
    size = len(similarities)
    order = _free(similarities, annotated, rng)
    others = np.where(np.eye(size, dtype=bool), -np.inf, similarities)
    near = min(NEIGHBOURS, max(1, (size - 1) // 2))
    votes = np.zeros((size, size), dtype=bool)  # who votes (row) for whom (column)
    if size > 1:
        mixed = rng.permutation(size)  # of equally near ones, any
        nearest = np.argsort(-others[:, mixed], axis=1, kind="stable")[:, :near]
        np.put_along_axis(votes, mixed[nearest], True, axis=1)

    def worth(taken: list[int]) -> Callable[[int], float]:
        weights = RHO ** -votes[:, taken].sum(axis=1).astype(np.float64)
        weights[taken] = 0
        return lambda one: float(weights @ votes[:, one])

    return _greedy(worth, order, count=count, annotated=annotated)


def facility(similarities: Floats, *, count: int, rng: np.random.Generator, annotated: Sequence[int] = ()) -> list[int]:
    """Choose representative ones: every recording should have a chosen one that is similar to it.

    Greedy maximum facility location (Nemhauser et al., 1978): each choice adds as much as possible to the sum, over all
    recordings, of the similarity to the nearest chosen one; never worse than 63 % of the best sum there is. Parameters
    as for `random`.
    """
    gain = (1 + similarities) / 2  # the promise holds for what is never negative

    def worth(taken: list[int]) -> Callable[[int], float]:
        served = gain[:, taken].max(axis=1, initial=0.0)
        return lambda one: float(np.maximum(gain[:, one], served).sum())

    return _greedy(worth, _free(similarities, annotated, rng), count=count, annotated=annotated)


def diversity(
    similarities: Floats, *, count: int, rng: np.random.Generator, annotated: Sequence[int] = ()
) -> list[int]:
    """Choose dissimilar ones: a random one, then always the farthest from all chosen.

    Greedy farthest first (Gonzalez, 1985): the two most similar of them are at least half as far apart, as an angle, as
    in the best choice there is. Parameters as for `random`.
    """

    def worth(taken: list[int]) -> Callable[[int], float]:
        nearest = similarities[:, taken].max(axis=1, initial=-1.0)
        return lambda one: -float(nearest[one])

    return _greedy(worth, _free(similarities, annotated, rng), count=count, annotated=annotated)


def k_medoids(
    similarities: Floats, *, count: int, rng: np.random.Generator, annotated: Sequence[int] = ()
) -> list[int]:
    """Choose the medoids of as many clusters, the largest cluster first.

    Partitioning around medoids (Kaufman and Rousseeuw, 1990), the best of ten starts; what is annotated stays a medoid.
    Parameters as for `random`.
    """
    far, fixed = 1 - similarities, list(annotated)
    count = min(count, len(similarities) - len(fixed))
    if count < 1:
        return []
    starts = [facility(similarities, count=count, rng=rng, annotated=annotated)]
    starts += [_free(similarities, annotated, rng)[:count] for _ in range(RESTARTS - 1)]
    found = [_swapped(far, fixed, start) for start in starts]
    best = min(found, key=lambda medoids: round(_cost(far, fixed + medoids), 9))
    sizes = np.bincount(far[:, fixed + best].argmin(axis=1), minlength=len(fixed) + count)[len(fixed) :]
    return [best[i] for i in np.argsort(-sizes, kind="stable")]


def uncertainty(
    similarities: Floats,
    *,
    count: int,
    rng: np.random.Generator,
    annotated: Sequence[int] = (),
    uncertainties: Floats | None = None,
) -> list[int]:
    """Choose those of which the tracker is least certain, unless similar ones are chosen already.

    Rank of uncertainty times novelty, which is 0 for a copy of a chosen one and 1 for its opposite. Ranks, as trackers
    are so certain of most music that near-copies of the others would outweigh the rest. Parameters as for `random`,
    and `uncertainties`, float64 [shape=(n,)]: 1 - the tracker's mean confidence of each; equal by default.
    """
    order = _free(similarities, annotated, rng)
    rank = _ranks(np.ones(len(similarities)) if uncertainties is None else uncertainties, among=order)

    def worth(taken: list[int]) -> Callable[[int], float]:
        novel = (1 - similarities[:, taken].max(axis=1, initial=-1.0)) / 2
        return lambda one: float(rank[one] * novel[one])

    return _greedy(worth, order, count=count, annotated=annotated)


SCHEMES: Mapping[str, Scheme] = {
    "random": random,
    "vote-k": vote_k,
    "facility": facility,
    "diversity": diversity,
    "k-medoids": k_medoids,
    "uncertainty": uncertainty,
}
"""Schemes by name."""


def get_scheme(scheme: str) -> Scheme:
    """Return a scheme by its name.

    Raises
    ------
    InputError
        If there is none of that name; says which there are, and the nearest.
    """
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    raise InputError(f"there is no scheme of selection {scheme!r}; {suggest(scheme, SCHEMES)}")


def _free(similarities: Floats, annotated: Sequence[int], rng: np.random.Generator) -> list[int]:
    """Return what may be chosen, in random order: the first of equals wins."""
    return [int(one) for one in rng.permutation(len(similarities)) if one not in set(annotated)]


def _greedy(
    worth: Callable[[list[int]], Callable[[int], float]], order: list[int], *, count: int, annotated: Sequence[int]
) -> list[int]:
    """Choose what is worth most, one after another; `worth` is given those that are annotated or chosen already."""
    taken = list(annotated)
    while order and len(taken) < len(annotated) + count:
        best = max(order, key=worth(taken))
        order.remove(best)
        taken.append(best)
    return taken[len(annotated) :]


def _ranks(values: Floats, *, among: Sequence[int]) -> Floats:
    """Return the fraction of some values that each is above, equals counting half: above 0 for those among them."""
    some = np.sort(values[list(among)])
    places = np.searchsorted(some, values, "left") + np.searchsorted(some, values, "right")
    return np.asarray(places / max(2 * len(some), 1), np.float64)


def _cost(far: Floats, medoids: list[int]) -> float:
    return float(far[:, medoids].min(axis=1).sum())


def _swapped(far: Floats, fixed: list[int], medoids: list[int]) -> list[int]:
    """Swap medoids for other recordings as long as that lowers the cost."""
    medoids = list(medoids)
    for _ in range(SWAPS):
        best, cost = None, _cost(far, fixed + medoids) - 1e-9
        for place in range(len(medoids)):
            rest = fixed + medoids[:place] + medoids[place + 1 :]
            left = far[:, rest].min(axis=1, initial=2.0)
            costs = np.minimum(left[:, None], far).sum(axis=0)
            costs[fixed + medoids] = np.inf
            if costs.min() < cost:
                best, cost = (place, int(costs.argmin())), float(costs.min())
        if best is None:
            break
        medoids[best[0]] = best[1]
    return medoids
