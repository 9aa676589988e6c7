"""Budgets in whole bars, validation inside them, splits by group."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from levada.data import Corpus, Span, Track, annotated_spans, draw, hold_out, open_corpus, split
from levada.errors import InputError
from levada.io.beats import Beats


class Labels:
    """Beats that need no file."""

    def __init__(self, beats: Beats) -> None:
        self.beats = beats

    def __call__(self) -> Beats:
        return self.beats


def steady(bars: int, *, bpm: float = 120.0, metre: int = 4, start_s: float = 0.0) -> Beats:
    """So many bars and the downbeat that closes the last."""
    count = bars * metre + 1
    return Beats(start_s + np.arange(count) * 60 / bpm, np.arange(count) % metre + 1)


def track(name: str, beats: Beats | None, group: str | None = None) -> Track:
    load = None if beats is None else Labels(beats)
    return Track(name, Path(f"{name}.wav"), group=group or name, load=load)


def corpus(*tracks: Track) -> Corpus:
    return Corpus("made", tracks, Path("made"))


def seconds(spans: list[Span]) -> float:
    return sum(span.duration_s for span in spans)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_annotated_span_goes_from_the_first_to_the_last_beat() -> None:
    (span,) = annotated_spans(track("a", steady(2, start_s=1.25)))
    assert (span.start_s, span.end_s, span.duration_s) == (1.25, 5.25, 4.0)
    assert len(span.beats) == 9  # the closing downbeat belongs to it
    assert span.beats.metres == {4: 2}


def test_span_keeps_times_of_the_recording() -> None:
    span = Span(track("a", steady(4)), 2.0, 4.0)
    assert span.beats == Beats([2.0, 2.5, 3.0, 3.5, 4.0], [1, 2, 3, 4, 1])


@pytest.mark.parametrize("beats", [Beats([]), Beats([1.0])])
def test_annotated_span_needs_two_beats(beats: Beats) -> None:
    with pytest.raises(InputError, match="at least 2"):
        annotated_spans(track("a", beats))


def test_annotated_span_of_a_track_without_annotation_names_the_file() -> None:
    with pytest.raises(InputError, match=r"a\.wav: has no beat annotation"):
        annotated_spans(track("a", None))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("minutes", [0.07, 0.5, 1.5, 4.0])
def test_draw_spends_the_budget_to_the_bar(seed: int, minutes: float) -> None:
    tracks = [track(f"t{i}", steady(20 + i, bpm=95 + 7 * i), group=f"g{i % 3}") for i in range(7)]
    spans = draw(tracks, minutes=minutes, rng=rng(seed))
    longest_bar = 4 * 60 / 95
    assert 60 * minutes - longest_bar < seconds(spans) <= 60 * minutes + 1e-6
    for span in spans:
        downbeats = span.track.beats().downbeats_s
        assert span.start_s in downbeats
        assert span.end_s in downbeats
    for before, after in pairwise(spans):
        assert before.track.id != after.track.id or before.end_s <= after.start_s


def test_draw_spreads_over_groups_before_recordings() -> None:
    tracks = [track(f"many{i}", steady(30), group="many") for i in range(8)]
    tracks += [track("one", steady(30)), track("two", steady(30))]
    for seed in range(5):
        spans = draw(tracks, minutes=0.8, rng=rng(seed))
        assert {span.track.group for span in spans} == {"many", "one", "two"}
        assert [span.duration_s for span in spans] == [16.0, 16.0, 16.0]


def test_draw_takes_contiguous_passages_not_single_bars() -> None:
    tracks = [track(f"t{i}", steady(60)) for i in range(30)]
    spans = draw(tracks, minutes=1.5, rng=rng(3))
    assert 5 <= len(spans) <= 7
    assert min(span.duration_s for span in spans) >= 4 * 2.0


def test_draw_visits_no_recording_twice_while_others_are_left() -> None:
    spans = draw([track(f"t{i}", steady(60)) for i in range(5)], minutes=3, rng=rng(1))
    assert len(spans) == len({span.track.id for span in spans}) == 5
    assert [span.duration_s for span in spans] == [36.0] * 5


def test_draw_of_everything_gives_everything() -> None:
    tracks = [track("a", steady(10)), track("b", steady(20))]
    spans = draw(tracks, minutes=1.0, rng=rng())
    assert [(span.start_s, span.end_s) for span in spans] == [(0.0, 20.0), (0.0, 40.0)]


def test_draw_is_decided_by_the_seed() -> None:
    tracks = [track(f"t{i}", steady(40)) for i in range(9)]

    def places(seed: int) -> list[tuple[str, float, float]]:
        return [(s.track.id, s.start_s, s.end_s) for s in draw(tracks, minutes=1, rng=rng(seed))]

    assert places(5) == places(5)
    assert places(5) != places(6)


def test_draw_without_downbeats_goes_by_beats() -> None:
    beats = Beats(np.arange(41) * 0.5)
    spans = draw([track("a", beats)], minutes=5.2 / 60, rng=rng())
    assert seconds(spans) == pytest.approx(5.0)


def test_draw_leaves_out_what_lies_in_an_annotation_gap() -> None:
    first, second = steady(4), steady(4, start_s=60.0)
    beats = Beats(np.concatenate([first.times_s, second.times_s]), [*first.positions, *second.positions])
    spans = draw([track("a", beats)], minutes=16 / 60, rng=rng())
    assert [(span.start_s, span.end_s) for span in spans] == [(0.0, 8.0), (60.0, 68.0)]
    with pytest.raises(InputError, match=r"has 0\.27 annotated minutes"):
        draw([track("a", beats)], minutes=0.5, rng=rng())


def test_draw_passes_over_tracks_without_annotation() -> None:
    spans = draw([track("a", None), track("b", steady(10))], minutes=0.2, rng=rng())
    assert {span.track.id for span in spans} == {"b"}


def test_draw_says_how_much_there_is_when_asked_for_more() -> None:
    with pytest.raises(InputError, match=r"has 0\.80 annotated minutes in whole bars; asked 1\.5"):
        draw([track("a", steady(24))], minutes=1.5, rng=rng())


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_draw_refuses_a_budget_that_is_none(minutes: float) -> None:
    with pytest.raises(InputError, match="above 0 minutes"):
        draw([track("a", steady(10))], minutes=minutes, rng=rng())


def test_draw_refuses_a_budget_shorter_than_a_bar() -> None:
    with pytest.raises(InputError, match="shorter than a bar"):
        draw([track("a", steady(10))], minutes=0.01, rng=rng())


def test_draw_refuses_a_corpus_without_annotation() -> None:
    with pytest.raises(InputError, match=r"has 0\.00 annotated minutes"):
        draw([track("a", None)], minutes=1, rng=rng())


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_hold_out_divides_the_budget_and_adds_nothing(seed: int, share: float) -> None:
    spans = draw([track(f"t{i}", steady(40)) for i in range(6)], minutes=1.5, rng=rng(seed))
    train, held = hold_out(spans, share=share, rng=rng(seed))
    cuts = len(train) + len(held) - len(spans)  # each costs the beat interval between its two sides
    assert seconds(train) + seconds(held) == pytest.approx(seconds(spans) - 0.5 * cuts)
    assert seconds(held) == pytest.approx(share * 90, abs=2.01)
    assert train
    for one in held:
        for other in train:
            assert one.track.id != other.track.id or not set(one.beats.times_s) & set(other.beats.times_s)


def test_hold_out_cuts_a_single_span_at_a_bar() -> None:
    train, held = hold_out([Span(track("a", steady(10)), 0.0, 20.0)], share=0.2, rng=rng())
    assert [(span.start_s, span.end_s) for span in train] == [(0.0, 16.0)]
    assert [(span.start_s, span.end_s) for span in held] == [(16.5, 20.0)]  # no beat is on both sides


def test_hold_out_gives_a_whole_span_when_each_is_one_bar() -> None:
    spans = [Span(track(name, steady(1)), 0.0, 2.0) for name in "abc"]
    train, held = hold_out(spans, share=0.1, rng=rng())
    assert (len(train), len(held)) == (2, 1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_hold_out_refuses_an_impossible_share(share: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        hold_out([Span(track("a", steady(10)), 0.0, 20.0)], share=share, rng=rng())


@pytest.mark.parametrize("spans", [[], [Span(track("a", steady(1)), 0.0, 2.0)]])
def test_hold_out_needs_more_than_a_bar(spans: list[Span]) -> None:
    with pytest.raises(InputError, match="only one bar"):
        hold_out(spans, share=0.5, rng=rng())


@pytest.mark.parametrize("seed", range(20))
def test_split_never_shares_a_group(seed: int) -> None:
    tracks = [track(f"t{i:02}", steady(4), group=f"g{i % 5}") for i in range(13)]
    train, test = split(corpus(*tracks, track("unknown", None)), test=0.4, rng=rng(seed))
    assert {t.group for t in train}.isdisjoint({t.group for t in test})
    assert sorted(t.id for t in (*train, *test)) == [t.id for t in tracks]
    assert abs(len(test) - 0.4 * 13) <= 1.5


@pytest.mark.parametrize("test", [0.01, 0.99])
def test_split_leaves_a_group_on_either_side(test: float) -> None:
    for seed in range(5):
        sides = split(corpus(*(track(name, steady(1)) for name in "abcd")), test=test, rng=rng(seed))
        assert min(len(side) for side in sides) == 1


def test_split_can_be_told_to_ignore_groups() -> None:
    one = corpus(*(track(name, steady(1), group="g") for name in "abcd"))
    train, test = split(one, test=0.5, rng=rng(), ignore_groups=True)
    assert (len(train), len(test)) == (2, 2)


def test_split_of_one_group_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"all 2 annotated recordings are in one group \(g\).*corpus\.toml"):
        split(corpus(track("a", steady(1), group="g"), track("b", steady(1), group="g")), rng=rng())


def test_split_of_one_recording_is_refused() -> None:
    with pytest.raises(InputError, match="1 of its recordings annotated"):
        split(corpus(track("a", steady(1))), rng=rng(), ignore_groups=True)


@pytest.mark.parametrize("test", [0.0, 1.0, float("nan")])
def test_split_refuses_an_impossible_share(test: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        split(corpus(track("a", steady(1)), track("b", steady(1))), test=test, rng=rng())


@pytest.mark.real
def test_ninety_seconds_of_five_real_songs(real: Path) -> None:
    songs = open_corpus(real / "mdb_drums" / "drums_only")
    for seed in range(5):
        train, test = split(songs, test=8 / 13, rng=rng(seed))
        assert (len(train), len(test)) == (5, 8)
        spans = draw(train, minutes=1.5, rng=rng(seed))
        assert 87 < seconds(spans) <= 90
        assert {span.track.id for span in spans} == {t.id for t in train}
