"""Separators on songs of noise, by stand-ins that know or do not know what is in them."""

import csv
import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import soundfile

from levada.corpus import Multitrack, StemSpan, open_stems
from levada.errors import InputError
from levada.evaluate import HeldOut, evaluate_stems, held_out, match
from levada.evaluate.listening import free, spans_of
from levada.evaluate.matching import Pair

RATE = 8000
BANDS = {"surdo": (0, 0.1), "caixa": (0.1, 0.5), "agogo": (0.5, 1.0)}


def band(samples: np.ndarray, low: float, high: float) -> np.ndarray:
    """What lies between two parts of the Nyquist frequency."""
    spectrum = np.fft.rfft(samples)
    at = np.linspace(0, 1, spectrum.shape[-1], endpoint=False)
    return np.fft.irfft(np.where((at >= low) & (at < high), spectrum, 0), samples.shape[-1]).astype(np.float32)


@dataclass(frozen=True)
class Filters:
    """Separates instruments that are bands of noise; `spill` of what remains of the mixture is in each."""

    instruments: tuple[str, ...] = tuple(BANDS)
    spill: float = 0.0
    trained_on: dict = field(default_factory=dict)

    def stems(self, samples, rate):
        assert rate == RATE
        own = {name: band(samples, *BANDS.get(name, (0, 0))) for name in self.instruments}
        return {name: (one + self.spill * (samples - one)).astype(np.float32) for name, one in own.items()}


@dataclass(frozen=True)
class Broken(Filters):
    """Fails, each time in the way that is asked for."""

    how: str = "raise"

    def stems(self, samples, rate):
        if self.how == "raise":
            raise ValueError("no idea")
        found = super().stems(samples, rate)
        if self.how == "nan":
            found["caixa"][:, 5] = np.nan
        if self.how == "short":
            found["caixa"] = found["caixa"][:, :-1]
        if self.how == "missing":
            del found["caixa"]
        return found


def noise(seed: int, name: str, duration_s: float = 2.0, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng([seed, *name.encode()])
    return band(rng.normal(0, 0.1, (channels, round(duration_s * RATE))), *BANDS[name])


def write(path, samples):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, RATE, subtype="FLOAT")


def song(folder, name, *, seed=0, group="", instruments=tuple(BANDS), duration_s=2.0, mixture=True, channels=1):
    stems = {one: noise(seed, one, duration_s, channels) for one in instruments}
    for one, samples in stems.items():
        write(folder / name / f"{one}.wav", samples)
    if mixture:
        write(folder / name / "mixture.wav", sum(stems.values()))
    paths = {one: (folder / name / f"{one}.wav",) for one in instruments}
    return Multitrack(name, paths, folder / name / "mixture.wav" if mixture else None, group or name)


@pytest.fixture
def songs(tmp_path):
    """Three songs of two groups."""
    return [song(tmp_path, f"song{i}", seed=i, group=f"group{i % 2}") for i in range(3)]


