"""Models against the labels of a corpus, beats or stems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from levada.arguments import checked
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.beat_tracking.evaluation import Evaluation
    from levada.beat_tracking.tracker import TrackerLike
    from levada.data import Corpus, Multitrack, Track
    from levada.separation.evaluation import StemEvaluation
    from levada.separation.masking import SeparatorLike
    from levada.separation.song_scores import CrossValidated

    Models = Mapping[str, TrackerLike] | Mapping[str, SeparatorLike | CrossValidated]

__all__ = ["evaluate"]


@checked
def evaluate(
    models: Models,
    corpus: Corpus[Track] | Corpus[Multitrack],
    *,
    trim_s: float | None = None,
    oracle: bool = False,
    exclude_trained: bool = False,
    processes: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> Evaluation | StemEvaluation:
    """Score models on the labelled recordings of a corpus.

    Parameters
    ----------
    models : mapping of str to BeatTracker or Separator
        By name; the first is what the others are compared with. For beats, anything with ``track(samples, rate)`` is a
        tracker; for stems, anything with ``separate(samples, rate)`` and ``instruments`` is a separator, and so is what
        `levada.separation.cross_validation.cross_validate` returns.
    corpus : Corpus
        Recordings with beats, or songs with stems; of a split, the part that gave no labels.
    trim_s : float, optional
        For beats, seconds at the start of each recording that are not scored: by default 5 s of recordings of 30 s or
        more, and nothing of shorter ones.
    oracle : bool
        For stems, whether to add ideal masks, the upper bound of every separator with masks.
    exclude_trained : bool
        Whether to leave out recordings that a model was trained on, and their groups.
    processes : int
        How many processes work at once.
    progress : callable, optional
        Called with the number done, of how many, and the recording's id. An exception raised in it cancels.

    Returns
    -------
    Evaluation or StemEvaluation
        A row for each recording (or stem) and model, means with intervals over groups, differences, and warnings.

    Raises
    ------
    InputError
        If there are no models, no labelled recordings, or models of the other task.

    Examples
    --------
    >>> result = levada.evaluate({"base": base, "mine": mine}, test)        # doctest: +SKIP
    >>> result.write_csv("scores.csv")                                      # doctest: +SKIP
    """
    stems = corpus.labels == "stems"
    method = "separate" if stems else "track"
    for name, model in models.items():
        if not hasattr(model, method) and not hasattr(model, "by_group"):
            wanted = "separators" if stems else "trackers"
            raise InputError(
                f"{corpus.name} has labels of {corpus.labels} for {wanted}, and {name} is not such a model"
            )
    if stems:
        if trim_s is not None:
            raise InputError("trim_s is for beats: stems are scored from their start")
        from levada.separation.evaluation import evaluate_stems

        return evaluate_stems(
            cast("Any", corpus.tracks), cast("Any", models),
            oracle=oracle, exclude_trained=exclude_trained, processes=processes, progress=progress,
        )  # fmt: skip
    if oracle:
        raise InputError("oracle is for stems, and these labels are beats")
    from levada.beat_tracking import evaluation

    return evaluation.evaluate(
        cast("Any", corpus.tracks), cast("Any", models),
        trim_s=trim_s, exclude_trained=exclude_trained, processes=processes, progress=progress,
    )  # fmt: skip
