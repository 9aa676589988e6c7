"""Separators on songs of noise, by stand-ins that know or do not know what is in them."""

import csv
import json
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import soundfile

from levada.data import Multitrack, Span, load_corpus
from levada.errors import InputError
from levada.separation.cross_validation import cross_validate
from levada.separation.evaluation import evaluate_stems
from levada.separation.label_matching import match
from levada.separation.metrics import stem_scores
from levada.separation.song_scores import CrossValidated, restricted_to, trained_spans

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

    def separate(self, samples, rate):
        assert rate == RATE
        own = {name: band(samples, *BANDS.get(name, (0, 0))) for name in self.instruments}
        return {name: (one + self.spill * (samples - one)).astype(np.float32) for name, one in own.items()}


@dataclass(frozen=True)
class Sharing(Filters):
    """Shares all that no stem of its own is of equally among its stems, and can be told what plays, as masks can."""

    def restricted(self, instruments):
        return replace(self, instruments=tuple(instruments))

    def separate(self, samples, rate):
        own = super().separate(samples, rate)
        rest = (samples - sum(own.values())) / len(own)
        return {name: (one + rest).astype(np.float32) for name, one in own.items()}


def si_sdr(reference, estimate):
    """As in Le Roux et al. 2019, written out; in dB."""
    reference, estimate = np.ravel(reference).astype(float), np.ravel(estimate).astype(float)
    target = estimate @ reference / (reference @ reference) * reference
    return 10 * np.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))


@dataclass(frozen=True)
class Broken(Filters):
    """Fails, each time in the way that is asked for."""

    how: str = "raise"

    def separate(self, samples, rate):
        if self.how == "raise":
            raise ValueError("no idea")
        found = super().separate(samples, rate)
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
        assert (better.values, better.groups, better.kind) == (3, 2, "range")
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

    def test_windows_are_the_whole(self, tmp_path):
        """Two minutes at most are separated at once, and a song of more is scored as if it had been in one piece."""
        one, separator = song(tmp_path, "long", duration_s=130.0), Filters(spill=0.1)
        stems = {name: noise(0, name, 130.0) for name in BANDS}
        mixture = sum(stems.values())
        whole = stem_scores(stems, separator.separate(mixture, RATE), mixture)
        nothing = stem_scores(stems, dict.fromkeys(stems, mixture), mixture)
        found = evaluate_stems([one], {"good": separator})
        for row in found.of("good"):
            assert row.scores["sdr"] == pytest.approx(whole[row.instrument]["sdr"], abs=0.3)
            assert row.duration_s == 130
        for row in found.of("mixture"):
            assert row.scores["si_sdr"] == pytest.approx(nothing[row.instrument]["si_sdr"], abs=1e-3)

    @pytest.mark.slow
    def test_processes_give_the_same(self, songs):
        found = [evaluate_stems(songs[:2], {"good": Filters(spill=0.1)}, processes=count) for count in (1, 2)]
        for one, other in zip(found[0].rows, found[1].rows, strict=True):
            assert (one.song, one.model, one.instrument) == (other.song, other.model, other.instrument)
            assert one.scores == pytest.approx(other.scores, nan_ok=True, abs=1e-6)


class TestMixtures:
    def test_the_recorded_mixture_is_what_is_separated(self, tmp_path):
        one = song(tmp_path, "song", mixture=False)
        stems = {name: soundfile.read(one.stems[name][0])[0] for name in BANDS}
        total = sum(stems.values())
        limited = np.clip(total, -0.2, 0.2)
        write(tmp_path / "song" / "mixture.wav", np.roll(limited, 80)[None])
        one = replace(one, mixture=tmp_path / "song" / "mixture.wav")
        found = evaluate_stems([one], {"all": Filters()})
        scored = {row.instrument: row.scores["si_sdr"] for row in found.of("mixture")}
        for name, stem in stems.items():
            assert scored[name] == pytest.approx(si_sdr(stem, np.append(limited[:-80], np.zeros(80))), abs=1e-3)
            assert abs(scored[name] - si_sdr(stem, np.roll(limited, 80))) > 5  # if nobody had moved it
        assert any("mixture of song: recording, 10.0 ms later" in warning for warning in found.warnings)
        assert all(row.mixture.startswith("recording, 10.0 ms later") for row in found.rows)


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

    def test_stem_of_an_instrument_that_a_song_lacks_is_no_row_of_it(self, tmp_path):
        two = [song(tmp_path, "a"), song(tmp_path, "b", instruments=("surdo", "caixa"))]
        found = evaluate_stems(two, {"bad": Filters(spill=0.1)})
        assert [(row.song, row.instrument) for row in found.of("bad")] == [
            ("a", "agogo"), ("a", "caixa"), ("a", "surdo"), ("b", "caixa"), ("b", "surdo"),
        ]  # fmt: skip
        (extra,) = found.extra
        assert (extra.song, extra.instrument) == ("b", "agogo")
        assert extra.scores["leak_db"] == pytest.approx(-20, abs=0.1)
        assert found.by_instrument()["bad"]["agogo"].values == 1
        assert math.isnan(found.summary()["bad"]["leak_db"].mean)


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
        assert any("also has cuica" in warning for warning in found.warnings)
        assert "cuica" not in found.instruments
        assert "cuica" not in {row.instrument for row in found.rows}