class TestRows:
    def test_everybody_on_every_song(self, songs):
        told = []
        found = evaluate_stems(songs, {"good": Filters(spill=0.01), "bad": Filters(spill=0.5)}, oracle=True,
                               progress=lambda *done: told.append(done))  # fmt: skip
        assert found.models == ("good", "bad", "mixture", "oracle")
        assert found.instruments == ("agogo", "caixa", "surdo")
        assert len(found.rows) == 3 * 4 * 3
        assert told == [(1, 3, "song0"), (2, 3, "song1"), (3, 3, "song2")]
        assert not found.warnings
        row = found.of("good")[0]
        assert (row.song, row.group, row.duration_s, row.trained_on, row.error) == ("song0", "group0", 2.0, False, "")
        assert row.scores["sdr"] > 20

    def test_the_order_of_models_is_that_of_their_scores(self, songs):
        found = evaluate_stems(songs, {"bad": Filters(spill=0.5), "good": Filters(spill=0.01)}, oracle=True)
        means = {model: scores["si_sdr_i"].mean for model, scores in found.summary().items()}
        assert means["good"] > means["bad"] > means["mixture"]
        assert means["oracle"] > 10
        assert means["mixture"] == pytest.approx(0, abs=1e-9)
        better = found.differences()["good"]["si_sdr_i"]
        assert better.mean == pytest.approx(means["good"] - means["bad"])
        assert (better.values, better.groups, better.resampled) == (3, 2, "groups")
        assert better.low > 0

    def test_a_mean_of_songs_is_one_of_stems(self, songs):
        found = evaluate_stems(songs, {"good": Filters(spill=0.1)})
        of_song = [np.mean([row.scores["sdr"] for row in found.of("good") if row.song == s.id]) for s in songs]
        assert found.summary()["good"]["sdr"].mean == pytest.approx(np.mean(of_song))
        caixa = [row.scores["sdr"] for row in found.of("good") if row.instrument == "caixa"]
        assert found.by_instrument("sdr")["good"]["caixa"].mean == pytest.approx(np.mean(caixa))

    def test_stereo_without_a_mixture(self, tmp_path):
        one = song(tmp_path, "song", mixture=False, channels=2)
        found = evaluate_stems([one], {"good": Filters(spill=0.01)})
        assert found.summary()["good"]["si_sdr"].mean > 20

    def test_windows_are_the_whole(self, songs, monkeypatch):
        from levada.evaluate import listening

        whole = evaluate_stems(songs[:1], {"good": Filters(spill=0.1)})
        monkeypatch.setattr(listening, "WINDOW_S", 0.7)
        monkeypatch.setattr(listening, "MARGIN_S", 0.25)
        pieces = evaluate_stems(songs[:1], {"good": Filters(spill=0.1)})
        for one, other in zip(whole.of("good"), pieces.of("good"), strict=True):
            assert other.scores["sdr"] == pytest.approx(one.scores["sdr"], abs=0.3)
            assert other.duration_s == one.duration_s
        for one, other in zip(whole.of("mixture"), pieces.of("mixture"), strict=True):
            assert other.scores == pytest.approx(one.scores, nan_ok=True, abs=1e-6)

    def test_processes_give_the_same(self, songs):
        found = [evaluate_stems(songs[:2], {"good": Filters(spill=0.1)}, processes=count) for count in (1, 2)]
        for one, other in zip(found[0].rows, found[1].rows, strict=True):
            assert (one.song, one.model, one.instrument) == (other.song, other.model, other.instrument)
            assert one.scores == pytest.approx(other.scores, nan_ok=True, abs=1e-6)


class TestSilence:
    def test_silent_stem_has_a_leak_and_is_in_no_mean(self, tmp_path):
        one = song(tmp_path, "song", instruments=("surdo", "caixa"))
        write(tmp_path / "song" / "agogo.wav", np.zeros((1, 2 * RATE)))
        one = replace(one, stems={**one.stems, "agogo": (tmp_path / "song" / "agogo.wav",)})
        found = evaluate_stems([one], {"bad": Filters(spill=0.1)})
        agogo = next(row for row in found.of("bad") if row.instrument == "agogo")
        assert agogo.scores["leak_db"] == pytest.approx(-20, abs=0.1)
        assert math.isnan(agogo.scores["si_sdr_i"])
        others = [row.scores["si_sdr_i"] for row in found.of("bad") if row.instrument != "agogo"]
        assert found.summary()["bad"]["si_sdr_i"].mean == pytest.approx(np.mean(others))
        assert found.summary()["bad"]["leak_db"].mean == pytest.approx(-20, abs=0.1)

    def test_instrument_that_a_song_lacks_is_silent_in_it(self, tmp_path):
        two = [song(tmp_path, "a"), song(tmp_path, "b", instruments=("surdo", "caixa"))]
        found = evaluate_stems(two, {"bad": Filters(spill=0.1)})
        assert [(row.song, row.instrument) for row in found.of("bad")][3:] == [
            ("b", "surdo"), ("b", "caixa"), ("b", "agogo"),
        ] or len(found.of("bad")) == 6  # fmt: skip
        missing = next(row for row in found.of("bad") if row.song == "b" and row.instrument == "agogo")
        assert missing.scores["leak_db"] == pytest.approx(-20, abs=0.1)
        assert found.by_instrument()["bad"]["agogo"].values == 1


