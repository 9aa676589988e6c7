"""Models that are learnt from the other songs of a corpus, so that none is scored on what it has heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from levada.data import Multitrack, Span, sample
from levada.errors import InputError
from levada.separation.song_scores import HeldOut, Separating

__all__ = ["held_out"]


def held_out(
    songs: Sequence[Multitrack],
    learn: Callable[[Sequence[Span[Multitrack]]], Separating],
    *,
    rng: np.random.Generator,
    minutes: float = 1.5,
    folds: int = 5,
    progress: Callable[[int, int, str], None] | None = None,
) -> HeldOut:
    """Learn separators, each without some of the groups, until every group is left out once.

    Parameters
    ----------
    songs : sequence of Multitrack
        Those that cannot be read are passed over.
    learn : callable
        From stretches of songs to a separator.
    rng : numpy.random.Generator
        Deals the groups, and draws what is learnt from.
    minutes : float
        Budget of each separator: minutes of music, or as many as the other groups have.
    folds : int
        How many separators are learnt at most; with as many groups or fewer, one for each.
    progress : callable, optional
        Told how many are learnt, how many there will be, and what was learnt.

    Returns
    -------
    HeldOut

    Raises
    ------
    InputError
        If there are fewer than two groups that can be read, or nothing can be learnt from them.
    """
    lengths = {song.id: _length_s(song) for song in songs}
    heard = [song for song in songs if lengths[song.id] > 0]
    groups = sorted({song.group or song.id for song in heard})
    if len(groups) < 2:
        raise InputError("all songs are of one group: there are no others that a model could learn from")
    if folds < 2 or not minutes > 0:
        raise InputError(f"there must be two folds or more and minutes to learn from, not {folds} and {minutes:g}")
    order = [groups[index] for index in rng.permutation(len(groups))]
    count, by_group, used = min(folds, len(groups)), dict[str, Separating](), list[float]()
    for fold in range(count):
        out = order[fold::count]
        others = [song for song in heard if (song.group or song.id) not in out]
        budget = min(minutes, sum(lengths[song.id] for song in others) / 60)
        learnt = learn(sample(others, minutes=budget, seed=rng))
        by_group |= dict.fromkeys(out, learnt)
        used.append(budget)
        if progress is not None:
            progress(fold + 1, count, f"without {', '.join(out)}")
    least, most = f"{min(used):.2g}", f"{max(used):.2g}"
    span = least if least == most else f"{least} to {most}"
    return HeldOut(by_group, f"{span} minutes of other songs of this corpus")


def _length_s(song: Multitrack) -> float:
    """Nothing where it cannot be read; whoever scores it will say why."""
    try:
        return song.duration_s
    except (InputError, OSError):
        return 0.0