class TestWhoKnowsWhat:
    def test_all_are_scored_on_the_same_stems(self, songs):
        found = evaluate_stems(songs, {"good": Filters(), "small": Filters(("surdo",)), "none": Filters(("cuica",))})
        stems = {(song.id, name) for song in songs for name in BANDS}
        for model in found.models:
            assert {(row.song, row.instrument) for row in found.of(model)} == stems
        assert [found.knows(model) for model in ("good", "small", "none")] == [found.instruments, ("surdo",), ()]
        assert {row.instrument for row in found.of("small") if row.known} == {"surdo"}
        assert any("small has no stem for agogo, caixa" in warning for warning in found.warnings)

    def test_what_a_model_lacks_is_scored_as_what_it_leaves(self, tmp_path):
        one = song(tmp_path, "song", mixture=False)
        stems = {name: soundfile.read(one.stems[name][0])[0] for name in BANDS}
        mixture = sum(stems.values())
        model = Filters(("surdo",), spill=0.1)
        surdo = np.ravel(model.separate(mixture[None].astype(np.float32), RATE)["surdo"])
        found = {row.instrument: row.scores for row in evaluate_stems([one], {"small": model}).of("small")}
        for name, estimate in (("surdo", surdo), ("caixa", mixture - surdo), ("agogo", mixture - surdo)):
            assert found[name]["si_sdr"] == pytest.approx(si_sdr(stems[name], estimate), abs=1e-3)
            error = 10 * np.log10(np.sum(stems[name] ** 2) / np.sum((stems[name] - estimate) ** 2))
            assert found[name]["sdr"] == pytest.approx(error, abs=1e-3)

    def test_where_nothing_is_left_it_is_scored_as_the_mixture(self, songs):
        found = evaluate_stems(songs, {"small": Sharing(("surdo", "caixa"))})
        rows, nothing = (
            {r.instrument: r for r in found.of(name) if r.song == "song0"} for name in ("small", "mixture")
        )
        assert rows["agogo"].scores == pytest.approx(nothing["agogo"].scores, nan_ok=True)
        assert [rows["agogo"].scores[name] for name in ("si_sdr_i", "sdr_i")] == pytest.approx([0, 0], abs=1e-9)
        assert found.summary()["small"]["si_sdr_i"].mean == pytest.approx(
            np.mean([(r.scores["si_sdr_i"] if r.known else 0) for r in found.of("small")])
        )

    def test_differences_are_over_what_both_know(self, songs):
        models = {"two": Filters(("surdo", "caixa"), spill=0.1), "all": Filters(spill=0.3)}
        found = evaluate_stems(songs, models)
        by = {(r.model, r.song, r.instrument): r.scores["si_sdr_i"] for r in found.rows}
        expected = [
            np.mean([by["all", one.id, name] - by["two", one.id, name] for name in ("surdo", "caixa")]) for one in songs
        ]
        assert found.differences()["all"]["si_sdr_i"].mean == pytest.approx(np.mean(expected))

    def test_one_stem_for_two_instruments(self, tmp_path):
        one = song(tmp_path, "song")
        one = replace(one, stems={"primeira": one.stems["surdo"], "segunda": one.stems["caixa"]}, mixture=None)

        @dataclass(frozen=True)
        class Surdos:
            instruments = ("surdo",)

            def separate(self, samples, _rate):
                return {"surdo": samples}

        found = evaluate_stems([one], {"both": Surdos()})
        assert [(row.instrument, row.known, row.scores["si_sdr_i"]) for row in found.of("both")] == [
            ("primeira", False, pytest.approx(0, abs=1e-6)), ("segunda", False, pytest.approx(0, abs=1e-6)),
        ]  # fmt: skip
        assert any("has one stem for several instruments" in warning for warning in found.warnings)

    def test_one_target_against_the_rest(self, songs):
        """A model of the surdo and the rest is scored on the surdo, and by its rest where it knows no more."""

        @dataclass(frozen=True)
        class Target:
            instruments = ("surdo", "rest")

            def separate(self, samples, _rate):
                surdo = band(samples, *BANDS["surdo"])
                return {"surdo": surdo, "rest": samples - surdo}

        found = evaluate_stems(songs, {"all": Filters(spill=0.1), "target": Target()})
        assert found.knows("target") == ("surdo",)
        rows = {row.instrument: row for row in found.of("target") if row.song == "song0"}
        stems = {name: soundfile.read(songs[0].stems[name][0])[0] for name in BANDS}
        rest = stems["caixa"] + stems["agogo"]
        for name in ("caixa", "agogo"):
            assert rows[name].scores["si_sdr"] == pytest.approx(si_sdr(stems[name], rest), abs=0.05)
        surdo = [
            next(r.scores["sdr_i"] for r in found.of("target") if (r.song, r.instrument) == (one.id, "surdo"))
            - next(r.scores["sdr_i"] for r in found.of("all") if (r.song, r.instrument) == (one.id, "surdo"))
            for one in songs
        ]
        assert found.differences()["target"]["sdr_i"].mean == pytest.approx(np.mean(surdo))

    def test_only_models_that_know_none_of_them(self, songs):
        with pytest.raises(InputError, match=r"no model knows any of the instruments .*: kit separates kick, tom"):
            evaluate_stems(songs, {"kit": Filters(("kick", "tom"))})


