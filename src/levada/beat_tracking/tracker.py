"""Beat trackers: `BeatTracker`, and what else can find beats."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from levada.arguments import checked
from levada.beat_tracking.decoder.settings import TempoRange, tempo_range
from levada.errors import InputError, collected_warnings, log_again
from levada.io import audio
from levada.io.beats import Beats, distances
from levada.io.metres import Metre, sorted_metres
from levada.learning.model import LoadedModel

if TYPE_CHECKING:
    from torch import nn

    from levada.beat_tracking.analysis import Analysis
    from levada.beat_tracking.patterns import Patterns
    from levada.data import Span
    from levada.learning.weights import Weights
    from levada.synth.traditions import Tradition

__all__ = [
    "AudioLike",
    "BeatTracker",
    "Progress",
    "Restrictable",
    "Spans",
    "TrackerLike",
    "kept_labels",
    "provenance",
    "restricted_identity",
]

Floats32 = npt.NDArray[np.float32]
AudioLike = str | Path | audio.AudioExcerpt | npt.ArrayLike
Spans = Mapping[str, list[tuple[float, float]]]
Progress = Callable[[int, int], None]

_log = logging.getLogger(__name__)

LABELS = "labels"
"""Entry of a model's training: SHA-256 of each recording it learnt from -> times and positions of the labels."""
DECODER_LOG = "levada.beat_tracking.decoder.decode"  # names hints by their times, here those in a part
SAME_BEAT_S = 0.1
"""A hint and a label that are no farther apart are of the same beat."""


