"""The decoder on activations like those of a network: good, bad and empty ones."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.decoder import DecoderSettings, decode_activations, decode_beats, posteriors, recursion
from levada.errors import InputError
from levada.io.beats import Beats

Floats = npt.NDArray[np.float64]


def steady(bpm: float, duration_s: float, *, metre: int = 4, first_s: float = 0.3, position: int = 1) -> Beats:
    times = np.arange(first_s, duration_s - 0.1, 60 / bpm)
    return Beats(times, (np.arange(len(times)) + position - 1) % metre + 1)


def drifting(duration_s: float, *, metre: int = 4, seed: int = 0) -> Beats:
    """A band that speeds up and slows down by a tenth, with human jitter."""
    rng = np.random.default_rng(seed)
    times, t = [], 0.4
    while t < duration_s - 0.2:
        times.append(t + rng.normal(0, 0.006))
        t += 0.5 * (1 + 0.1 * np.sin(t / 6))
    return Beats(times, np.arange(len(times)) % metre + 1)


def render_activations(
    beats: Beats, duration_s: float, *, fps: float = 100, noise: float = 0.05, missing: float = 0.0, seed: int = 0
) -> Floats:
    """Activations with a bump at every beat that was not missed, of 20 ms deviation, and noise between."""
    rng = np.random.default_rng(seed)
    frames = np.arange(round(duration_s * fps)) / fps
    activations = rng.uniform(0, noise + 1e-9, (len(frames), 2))
    for time, position in beats:
        if rng.uniform() >= missing:
            bump = np.exp(-0.5 * ((frames - time) / 0.02) ** 2)
            activations[:, 0] = np.maximum(activations[:, 0], rng.uniform(0.6, 0.95) * bump)
            height = rng.uniform(0.4, 0.9) if position == 1 else rng.uniform(0, 0.2)
            activations[:, 1] = np.maximum(activations[:, 1], height * bump)
    return activations


def assert_same(found: Beats, expected: Beats, *, within_s: float = 0.02) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.times_s, expected.times_s, atol=within_s)
    np.testing.assert_array_equal(found.positions, expected.positions)


@pytest.mark.parametrize(("bpm", "metre"), [(60, 4), (92, 2), (120, 3), (143, 4), (205, 2)])
def test_steady_music(bpm: float, metre: int) -> None:
    beats = steady(bpm, 20, metre=metre)
    assert_same(decode_beats(render_activations(beats, 20)), beats)


def test_drifting_music_with_missed_beats() -> None:
    beats = drifting(40)
    found = decode_beats(render_activations(beats, 40, missing=0.1, noise=0.1))
    assert len(found) == len(beats)
    assert np.mean(np.abs(found.times_s - beats.times_s) < 0.03) > 0.9
    np.testing.assert_array_equal(found.positions, beats.positions)


def test_pickup() -> None:
    beats = steady(110, 20, metre=4, position=4)
    assert_same(decode_beats(render_activations(beats, 20)), beats)


def test_metre_changes_and_stays_if_told_to() -> None:
    positions = np.array([1, 2, 3, 4] * 6 + [1, 2, 3] * 8)
    beats = Beats(0.3 + 0.5 * np.arange(48), positions)
    activations = render_activations(beats, 24.5)
    assert_same(decode_beats(activations), beats)
    kept = decode_beats(activations, settings=DecoderSettings(metre_change=0))
    assert len(kept.metres) == 1


@pytest.mark.parametrize("metres", [(5, 7, 12), (7,)])
def test_long_bars(metres: tuple[int, ...]) -> None:
    beats = steady(180, 16, metre=7)
    assert_same(decode_beats(render_activations(beats, 16), settings=DecoderSettings(metres=metres)), beats)


def test_tempo_prior_and_range_choose_between_octaves() -> None:
    quavers = steady(160, 30, metre=4)
    activations = render_activations(quavers, 30, noise=0.01)
    activations[:, 1] = 0
    weak = np.flatnonzero(np.arange(len(quavers)) % 2)
    for time in quavers.times_s[weak]:
        frame = round(float(time) * 100)
        activations[max(frame - 6, 0) : frame + 7, 0] *= 0.25
    slow = decode_beats(activations, settings=DecoderSettings(max_tempo_bpm=120))
    fast = decode_beats(activations, settings=DecoderSettings(min_tempo_bpm=120))
    assert slow.tempo_bpm == pytest.approx(80, abs=1)
    assert fast.tempo_bpm == pytest.approx(160, abs=2)


def test_tempo_prior_decides_where_the_sound_does_not() -> None:
    activations = np.full((1000, 2), 0.02)
    activations[::80, 0] = 0.5
    activations[40::80, 0] = 0.06
    tempi = [
        decode_beats(activations, settings=DecoderSettings(tempo_mean_bpm=mean, tempo_spread_octaves=0.05)).tempo_bpm
        for mean in (75, 150)
    ]
    assert tempi == pytest.approx([75, 150], rel=0.03)


def test_tempo_stiffness() -> None:
    times = np.cumsum(0.5 * np.tile([1.0, 1.3], 15))
    activations = render_activations(Beats(times), 18)
    loose = decode_beats(activations, settings=DecoderSettings(tempo_stiffness=5))
    assert np.abs(loose.times_s - times[: len(loose)]).max() < 0.03
    stiff = decode_beats(activations, settings=DecoderSettings(tempo_stiffness=3000))
    assert stiff.intervals_s.std() < loose.intervals_s.std()


def test_times_lie_between_frames() -> None:
    """At 50 frames a second beats are found to a tenth of a frame."""
    beats = steady(117, 20)
    found = decode_beats(render_activations(beats, 20, fps=50, noise=0), fps=50)
    assert_same(found, beats, within_s=0.002)


@pytest.mark.parametrize("fps", [100, 100.0, Fraction(100), Fraction(44100, 441)])
def test_frame_rates(fps: float | Fraction) -> None:
    activations = render_activations(steady(100, 10), 10)
    assert decode_beats(activations, fps=fps) == decode_beats(activations, fps=100)


def test_frame_rate_of_another_network() -> None:
    fps = Fraction(22050, 512)
    beats = steady(100, 20)
    assert_same(decode_beats(render_activations(beats, 20, fps=float(fps)), fps=fps), beats)


def test_downbeat_peaks_may_be_narrow_or_a_frame_aside() -> None:
    beats = steady(120, 20)
    activations = render_activations(beats, 20)
    activations[:, 1] = 0.01
    activations[np.round(beats.downbeats_s * 100).astype(int) + 1, 1] = 0.8
    assert_same(decode_beats(activations), beats)


def test_downbeats_alone_are_beats() -> None:
    activations = render_activations(steady(120, 20, metre=2), 20, noise=0)
    activations[:, 0] = np.where(activations[:, 1] > 0.3, 0, activations[:, 0])
    assert_same(decode_beats(activations), steady(120, 20, metre=2))


def test_silence_at_the_ends_has_no_beats_and_a_break_is_counted_through() -> None:
    beats = steady(120, 30)
    sounding = beats.between(5, 12), beats.between(15, 25)
    played = Beats(
        np.concatenate([part.times_s for part in sounding]), np.concatenate([part.positions for part in sounding])
    )
    activations = render_activations(played, 30, noise=0.01)
    found = decode_beats(activations)
    assert_same(found, beats.between(5, 25), within_s=0.15)
    for played in sounding:
        assert_same(found.between(played.times_s[0] - 0.1, played.times_s[-1] + 0.1), played)
    everywhere = decode_beats(activations, settings=DecoderSettings(threshold=0))
    assert everywhere.times_s[0] < 0.6
    assert everywhere.times_s[-1] > 29.4


WITHOUT = DecoderSettings(no_pulse_enter=16.0)


def without_pulse(duration_s: float, *, heights: float, fps: float = 100, seed: int = 0) -> Floats:
    """Activations as of talk: bumps at irregular times, of heights up to a limit."""
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.1, 0.6, round(6 * duration_s)))
    activations = np.zeros((round(duration_s * fps), 2))
    for time in times[times < duration_s]:
        bump = rng.uniform(0, heights) * np.exp(-0.5 * ((np.arange(len(activations)) / fps - time) / 0.02) ** 2)
        activations[:, 0] = np.maximum(activations[:, 0], bump)
    return activations


@pytest.mark.parametrize("heights", [0.01, 0.1, 0.2])
def test_stretches_without_a_pulse_have_no_beats(heights: float) -> None:
    """Before, between and after two pieces of another tempo and metre."""
    first, second = steady(120, 20, metre=4), steady(90, 20, metre=3)
    parts = [without_pulse(20, heights=heights, seed=seed) for seed in range(3)]
    activations = np.concatenate(
        [parts[0], render_activations(first, 20), parts[1], render_activations(second, 20), parts[2]]
    )
    found = decode_beats(activations, settings=WITHOUT)
    for beats, start in ((first, 20), (second, 60)):
        played = found.between(start, start + 20.5)
        assert_same(played.between(*beats.shift(start).times_s[[0, -1]] + [-0.1, 0.1]), beats.shift(start))
        assert len(played) <= len(beats) + 3
    for start in (0, 40, 80):
        assert len(found.between(start + 2, start + 18)) == 0


def test_short_breaks_are_counted_through_where_stretches_may_be_without_a_pulse() -> None:
    beats = steady(120, 40)
    sounding = np.concatenate([beats.times_s[:32], beats.times_s[40:]])  # two bars are missing
    positions = np.concatenate([beats.positions[:32], beats.positions[40:]])
    found = decode_beats(render_activations(Beats(sounding, positions), 40, noise=0.01), settings=WITHOUT)
    assert_same(found, beats, within_s=0.15)


def test_hints_forbid_stretches_without_a_pulse() -> None:
    activations = np.concatenate([render_activations(steady(120, 20), 20), without_pulse(20, heights=0.05)])
    assert decode_beats(activations, settings=WITHOUT).times_s[-1] < 21
    hints = Beats(np.arange(20.3, 36, 2))
    found = decode_beats(activations, settings=WITHOUT, hints=hints)
    assert np.abs(found.times_s[:, None] - hints.times_s).min(axis=0).max() < 0.03
    assert found.intervals_s.max() < 1.2
    assert len(found.between(37, 40)) <= 2


def test_posterior_of_no_pulse() -> None:
    activations = np.concatenate([render_activations(steady(120, 20), 20), without_pulse(20, heights=0.2)])
    found = decode_activations(activations, settings=WITHOUT).no_pulse
    assert found[:1900].max() < 0.01
    assert found[2200:].min() > 0.9
    assert decode_activations(activations).no_pulse.max() == 0
    silent = decode_activations(np.zeros((500, 2)), settings=WITHOUT)
    assert silent.no_pulse.min() == 1


def test_confidence_is_low_where_nothing_is_heard() -> None:
    beats = steady(120, 30)
    activations = render_activations(beats, 30, noise=0.02)
    activations[1000:2000] = 0.3
    found = decode_beats(activations)
    assert found.confidence is not None
    inside = (found.times_s > 13) & (found.times_s < 17)
    outside = (found.times_s < 9) | (found.times_s > 21)
    assert found.confidence[outside].min() > 0.95
    assert found.confidence[inside].max() < 0.8


def test_posteriors_peak_at_the_beats() -> None:
    beats = steady(120, 10)
    result = posteriors(render_activations(beats, 10))
    assert result.shape == (1000, 2)
    frames = np.round(beats.times_s * 100).astype(int)
    near = np.array([result[f - 2 : f + 3].sum(axis=0) for f in frames])
    assert near[:, 0].min() > 0.98
    np.testing.assert_allclose(near[:, 1], beats.positions == 1, atol=0.02)
    assert result[:, 0].sum() == pytest.approx(len(beats), abs=0.3)


@pytest.mark.parametrize("at_once", [0, 10**9])
def test_best_product(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recursion, "AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    weights, scores = rng.normal(0, 50, (9, 7)), rng.normal(0, 50, (9, 33))
    weights[np.abs(np.subtract.outer(np.arange(9), np.arange(7))) > 3] = -np.inf
    scores[rng.uniform(size=scores.shape) < 0.2] = -np.inf
    expected = np.max(scores[:, None] + weights[:, :, None], axis=0)
    np.testing.assert_array_equal(recursion.max_sum.product(scores, weights), expected)


@pytest.mark.slow
def test_long_recordings_are_the_same_stretch_by_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    activations = render_activations(drifting(30), 30, missing=0.2)
    whole, probabilities = decode_beats(activations), posteriors(activations)
    with_gaps = np.concatenate([activations, without_pulse(20, heights=0.2), activations])
    gaps = decode_activations(with_gaps, settings=WITHOUT)
    monkeypatch.setattr("levada.beat_tracking.decoder.recursion.STRETCH_BYTES", 1)  # the shortest there are
    gaps_again = decode_activations(with_gaps, settings=WITHOUT)
    assert_same(gaps_again.beats, gaps.beats, within_s=0)
    np.testing.assert_allclose(gaps_again.no_pulse, gaps.no_pulse, atol=1e-9)
    again = decode_beats(activations)
    assert_same(again, whole, within_s=0)
    np.testing.assert_allclose(again.confidence, whole.confidence, atol=1e-9)  # type: ignore[arg-type]
    np.testing.assert_allclose(posteriors(activations), probabilities, atol=1e-9)


@pytest.mark.parametrize("frames", [0, 1, 10, 30, 120])
@pytest.mark.parametrize("level", [0.0, 0.02, 0.5, 1.0])
def test_short_and_constant(frames: int, level: float) -> None:
    found = decode_beats(np.full((frames, 2), level))
    assert found.confidence is not None
    assert len(found) == 0 if level < 0.05 or frames < 14 else 1 <= len(found) <= 1 + frames // 27
    assert np.isfinite(posteriors(np.full((frames, 2), level))).all()
    assert posteriors(np.full((frames, 2), level)).shape == (frames, 2)


def test_beats_at_the_very_first_and_last_frame() -> None:
    activations = np.full((101, 2), 0.01)
    activations[[0, 1, 49, 50, 51, 99, 100], 0] = [0.9, 0.5, 0.5, 0.9, 0.5, 0.5, 0.9]
    np.testing.assert_allclose(decode_beats(activations).times_s, [0, 0.5, 1.0], atol=0.006)


def test_arguments_are_left_alone() -> None:
    activations = render_activations(steady(100, 5), 5)
    before = activations.copy()
    decode_beats(activations, hints=Beats([1.5]))
    np.testing.assert_array_equal(activations, before)


@pytest.mark.parametrize(
    ("activations", "message"),
    [
        (np.zeros(100), r"shape \(frames, 2\).*\(100,\)"),
        (np.zeros((100, 3)), r"shape \(frames, 2\).*\(100, 3\)"),
        (np.full((5, 2), np.nan), "frame 0 is not a finite"),
        (np.array([[0.1, 0.1], [0.1, np.inf]]), "frame 1 is not a finite"),
        (np.array([[0.1, 0.1], [-3.2, 4.0]]), r"frame 1 .*logits"),
        ("beats", "array of numbers"),
    ],
)
def test_wrong_activations(activations: npt.ArrayLike, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode_beats(activations)
    with pytest.raises(InputError, match=message):
        posteriors(activations)


@pytest.mark.parametrize("fps", [0, -100, float("nan"), float("inf"), "fast", None])
def test_wrong_frame_rates(fps: float) -> None:
    with pytest.raises(InputError, match="fps"):
        decode_beats(np.zeros((10, 2)), fps=fps)


def test_too_few_frames_for_the_tempo() -> None:
    with pytest.raises(InputError, match="less than 2 frames"):
        decode_beats(np.zeros((10, 2)), fps=4)


@pytest.mark.slow
def test_same_as_madmom() -> None:
    """Where madmom is installed: the same beats, given one metre at a time as there."""
    pytest.importorskip("madmom", exc_type=Exception)
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor

    beats = drifting(60)
    activations = render_activations(beats, 60, noise=0.05)
    exclusive = np.stack([np.maximum(activations[:, 0] - activations[:, 1], 1e-5), activations[:, 1]], axis=1)
    theirs = DBNDownBeatTrackingProcessor(beats_per_bar=[4], fps=100, threshold=0)(exclusive)
    ours = decode_beats(activations, settings=DecoderSettings(metres=(4,), threshold=0)).between(0.2, 59.5)
    near = np.abs(theirs[:, 0][:, None] - ours.times_s).argmin(axis=0)
    np.testing.assert_allclose(theirs[near, 0], ours.times_s, atol=0.02)
    np.testing.assert_array_equal(theirs[near, 1], ours.positions)