class TestLeaks:
    def test_shares_of_every_instrument_in_every_stem(self, songs):
        found = evaluate_stems(songs, {"bad": Filters(spill=0.25)})
        stems, instruments, shares = found.leaks("bad")
        assert stems == instruments == ("agogo", "caixa", "surdo")
        assert np.allclose(shares, np.where(np.eye(3), 1, 0.25), atol=0.01)

    def test_stem_that_nobody_plays_has_a_row_and_a_warning(self, songs):
        found = evaluate_stems(songs, {"bad": Filters((*BANDS, "cuica"), spill=0.25)})
        stems, instruments, shares = found.leaks("bad")
        assert stems == ("agogo", "caixa", "surdo", "cuica")
        assert len(instruments) == 3
        assert np.allclose(shares[3], 0.25, atol=0.01)
        assert any("also gives cuica" in warning for warning in found.warnings)
        assert "cuica" not in found.instruments


class TestWhoKnowsWhat:
    def test_instrument_that_a_model_lacks_is_said(self, songs):
        found = evaluate_stems(songs, {"small": Filters(("surdo", "caixa"))})
        assert {row.instrument for row in found.of("small")} == {"surdo", "caixa"}
        assert any("small does not know agogo" in warning for warning in found.warnings)
        assert found.leaks("small")[1] == ("agogo", "caixa", "surdo")

    def test_model_that_knows_none_of_them(self, songs):
        found = evaluate_stems(songs, {"good": Filters(), "kit": Filters(("kick", "tom"))})
        assert {row.error.split(":")[0] for row in found.of("kit")} == {"knows none of the instruments"}
        assert math.isnan(found.summary()["kit"]["si_sdr_i"].mean)
        assert any("kit has no scores for 3 of 3 songs" in warning for warning in found.warnings)

    def test_only_a_model_that_knows_none_of_them(self, songs):
        with pytest.raises(InputError, match="could be scored; the first: knows none of the instruments"):
            evaluate_stems(songs, {"kit": Filters(("kick", "tom"))})

    def test_trained_on_is_flagged_by_content(self, songs):
        known = {songs[1].stem_hashes[0]: [(0.0, 1.0)]}
        found = evaluate_stems(songs, {"mine": Filters(spill=0.1, trained_on=known), "other": Filters(spill=0.1)})
        assert {row.song for row in found.rows if row.trained_on} == {"song1"}
        assert any("mine was trained on 1 of the 3 songs it is scored on (song1)" in one for one in found.warnings)

    def test_trained_stretches_can_be_left_out(self, songs):
        known = {songs[1].content_hash: [(0.0, 0.5)]}
        models = {"mine": Filters(spill=0.1, trained_on=known), "other": Filters(spill=0.1)}
        found = evaluate_stems(songs, models, exclude_trained=True)
        assert not any(row.trained_on for row in found.rows)
        assert {row.duration_s for row in found.rows if row.song == "song1"} == {1.5}

    def test_trained_on_all_of_it(self, songs):
        known = {songs[1].content_hash: []}
        found = evaluate_stems(songs, {"mine": Filters(spill=0.1, trained_on=known)}, exclude_trained=True)
        assert next(row for row in found.rows if row.song == "song1").error == "a model was trained on all of song1"

    def test_spans_and_what_is_free_of_them(self, songs):
        assert spans_of(songs[0], Filters()) == []
        assert spans_of(songs[0], Filters(trained_on={songs[0].content_hash: []})) == [(-math.inf, math.inf)]
        assert free(10, [(2, 3), (2.5, 4), (9.8, 12)]) == ((0.0, 2), (4, 9.8))
        assert free(0.3, []) == ((0.0, 0.3),)
        assert free(10, [(0, 10)]) == ()


