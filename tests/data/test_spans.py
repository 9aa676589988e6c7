"""Annotated spans: labels in pieces count by their pieces, a forgotten beat does not part them."""

from pathlib import Path

import numpy as np
import pytest

from levada.data import Span, Track, annotated_spans, load_corpus, sample
from levada.data.spans import halve, with_margins
from levada.errors import InputError
from levada.io.beats import Beats


def track(times: np.ndarray, *, metre: int = 0) -> Track:
    positions = np.arange(len(times)) % metre + 1 if metre else None
    return Track("a", Path("a.wav"), group="a", load=lambda: Beats(times, positions))


def ends(*pieces: np.ndarray) -> list[tuple[float, float]]:
    return [(span.start_s, span.end_s) for span in annotated_spans(track(np.concatenate(pieces)))]


def steady(start_s: float, end_s: float, step_s: float = 0.5) -> np.ndarray:
    return np.arange(start_s, end_s + 1e-9, step_s)


def test_three_stretches_of_four_seconds_in_a_minute_are_three_spans() -> None:
    pieces = [steady(start_s, start_s + 4) for start_s in (2, 22, 37)]
    assert ends(*pieces) == [(2, 6), (22, 26), (37, 41)]


@pytest.mark.parametrize("forgotten", [1, 2, 10, 21])
@pytest.mark.parametrize("noise_s", [0, 0.03])
def test_a_forgotten_beat_is_no_gap(forgotten: int, noise_s: float) -> None:
    times = steady(1, 12) + np.random.default_rng(0).normal(0, noise_s, 23)
    times = np.delete(times, forgotten)
    assert ends(times) == [(times[0], times[-1])]


def test_changes_of_tempo_are_no_gap() -> None:
    sudden = np.cumsum(np.repeat([0.3, 0.9, 0.3, 0.6], 12))
    slowing = np.cumsum(0.4 * 1.06 ** np.arange(40))
    rubato = np.cumsum(0.5 + 0.2 * np.sin(np.arange(60) / 2))
    for times in (sudden, slowing, rubato):
        assert ends(times) == [(times[0], times[-1])]


def test_a_gap_is_found_beside_proven() -> None:
    fast, slow = steady(0, 6, 0.25), steady(9, 20, 1.0)
    assert ends(fast, slow) == [(0, 6), (9, 20)]
    assert ends(fast[:4], slow[:4]) == [(0, 0.75), (9, 12)]


def test_single_beats_far_apart_are_no_spans() -> None:
    assert ends(steady(20, 24), np.arange(40.0, 100, 10)) == [(20, 24)]


def test_a_single_beat_is_no_span() -> None:
    assert ends(np.array([0.0]), steady(20, 24), np.array([50.0])) == [(20, 24)]
    with pytest.raises(InputError, match="1 in all"):
        annotated_spans(track(np.array([3.0])))


def test_budgets_are_of_what_is_annotated() -> None:
    pieces = [steady(start_s, start_s + 8) for start_s in (0, 30, 60)]
    times = np.concatenate(pieces)
    positions = np.concatenate([np.arange(17) % 4 + 1] * 3)
    one = Track("a", Path("a.wav"), group="a", load=lambda: Beats(times, positions))
    spans = sample([one], minutes=24 / 60, seed=np.random.default_rng(0))
    assert [(span.start_s, span.end_s) for span in spans] == [(0, 8), (30, 38), (60, 68)]
    with pytest.raises(InputError, match=r"has 0\.40 labelled minutes"):
        sample([one], minutes=0.5, seed=np.random.default_rng(0))


def test_margins_are_half_a_beat_and_inside_the_recording() -> None:
    beats = Beats(np.concatenate([steady(0.25, 4.25), steady(20, 29.6, 0.8)]))
    assert with_margins(beats, duration_s=30) == ((0.0, 4.5), (19.6, 30.0))
    assert with_margins(beats)[1] == pytest.approx((19.6, 30.0))
    assert with_margins(beats, duration_s=29.7)[1] == (19.6, 29.7)


class TestHalves:
    @pytest.mark.parametrize(
        "pieces",
        [
            [steady(0, 20)],
            [steady(0, 4), steady(30, 34)],
            [steady(0, 4), steady(30, 40), steady(60, 62)],
            [steady(0, 17), steady(40, 41)],
        ],
    )
    @pytest.mark.parametrize("metre", [0, 4])
    def test_share_no_beat(self, pieces: list[np.ndarray], metre: int) -> None:
        one = track(np.concatenate(pieces), metre=metre)
        earlier, later = halve(annotated_spans(one))
        mine, theirs = ({time for span in half for time in span.beats.times_s} for half in (earlier, later))
        assert not mine & theirs
        assert mine | theirs == set(one.beats().times_s)
        assert max(mine) < min(theirs)
        lengths = [sum(span.duration_s for span in half) for half in (earlier, later)]
        assert abs(lengths[0] - lengths[1]) <= (2.5 if metre else 1.0)

    def test_share_no_beat_where_spans_meet(self) -> None:
        one = track(steady(0, 8), metre=4)
        earlier, later = halve([Span(one, 0, 4), Span(one, 4, 8)])
        assert ([(s.start_s, s.end_s) for s in earlier], [(s.start_s, s.end_s) for s in later]) == (
            [(0, 4)],
            [(4.5, 8)],
        )


@pytest.mark.real
def test_real_labels_are_one_span_each(real: Path) -> None:
    for folder in ("mdb_drums/drums_only", "mdb_drums/full_mixes", "brid", "pop"):
        for one in load_corpus(real / folder, labels="beats").annotated:
            (span,) = annotated_spans(one)
            assert (span.start_s, span.end_s) == tuple(one.beats().times_s[[0, -1]])