class TestKnowledge:
    """Every model is told, song by song, what plays in it."""

    def test_of_two_traditions(self, tmp_path):
        two = [song(tmp_path, "a", instruments=("surdo", "caixa")), song(tmp_path, "b", instruments=("surdo", "agogo"))]
        spread = Sharing((*BANDS, "cuica", "conga"))
        found = evaluate_stems(two, {"many": spread})
        alone = [evaluate_stems([one], {"many": replace(spread, instruments=one.instruments)}) for one in two]
        for row, same in zip(found.of("many"), [r for one in alone for r in one.of("many")], strict=True):
            assert row.scores == pytest.approx(same.scores, nan_ok=True)
        assert not found.extra

    def test_of_an_adapted_model_too(self, tmp_path):
        one = song(tmp_path, "a", instruments=("surdo", "caixa"))
        assert restricted_to(one, Sharing()).instruments == ("surdo", "caixa")
        assert restricted_to(one, Filters()).instruments == tuple(BANDS)  # it cannot be told

    def test_something_else_plays(self, tmp_path):
        """Where a model does not know all that plays, its other stems are what it leaves over."""
        one = song(tmp_path, "a")
        agogo = one.stems["agogo"]
        one = replace(one, stems={"surdo": one.stems["surdo"], "zzyzx": agogo}, mixture=None)
        found = evaluate_stems([one], {"many": Sharing()})
        assert found.of("many")[0].known
        assert {row.instrument: row.known for row in found.of("many")} == {"surdo": True, "zzyzx": False}
        assert found.by_instrument("sdr")["many"]["zzyzx"].mean > 50

    def test_a_network_that_is_told(self):
        import torch

        from levada.separation.masks import mask_separator
        from levada.separation.networks.mask_net import tiny

        torch.manual_seed(0)
        net = tiny(("surdo", "tamborim", "cuica"))
        rng = np.random.default_rng(0)
        sound = rng.normal(0, 0.1, (1, 44100)).astype(np.float32)
        fewer = mask_separator(net, name="x", instruments={"surdo": "surdo", "drum": "cuica"}).separate(sound, 44100)
        all_three = mask_separator(net, name="x", instruments={"surdo": "surdo", "drum": "cuica", "t": "tamborim"})
        again = all_three.restricted(["drum", "surdo"]).separate(sound, 44100)
        assert again.keys() == {"surdo", "drum"}
        for name, stem in again.items():
            assert np.allclose(stem, fewer[name], atol=1e-6)


