"""Schemes of selection: in which order recordings are worth annotating, told from how similar they are.

All get a matrix of cosine similarities, how many to choose, a generator that breaks ties, and which are known already:
annotated ones are not chosen again, but what is like them is worth less. `uncertainty` is also told how unsure the
tracker is of each. Vote-k, facility, diversity and k-medoids are those of Maia et al., TISMIR 7(1), 2024.
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


def random(alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = ()) -> list[int]:
    """Any of them.

    Parameters
    ----------
    alike : float64 [shape=(n, n)]
        Cosine similarities.
    count : int
        How many to choose; all there are if there are fewer.
    rng : numpy.random.Generator
        Breaks ties; the same seed chooses the same ones.
    known : sequence of int
        Those that are annotated already.

    Returns
    -------
    list of int
        The most useful one first.
    """
    return _free(alike, known, rng)[:count]


def vote_k(alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = ()) -> list[int]:
    """Those that many count among their neighbours; a vote weighs less the more neighbours are chosen already.

    Su et al., "Selective Annotation Makes Language Models Better Few-Shot Learners", ICLR 2023: each recording votes
    for its 10 nearest, with a weight of 10 to the minus how many of them are chosen. In a pool of fewer than 21 they
    are the nearer half, as otherwise all would vote for all. Parameters as for `random`.
    """
    size = len(alike)
    order = _free(alike, known, rng)
    others = np.where(np.eye(size, dtype=bool), -np.inf, alike)
    near = min(NEIGHBOURS, max(1, (size - 1) // 2))
    votes = np.zeros((size, size), dtype=bool)  # who votes (row) for whom (column)
    if size > 1:
        mixed = rng.permutation(size)  # of equally near ones, any
        nearest = np.argsort(-others[:, mixed], axis=1, kind="stable")[:, :near]
        np.put_along_axis(votes, mixed[nearest], True, axis=1)
    taken, chosen = list(known), list[int]()
    while order and len(chosen) < count:
        weights = RHO ** -votes[:, taken].sum(axis=1).astype(np.float64)
        weights[taken] = 0
        best = max(order, key=lambda one: float(weights @ votes[:, one]))
        order.remove(best)
        chosen.append(best)
        taken.append(best)
    return chosen


def facility(alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = ()) -> list[int]:
    """Those that stand for all: every recording should have a chosen one that is like it.

    Greedy maximum facility location (Nemhauser et al., 1978): each choice adds as much as possible to the sum, over all
    recordings, of the similarity to the nearest chosen one; never worse than 63 % of the best sum there is. Parameters
    as for `random`.
    """
    gain = (1 + alike) / 2  # the promise holds for what is never negative
    order, chosen = _free(alike, known, rng), list[int]()
    served = gain[:, list(known)].max(axis=1, initial=0.0)
    while order and len(chosen) < count:
        best = max(order, key=lambda one: float(np.maximum(gain[:, one], served).sum()))
        order.remove(best)
        chosen.append(best)
        served = np.maximum(served, gain[:, best])
    return chosen


def diversity(alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = ()) -> list[int]:
    """Those that are unlike each other: a random one, then always the farthest from all chosen.

    Greedy farthest first (Gonzalez, 1985): the two most similar of them are at least half as far apart, as an angle, as
    in the best choice there is. Parameters as for `random`.
    """
    order, chosen = _free(alike, known, rng), list[int]()
    nearest = alike[:, list(known)].max(axis=1, initial=-1.0)
    while order and len(chosen) < count:
        best = min(order, key=lambda one: float(nearest[one]))
        order.remove(best)
        chosen.append(best)
        nearest = np.maximum(nearest, alike[:, best])
    return chosen


def k_medoids(alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = ()) -> list[int]:
    """Those in the middle of as many clusters, the largest cluster first.

    Partitioning around medoids (Kaufman and Rousseeuw, 1990), the best of ten starts; what is known stays a medoid.
    Parameters as for `random`.
    """
    far, fixed = 1 - alike, list(known)
    count = min(count, len(alike) - len(fixed))
    if count < 1:
        return []
    starts = [facility(alike, count=count, rng=rng, known=known)]
    starts += [_free(alike, known, rng)[:count] for _ in range(RESTARTS - 1)]
    found = [_swapped(far, fixed, start) for start in starts]
    best = min(found, key=lambda medoids: round(_cost(far, fixed + medoids), 9))
    sizes = np.bincount(far[:, fixed + best].argmin(axis=1), minlength=len(fixed) + count)[len(fixed) :]
    return [best[i] for i in np.argsort(-sizes, kind="stable")]


def uncertainty(
    alike: Floats, *, count: int, rng: np.random.Generator, known: Sequence[int] = (), unsure: Floats | None = None
) -> list[int]:
    """Those of which the tracker is least sure, unless they are like what is chosen already.

    Rank of uncertainty times novelty, which is 0 for a copy of a chosen one and 1 for its opposite. Ranks, as trackers
    are so sure of most music that near-copies of what they doubt would outweigh all else. Parameters as for `random`,
    and `unsure`, float64 [shape=(n,)]: 1 less the tracker's mean confidence in each; the same everywhere by default.
    """
    order, chosen = _free(alike, known, rng), list[int]()
    doubt = _ranks(np.ones(len(alike)) if unsure is None else unsure, among=order)
    novel = (1 - alike[:, list(known)].max(axis=1, initial=-1.0)) / 2
    while order and len(chosen) < count:
        best = max(order, key=lambda one: float(doubt[one] * novel[one]))
        order.remove(best)
        chosen.append(best)
        novel = np.minimum(novel, (1 - alike[:, best]) / 2)
    return chosen


SCHEMES: Mapping[str, Scheme] = {
    "random": random,
    "vote-k": vote_k,
    "facility": facility,
    "diversity": diversity,
    "k-medoids": k_medoids,
    "uncertainty": uncertainty,
}
"""Every scheme by the name that specs and commands give it."""


def get_scheme(scheme: str) -> Scheme:
    """A scheme by its name.

    Raises
    ------
    InputError
        If there is none of that name; says which there are, and the nearest.
    """
    if scheme in SCHEMES:
        return SCHEMES[scheme]
    raise InputError(f"there is no scheme of selection {scheme!r}; {suggest(scheme, SCHEMES)}")


def _free(alike: Floats, known: Sequence[int], rng: np.random.Generator) -> list[int]:
    """What may be chosen, in random order: the first of equals wins."""
    return [int(one) for one in rng.permutation(len(alike)) if one not in set(known)]


def _ranks(values: Floats, *, among: Sequence[int]) -> Floats:
    """Share of some of the values that each is above, equals counting half: above 0 for those among them."""
    some = np.sort(values[list(among)])
    places = np.searchsorted(some, values, "left") + np.searchsorted(some, values, "right")
    return np.asarray(places / max(2 * len(some), 1), np.float64)


def _cost(far: Floats, medoids: list[int]) -> float:
    return float(far[:, medoids].min(axis=1).sum())


def _swapped(far: Floats, fixed: list[int], medoids: list[int]) -> list[int]:
    """Swap a medoid for another recording as long as that brings all nearer to theirs."""
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
