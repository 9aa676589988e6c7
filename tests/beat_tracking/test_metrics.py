"""Scores and kinds of error on beats built to be wrong in a known way."""

import math
import warnings

import mir_eval
import numpy as np
import pytest

from levada.beat_tracking.metrics import ALL_SCORES, SCORE_NAMES, SCORE_TEXTS, SCORES, beat_scores, error_type
from levada.errors import InputError
from levada.io.beats import Beats


def steady(n=64, *, bpm=120.0, metre=4, first=1, start_s=0.5):
    """Beats of one tempo and metre; `first` is the position of the first beat."""
    return Beats(start_s + np.arange(n) * 60 / bpm, (np.arange(n) + first - 1) % metre + 1)


def jittered(beats, *, sd_s=0.01, missing=0.0, seed=0):
    """The beats with Gaussian noise on their times and a share of them left out."""
    rng = np.random.default_rng(seed)
    keep = rng.random(len(beats)) >= missing
    times = beats.times_s + np.clip(rng.normal(0, sd_s, len(beats)), -0.1, 0.1)
    return Beats(times[keep], beats.positions[keep])


class TestBeatScores:
    def test_of_the_reference_itself(self):
        scores = beat_scores(steady(), steady())
        assert [scores[name] for name in SCORES] == [1, 1, 1, 1, 1, 1, 1, 0]
        assert scores["trim_s"] == 5.0

    def test_of_double_tempo(self):
        half_way = np.sort(np.concatenate([steady().times_s, steady().times_s + 0.25]))[:-1]
        scores = beat_scores(steady(), Beats(half_way))
        assert scores["beat_f"] == pytest.approx(2 / 3, abs=0.01)
        assert scores["beat_cmlt"] == 0
        assert scores["beat_amlt"] == 1
        assert scores["tempo_error_percent"] == pytest.approx(100)

    def test_of_a_wrong_one(self):
        scores = beat_scores(steady(), steady(first=3))
        assert scores["beat_f"] == 1
        assert scores["downbeat_f"] == 0
        assert scores["downbeat_cmlt"] == 0
        assert scores["downbeat_amlt"] == pytest.approx(12 / 14)  # all but those at the ends

    def test_amlt_of_downbeats_in_two_is_free(self):
        scores = beat_scores(steady(metre=2), steady(metre=2, first=2))
        assert scores["downbeat_f"] == 0
        assert scores["downbeat_amlt"] == pytest.approx(26 / 28)

    def test_trim_drops_the_start_of_both_sides(self):
        wrong_start = Beats(np.concatenate([[0.1, 0.2, 0.3], steady().times_s[9:]]))
        assert beat_scores(steady(), wrong_start)["beat_f"] == 1
        assert beat_scores(steady(), wrong_start, trim_s=0)["beat_f"] < 0.95

    def test_no_trim_below_thirty_seconds_unless_a_number_is_given(self):
        reference = steady(20)
        estimate = reference.between(5, 60)
        scores = beat_scores(reference, estimate)
        assert scores["trim_s"] == 0
        assert scores["beat_f"] == pytest.approx(2 * 11 / 31)
        for duration_s, trim_s in ((29.9, 0), (30, 5)):
            assert beat_scores(reference, estimate, duration_s=duration_s)["trim_s"] == trim_s
        assert beat_scores(reference, estimate, duration_s=30)["beat_f"] == 1
        assert beat_scores(reference, estimate, duration_s=12, trim_s=5)["beat_f"] == 1

    def test_a_reference_that_trimming_empties_has_no_scores(self):
        scores = beat_scores(steady(20), steady(20), trim_s=60)
        assert all(math.isnan(scores[name]) for name in ALL_SCORES)

    @pytest.mark.parametrize("n", [0, 1])
    def test_of_almost_no_beats(self, n):
        few = Beats(steady().times_s[30 : 30 + n], steady().positions[30 : 30 + n])
        scores = beat_scores(steady(), few)
        assert scores["beat_cmlt"] == scores["beat_amlt"] == scores["downbeat_f"] == 0
        assert scores["beat_f"] == pytest.approx(2 * n / (55 + n))
        assert scores["tempo_error_percent"] == 100
        turned = beat_scores(few, steady(), duration_s=60)  # one beat has no interval that could go on
        assert all(math.isnan(turned[name]) for name in ("beat_cmlt", "beat_amlt", "tempo_error_percent"))
        assert math.isnan(turned["beat_f"]) == (n == 0)

    def test_of_nothing_against_nothing(self):
        scores = beat_scores(Beats([]), Beats([]))
        assert all(math.isnan(scores[name]) for name in ALL_SCORES)

    def test_downbeats_unknown(self):
        unmarked = Beats(steady().times_s)
        assert math.isnan(beat_scores(unmarked, steady())["downbeat_f"])
        assert math.isnan(beat_scores(unmarked, steady())["downbeat_cmlt"])
        assert beat_scores(steady(), unmarked)["downbeat_f"] == 0