class TestTrained:
    def test_trained_on_is_flagged_by_content(self, songs):
        known = {songs[1].stem_hashes[0]: [(0.0, 1.0)]}
        found = evaluate_stems(songs, {"mine": Filters(spill=0.1, trained_on=known), "other": Filters(spill=0.1)})
        assert {row.song for row in found.rows if row.trained_on} == {"song1"}
        assert any("mine was trained on 1 of the 3 songs it is scored on (song1)" in one for one in found.warnings)

    def test_songs_and_their_groups_can_be_left_out(self, songs):
        known = {songs[2].stem_hashes[0]: [(0.0, 0.5)]}
        models = {"mine": Filters(spill=0.1, trained_on=known), "other": Filters(spill=0.1)}
        found = evaluate_stems(songs, models, exclude_trained=True)
        assert {row.song for row in found.rows} == {"song1"}
        assert found.excluded == ("song0", "song2")
        assert {row.duration_s for row in found.rows} == {2.0}
        assert any("left out" in one and "song0, song2" in one for one in found.warnings)

    def test_other_songs_of_its_groups_are_named(self, songs):
        known = {songs[2].stem_hashes[0]: [(0.0, 0.5)]}
        found = evaluate_stems(songs, {"mine": Filters(spill=0.1, trained_on=known)})
        assert "mine was trained on other songs of the groups of song0" in found.warnings

    def test_trained_on_all_groups(self, songs):
        known = {one.content_hash: [] for one in songs[:2]}
        with pytest.raises(InputError, match="a model was trained on each of the 2 groups"):
            evaluate_stems(songs, {"mine": Filters(spill=0.1, trained_on=known)}, exclude_trained=True)

    def test_spans(self, songs):
        assert trained_spans(songs[0], Filters()) == []
        assert trained_spans(songs[0], Filters(trained_on={songs[0].content_hash: []})) == [(-math.inf, math.inf)]


