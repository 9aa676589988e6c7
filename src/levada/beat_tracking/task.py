"""Beat tracking as a `levada.learning.task.Task`."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levada.data import Corpus, Span, Track, annotated_spans, load_corpus
from levada.data import sample as sample_spans
from levada.data.beat_check import duplicates as find_duplicates
from levada.data.sampling import sample_files as sample_spans_of_files
from levada.data.spans import halve
from levada.errors import InputError
from levada.io.beats import Beats
from levada.learning.names import FLUX
from levada.learning.task import SCORES, BaseModel

if TYPE_CHECKING:
    from levada.beat_tracking.patterns import Patterns
    from levada.learning.weights import Weights

__all__ = [
    "AUGMENTATIONS", "ESTIMATES", "FROM_SCRATCH", "NAME", "NETWORKS", "NON_NEURAL", "OWN_SETTINGS", "WITHOUT_SETTINGS",
    "base_model", "base_weights", "default_settings", "digest", "duplicates", "fingerprint", "from_adapted", "load",
    "no_augmentation", "open_corpus", "read_estimates", "sample", "sample_files", "score", "selections", "split",
    "strategies", "trained_on", "warm_up",
]  # fmt: skip

NAME: str = "beats"
FROM_SCRATCH: tuple[str, ...] = ("scratch", "bayes")
NON_NEURAL: tuple[str, ...] = ("decoder", "bayes")
WITHOUT_SETTINGS: tuple[str, ...] = ("decoder",)
OWN_SETTINGS: tuple[str, ...] = ()
NETWORKS: tuple[str, ...] = ()
AUGMENTATIONS: Mapping[str, str] = {
    "tempo": "tempo",
    "pitch": "pitch_bands",
    "level": "level_db",
    "tone": "tone_db",
    "noise": "noise_db",
    "hidden": "hidden",
}
RANDOM = "random"
ESTIMATES = "beats.json"
"""The file of the beats of a run, to play them in its report."""


def strategies() -> Mapping[str, Callable[..., Any]]:
    """Strategies by name."""
    from levada.beat_tracking.adaptation import STRATEGIES

    return STRATEGIES


def default_settings(network: str = "") -> Mapping[str, Any]:
    """Default settings of each strategy, for a network of a base."""
    from levada.beat_tracking.adaptation import DEFAULTS, settings_of

    return {name: settings_of(name, network=network) for name in DEFAULTS}


def no_augmentation() -> Any:
    """Settings of augmentation that change nothing."""
    from levada.beat_tracking.augmentation import NO_AUGMENTATION

    return NO_AUGMENTATION


def selections() -> tuple[str, ...]:
    """Schemes of selection."""
    from levada.beat_tracking.selection import SCHEMES

    return tuple(dict.fromkeys([RANDOM, *SCHEMES]))


def warm_up() -> None:
    """Compile the decoder."""
    from levada.beat_tracking.decoder import decode_beats
    from levada.beat_tracking.spectrogram import GRID

    decode_beats(np.full((200, 2), 0.1, np.float32), fps=GRID.fps)


def open_corpus(path: str) -> Corpus[Track]:
    """Open a corpus with annotated beats.

    Raises
    ------
    InputError
        If it does not exist, or no recording is annotated.
    MissingExtra
        If it is mirdata's, and mirdata is not installed.
    """
    corpus = load_corpus(path, labels="beats")
    if not corpus.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus.root)
    return corpus


def digest(corpus: Corpus[Track]) -> str:
    """16 hexadecimal digits of the audio, beats and groups of the annotated recordings."""
    whole = hashlib.sha256()
    for track in corpus.annotated:
        beats = track.beats()
        labels = hashlib.sha256(beats.times_s.tobytes() + np.asarray(beats.positions, np.int64).tobytes()).hexdigest()
        whole.update(json.dumps([track.id, track.group, track.content_hash, labels]).encode())
    return whole.hexdigest()[:16]


def duplicates(corpus: Corpus[Track]) -> dict[str, str]:
    """Annotated recordings with the audio of another one."""
    return find_duplicates(corpus.annotated)


def split(
    corpus: Corpus[Track], *, test_size: float, seed: Sequence[int], halves: bool = False, ignore_groups: bool = False
) -> tuple[tuple[Track, ...], tuple[Track | Span, ...]]:
    """Split a corpus by groups; with `halves`, each recording into two halves without a beat in common.

    Raises
    ------
    InputError
        If there is only one recording or one group, or too few beats for two halves.
    """
    if halves:
        parts = [(track, *halve(annotated_spans(track))) for track in corpus.annotated]
        for track, *both in parts:
            if not all(both):
                raise InputError("has too few annotated beats for two halves", path=track.annotation or track.audio)
        train = tuple(replace(track, load=partial(_beats_until, track, one[-1].end_s)) for track, one, _ in parts)
        return train, tuple(Span(track, other[0].start_s, other[-1].end_s) for track, _, other in parts)
    if len(corpus.annotated) < 2:
        raise InputError(
            "has one annotated recording: nothing would be left to score. halves = true draws labels from its first "
            "half and scores the second",
            path=corpus.root,
        )
    try:
        train_set, test_set = corpus.split(
            test_size=test_size, seed=np.random.default_rng(seed), ignore_groups=ignore_groups
        )
    except InputError as error:
        raise InputError(
            f"{error.problem}; or ignore_groups = true in the spec splits recordings, and the scores then include how "
            "well a model knows the performers",
            path=error.path,
        ) from None
    return train_set.tracks, test_set.tracks


def _beats_until(track: Track, end_s: float) -> Beats:
    return track.beats().between(-math.inf, math.nextafter(end_s, math.inf))


def sample(train: Sequence[Track], *, minutes: float, selection: str, seed: Sequence[int]) -> list[Span]:
    """Sample annotated spans by a scheme of selection.

    Raises
    ------
    InputError
        If the budget is larger than what is annotated, or shorter than a bar.
    """
    rng = np.random.default_rng(seed)
    if selection == RANDOM:
        return sample_spans(train, minutes=minutes, seed=rng)
    from levada.beat_tracking.selection import sample as select

    return list(select(train, minutes=minutes, scheme=selection, rng=rng))


def sample_files(train: Sequence[Track], *, files: int, selection: str, seed: Sequence[int]) -> list[Span]:
    """Sample all annotated spans of a number of recordings by a scheme of selection.

    Raises
    ------
    InputError
        If fewer recordings are annotated.
    """
    rng = np.random.default_rng(seed)
    if selection == RANDOM:
        return sample_spans_of_files(train, files=files, seed=rng)
    from levada.beat_tracking.selection import sample_files as select

    return list(select(train, files=files, scheme=selection, rng=rng))


def base_model(name: str) -> BaseModel:
    """Facts of a network to train on; those in folders are read without torch.

    Raises
    ------
    InputError
        If there is no such model, or it has no network.
    """
    from levada.beat_tracking.pretrained import BASES, EXTERNAL, find_folder
    from levada.learning.model_folder import ModelFolder

    if name in BASES or name.startswith("beat_this:") or name.endswith(".ckpt"):
        from levada.learning.weights import digest as weights_digest

        weights = base_weights(name)
        return BaseModel(name, weights_digest(weights), tuple(weights.tensors), weights.source.kind)
    if name == FLUX or name in EXTERNAL:
        raise InputError(f"{name} has no weights to train on: list it under external, where it is scored as it is")
    stored = ModelFolder(find_folder(name))
    if stored.network == "bayes":
        problem = "holds no network to train on: list it under external, where it is scored as it is"
        raise InputError(problem, path=stored.path)
    return BaseModel(name, stored.digest, tuple(stored.tensors), stored.network)


def base_weights(name: str) -> Weights:
    """Weights of a network to train on."""
    from levada.beat_tracking.pretrained import base_weights as read_weights

    return read_weights(name)


def load(name: str, items: Sequence[Track | Span]) -> Any:  # noqa: ARG001
    """A tracker by name or folder."""
    from levada.beat_tracking.pretrained import load_tracker

    return load_tracker(name)


def from_adapted(model: Weights | Patterns, name: str) -> Any:
    """A tracker from adapted weights or patterns."""
    from levada.beat_tracking.pretrained import tracker_of

    return tracker_of(model, name=name)


def fingerprint(name: str) -> str:
    """Fingerprint of a tracker."""
    return load(name, ()).identity or name


def trained_on(name: str) -> frozenset[str]:
    """SHA-256 of the files that a tracker was trained on."""
    return frozenset(getattr(load(name, ()), "trained_spans", {}))


def score(items: Sequence[Track | Span], model: Any, *, name: str, trim_s: float | None, folder: Path) -> list[Path]:
    """Score recordings: a row for each; their estimated beats are in `ESTIMATES`."""
    from levada.beat_tracking.evaluation import evaluate

    result = evaluate(items, {name: model}, trim_s=trim_s)
    result.write_csv(folder / SCORES)
    estimates = {
        row.track: [row.estimate.times_s.round(4).tolist(), row.estimate.positions.tolist()]
        for row in result.rows
        if row.estimate is not None
    }
    (folder / ESTIMATES).write_text(json.dumps(estimates, separators=(",", ":")), encoding="utf-8")
    return [folder / SCORES, folder / ESTIMATES]


def read_estimates(folder: Path) -> dict[str, Beats]:
    """Read the beats that a run estimated, by recording; none of a run of a version that did not keep them.

    Raises
    ------
    InputError
        If they are damaged.
    """
    path = folder / ESTIMATES
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: Beats(times_s, positions) for name, (times_s, positions) in rows.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"is damaged: {error}", path=path) from None