class TestMatching:
    @pytest.mark.parametrize(
        ("instruments", "stems", "pairs"),
        [
            (["surdo", "caixa"], ["caixa", "surdo"], [("surdo", "surdo"), ("caixa", "caixa")]),
            (["ganza"], ["shaker"], [("ganza", "shaker")]),
            (["Agogô_2.wav"], ["agogo"], [("Agogô_2.wav", "agogo")]),
            (["primeira", "segunda", "caixa"], ["surdo"], [("primeira+segunda", "surdo"), ("caixa", "")]),
            (["surdo"], ["primeira", "segunda"], [("surdo", "primeira+segunda")]),
            (["surdo"], ["surdo", "cuica"], [("surdo", "surdo"), ("", "cuica")]),
            (["surdo", "guitar", "voice"], ["surdo", "other"], [("surdo", "surdo"), ("guitar+voice", "other")]),
            (["guitar", "bass"], ["bass", "other"], [("guitar", "other"), ("bass", "bass")]),
            (["surdo", "voice"], ["surdo", "bass"], [("surdo", "surdo"), ("voice", ""), ("", "bass")]),
            (["surdo", "rest"], ["caixa", "surdo", "agogo"], [("surdo", "surdo"), ("rest", "caixa+agogo")]),
            (["surdo", "rest"], ["surdo"], [("surdo", "surdo"), ("rest", "")]),
            (["zzyzx", "surdo"], ["zzyzx", "other"], [("zzyzx", "zzyzx"), ("surdo", ""), ("", "other")]),
        ],
    )
    def test_names(self, instruments, stems, pairs):
        assert [("+".join(pair.instruments), "+".join(pair.stems)) for pair in match(instruments, stems)] == pairs

    def test_label(self):
        assert Pair(("primeira", "segunda"), ("surdo",)).label == "primeira+segunda"
        assert Pair((), ("cuica",)).label == "cuica"

    def test_several_are_summed(self, songs):
        @dataclass(frozen=True)
        class Halves:
            instruments = ("primeira", "segunda", "caixa", "agogo")

            def stems(self, samples, rate):
                found = Filters().stems(samples, rate)
                half = found.pop("surdo") / 2
                return {**found, "primeira": half, "segunda": half}

        found = evaluate_stems(songs, {"halves": Halves()})
        assert found.by_instrument("sdr")["halves"]["surdo"].mean > 50

    def test_rest_of_a_mixture(self, tmp_path):
        one = song(tmp_path, "song")
        one = replace(one, stems={"surdo": one.stems["surdo"]}, has_rest=True)
        found = evaluate_stems([one], {"good": Filters(spill=0.0)})
        assert {row.instrument for row in found.of("good")} == {"surdo", "rest"}
        assert found.by_instrument("sdr")["good"]["rest"].mean > 50


class TestHeldOut:
    def learn(self, spans):
        assert all(isinstance(span, StemSpan) for span in spans)
        self.heard.append({span.song.group for span in spans})
        return Filters(spill=0.1, trained_on={h: [(0.0, 1.0)] for span in spans for h in span.song.stem_hashes})

    def test_nobody_is_scored_on_what_it_has_heard(self, songs):
        self.heard = []
        held = held_out(songs, self.learn, minutes=0.02, rng=np.random.default_rng(0))
        assert sorted(map(sorted, self.heard)) == [["group0"], ["group1"]]
        found = evaluate_stems(songs, {"nmf": held})
        assert not found.warnings
        assert found.about == {"nmf": "0.02 minutes of other songs of this corpus"}
        assert found.summary()["nmf"]["si_sdr_i"].values == 3

    def test_no_more_than_there_is(self, songs):
        self.heard = []
        held = held_out(songs, self.learn, minutes=99, rng=np.random.default_rng(0))
        assert held.about == "0.033 to 0.067 minutes of other songs of this corpus"

    def test_folds(self, tmp_path):
        self.heard = []
        many = [song(tmp_path, f"s{i}", seed=i, duration_s=0.5, mixture=False) for i in range(5)]
        held = held_out(many, self.learn, minutes=0.01, folds=2, rng=np.random.default_rng(0))
        assert len(self.heard) == 2
        assert len(held.by_group) == 5

    def test_one_group(self, songs):
        with pytest.raises(InputError, match="all songs are of one group"):
            held_out(songs[:1], self.learn, rng=np.random.default_rng(0))

    def test_bad_numbers(self, songs):
        for said in ({"minutes": 0.0}, {"folds": 1}):
            with pytest.raises(InputError, match="two folds or more and minutes"):
                held_out(songs, self.learn, rng=np.random.default_rng(0), **said)

    def test_song_that_cannot_be_read_is_passed_over(self, songs):
        self.heard = []
        songs[0].mixture.write_bytes(b"nothing")
        assert set(held_out(songs, self.learn, minutes=0.02, rng=np.random.default_rng(0)).by_group) == {
            "group0", "group1",
        }  # fmt: skip

    def test_group_nobody_was_trained_without(self, songs):
        found = evaluate_stems(songs, {"nmf": HeldOut({"group0": Filters(spill=0.1)})})
        assert next(row for row in found.rows if row.song == "song1").error.startswith("no model was trained without")