def wandering(seed, *, n=60):
    """A reference and an estimate with noise, misses, insertions, jumps of phase and another level in a part."""
    rng = np.random.default_rng(seed)
    reference = np.cumsum(rng.uniform(0.4, 0.6, n)) + rng.choice([0.0, 0.3])
    estimate = reference + rng.normal(0, rng.choice([0.005, 0.04, 0.1]), n)
    estimate = estimate[rng.random(n) > rng.choice([0.0, 0.1])]
    if rng.random() < 0.5:
        estimate = np.concatenate([estimate, rng.uniform(0, reference[-1] + 2, 5)])
    if rng.random() < 0.3:
        half = estimate > estimate.mean()
        estimate = np.concatenate([estimate[~half], estimate[half][::2]])
    if rng.random() < 0.3:
        estimate = estimate + np.where(estimate > 15, 0.25, 0.0)
    return reference, np.unique(np.maximum(estimate, 0))


class TestContinuity:
    @pytest.mark.parametrize("first", range(0, 200, 50))
    def test_agrees_with_mir_eval(self, first):
        for seed in range(first, first + 50):
            reference, estimate = wandering(seed, n=[2, 3, 5, 60][seed % 4])
            scores = beat_scores(Beats(reference), Beats(estimate), trim_s=0)
            if len(estimate) < 2:
                continue
            names = ("beat_cmlc", "beat_cmlt", "beat_amlc", "beat_amlt")
            theirs = mir_eval.beat.continuity(reference, estimate)
            assert [scores[name] for name in names] == pytest.approx(theirs, abs=1e-9)
            assert scores["beat_f"] == pytest.approx(mir_eval.beat.f_measure(reference, estimate))

    def test_with_right_positions_is_that_of_beats(self):
        for seed in range(50):
            reference, estimate = wandering(seed)
            nearest = np.abs(estimate[:, None] - reference).argmin(axis=1)
            right = Beats(reference, np.arange(len(reference)) % 4 + 1)
            scores = beat_scores(right, Beats(estimate, right.positions[nearest]), trim_s=0)
            assert scores["position_cmlt"] == pytest.approx(mir_eval.beat.continuity(reference, estimate)[1])

    @pytest.mark.parametrize(("metre", "first", "share"), [(4, 3, 0), (4, 2, 0), (2, 1, 0.5), (8, 1, 0.5)])
    def test_wrong_positions_do_not_count(self, metre, first, share):
        scores = beat_scores(steady(64), steady(64, metre=metre, first=first), trim_s=0)
        assert (scores["beat_cmlt"], scores["position_cmlt"]) == (1, share)

    def test_downbeats_of_no_beat_have_a_cmlt_and_no_positions(self):
        estimate = steady().shift(0.68 * 0.5)  # .68 of a beat, .17 of a bar
        scores = beat_scores(steady(), estimate, trim_s=0)
        assert scores["downbeat_cmlt"] > 0.9
        assert (scores["downbeat_f"], scores["position_cmlt"]) == (0, 0)

    def test_positions_unknown_between_downbeats_are_counted(self):
        marked = Beats(steady().times_s, np.where(steady().positions == 1, 1, 0))
        assert beat_scores(marked, steady(), trim_s=0)["position_cmlt"] == 1
        late = beat_scores(marked, steady(first=3), trim_s=0)["position_cmlt"]
        assert late == pytest.approx(3 / 64)  # after the last downbeat nobody knows, and the beats are right
        assert math.isnan(beat_scores(Beats(steady().times_s), steady(), trim_s=0)["position_cmlt"])