class TestMatching:
    @pytest.mark.parametrize(
        ("instruments", "stems", "pairs"),
        [
            (["surdo", "caixa"], ["caixa", "surdo"], {"surdo": "surdo", "caixa": "caixa"}),
            (["ganza"], ["shaker"], {"ganza": "shaker"}),
            (["Agogô_2.wav"], ["agogo"], {"Agogô_2.wav": "agogo"}),
            (["primeira", "segunda", "caixa"], ["surdo"], {"primeira": "(surdo)", "segunda": "(surdo)", "caixa": ""}),
            (["surdo"], ["primeira", "segunda"], {"surdo": "primeira+segunda"}),
            (["surdo"], ["surdo", "primeira"], {"surdo": "surdo"}),
            (["surdo", "primeira"], ["surdo", "segunda"], {"surdo": "surdo", "primeira": "segunda"}),
            (["surdo"], ["surdo", "cuica"], {"surdo": "surdo"}),
            (["surdo", "guitar", "voice"], ["surdo", "other"],
             {"surdo": "surdo", "guitar": "(other)", "voice": "(other)"}),
            (["guitar", "bass"], ["bass", "other"], {"guitar": "other", "bass": "bass"}),
            (["surdo", "voice"], ["surdo", "bass"], {"surdo": "surdo", "voice": ""}),
            (["surdo", "rest"], ["caixa", "surdo", "agogo"], {"surdo": "surdo", "rest": "caixa+agogo"}),
            (["surdo", "rest"], ["surdo"], {"surdo": "surdo", "rest": ""}),
            (["zzyzx", "surdo"], ["zzyzx", "other"], {"zzyzx": "zzyzx", "surdo": ""}),
            (["chico", "repique", "piano"], ["repinique", "repique", "piano-drum", "other"],
             {"chico": "", "repique": "repique", "piano": "piano-drum"}),
            (["surdo", "repique"], ["repinique", "repique", "surdo"], {"surdo": "surdo", "repique": "repinique"}),
            (["surdo", "repique"], ["chico", "repique", "piano"], {"surdo": "", "repique": "repique"}),
        ],
    )  # fmt: skip
    def test_names(self, instruments, stems, pairs):
        """In brackets: a stem that holds others too."""
        found = {
            name: "+".join(one.stems) if one.known or not one.stems else f"({'+'.join(one.stems)})"
            for name, one in match(instruments, stems).items()
        }
        assert found == pairs

    def test_a_song_of_one_name_is_of_the_corpus_it_is_in(self):
        stems = ["repinique", "repique"]
        assert match(["repique"], stems, context=["surdo", "tamborim", "caixa"])["repique"].stems == ("repinique",)
        assert match(["repique"], stems, context=["chico", "piano"])["repique"].stems == ("repique",)

    def test_several_are_summed(self, songs):
        @dataclass(frozen=True)
        class Halves:
            instruments = ("primeira", "segunda", "caixa", "agogo")

            def separate(self, samples, rate):
                found = Filters().separate(samples, rate)
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
        assert all(isinstance(span, Span) for span in spans)
        self.heard.append({span.track.group for span in spans})
        return Filters(spill=0.1, trained_on={h: [(0.0, 1.0)] for span in spans for h in span.track.stem_hashes})

    def test_nobody_is_scored_on_what_it_has_heard(self, songs):
        self.heard = []
        held = cross_validate(songs, self.learn, minutes=0.02, rng=np.random.default_rng(0))
        assert sorted(map(sorted, self.heard)) == [["group0"], ["group1"]]
        found = evaluate_stems(songs, {"nmf": held})
        assert not found.warnings
        assert found.about == {"nmf": "0.02 minutes of other songs of this corpus"}
        assert found.summary()["nmf"]["si_sdr_i"].values == 3

    def test_no_more_than_there_is(self, songs):
        self.heard = []
        held = cross_validate(songs, self.learn, minutes=99, rng=np.random.default_rng(0))
        assert held.about == "0.033 to 0.067 minutes of other songs of this corpus"

    def test_folds(self, tmp_path):
        self.heard = []
        many = [song(tmp_path, f"s{i}", seed=i, duration_s=0.5, mixture=False) for i in range(5)]
        held = cross_validate(many, self.learn, minutes=0.01, folds=2, rng=np.random.default_rng(0))
        assert len(self.heard) == 2
        assert len(held.by_group) == 5

    def test_one_group(self, songs):
        with pytest.raises(InputError, match="all songs are of one group"):
            cross_validate(songs[:1], self.learn, rng=np.random.default_rng(0))

    def test_bad_numbers(self, songs):
        for said in ({"minutes": 0.0}, {"folds": 1}):
            with pytest.raises(InputError, match="two folds or more and minutes"):
                cross_validate(songs, self.learn, rng=np.random.default_rng(0), **said)

    def test_song_that_cannot_be_read_is_passed_over(self, songs):
        self.heard = []
        songs[0].mixture.write_bytes(b"nothing")
        assert set(cross_validate(songs, self.learn, minutes=0.02, rng=np.random.default_rng(0)).by_group) == {
            "group0", "group1",
        }  # fmt: skip

    def test_group_nobody_was_trained_without(self, songs):
        found = evaluate_stems(songs, {"nmf": CrossValidated({"group0": Filters(spill=0.1)})})
        assert next(row for row in found.rows if row.song == "song1").error.startswith("no model was trained without")


class TestFiles:
    def test_csv(self, songs, tmp_path):
        evaluate_stems(songs, {"good": Filters(spill=0.1)}, out=tmp_path / "scores.csv")
        with open(tmp_path / "scores.csv", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3 * 2 * 3
        assert list(rows[0])[:10] == [
            "song", "group", "model", "instrument", "known", "si_sdr_i", "si_sdr", "sdr_i", "sdr", "leak_db",
        ]  # fmt: skip
        assert {row["known"] for row in rows} == {"True"}
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
        with pytest.raises(InputError, match="another name"):
            evaluate_stems(songs, {"mixture": Filters()})

    def test_one_group_is_warned_of(self, songs):
        found = evaluate_stems(songs[::2], {"good": Filters(spill=0.1)})
        assert any("of one group" in warning for warning in found.warnings)

    @pytest.mark.usefixtures("songs")
    def test_as_a_folder(self, tmp_path):
        found = evaluate_stems(load_corpus(tmp_path, labels="stems").tracks, {"good": Filters(spill=0.1)})
        assert len(found.of("good")) == 9