class TestFiles:
    def test_csv(self, songs, tmp_path):
        evaluate_stems(songs, {"good": Filters(spill=0.1)}, out=tmp_path / "scores.csv")
        with open(tmp_path / "scores.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3 * 2 * 3
        assert list(rows[0])[:9] == [
            "song", "group", "model", "instrument", "si_sdr_i", "si_sdr", "sdr_i", "sdr", "leak_db",
        ]  # fmt: skip
        assert rows[0]["leak_db"] == ""

    def test_json(self, songs):
        whole = json.loads(evaluate_stems(songs, {"good": Filters(spill=0.1)}).to_json())
        assert whole["summary"]["good"]["si_sdr_i"]["mean"] > 10
        assert whole["summary"]["good"]["leak_db"]["mean"] is None
        assert whole["leaks"]["good"]["surdo"]["caixa"] == pytest.approx(0.1, abs=0.01)
        assert len(whole["rows"]) == 18

    def test_existing_file_is_refused_before_any_work(self, songs, tmp_path):
        (tmp_path / "scores.csv").write_text("precious")
        with pytest.raises(InputError, match="exists already"):
            evaluate_stems(songs, {"no": Broken()}, out=tmp_path / "scores.csv")
        assert (tmp_path / "scores.csv").read_text() == "precious"


class TestBadInput:
    @pytest.mark.parametrize(
        ("how", "said"),
        [
            ("raise", "ValueError: no idea"),
            ("nan", "the estimate of caixa holds values that are not finite numbers"),
            ("short", r"gave a stem of shape \(1, 15999\) for a mixture of \(1, 16000\)"),
            ("missing", "gave no stem of caixa"),
        ],
    )
    def test_one_failing_model_does_not_cost_the_others(self, songs, how, said):
        found = evaluate_stems(songs, {"broken": Broken(how=how), "good": Filters(spill=0.1)})
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(found.of("broken")[0].error)
        assert len(found.of("broken")) == 3
        assert found.summary()["good"]["si_sdr_i"].values == 3
        assert found.summary()["broken"]["si_sdr_i"].values == 0
        assert any("broken has no scores for 3 of 3 songs" in warning for warning in found.warnings)

    @pytest.mark.parametrize("which", ["mixture", "stem"])
    def test_broken_file_is_reported_and_others_are_scored(self, songs, which):
        path = songs[0].mixture if which == "mixture" else songs[0].stems["caixa"][0]
        path.write_bytes(b"RIFFnothing")
        found = evaluate_stems(songs, {"good": Filters(spill=0.1)})
        assert path.name in next(row for row in found.of("good") if row.song == "song0").error
        assert found.summary()["good"]["si_sdr_i"].values == 2
        assert any("good has no scores for 1 of 3 songs (song0)" in warning for warning in found.warnings)

    def test_nothing_but_broken_files(self, songs):
        for one in songs:
            one.mixture.unlink()
        with pytest.raises(InputError, match="none of 3 songs could be scored"):
            evaluate_stems(songs, {"good": Filters()})

    def test_empty_corpus(self):
        with pytest.raises(InputError, match="none of 0 songs"):
            evaluate_stems([], {"good": Filters()})

    def test_solos(self, tmp_path):
        solo = song(tmp_path, "solo", instruments=("surdo",), mixture=False)
        with pytest.raises(InputError, match="levada remix"):
            evaluate_stems([solo], {"good": Filters()})
        found = evaluate_stems([solo, song(tmp_path, "song")], {"good": Filters()})
        assert found.skipped == ("solo",)
        assert any("skipped: solo" in warning for warning in found.warnings)

    def test_bad_arguments(self, songs):
        with pytest.raises(InputError, match="name a model"):
            evaluate_stems(songs, {})
        with pytest.raises(InputError, match="at least one process"):
            evaluate_stems(songs, {"good": Filters()}, processes=0)
        with pytest.raises(InputError, match="call yours something else"):
            evaluate_stems(songs, {"mixture": Filters()})

    def test_one_group_is_warned_of(self, songs):
        found = evaluate_stems(songs[::2], {"good": Filters(spill=0.1)})
        assert any("of one group" in warning for warning in found.warnings)

    @pytest.mark.usefixtures("songs")
    def test_as_a_folder(self, tmp_path):
        found = evaluate_stems(open_stems(tmp_path).songs, {"good": Filters(spill=0.1)})
        assert len(found.of("good")) == 9