class TrackerLike(Protocol):
    """Anything that finds beats, and what tables and caches must know of it."""

    @property
    def name(self) -> str:
        """Its name in tables."""

    @property
    def identity(self) -> str:
        """A digest that changes whenever its beats might."""

    @property
    def trained_spans(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the spans used, in seconds."""

    def track(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Beats:
        """Find the beats of a recording, as `BeatTracker.track`."""


@runtime_checkable
class Analysing(Protocol):
    """A tracker that returns other readings of a recording beside its beats."""

    def analyse(
        self, audio: AudioLike, rate: int | None = None, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Analysis:
        """Find the beats of a recording and other readings of it, as `BeatTracker.analyse`."""


@runtime_checkable
class Sampling(Protocol):
    """A tracker with a posterior."""

    def sample(
        self, audio: AudioLike, rate: int | None = None, *, n: int = 200, seed: int = 0, hints: Beats | None = None,
        progress: Progress | None = None,
    ) -> list[Beats]:  # fmt: skip
        """Sample readings of a recording from the posterior."""


@runtime_checkable
class Restrictable(Protocol):
    """A tracker whose tempi and metres can be restricted."""

    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> TrackerLike:
        """Return the tracker for a range of tempi and some metres, as `BeatTracker.restrict`."""


class BeatTracker(LoadedModel):
    """A model that finds beats and downbeats in recordings.

    Make one with `from_pretrained`, or adapt one to labels with `adapt`.

    Parameters
    ----------
    backend : TrackerLike
        What does the work.
    model : Weights or Patterns, optional
        The network with its settings, or the rhythmic patterns, that `adapt` starts from and `save` writes; trackers of
        other projects have none.

    Examples
    --------
    >>> import levada
    >>> tracker = levada.BeatTracker.from_pretrained("base")
    >>> clicks = levada.render("candombe", duration_s=10, seed=0)
    >>> tracker.track(clicks.mixture, clicks.rate)                                              # doctest: +ELLIPSIS
    Beats(...)
    """

    backend: TrackerLike
    model: Weights | Patterns | None

    @classmethod
    @checked
    def from_pretrained(cls, name: str | Path = "base", *, device: str = "cpu") -> BeatTracker:
        """Load a tracker by its name or from its folder.

        Parameters
        ----------
        name : str or path-like
            "base" or "latin", which come with levada; "flux", the baseline without learning; a tracker of another
            project ("madmom", "madmom-tcn", "beatnet", "beat_this", "librosa"), if it is installed; or the folder of a
            model that `save` or `levada adapt` wrote.
        device : str
            Where its networks run, as PyTorch names it: "cpu", "cuda" or "mps".

        Returns
        -------
        BeatTracker

        Raises
        ------
        InputError
            If there is no such model or device, or the model is damaged.
        MissingExtra
            If it belongs to another project that is not installed.
        """
        from levada.beat_tracking.pretrained import load_tracker

        return load_tracker(name).to(device)

    @property
    def trained_spans(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the spans used, in seconds."""
        return self.backend.trained_spans

    @checked
    def track(
        self,
        audio: AudioLike,
        rate: int | None = None,
        *,
        hints: Beats | None = None,
        tempo_bpm: TempoRange | None = None,
        metres: Sequence[Metre] | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        use_labels: bool = True,
        progress: Progress | None = None,
    ) -> Beats:
        """Find the beats and downbeats of a recording.

        Parameters
        ----------
        audio : path-like, or array_like [shape=(channels, samples)] or [shape=(samples,)]
            An audio or video file of any length, or samples between -1 and 1.
        rate : int, optional
            Sampling rate of the samples, in Hz.
        hints : Beats, optional
            Beats that are certain: the result passes through them, each at its time, or at a clear peak of the
            activation within 25 ms. Those that cannot be met are left out, as few as possible, and warned of; so are
            those outside `start_s` to `end_s`.
        tempo_bpm : float, or tuple of two floats, optional
            The slowest and the fastest tempo that is looked for; one number means from 8 % below to 8 % above it.
            Hints may ask for others.
        metres : sequence of int or str, optional
            Beats a bar may have, or their relative lengths where these differ, such as "2+2+2+3".
        start_s, end_s : float, optional
            Track this part alone, in seconds from the beginning of the recording; so are the beats.
        use_labels : bool
            Whether the labels of this very file are hints too, if the model learnt from them and keeps them
            (`labels_of`). Samples are never recognised.
        progress : callable, optional
            Called with the seconds read so far, and of how many. An exception raised in it cancels.

        Returns
        -------
        Beats
            With the probabilities that their times and positions are right where the tracker is one of levada's.

        Raises
        ------
        InputError
            If the file cannot be read, samples have no rate, the tempo, a metre or a time is out of range, or the
            tracker cannot be restricted to tempi or metres.
        """
        return self.analyse(
            audio,
            rate,
            hints=hints,
            tempo_bpm=tempo_bpm,
            metres=metres,
            start_s=start_s,
            end_s=end_s,
            use_labels=use_labels,
            progress=progress,
        ).beats

    @checked
    def analyse(
        self,
        audio: AudioLike,
        rate: int | None = None,
        *,
        hints: Beats | None = None,
        tempo_bpm: TempoRange | None = None,
        metres: Sequence[Metre] | None = None,
        start_s: float | None = None,
        end_s: float | None = None,
        use_labels: bool = True,
        progress: Progress | None = None,
    ) -> Analysis:
        """Find the beats of a recording, how certain they are, and other readings of it.

        It takes as long as `track`, whose beats it has.

        Parameters
        ----------
        audio, rate, hints, tempo_bpm, metres, start_s, end_s, use_labels, progress
            As in `track`.

        Returns
        -------
        Analysis
            Readings, and confidences of time and position, where the tracker is one of levada's.

        Raises
        ------
        InputError
            As in `track`.

        Examples
        --------
        >>> analysis = levada.BeatTracker.from_pretrained("base").analyse("song.wav")           # doctest: +SKIP
        >>> analysis.mean_position_confidence, analysis.readings[0].name                        # doctest: +SKIP
        (0.84, 'half a bar later')
        """
        tracker = self.restrict(tempo_bpm=tempo_bpm, metres=metres).backend
        labels = self.labels_of(audio) if use_labels else None
        if labels is not None:
            labels = labels.between(start_s or 0.0, math.inf if end_s is None else end_s)
            hints = labels if hints is None else _joined(hints, labels)
        if start_s is None and end_s is None:
            return _analyse(tracker, audio, rate, hints=hints, progress=progress)
        return _analyse_excerpt(tracker, audio, rate, start_s, end_s, hints, progress)

    @checked
    def sample(
        self,
        audio: AudioLike,
        rate: int | None = None,
        *,
        n: int = 200,
        seed: int = 0,
        hints: Beats | None = None,
        tempo_bpm: TempoRange | None = None,
        metres: Sequence[Metre] | None = None,
        progress: Progress | None = None,
    ) -> list[Beats]:
        """Sample readings of a recording from the exact posterior of the decoder, given the activations.

        Whatever is computed from beats, as a tempo curve, gets a band: compute it from each sample. The posterior is
        exact under the model, which is surer of itself than it is right; `analyse` has confidences that are calibrated.

        Parameters
        ----------
        audio, rate, hints, tempo_bpm, metres, progress
            As in `track`. Beats pass through hints within their tolerance, and lie at the peak of the activation there.
        n : int
            Number of samples.
        seed : int
            The same seed gives the same samples.

        Returns
        -------
        list of Beats
            Without confidences.

        Raises
        ------
        InputError
            As in `track`, and if the tracker has no posterior: that of another project, or one of patterns.

        Examples
        --------
        >>> samples = levada.BeatTracker.from_pretrained("base").sample("song.wav")             # doctest: +SKIP
        >>> np.percentile([beats.tempo_bpm for beats in samples], [5, 95])                      # doctest: +SKIP
        array([118.1, 118.4])
        """
        tracker = self.restrict(tempo_bpm=tempo_bpm, metres=metres).backend
        if not isinstance(tracker, Sampling):
            raise InputError(f"{self.name} has no posterior to sample from: a network of levada, such as base, has one")
        return tracker.sample(audio, rate, n=n, seed=seed, hints=hints, progress=progress)

    @checked
    def labels_of(self, recording: AudioLike) -> Beats | None:
        """Return the labels of a recording that the model learnt from, if it keeps them; None for any other.

        Models of the strategy "auto" keep them. A recording is recognised by the content of its file.

        Parameters
        ----------
        recording : path-like, or array_like
            As `audio` of `track`; samples are not recognised.

        Returns
        -------
        Beats or None
        """
        kept = kept_labels(self)
        if not kept or not isinstance(recording, str | Path):
            return None
        labels = kept.get(audio.content_hash(recording))
        if labels is None:
            return None
        times, positions = np.array(labels, np.float64).reshape(-1, 2).T
        return Beats(times, positions.astype(np.int64)).between(0.0, audio.info(recording).duration_s)

    @checked
    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> BeatTracker:
        """Return a tracker that looks for a range of tempi and for some metres alone; this one stays as it is.

        Parameters
        ----------
        tempo_bpm, metres : optional
            As in `track`.

        Returns
        -------
        BeatTracker

        Raises
        ------
        InputError
            If the tempo or a metre is out of range, patterns have none of a metre, or it is a tracker of another
            project, with a decoder of its own.
        """
        wanted = {"a range of tempi": tempo_bpm, "metres": metres}
        given = [name for name, value in wanted.items() if value is not None]
        if not given:
            return self
        if not isinstance(self.backend, Restrictable):
            raise InputError(f"{self.name} cannot be restricted to {' or '.join(given)}: use a model of levada's")
        return BeatTracker(self.backend.restrict(tempo_bpm=tempo_bpm, metres=metres), self.model)

    @checked
    def activations(self, audio: AudioLike, rate: int | None = None, *, progress: Progress | None = None) -> Floats32:
        """Compute the probability of a beat and of a downbeat in each frame: of a network before decoding.

        Patterns, alone or with a network, have none before decoding: theirs are posterior probabilities.

        Parameters
        ----------
        audio, rate, progress
            As in `track`.

        Returns
        -------
        float32 [shape=(frames, 2)]

        Raises
        ------
        InputError
            If the tracker has no activations: most trackers of other projects.
        """
        compute = getattr(self.backend, "activations", None)
        if compute is None:
            raise InputError(f"{self.name} has no activations: only networks and patterns have")
        activations: Floats32 = compute(audio, rate, progress=progress)
        return activations

    @checked
    def adapt(
        self,
        labels: Sequence[Span],
        *,
        strategy: str = "auto",
        steps: int | None = None,
        learning_rate: float | None = None,
        layers: Sequence[str] = (),
        network: nn.Module | None = None,
        prior: Tradition | None = None,
        seed: int = 0,
        out: str | Path | None = None,
        force: bool = False,
        log_to: Sequence[str] = (),
        progress: Callable[[int, int, float], None] | None = None,
    ) -> BeatTracker:
        """Adapt the tracker to annotated spans; this one stays as it is.

        Networks are trained on a GPU where PyTorch finds one; the adapted tracker runs where this one does.

        Parameters
        ----------
        labels : sequence of Span
            As `Corpus.sample` returns them.
        strategy : str
            "auto" (chooses among the base, patterns, fine-tuning and their fusion by cross-validation; of one recording
            nothing is trained),
            "finetune+augment", "finetune", "decoder" (the network stays, the decoder learns tempo and metre), "bayes"
            (rhythmic patterns and no network) or "scratch" (a new network).
        steps, learning_rate : optional
            Of the training; by default the strategy's own, which fine-tuning chooses by the loss of the base on the
            labels. "decoder" and "bayes" train no network and have none.
        layers : sequence of str
            Only layers whose names begin so are trained ("head", "blocks.9"); all by default.
        network : nn.Module, optional
            For "scratch": a network of your own, from a spectrogram [shape=(batch, frames, 81)] to logits
            [shape=(batch, frames, 2)].
        prior : Tradition, optional
            A tradition whose rendered pieces are trained on beside the labels.
        seed : int
        out : path-like, optional
            The folder of the adapted model. A training that is stopped goes on from there when it is called again.
        force : bool
            Whether a model that exists in `out` may be replaced.
        log_to : sequence of {"tensorboard", "wandb"}
            Where losses are logged beside the CSV file; needs `out`.
        progress : callable, optional
            Called with steps done, of how many, and the loss; "auto" calls it also with the spans that a candidate is
            scored on, and NaN. An exception raised in it cancels; with `out` the steps that are done are kept.

        Returns
        -------
        BeatTracker
            Named after the base, or after `out`.

        Raises
        ------
        InputError
            If there is no such strategy, there are no labels, they do not belong to their recordings, `out` exists,
            the strategy has no such settings, or the tracker has no network that could be adapted.

        Examples
        --------
        >>> train, test = levada.load_corpus("my-recordings").split(seed=0)                     # doctest: +SKIP
        >>> mine = levada.BeatTracker.from_pretrained("base").adapt(train.sample(minutes=1.5))  # doctest: +SKIP
        """
        from levada.beat_tracking.adaptation import adapt, settings_of
        from levada.beat_tracking.pretrained import tracker_of

        base = self.weights(strategy)
        kind = getattr(base and base.source, "kind", "")
        settings = settings_of(strategy, network=kind, steps=steps, learning_rate=learning_rate, layers=layers)
        model = adapt(
            labels, strategy=strategy, base=base, settings=replace(settings, seed=seed), network=network, prior=prior,
            out=out, force=force, log_to=log_to, progress=progress,
        )  # fmt: skip
        return tracker_of(model, name=model.card.name).to(self.device)

    @checked
    def weights(self, strategy: str = "finetune") -> Weights | None:
        """Return the weights that a strategy starts from; None for strategies that start from nothing.

        Raises
        ------
        InputError
            If the strategy needs a network, and the tracker has none.
        """
        from levada.beat_tracking.adaptation import FROM_SCRATCH
        from levada.beat_tracking.pretrained import base_weights
        from levada.learning.weights import Weights, on_cpu

        network = getattr(self.model, "network", self.model)  # of patterns with a network
        if isinstance(network, Weights):
            return on_cpu(network)
        return None if strategy in FROM_SCRATCH else base_weights(self.name)


def kept_labels(tracker: TrackerLike) -> Mapping[str, Any]:
    """Return the labels that the model of a tracker keeps, by the content of their recordings."""
    training = getattr(getattr(tracker, "model", None), "training", {})
    kept = training.get(LABELS)
    return kept if isinstance(kept, Mapping) else {}


def _joined(hints: Beats, labels: Beats) -> Beats:
    """Join hints with labels; where both are of the same beat, the hint counts."""
    far = distances(labels.times_s, hints.times_s) > SAME_BEAT_S
    times = np.concatenate([hints.times_s, labels.times_s[far]])
    order = np.argsort(times)
    return Beats(times[order], np.concatenate([hints.positions, labels.positions[far]])[order])


def restricted_identity(
    identity: str, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None
) -> str:
    """Return the identity of a tracker that is restricted to tempi or metres; "" for one without."""
    tempi = "" if tempo_bpm is None else " at {:g}-{:g} bpm".format(*tempo_range(tempo_bpm))
    bars = "" if metres is None else f" in metres {','.join(map(str, sorted_metres(metres)))}"
    return identity and f"{identity}{tempi}{bars}"


def _analyse(
    tracker: TrackerLike,
    audio: AudioLike,
    rate: int | None = None,
    *,
    hints: Beats | None = None,
    progress: Progress | None = None,
) -> Analysis:
    """Analyse a recording; a tracker of another project gives its beats alone."""
    from levada.beat_tracking.analysis import Analysis

    if isinstance(tracker, Analysing):
        return tracker.analyse(audio, rate, hints=hints, progress=progress)
    return Analysis(tracker.track(audio, rate, hints=hints, progress=progress))


def _analyse_excerpt(
    tracker: TrackerLike,
    source: AudioLike,
    rate: int | None,
    start_s: float | None,
    end_s: float | None,
    hints: Beats | None,
    progress: Progress | None,
) -> Analysis:
    """Analyse a part of a recording; times are those of the whole."""
    if isinstance(source, audio.AudioExcerpt):
        raise InputError("is an excerpt already: leave out start_s and end_s", path=source.path)
    if isinstance(source, str | Path):
        start, end = audio.check_excerpt(start_s, end_s, duration_s=audio.info(source).duration_s, path=source)
        part: AudioLike = audio.AudioExcerpt(source, start, end)
    else:
        samples, known_rate = audio.samples_of(source, rate)
        start, end = audio.check_excerpt(start_s, end_s, duration_s=samples.shape[1] / known_rate)
        part = samples[:, round(start * known_rate) : max(round(end * known_rate), round(start * known_rate) + 1)]
    if hints is None:
        return _analyse(tracker, part, rate, progress=progress).shift(start)
    inside = hints.between(start, end)
    if outside := len(hints) - len(inside):
        _log.warning("hints outside %.3f to %.3f s are left out: %d of %d", start, end, outside, len(hints))
    with collected_warnings() as warned:
        analysis = _analyse(tracker, part, rate, hints=inside.shift(-start), progress=progress)
    from_there = {DECODER_LOG: f"in the part from {start:.3f} s on: "} if start > 0 else {}
    log_again((name, level, f"{from_there.get(name, '')}{message}") for name, level, message in warned)
    return analysis.shift(start)


def provenance(tracker: TrackerLike) -> dict[str, str]:
    """Return what made the beats of a tracker, for the formats that have a place for it.

    Parameters
    ----------
    tracker : Tracker
    """
    from levada.version import __version__

    return {"version": __version__, "model": tracker.name, "identity": tracker.identity}
