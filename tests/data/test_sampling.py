"""Budgets in whole bars, validation inside them, splits by group."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from levada.data import Corpus, Span, Track, annotated_spans, load_corpus, sample
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
    spans = sample(tracks, minutes=minutes, seed=rng(seed))
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
        spans = sample(tracks, minutes=0.8, seed=rng(seed))
        assert {span.track.group for span in spans} == {"many", "one", "two"}
        assert [span.duration_s for span in spans] == [16.0, 16.0, 16.0]


def test_draw_takes_contiguous_passages_not_single_bars() -> None:
    tracks = [track(f"t{i}", steady(60)) for i in range(30)]
    spans = sample(tracks, minutes=1.5, seed=rng(3))
    assert 5 <= len(spans) <= 7
    assert min(span.duration_s for span in spans) >= 4 * 2.0


def test_draw_visits_no_recording_twice_while_others_are_left() -> None:
    spans = sample([track(f"t{i}", steady(60)) for i in range(5)], minutes=3, seed=rng(1))
    assert len(spans) == len({span.track.id for span in spans}) == 5
    assert [span.duration_s for span in spans] == [36.0] * 5


def test_draw_of_everything_gives_everything() -> None:
    tracks = [track("a", steady(10)), track("b", steady(20))]
    spans = sample(tracks, minutes=1.0, seed=rng())
    assert [(span.start_s, span.end_s) for span in spans] == [(0.0, 20.0), (0.0, 40.0)]


def test_draw_is_decided_by_the_seed() -> None:
    tracks = [track(f"t{i}", steady(40)) for i in range(9)]

    def places(seed: int) -> list[tuple[str, float, float]]:
        return [(s.track.id, s.start_s, s.end_s) for s in sample(tracks, minutes=1, seed=rng(seed))]

    assert places(5) == places(5)
    assert places(5) != places(6)


def test_draw_without_downbeats_goes_by_beats() -> None:
    beats = Beats(np.arange(41) * 0.5)
    spans = sample([track("a", beats)], minutes=5.2 / 60, seed=rng())
    assert seconds(spans) == pytest.approx(5.0)


def test_draw_leaves_out_what_lies_in_an_annotation_gap() -> None:
    first, second = steady(4), steady(4, start_s=60.0)
    beats = Beats(np.concatenate([first.times_s, second.times_s]), [*first.positions, *second.positions])
    spans = sample([track("a", beats)], minutes=16 / 60, seed=rng())
    assert [(span.start_s, span.end_s) for span in spans] == [(0.0, 8.0), (60.0, 68.0)]
    with pytest.raises(InputError, match=r"has 0\.27 labelled minutes"):
        sample([track("a", beats)], minutes=0.5, seed=rng())


def test_draw_passes_over_tracks_without_annotation() -> None:
    spans = sample([track("a", None), track("b", steady(10))], minutes=0.2, seed=rng())
    assert {span.track.id for span in spans} == {"b"}


def test_draw_says_how_much_there_is_when_asked_for_more() -> None:
    with pytest.raises(InputError, match=r"has 0\.80 labelled minutes, fewer than 1\.5"):
        sample([track("a", steady(24))], minutes=1.5, seed=rng())


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
def test_draw_refuses_a_budget_that_is_none(minutes: float) -> None:
    with pytest.raises(InputError, match="above 0 minutes"):
        sample([track("a", steady(10))], minutes=minutes, seed=rng())


def test_draw_refuses_a_budget_shorter_than_a_bar() -> None:
    with pytest.raises(InputError, match="shorter than a bar"):
        sample([track("a", steady(10))], minutes=0.01, seed=rng())


def test_draw_refuses_a_corpus_without_annotation() -> None:
    with pytest.raises(InputError, match=r"has 0\.00 labelled minutes"):
        sample([track("a", None)], minutes=1, seed=rng())


@pytest.mark.parametrize("seed", range(20))
def test_split_never_shares_a_group(seed: int) -> None:
    tracks = [track(f"t{i:02}", steady(4), group=f"g{i % 5}") for i in range(13)]
    train, test = corpus(*tracks, track("unknown", None)).split(test_size=0.4, seed=rng(seed))
    assert {t.group for t in train}.isdisjoint({t.group for t in test})
    assert sorted(t.id for t in (*train, *test)) == [t.id for t in tracks]
    assert abs(len(test) - 0.4 * 13) <= 1.5


@pytest.mark.parametrize("test", [0.01, 0.99])
def test_split_leaves_a_group_on_either_side(test: float) -> None:
    for seed in range(5):
        sides = corpus(*(track(name, steady(1)) for name in "abcd")).split(test_size=test, seed=rng(seed))
        assert min(len(side) for side in sides) == 1


def test_split_can_be_told_to_ignore_groups() -> None:
    one = corpus(*(track(name, steady(1), group="g") for name in "abcd"))
    train, test = one.split(test_size=0.5, seed=rng(), ignore_groups=True)
    assert (len(train), len(test)) == (2, 2)


def test_split_of_one_group_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"all 2 annotated recordings in one group \(g\).*corpus\.toml"):
        corpus(track("a", steady(1), group="g"), track("b", steady(1), group="g")).split(seed=rng())


def test_split_of_one_recording_is_refused() -> None:
    with pytest.raises(InputError, match="has 1 annotated"):
        corpus(track("a", steady(1))).split(seed=rng(), ignore_groups=True)


@pytest.mark.parametrize("test", [0.0, 1.0, float("nan")])
def test_split_refuses_an_impossible_share(test: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        corpus(track("a", steady(1)), track("b", steady(1))).split(test_size=test, seed=rng())


@pytest.mark.real
def test_ninety_seconds_of_five_real_songs(real: Path) -> None:
    songs = load_corpus(real / "mdb_drums" / "drums_only", labels="beats")
    for seed in range(5):
        train, test = songs.split(test_size=8 / 13, seed=rng(seed))
        assert (len(train), len(test)) == (5, 8)
        spans = sample(train, minutes=1.5, seed=rng(seed))
        assert 87 < seconds(spans) <= 90
        assert {span.track.id for span in spans} == {t.id for t in train}