EDGES = {
    "one of each": ([4.0], [4.0]),
    "one in the reference": ([4.0], [3.0, 4.01, 5.0]),
    "one in the estimate": ([3.0, 4.0, 5.0], [4.01]),
    "two of each": ([3.0, 4.0], [3.01, 3.95]),
    "within one cell of the grid": ([3.0, 4.0], [3.001, 3.004, 4.0]),
    "all before": ([30.0, 31.0, 32.0], [1.0, 1.5, 2.0, 2.5]),
    "all after": ([1.0, 1.5, 2.0], [30.0, 31.0]),
    "between two, as near to both": ([1.0, 2.0, 3.0, 4.0], [1.5, 2.5, 3.5]),
    "at zero": ([0.0, 0.5, 1.0, 1.5], [0.0, 0.5, 1.0, 1.5]),
    "half of it": (np.arange(40) / 2, np.arange(10, 30) / 2 + 0.03),
}


def of_mir_eval(reference, estimate):
    """The scores that levada computes by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sequences of one event
        return {
            "cemgil": mir_eval.beat.cemgil(reference, estimate)[0],
            "information_gain": mir_eval.beat.information_gain(reference, estimate),
            "p_score": mir_eval.beat.p_score(reference, estimate),
            **dict(zip(("cmlc", "cmlt", "amlc", "amlt"), mir_eval.beat.continuity(reference, estimate), strict=True)),
        }


class TestMoreScores:
    @pytest.mark.parametrize("first", range(0, 200, 50))
    def test_agree_with_mir_eval(self, first):
        for seed in range(first, first + 50):
            reference, estimate = wandering(seed, n=[2, 3, 5, 60][seed % 4])
            scores = beat_scores(Beats(reference), Beats(estimate), trim_s=0)
            for name, value in of_mir_eval(reference, estimate).items():
                assert scores[f"beat_{name}"] == pytest.approx(value, abs=1e-9), (seed, name)

    @pytest.mark.parametrize("edge", EDGES)
    def test_agree_with_mir_eval_at_the_edges(self, edge):
        reference, estimate = (np.asarray(times, float) for times in EDGES[edge])
        scores = beat_scores(Beats(reference), Beats(estimate), trim_s=0)
        for name, value in of_mir_eval(reference, estimate).items():
            if len(reference) == 1 and name != "cemgil":
                assert math.isnan(scores[f"beat_{name}"])  # no interval in the reference
            else:
                assert scores[f"beat_{name}"] == pytest.approx(value, abs=1e-9), name

    def test_of_downbeats_agree_with_mir_eval(self):
        for seed in range(30):
            reference, estimate = wandering(seed)
            right = Beats(reference, np.arange(len(reference)) % 3 + 1)
            found = Beats(estimate, np.arange(len(estimate)) % 3 + 1)
            scores = beat_scores(right, found, trim_s=0)
            for name, value in of_mir_eval(right.downbeats_s, found.downbeats_s).items():
                assert scores[f"downbeat_{name}"] == pytest.approx(value, abs=1e-9), (seed, name)

    def test_trim_as_mir_eval_does(self):
        reference, estimate = wandering(3)
        scores = beat_scores(Beats(reference), Beats(estimate), duration_s=60)
        theirs = mir_eval.beat.evaluate(reference, estimate)  # from 5 s on
        names = {
            "Cemgil": "cemgil", "P-score": "p_score", "Information gain": "information_gain", "F-measure": "f",
            "Correct Metric Level Continuous": "cmlc", "Any Metric Level Continuous": "amlc",
        }  # fmt: skip
        for name, ours in names.items():
            assert scores[f"beat_{ours}"] == pytest.approx(theirs[name], abs=1e-9), name

    @pytest.mark.parametrize(
        ("ratio", "right"),
        [
            (1, (1, 1)), (1.039, (1, 1)), (0.961, (1, 1)), (1.041, (0, 0)), (0.959, (0, 0)),
            (2, (0, 1)), (2.07, (0, 1)), (2.09, (0, 0)), (0.5, (0, 1)), (3, (0, 1)), (1 / 3, (0, 1)), (1.5, (0, 0)),
        ],
    )  # fmt: skip
    def test_tempo_accuracies(self, ratio, right):
        scores = beat_scores(steady(), steady(200, bpm=120 * ratio), trim_s=0)
        assert (scores["tempo_accuracy_1"], scores["tempo_accuracy_2"]) == right

    def test_tempo_is_that_of_the_median_interval(self):
        late = np.delete(
            steady(65).times_s, range(5, 60, 7)
        )  # eight beats are missing, and one interval in six is long
        scores = beat_scores(steady(), Beats(late), trim_s=0)
        assert (scores["tempo_accuracy_1"], scores["beat_p_score"] < 1) == (1, True)
        none = beat_scores(steady(), Beats([3.0]), trim_s=0)
        assert (none["tempo_accuracy_1"], none["tempo_accuracy_2"]) == (0, 0)

    def test_of_pieces_are_pooled(self):
        spans_s, reference = ((0, 20.25), (40.25, 60.25)), steady(160)
        estimate = Beats(np.delete(reference.times_s, [9, 100]) + 0.04)
        scores = beat_scores(reference, estimate, spans_s=spans_s, trim_s=0)
        assert scores["beat_cmlc"] == pytest.approx(29 / 80)  # of two pieces of 40 beats; the beat after a gap is wrong
        near = math.exp(-0.5)  # a standard deviation late, but for the two left out: half a second
        assert scores["beat_cemgil"] == pytest.approx(78 * near / (0.5 * (80 + 78)), abs=1e-6)
        assert scores["beat_information_gain"] > 0.8
        assert scores["beat_p_score"] == pytest.approx(78 / 80)

    def test_each_has_a_name_and_a_meaning(self):
        assert tuple(SCORE_NAMES) == ALL_SCORES
        described = " ".join(SCORE_TEXTS)
        kinds = {name.removeprefix("beat ").removeprefix("downbeat ") for name in SCORE_NAMES.values()} - {"F"}
        assert all(kind in described for kind in kinds)


class TestPieces:
    spans_s = ((9.75, 18.25), (29.75, 42.25))

    def pieces(self, beats):
        return [beats.between(*span) for span in self.spans_s]

    def test_are_pooled_by_events(self):
        reference = steady(100)
        parts = self.pieces(reference)
        wrong = [parts[0].shift(0.1), jittered(parts[1], missing=0.2, seed=3)]
        estimate = Beats(np.concatenate([np.arange(0.3, 9, 0.4), *(part.times_s for part in wrong), [60.0, 61.0]]))
        scores = beat_scores(reference, estimate, spans_s=self.spans_s, trim_s=0)
        counts = [max(len(one), len(other)) for one, other in zip(parts, wrong, strict=True)]
        each = [mir_eval.beat.continuity(a.times_s, b.times_s)[1] for a, b in zip(parts, wrong, strict=True)]
        assert scores["beat_cmlt"] == pytest.approx(np.average(each, weights=counts))
        hits = [len(mir_eval.util.match_events(a.times_s, b.times_s, 0.07)) for a, b in zip(parts, wrong, strict=True)]
        events = sum(map(len, [*parts, *wrong]))
        assert scores["beat_f"] == pytest.approx(2 * sum(hits) / events)

    def test_their_gap_is_no_interval(self):
        inside = [part.times_s for part in self.pieces(steady(100))]
        reference = Beats(np.concatenate(inside), np.concatenate([p.positions for p in self.pieces(steady(100))]))
        scores = beat_scores(reference, steady(100), spans_s=self.spans_s, trim_s=0)
        assert [scores[name] for name in SCORES] == [1, 1, 1, 1, 1, 1, 1, 0]
        assert str(error_type(reference, steady(100), spans_s=self.spans_s)) == "beats and downbeats right"
        late = error_type(reference, steady(100).shift(0.125), spans_s=self.spans_s)
        assert late.detail == "beats 1 tatum late (+125 ms)"
        half = error_type(reference, steady(100, first=3), spans_s=self.spans_s)
        assert half.detail == "beats right, downbeats 2 beats late"

    def test_trimming_cuts_a_piece(self):
        wrong_start = Beats(np.concatenate([[9.8, 9.9, 10.2], steady(100).times_s[24:]]))
        scores = beat_scores(steady(100), wrong_start, spans_s=self.spans_s, trim_s=12.3)
        assert (scores["beat_f"], scores["beat_cmlt"]) == (1, 1)


class TestKindOfError:
    @pytest.mark.parametrize("metre", [2, 3, 4])
    @pytest.mark.parametrize("missing", [0, 0.1])
    def test_right(self, metre, missing):
        reference = steady(metre=metre)
        found = error_type(reference, jittered(reference, missing=missing))
        assert found.kind == "right"
        assert str(found) == "beats and downbeats right"

    @pytest.mark.parametrize("metre", [2, 4])
    @pytest.mark.parametrize(
        ("beats", "tatums", "detail"),
        [
            (0.22, 1, "beats 1 tatum late (+99 ms)"),  # as trackers of other music sit in candombe
            (-0.25, -1, "beats 1 tatum early (-112 ms)"),
            (0.47, 2, "beats 2 tatums late (+210 ms)"),
        ],
    )
    def test_phase_shift(self, metre, beats, tatums, detail):
        reference = steady(bpm=134, metre=metre)
        found = error_type(reference, reference.shift(beats * 60 / 134))
        assert (found.kind, found.shift_tatums, found.detail) == ("phase shift", tatums, detail)
        assert found.shift_beats == pytest.approx(beats)

    def test_phase_shift_with_noise_misses_and_acceleration(self):
        times = 0.5 + np.cumsum(60 / np.linspace(100, 140, 80))
        reference = Beats(times, np.arange(80) % 4 + 1)
        late = Beats(times + 0.22 * np.gradient(times), reference.positions)
        found = error_type(reference, jittered(late, sd_s=0.02, missing=0.15))
        assert (found.kind, found.shift_tatums) == ("phase shift", 1)
        assert found.shift_beats == pytest.approx(0.22, abs=0.03)

    def test_phase_shift_in_triplets(self):
        reference = steady(bpm=60)
        assert error_type(reference, reference.shift(0.3), tatums=3).shift_tatums == 1
        assert error_type(reference, reference.shift(1.1 / 3), tatums=12).shift_tatums == 4

    def test_phase_shift_below_a_tatum(self):
        found = error_type(steady(bpm=60), steady(bpm=60).shift(0.1))
        assert (found.kind, found.shift_tatums) == ("phase shift", 0)
        assert found.detail == "beats 0.10 beats late (+100 ms)"

    @pytest.mark.parametrize(
        ("bpm", "kind", "ratio"),
        [
            (240, "double tempo", 2),
            (60, "half tempo", 1 / 2),
            (360, "triple tempo", 3),
            (40, "third tempo", 1 / 3),
        ],
    )
    @pytest.mark.parametrize("late_s", [0, 0.12])
    def test_metrical_levels(self, bpm, kind, ratio, late_s):
        estimate = steady(round(64 * ratio), bpm=bpm, start_s=0.5 + late_s)
        found = error_type(steady(), jittered(estimate, sd_s=0.005))
        assert found.kind == kind
        assert found.tempo_ratio == pytest.approx(ratio, rel=0.03)

    def test_other_tempo(self):
        found = error_type(steady(), steady(96, bpm=180))
        assert (found.kind, found.detail) == ("other tempo", "other tempo: 1.50 times the reference")

    @pytest.mark.parametrize(("bpm", "moved"), [(118, "1.5"), (122.5, "1.9"), (126, "4.4")])
    def test_drifting(self, bpm, moved):
        found = error_type(steady(96), jittered(steady(96, bpm=bpm)))
        assert found.kind == "drifting"
        assert found.detail == f"beats drift by {moved} beats against the reference"

    def test_a_jump_is_no_drift(self):
        reference = steady(90)
        jumped = np.concatenate([reference.times_s[:40], reference.times_s[40:] + 0.25])
        assert error_type(reference, Beats(jumped)).kind == "other"
        late_jump = np.concatenate([reference.times_s[:60], reference.times_s[60:] + 0.25])
        found = error_type(reference, Beats(late_jump))
        assert (found.kind, found.detail) == ("partly right", "beats right in part (F 0.67)")

    @pytest.mark.parametrize(("metre", "heard"), [(2, 4), (4, 2), (4, 3), (3, 4)])
    def test_wrong_metre(self, metre, heard):
        found = error_type(steady(metre=metre), jittered(steady(metre=heard)))
        assert (found.kind, found.metres) == ("wrong metre", (metre, heard))
        assert found.detail == f"beats right, bars of {heard} where the reference has {metre}"

    @pytest.mark.parametrize(
        ("metre", "first", "late", "detail"),
        [
            (4, 4, 1, "beats right, downbeats 1 beat late"),
            (4, 3, 2, "beats right, downbeats 2 beats late"),
            (4, 2, -1, "beats right, downbeats 1 beat early"),
            (2, 2, 1, "beats right, downbeats 1 beat late"),
        ],
    )
    def test_wrong_one(self, metre, first, late, detail):
        estimate = jittered(steady(metre=metre, first=first), missing=0.05)
        found = error_type(steady(metre=metre), estimate)
        assert (found.kind, found.bar_shift_beats, found.detail) == ("wrong downbeat phase", late, detail)

    def test_a_one_that_wanders(self):
        positions = np.concatenate([steady().positions[:36], steady(first=3).positions[36:]])
        found = error_type(steady(), Beats(steady().times_s, positions))
        assert found.kind == "partly right"
        assert found.detail.startswith("beats right, downbeats only in part")

    def test_downbeats_unknown(self):
        unmarked = Beats(steady().times_s)
        assert error_type(unmarked, steady()).kind == "right"
        assert error_type(steady(), unmarked).kind == "no downbeats"

    def test_half_of_the_beats(self):
        assert error_type(steady(), steady().between(0, 17)).kind == "partly right"

    def test_no_beats(self):
        assert error_type(steady(), Beats([])).kind == "no beats"
        assert error_type(steady(), steady(start_s=100)).kind == "no beats"

    def test_noise_is_other(self):
        times = np.cumsum(np.random.default_rng(4).uniform(0.1, 1.2, 50))
        found = error_type(steady(), Beats(times))
        assert found.kind == "other"
        assert found.detail.startswith("beats wrong without a pattern (F 0.")

    def test_nothing_to_compare_with(self):
        assert error_type(Beats([1.0]), steady()).kind == "other"
        with pytest.raises(InputError, match="at least one tatum, not 0"):
            error_type(steady(), steady(), tatums=0)
