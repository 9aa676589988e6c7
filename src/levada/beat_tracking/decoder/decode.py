"""From activations to beats and their confidence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from levada.beat_tracking.decoder.hints import hint_windows, named, possible_hints, widen_tempo_range
from levada.beat_tracking.decoder.likely import LIKELY, likely_beats
from levada.beat_tracking.decoder.parts import LONGEST_S, decode_parts
from levada.beat_tracking.decoder.peaks import (
    Activations,
    checked_activations,
    checked_fps,
    snap_to_peaks,
    sub_frame,
)
from levada.beat_tracking.decoder.recursion import (
    Algebra,
    Block,
    Forward,
    TooUnlikelyError,
    backward,
    blocks_of,
    max_sum,
    scaled_sum_product,
    sum_product,
)
from levada.beat_tracking.decoder.settings import DecoderSettings
from levada.beat_tracking.decoder.state_space import NEVER, BarPointer, Windows, bar_pointer
from levada.errors import collected_warnings, log_again
from levada.io.beats import Beats

__all__ = [
    "HINT_TOLERANCE_S",
    "DecodedBeats",
    "decode_activations",
    "decode_beats",
    "decode_states",
    "model_posteriors",
    "posteriors",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Build = Callable[[DecoderSettings, Windows | None], BarPointer]

HINT_TOLERANCE_S = 0.025
"""How far a beat may lie from its hint where the activation has a clear peak."""
CONFIDENCE_S = 0.03  # a beat is right within so much
NEGLIGIBLE, SURE = 1e-8, 1e-6  # posterior probabilities of beats that the most probable path is not looked for in, and
# that all of its beats have then, or it is looked for in all
NEAR_BEATS = 4  # longest beats around an unlikely one where all are possible, and
MOST_POSSIBLE = 0.5  # share of beats beyond which all are decoded
MISSED, MISPLACED = -1e7, -0.6e7  # scores of hints that are not met, far below those of any recording

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class DecodedBeats:
    """Beats, with the model and its states on the best path, for readings beside it.

    Parameters
    ----------
    beats : Beats
    model : BarPointer
    starts : int64 [shape=(n,)]
        Frame at which each beat starts.
    tempi : int64 [shape=(n,)]
        Index of its length in ``model.lengths``.
    states : int64 [shape=(n,)]
        Index of its position in ``model.places``.
    hinted : bool [shape=(n,)]
        Whether it is that of a hint.
    no_pulse : floating [shape=(frames,)]
        Posterior probability that a frame has no pulse; 0 where the settings allow no such stretches.
    """

    beats: Beats
    model: BarPointer
    starts: Ints
    tempi: Ints
    states: Ints
    hinted: npt.NDArray[np.bool_]
    no_pulse: npt.NDArray[np.floating]


def decode_beats(
    activations: npt.ArrayLike,
    *,
    fps: float | Fraction = 100,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
    hint_tolerance_s: float = HINT_TOLERANCE_S,
) -> Beats:
    """Find the most probable beats and their positions in the bar.

    The best path through the bar-pointer model of `levada.beat_tracking.decoder.state_space`, over all metres at
    once. Each beat lies at the highest activation of the short region at its start (and 20 ms around it), refined by
    parabolic interpolation.

    Beats are counted through breaks, but not into silence at either end: those before the first and after the
    last beat whose activation reaches ``settings.threshold`` are dropped, so an intro without evidence has no
    beats. If ``settings.no_pulse_enter`` is given, longer stretches without a pulse, such as talk, have none either,
    and the rule holds for the music before and after each. Where nothing reaches the threshold, or the recording is
    shorter than half a beat of the fastest tempo, there are none at all.

    Parameters
    ----------
    activations : array_like [shape=(frames, 2)]
        Probabilities of a beat (downbeats included) and of a downbeat.
    fps : float or Fraction
        Frames per second.
    settings : DecoderSettings, optional
        Priors of tempo and metre.
    hints : Beats, optional
        Beats that are certain, any number of them. Within 30 ms of each the path has one beat, at
        its position in the bar if that is known, and the result has it at the hint's time, or at a clear peak of the
        activation near it. The tempo range is widened where two hints ask for it. Where no beats pass through all
        hints, as few of them as possible, or of their positions, are left out, and a warning names each.
    hint_tolerance_s : float
        How far the beat of a hint may move to such a peak, in seconds; 0 keeps the times of hints exactly.

    Returns
    -------
    beats : Beats
        Their confidence is the posterior probability, under the model, of a beat within 30 ms (at least one
        frame); hints are certain. The model takes frames for independent, so confidences are too high: use them to
        compare beats.

    Raises
    ------
    InputError
        If the activations are not probabilities in two columns.

    References
    ----------
    F. Krebs, S. Böck and G. Widmer, "An efficient state-space model for joint tempo and meter tracking",
    ISMIR 2015. N. Whiteley, A. T. Cemgil and S. Godsill, "Bayesian modelling of temporal structure in musical
    audio", ISMIR 2006.
    """
    return decode_activations(
        activations, fps=fps, settings=settings, hints=hints, hint_tolerance_s=hint_tolerance_s
    ).beats


def decode_activations(
    activations: npt.ArrayLike,
    *,
    fps: float | Fraction = 100,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
    hint_tolerance_s: float = HINT_TOLERANCE_S,
    progress: Callable[[int, int], None] | None = None,
) -> DecodedBeats:
    """Find the most probable beats, as `decode_beats` does, with the states of the path.

    Recordings of more than an hour are decoded in parts that overlap; `progress` is called after each part with the
    seconds decoded so far, and of how many.
    """
    if np.shape(activations)[:1] > (LONGEST_S * checked_fps(fps),):
        activations = checked_activations(activations)
        return _decode_parts(activations, checked_fps(fps), settings, hints, hint_tolerance_s, progress)
    build, frames, rate = _from_activations(activations, fps)
    decoded = decode_states(
        build, frames=frames, fps=rate, settings=settings, hints=hints, hint_tolerance_s=hint_tolerance_s
    )
    if progress is not None:
        progress(round(frames / rate), round(frames / rate))
    return decoded


def _decode_parts(
    activations: Activations,
    fps: float,
    settings: DecoderSettings | None,
    hints: Beats | None,
    hint_tolerance_s: float,
    progress: Callable[[int, int], None] | None,
) -> DecodedBeats:
    """Decode activations of hours in parts, with the tempi that all hints ask for."""
    settings = settings or DecoderSettings()
    if hints is not None:
        hints = _possible_hints(hints, len(activations), fps, settings)
        settings = widen_tempo_range(settings, hints)
    rest = replace(settings, no_pulse_enter=None)  # of which single beats know nothing

    def decode_part(start: int, stop: int) -> DecodedBeats:
        inside = None if hints is None else hints.between(start / fps, stop / fps).shift(-start / fps)
        with collected_warnings() as warned:
            build, frames, _ = _from_activations(activations[start:stop], fps)
            decoded = decode_states(
                build, frames=frames, fps=fps, settings=settings, hints=inside, hint_tolerance_s=hint_tolerance_s
            )
        where = f"in the part from {start / fps:.3f} s on: " if start else ""
        log_again((name, level, where * (name == __name__) + message) for name, level, message in warned)
        return decoded

    def model_part(start: int, stop: int) -> BarPointer:
        return bar_pointer(activations[start:stop].astype(np.float64), fps=fps, settings=rest)

    return decode_parts(decode_part, model_part, activations.max(axis=1), fps=fps, progress=progress)


def posteriors(
    activations: npt.ArrayLike,
    *,
    fps: float | Fraction = 100,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
) -> Floats:
    """Compute the posterior probability of a beat and of a downbeat at every frame.

    Exact under the model, given the whole recording: all paths are summed (forward-backward) where `decode_beats`
    takes the best. As there, a beat lies at the highest activation of the region at its start.

    Parameters
    ----------
    activations, fps, settings, hints
        As in `decode_beats`.

    Returns
    -------
    probabilities : float64 [shape=(frames, 2)]
        Beats (downbeats included) and downbeats.

    Raises
    ------
    InputError
        As in `decode_beats`.
    """
    build, frames, rate = _from_activations(activations, fps)
    return model_posteriors(build, frames=frames, fps=rate, settings=settings, hints=hints)


def decode_states(
    build: Build,
    *,
    frames: int,
    fps: float,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
    hint_tolerance_s: float = HINT_TOLERANCE_S,
) -> DecodedBeats:
    """Find the most probable beats under any bar-pointer model, as `decode_beats` does, with the states of the path.

    Parameters
    ----------
    build : callable
        From settings, widened where hints ask for it, and the windows of the hints, if there are any, to the
        `state_space.BarPointer` of the recording. Its bars have the metres of the settings.
    frames : int
        How many frames the recording has.
    fps, settings, hints
        As in `decode_beats`.
    hint_tolerance_s : float
        As in `decode_beats`; a model with a likelihood of its own keeps the times of hints exactly.

    Returns
    -------
    DecodedBeats

    Raises
    ------
    InputError
        As in `decode_beats`.
    """
    model, settings, hints = _prepared(build, frames, fps, settings, hints)
    too_short = model.frames < model.lengths[0] // 2
    silent = hints is None and (too_short or model.activation.max(initial=0) < settings.threshold)
    if silent or not model.frames:
        return _no_beats(model)
    found = _decoded(model)
    if found is None:
        assert hints is not None  # without hints every recording has a path
        model, hints = _with_met_hints(build, model, hints, settings=settings)
        found = _decoded(model)
        assert found is not None  # that which meets the most hints
    (starts, tempi, positions, no_pulse), (probability, without, _) = found
    at = _loudest(model, model.regions[tempi], starts)
    hinted = np.full(len(starts), -1) if model.windows is None else model.windows.at(starts)
    evident = (at >= 0) & ((hinted >= 0) | (model.activation[at] >= settings.threshold))
    if not evident.any():
        return _no_beats(model)
    kept = _from_first_to_last(evident, np.searchsorted(no_pulse[:, 0], starts, side="right"))
    at, hinted, positions = at[kept], hinted[kept], positions[kept]
    times = sub_frame(model.activation, at) / fps
    confidence = _nearby(probability[:, 0], at, reach=max(1, round(CONFIDENCE_S * fps)))
    if hints is not None:
        exact = hints.times_s[hinted[hinted >= 0]]
        tolerance_s = 0.0 if model.likelihood is not None else hint_tolerance_s
        free = times.copy()
        times[hinted >= 0] = snap_to_peaks(exact, model.activation, fps=fps, tolerance_s=tolerance_s)
        if not (np.diff(times) > 0).all():
            times = free
            times[hinted >= 0] = exact
        confidence[hinted >= 0] = 1.0
    beats = Beats(times, model.places[positions], confidence)
    return DecodedBeats(beats, model, starts[kept], tempi[kept], positions, hinted >= 0, without)


def _no_beats(model: BarPointer) -> DecodedBeats:
    """Return the result where nothing is decoded."""
    none, certain = np.zeros(0, np.int64), np.full(model.frames, float(model.no_pulse is not None))
    return DecodedBeats(Beats([], [], []), model, none, none, none, none.astype(np.bool_), certain)


def model_posteriors(
    build: Build,
    *,
    frames: int,
    fps: float,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
) -> Floats:
    """Compute the posterior probability of a beat and of a downbeat at every frame under any bar-pointer model.

    Parameters
    ----------
    build, frames, fps, settings, hints
        As in `decode_states`.

    Returns
    -------
    probabilities : float64 [shape=(frames, 2)]
        As `posteriors` gives them.

    Raises
    ------
    InputError
        As in `decode_beats`.
    """
    model, settings, hints = _prepared(build, frames, fps, settings, hints)
    if model.frames == 0:
        return np.zeros((0, 2))
    result = _posteriors(model)
    if result is None:
        assert hints is not None
        model, _ = _with_met_hints(build, model, hints, settings=settings)
        result = _posteriors(model)
        assert result is not None
    return result.beats


def _from_activations(activations: npt.ArrayLike, fps: float | Fraction) -> tuple[Build, int, float]:
    """Check activations; return a function that builds their model, the number of frames and the frame rate."""
    values, rate = checked_activations(activations).astype(np.float64, copy=False), checked_fps(fps)

    def build(settings: DecoderSettings, windows: Windows | None) -> BarPointer:
        return bar_pointer(values, fps=rate, settings=settings, windows=windows)

    return build, len(values), rate


def _prepared(
    build: Build, frames: int, fps: float, settings: DecoderSettings | None, hints: Beats | None
) -> tuple[BarPointer, DecoderSettings, Beats | None]:
    """Build the model of the recording, with a tempo range that fits the hints if there are any."""
    settings = settings or DecoderSettings()
    if hints is None or not len(hints):
        return build(settings, None), settings, None
    possible = _possible_hints(hints, frames, fps, settings)
    if not len(possible):
        return build(settings, None), settings, None
    settings = widen_tempo_range(settings, possible)
    windows = hint_windows(possible, frames=frames, fps=fps, settings=settings)
    return build(settings, windows), settings, possible


def _possible_hints(hints: Beats, frames: int, fps: float, settings: DecoderSettings) -> Beats:
    """Leave out the hints that no beats can meet, and warn of each."""
    possible, messages = possible_hints(hints, frames=frames, fps=fps, settings=settings)
    for message in messages.values():
        _log.warning("%s", message)
    return possible


def _with_met_hints(
    build: Build, model: BarPointer, hints: Beats, *, settings: DecoderSettings
) -> tuple[BarPointer, Beats | None]:
    """Leave out as few hints, or positions of hints, as needed for a path through all others; build its model."""
    assert model.windows is not None
    path = _best_path(replace(model, windows=replace(model.windows, missed=MISSED, misplaced=MISPLACED)))
    assert path is not None  # any path is possible
    starts, _, positions, _ = path
    window = model.windows.at(starts)
    places = dict(zip(window.tolist(), model.places[positions].tolist(), strict=True))
    why = (
        f"no beats at {settings.min_tempo_bpm:.0f} to {settings.max_tempo_bpm:.0f} bpm in metres "
        f"{', '.join(map(str, settings.metres))} pass through all hints"
    )
    kept, numbers = list[int](), hints.positions.copy()
    for i in range(len(hints)):
        if i not in places:
            _log.warning("%s is left out: %s", named(hints, i), why)
            continue
        kept.append(i)
        if numbers[i] and numbers[i] != places[i]:
            _log.warning("the position of %s, beat %d of its bar, is left out: %s", named(hints, i), numbers[i], why)
            numbers[i] = 0
    if not kept:
        return build(settings, None), None
    met = Beats(hints.times_s[kept], numbers[kept])
    return build(settings, hint_windows(met, frames=model.frames, fps=model.fps, settings=settings)), met


class _Path(NamedTuple):
    """The most probable beats, and the stretches without a pulse between them."""

    starts: Ints  # (n,) first frame of each beat
    tempi: Ints  # (n,)
    positions: Ints  # (n,)
    no_pulse: Ints  # (stretches, 2) first frame of each stretch, and the frame after its last


class _Posteriors(NamedTuple):
    """Posterior probabilities under the model."""

    beats: Floats  # (frames, 2) of a beat and of a downbeat, at the frames of `_loudest`
    no_pulse: Floats  # (frames,)
    starts: npt.NDArray[np.float32]  # (K, frames) of a beat of each tempo that starts at each frame


def _decoded(model: BarPointer) -> tuple[_Path, _Posteriors] | None:
    """Decode the likely beats, and near unlikely ones of the path all; None if no path is possible.

    Where the tempo jumps, or hints ask for beats that nothing else supports, the path needs unlikely beats.
    """
    likely, everywhere = likely_beats(model), np.full(model.frames, model.no_pulse is not None)
    if likely is not None:
        beats, possible, without = likely[0], likely[0] > 0, likely[1] > 0
        while possible.mean() < MOST_POSSIBLE:
            found = _decoded_blocks(model, blocks_of(model, possible, without), without)
            if found is None:
                break
            path = found[0]
            inside = path.starts[path.starts >= 0]
            unlikely = beats[path.tempi[path.starts >= 0], inside] < LIKELY
            unlikely &= ~possible[:, inside].all(axis=0)
            if not unlikely.any():
                return found
            for start in inside[unlikely].tolist():
                near = slice(max(0, start - NEAR_BEATS * model.longest), start + NEAR_BEATS * model.longest + 1)
                possible[:, near], without[near] = True, model.no_pulse is not None
    return _decoded_blocks(model, blocks_of(model), everywhere)


def _decoded_blocks(model: BarPointer, blocks: list[Block], without: Bools) -> tuple[_Path, _Posteriors] | None:
    """Compute posteriors, and trace the most probable path of beats that they leave; None if none is possible.

    A path with a beat below `NEGLIGIBLE` is less probable than that. If the path that is found needs a beat below
    `SURE`, or there is none, that of all beats is traced.
    """
    found = _posteriors(model, blocks)
    if found is None:
        return None
    path = _best_path(model, blocks_of(model, found.starts >= NEGLIGIBLE, without))
    if path is None or (found.starts[path.tempi, path.starts.clip(0)] < SURE)[path.starts >= 0].any():
        path = _best_path(model, blocks)
        assert path is not None  # there are posteriors
    return path, found


def _best_path(model: BarPointer, blocks: list[Block] | None = None) -> _Path | None:
    """Trace the most probable path; None if none is possible."""
    forward = Forward(model, max_sum, blocks)
    if not forward.possible:
        return None
    beats, stretches = list[tuple[int, int, int]](), list[tuple[int, int]]()
    frame = model.frames
    following: tuple[int, int] | None = None  # tempo and position of the beat that starts at the frame

    def without_pulse(stop: int) -> int:
        start = _entered(model, forward, stop)
        stretches.append((start, stop))
        return start

    if forward.ending_without > forward.ending.max():
        frame = without_pulse(frame)
    else:
        k, p, last = (int(i) for i in np.unravel_index(int(forward.ending.argmax()), forward.ending.shape))
        frame, following = last + model.frames - model.longest, (k, p)
        beats.append((frame, k, p))
    earlier, near = forward.backwards(), list[tuple[Block, Floats]]()
    while frame > 0:
        near = [block for block in near if block[0].start < frame]
        while not near or near[-1][0].start > frame - model.longest:
            near.append(next(earlier))
        change = None if following is None else model.change_to(*following)
        origins = frame - model.lengths
        score, k, p = max((_best_of(*block, origins, change) for block in near), key=itemgetter(0))
        if following is not None and model.no_pulse is not None:
            left = model.no_pulse.leave + model.no_pulse.tempi[following] + model.no_pulse.positions[following[1]]
            if forward.no_pulse[frame] + left > score:
                frame, following = without_pulse(frame), None
                continue
        frame, following = int(origins[k]), (k, p)
        beats.append((frame, k, p))
    starts, tempi, positions = np.array(beats[::-1], np.int64).reshape(-1, 3).T
    return _Path(starts, tempi, positions, np.array(stretches[::-1], np.int64).reshape(-1, 2))


def _best_of(block: Block, scores: Floats, origins: Ints, change: Floats | None) -> tuple[float, int, int]:
    """Return the score, tempo and position of the best beat of a block among those from some origins (K,)."""
    at = origins[block.tempi]
    rows = ((at >= block.start) & (at < block.stop)).nonzero()[0]
    if not len(rows):
        return NEVER, 0, 0
    candidates = scores[rows, :, at[rows] - block.start]
    if change is not None:
        candidates += change[block.tempi[rows]]
    row, p = divmod(int(candidates.argmax()), candidates.shape[1])
    return float(candidates[row, p]), int(block.tempi[rows[row]]), p


def _from_first_to_last(marked: npt.NDArray[np.bool_], segments: Ints) -> npt.NDArray[np.bool_]:
    """Return which beats (n,) lie between two that are marked, or are, in the same of consecutive segments."""
    kept = np.zeros(len(marked), np.bool_)
    for segment in np.unique(segments[marked]):
        first, *_, last = np.flatnonzero(marked & (segments == segment))[[0, -1]]
        kept[first : last + 1] = True
    return kept


def _entered(model: BarPointer, forward: Forward, stop: int) -> int:
    """Return the first frame of the best stretch without a pulse that ends before a frame."""
    assert model.no_pulse is not None
    if stop == model.frames and len(forward.cut) and forward.cut.max() >= forward.no_pulse[stop]:
        return stop - len(forward.cut) + int(forward.cut.argmax())
    scores, stay, frame = model.no_pulse_scores, model.no_pulse.stay, stop
    while forward.no_pulse[frame - 1] + stay + scores[frame - 1] > forward.lasted[frame]:
        frame -= 1
    return max(frame - model.no_pulse.least, 0)


def _posteriors(model: BarPointer, blocks: list[Block] | None = None) -> _Posteriors | None:
    """Sum the probabilities of all paths through some blocks, by default all; None if none is possible."""
    try:
        found = _posteriors_by(scaled_sum_product, model.relative(), blocks)
    except TooUnlikelyError:
        found = None
    return _posteriors_by(sum_product, model, blocks) if found is None else found


def _posteriors_by(algebra: Algebra, model: BarPointer, blocks: list[Block] | None) -> _Posteriors | None:
    forward = Forward(model, algebra, blocks)
    if not forward.possible:
        return None
    past, no_pulse = model.longest, np.zeros(model.frames)
    starts = np.zeros((len(model.lengths), model.frames), np.float32)
    widths, group = np.unique(model.regions, return_inverse=True)
    members = np.equal.outer(np.arange(len(widths)), group).astype(np.float64)
    everywhere = np.arange(1 - past, model.frames)
    begun = np.zeros((len(widths), 2, len(everywhere)))  # of beats and downbeats, by width, at their first frame
    kinds = np.ones((2, len(model.places)))
    kinds[1] = model.downbeat
    for block, probability in backward(model, forward, no_pulse):
        a, b = block.start, block.stop
        both = kinds @ probability
        of_widths = members[:, block.tempi] @ both.reshape(-1, 2 * (b - a))
        begun[..., a + past - 1 : b + past - 1] = of_widths.reshape(-1, 2, b - a)
        starts[block.tempi, max(a, 0) : b] = both[:, 0, max(a, 0) - a :]
    result = np.zeros((model.frames + 1, 2))  # first what lies before the recording
    for width, each in zip(widths, begun, strict=True):
        at = 1 + _loudest(model, np.full(len(everywhere), width), everywhere)
        for column, weights in enumerate(each):
            result[:, column] += np.bincount(at, weights, minlength=model.frames + 1)
    result = result[1:]
    return _Posteriors(result, no_pulse, starts)


def _loudest(model: BarPointer, widths: Ints, starts: Ints) -> Ints:
    """Find the frame of the highest activation in and beside each region, -1 for one before the recording."""
    frames = np.full(len(starts), -1)
    for width in np.unique(widths):
        reach = int(width) + 2 * model.margin
        heights = np.pad(model.activation, (model.longest + model.margin, reach), constant_values=-1.0)
        some = ((widths == width) & (starts + width > 0)).nonzero()[0]
        first = starts[some] - model.margin
        windows = sliding_window_view(heights, reach)[first + model.longest + model.margin]
        frames[some] = first + windows.argmax(axis=1)
    return frames


def _nearby(probability: Floats, frames: Ints, *, reach: int) -> Floats:
    """Sum the probability within so many frames of each of the given ones."""
    running = np.concatenate([[0.0], np.cumsum(probability)])
    last = len(probability)
    total: Floats = running[(frames + reach + 1).clip(max=last)] - running[(frames - reach).clip(0)]
    return total.clip(0, 1)
