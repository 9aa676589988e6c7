"""Names of stems: every way of writing one comes to the same, and what else plays settles what is ambiguous."""

import pytest

from levada.errors import InputError
from levada.separation.masking import matched
from levada.synth.instrument_names import (
    OTHER,
    find_instrument,
    find_voice,
    find_voices,
    match_stems,
    normalise_name,
    stem_names,
)
from levada.synth.instruments import STRUCK
from levada.synth.traditions import list_traditions, read_tradition


class TestPlain:
    @pytest.mark.parametrize(
        ("name", "known"),
        [
            ("Agogô_2.wav", "agogo"),
            ("caixa-1", "caixa"),
            ("01 Surdo.WAV", "surdo"),
            ("surdo2", "surdo"),
            ("surdo take 3.flac", "surdo"),
            ("Cuíca (2).mp3", "cuica"),
            ("tres-dos", "tres-dos"),
            ("stems/roda/tamborim.take2.wav", "tamborim"),
            ("C:\\stems\\chico.wav", "chico"),
            ("Hi.Hat", "hi-hat"),
        ],
    )
    def test_case_accents_suffix_and_take_are_gone(self, name, known):
        assert normalise_name(name) == known
        assert normalise_name(known) == known

    @pytest.mark.parametrize(
        ("name", "known"), [("stem_02.flac", "stem-2"), ("Track 11", "track-11"), ("A_STEM_01.wav", "a-stem-1")]
    )
    def test_a_number_that_is_all_there_is_stays(self, name, known):
        assert normalise_name(name) == known

    @pytest.mark.parametrize("name", ["", ".wav", "…", "---"])
    def test_nothing_stays_nothing(self, name):
        assert normalise_name(name) in ("", "wav")
        assert find_voice(name) is None


class TestVoices:
    @pytest.mark.parametrize(
        ("name", "voice"),
        [
            ("Tamborin_3.wav", "tamborim"),
            ("ganza", "shaker"),
            ("primeira", "surdo"),
            ("surdo de primeira", "surdo"),
            ("tarol", "caixa"),
            ("hi-hat", "hat"),
            ("snare top", "snare"),
            ("electric bass", OTHER),
            ("male singer 2", OTHER),
            ("other", OTHER),
            ("take-5_roda_surdo.wav", "surdo"),
            ("brid_0216_tamborim_samba_enredo.flac", "tamborim"),
        ],
    )
    def test_own_names_aliases_traditions_and_words_inside(self, name, voice):
        assert find_voice(name) == voice

    @pytest.mark.parametrize("name", ["didgeridoo", "mixture", "stem_02.wav", "drum set", "MusicDelta_Rock"])
    def test_unknown_is_none(self, name):
        assert find_voice(name) is None
        assert find_instrument(name) is None

    @pytest.mark.parametrize(
        ("name", "among", "voice"),
        [
            ("piano", (), OTHER),
            ("piano", ("bass", "guitar", "piano"), OTHER),
            ("piano", ("chico", "repique"), "piano-drum"),
            ("repique", (), "repique"),
            ("repique", ("Surdo", "tamborim"), "repinique"),
            ("repique", ("chico", "piano"), "repique"),
            ("snare", ("kick", "hat"), "snare"),
            ("snare", ("surdo", "tamborim"), "caixa"),
            ("caja", ("guacharaca", "acordeon"), "alegre"),
            ("caja", ("mula", "cachimbo"), "conga"),
        ],
    )
    def test_ambiguous_names_mean_what_they_do_where_the_others_play(self, name, among, voice):
        assert find_voice(name, among=among) == voice

    def test_every_voice_is_itself_and_every_instrument_has_its_voice(self):
        assert all(find_voice(voice) == voice for voice in STRUCK)
        for tradition in map(read_tradition, list_traditions()):
            names = [part.name for part in tradition.instruments]
            for part in tradition.instruments:
                voice = part.voice if part.voice in STRUCK else OTHER
                assert find_voice(part.name, among=names) == voice, (tradition.name, part.name)
                assert all(find_voice(alias, among=names) == voice for alias in part.aliases), (
                    tradition.name,
                    part.name,
                )

    def test_what_is_found_is_the_part_that_is_known_and_all_of_what_is_not_struck(self):
        assert find_instrument("Roda 3 - Surdo.wav") == ("surdo", "surdo")
        assert find_instrument("lead guitar") == ("lead-guitar", OTHER)


