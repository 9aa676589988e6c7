"""Cross-validation of separators: models trained on the other groups of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from levada.data import Multitrack, Span, sample
from levada.errors import InputError
from levada.separation.song_scores import AnySeparator, CrossValidated

__all__ = ["cross_validate"]


def cross_validate(
    songs: Sequence[Multitrack],
    train: Callable[[Sequence[Span[Multitrack]]], AnySeparator],
    *,
    rng: np.random.Generator,
    minutes: float = 1.5,
    folds: int = 5,
    progress: Callable[[int, int, str], None] | None = None,
) -> CrossValidated:
    """Train a separator for each fold of the groups on all other folds.

    Parameters
    ----------
    songs : sequence of Multitrack
        Those that cannot be read are skipped.
    train : callable
        From spans of songs to a separator.
    rng : numpy.random.Generator
        For the folds and for the spans to train on.
    minutes : float
        Minutes of music that each separator is trained on, at most.
    folds : int
        Number of folds, at most one for each group.
    progress : callable, optional
        Called with the number of models trained, of all models, and the groups left out.

    Returns
    -------
    CrossValidated

    Raises
    ------
    InputError
        If there are fewer than two groups that can be read, or training fails.
    """
    lengths = {song.id: _length_s(song) for song in songs}
    readable = [song for song in songs if lengths[song.id] > 0]
    groups = sorted({song.group or song.id for song in readable})
    if len(groups) < 2:
        raise InputError("all songs are of one group: there are no others to train a model on")
    if folds < 2 or not minutes > 0:
        raise InputError(f"there must be two folds or more and minutes to train on, not {folds} and {minutes:g}")
    order = [groups[index] for index in rng.permutation(len(groups))]
    count, by_group, used = min(folds, len(groups)), dict[str, AnySeparator](), list[float]()
    for fold in range(count):
        out = order[fold::count]
        others = [song for song in readable if (song.group or song.id) not in out]
        budget = min(minutes, sum(lengths[song.id] for song in others) / 60)
        model = train(sample(others, minutes=budget, seed=rng))
        by_group |= dict.fromkeys(out, model)
        used.append(budget)
        if progress is not None:
            progress(fold + 1, count, f"without {', '.join(out)}")
    least, most = f"{min(used):.2g}", f"{max(used):.2g}"
    span = least if least == most else f"{least} to {most}"
    return CrossValidated(by_group, f"{span} minutes of other songs of this corpus")


def _length_s(song: Multitrack) -> float:
    """Return the length of a song; 0 where it cannot be read."""
    try:
        return song.duration_s
    except (InputError, OSError):
        return 0.0
