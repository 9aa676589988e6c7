"""Pages of excerpts where models are wrong: audio, reference and estimates; of those that a model tracks worst."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.evaluation import Evaluation, Row
from levada.data import Track
from levada.errors import InputError
from levada.io.audio import AudioExcerpt
from levada.io.beats import Beats, distances
from levada.player.player import Player, save_players

__all__ = ["excerpt_player", "save_worst"]

MOST = 5
EXCERPT_S = 30.0
TOLERANCE_S = 0.07


def save_worst(
    path: str | Path, evaluation: Evaluation, tracks: Iterable[Track], *, most: int = MOST, force: bool = False
) -> tuple[str, ...]:
    """Write a page with excerpts of the recordings that the first model tracks worst.

    Of each recording it has the 30 s with most wrong beats, with the reference and the estimates of all models.

    Parameters
    ----------
    path : path-like
        Of a file that ends in ``.html``.
    evaluation : Evaluation
        Of trackers, as `levada.evaluate` returns it.
    tracks : iterable of Track
        Those that were scored.
    most : int
        How many recordings at most.
    force : bool
        Whether a file that exists may be replaced.

    Returns
    -------
    tuple of str
        The ids of these recordings, the worst first.

    Raises
    ------
    InputError
        If no recording has scores, or the page exists or cannot be written.
    """
    by_id = {track.id: track for track in tracks}
    first = evaluation.models[0]
    scored = {row.track: row for row in evaluation.rows if row.model == first and row.scores and row.track in by_id}
    chosen = sorted(scored.values(), key=_quality)[:most]
    if not chosen:
        raise InputError("no recording has scores, so that there is none to show", path=path)
    players = [_player(by_id[row.track], [one for one in evaluation.rows if one.track == row.track]) for row in chosen]
    save_players(path, players, title=f"Recordings that {first} tracks worst", force=force)
    return tuple(row.track for row in chosen)


def _quality(row: Row) -> tuple[float, str]:
    """Return the mean F-measure of beats and, where the reference has them, downbeats."""
    values = [row.scores.get(name, math.nan) for name in ("beat_f", "downbeat_f")]
    return float(np.nanmean([values[0], values[1]] if math.isfinite(values[1]) else values[:1])), row.track


def _player(track: Track, rows: Sequence[Row]) -> Player:
    first = rows[0]
    estimates = {row.model: row.estimate for row in rows if row.estimate is not None}
    scores = ", ".join(
        f"{row.model} {row.scores['beat_f']:.2f} / {row.scores.get('downbeat_f', math.nan):.2f}"
        for row in rows
        if row.scores
    )
    kind = f" ({first.kind})" if first.kind else ""
    title = f"{track.id}{kind}: beat F / downbeat F {scores}"
    compared = [estimates.get(first.model, Beats([]))]
    return excerpt_player(track, estimates, compared, title=title, span_s=(first.start_s, first.end_s))


def excerpt_player(
    track: Track,
    estimates: Mapping[str, Beats],
    compared: Iterable[Beats],
    *,
    title: str,
    span_s: tuple[float, float],
    length_s: float = EXCERPT_S,
) -> Player:
    """Return a player of the excerpt of a recording in which some estimates have most wrong beats and downbeats.

    Parameters
    ----------
    track : Track
        With its reference.
    estimates : mapping of str to Beats
        That are shown, by name.
    compared : iterable of Beats
        That choose the excerpt.
    title : str
        The times of the excerpt are added.
    span_s : (float, float)
        What was scored.
    length_s : float
        Of the excerpt, in seconds.
    """
    reference = track.beats()
    wrong_s = np.sort(np.concatenate([_wrong(reference, beats) for beats in compared]))
    start_s = _densest(wrong_s, *span_s, length_s)
    end_s = min(start_s + length_s, track.duration_s)
    excerpt, place = AudioExcerpt(track.audio, start_s, end_s), f"{start_s:.0f} to {end_s:.0f} s"
    return Player(excerpt, beats=estimates, reference=reference, title=f"{title}; {place}")


def _wrong(reference: Beats, estimate: Beats) -> npt.NDArray[np.float64]:
    """Return the times of beats, and of downbeats, that one of the two has alone."""
    pairs = [(reference.times_s, estimate.times_s), (reference.downbeats_s, estimate.downbeats_s)]
    alone = [one[distances(one, other) > TOLERANCE_S] for pair in pairs for one, other in (pair, pair[::-1])]
    return np.sort(np.concatenate(alone))


def _densest(times_s: npt.NDArray[np.float64], start_s: float, end_s: float, length_s: float) -> float:
    """Return where the excerpt of what was scored begins that has most of some times."""
    last_s = max(start_s, end_s - length_s)
    starts = np.unique(np.clip([start_s, *(times_s - 1.0)], start_s, last_s))
    counts = np.searchsorted(times_s, starts + length_s) - np.searchsorted(times_s, starts)
    return float(starts[counts.argmax()])