@pytest.mark.slow
class TestPairs:
    """Instruments of songs, and the stems of a model that has one for every voice, as the base has."""

    STEMS = (*STRUCK, OTHER)

    def test_every_stem_is_its_own_voice(self):
        assert find_voices(self.STEMS) == {name: name for name in self.STEMS}

    def test_every_instrument_of_every_tradition_by_any_of_its_names(self):
        for tradition in map(read_tradition, list_traditions()):
            names = [part.name for part in tradition.instruments]
            for part in tradition.instruments:
                voice = [part.voice] if part.voice in STRUCK else []
                assert match_stems(names, self.STEMS)[part.name] == voice, (tradition.name, part.name)
                for alias in map(normalise_name, part.aliases):
                    others = [alias if name == part.name else name for name in names]
                    assert match_stems(others, self.STEMS)[alias] == voice, (tradition.name, part.name, alias)

    def test_every_ensemble(self):
        for name in list_traditions():
            called = stem_names(read_tradition(name))
            assert match_stems(called, self.STEMS) == {one: [voice] for one, voice in called.items()}

    @pytest.mark.parametrize(
        ("names", "stems", "pairs"),
        [
            (["repique", "chico"], ["repinique", "repique"], {"repique": ["repique"], "chico": []}),
            (["repique", "surdo"], ["repinique", "repique"], {"repique": ["repinique"], "surdo": []}),
            (["repique", "surdo"], ["repique", "surdo"], {"repique": ["repique"], "surdo": ["surdo"]}),
            (["repique", "repinique", "surdo"], ["repique", "repinique"],
             {"repique": ["repique"], "repinique": ["repinique"], "surdo": []}),
            (["zzyzx"], ["Zzyzx 1"], {"zzyzx": ["Zzyzx 1"]}),
        ],
    )  # fmt: skip
    def test_names(self, names, stems, pairs):
        assert match_stems(names, stems) == pairs


class TestEnsembles:
    def test_of_a_bateria(self):
        assert stem_names(read_tradition("bateria")) == {
            "surdo": "surdo",
            "caixa": "caixa",
            "repinique": "repinique",
            "tamborim": "tamborim",
            "chocalho": "shaker",
            "agogo": "agogo",
            "cuica": "cuica",
            "apito": "whistle",
            "other": "other",
        }

    def test_of_candombe_its_own_names_and_nothing_else(self):
        drums = {"madera": "claves", "chico": "chico", "repique": "repique", "piano": "piano-drum"}
        assert stem_names(read_tradition("candombe")) == drums

    def test_names_are_understood_again_in_every_tradition(self):
        for name in list_traditions():
            called = stem_names(read_tradition(name))
            assert len(set(called.values())) == len(called)
            assert {n: find_voice(n, among=called) for n in called} == called
            assert all(normalise_name(n) == n for n in called)


class TestAliases:
    TOML = """
beats = 2
tatums = 4
tempo_bpm = [100, 5]

[instruments.surdo]
aliases = {surdo}
patterns = ["X... x..."]

[instruments.caixa]
aliases = ["Tarol", "caixa de guerra"]
patterns = ["xxxx xxxx"]
"""

    def read(self, tmp_path, surdo):
        path = tmp_path / "mine.toml"
        path.write_text(self.TOML.format(surdo=surdo), encoding="utf-8")
        return read_tradition(path)

    def test_are_read(self, tmp_path):
        surdo, caixa = self.read(tmp_path, "[]").instruments
        assert (surdo.aliases, caixa.aliases) == ((), ("Tarol", "caixa de guerra"))

    @pytest.mark.parametrize(
        ("surdo", "said"),
        [
            ('"bumbo"', "aliases must be a list"),
            ("[7]", "aliases must be text"),
            ('[""]', "an alias is a name of letters"),
            ('["a/b"]', "an alias is a name of letters"),
            ('["tarol"]', "'tarol' is also what caixa is called"),
            ('["Caixa"]', "'Caixa' is also what caixa is called"),
        ],
    )
    def test_wrong_ones_are_told_with_their_line(self, tmp_path, surdo, said):
        with pytest.raises(InputError, match=said) as caught:
            self.read(tmp_path, surdo)
        assert caught.value.line == 7


def test_numbers_count_where_both_have_them():
    stems = ("surdo-1", "surdo-2", "caixa")
    assert match_stems(["surdo 1", "surdo-2", "caixa"], stems) == {
        "surdo 1": ["surdo-1"], "surdo-2": ["surdo-2"], "caixa": ["caixa"],
    }  # fmt: skip
    assert match_stems(["surdo"], stems) == {"surdo": ["surdo-1", "surdo-2"]}
    assert [matched(name, stems) for name in ("Surdo 2", "surdo", "caixa-3")] == ["surdo-2", None, "caixa"]
