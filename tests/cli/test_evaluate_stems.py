"""`levada evaluate` of a corpus with stems as a shell runs it, and the tables it prints."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from levada.cli import terminal
from levada.learning.card import CONFIG
from levada.separation.evaluation import StemEvaluation
from levada.separation.metrics import STEM_SCORES
from levada.separation.song_scores import StemRow

RATE = 8000


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """Three songs of two instruments that are easily told apart: a low one and a high one. Not to be changed."""
    folder = tmp_path_factory.mktemp("stems")
    rng = np.random.default_rng(0)
    times = np.arange(3 * RATE) / RATE
    for name in ("a", "b", "c"):
        (folder / name).mkdir()
        for hertz, every, drum in ((80, 0.5, "surdo"), (2500, 0.2, "agogo")):
            late = (times - rng.uniform(0, every)) % every
            wave = np.sin(2 * np.pi * hertz * late) * np.exp(-late * 20) + rng.normal(0, 1e-3, len(times))
            soundfile.write(folder / name / f"{drum}.wav", 0.3 * wave, RATE, subtype="FLOAT")
    return folder


@pytest.mark.slow
class TestCommand:
    def test_nmf_of_other_songs(self, levada, stems, tmp_path):
        code, out, err = levada(
            "evaluate", stems, "-m", "nmf", "--oracle", "--minutes", 0.05, "--processes", 1,
            "-o", tmp_path / "scores.csv", "--plot", tmp_path / "leaks.png",
        )  # fmt: skip
        assert code == 0, err
        lines = out.splitlines()
        assert " ".join(lines[0].split()) == "model n stems SI-SDRi SI-SDR SDRi SDR leak"
        assert lines[1].split()[:5] == ["nmf", "3", "2", "of", "2"]
        assert float(lines[1].split()[5]) > 10
        assert "nmf: trained on 0.05 minutes of other songs of this corpus" in lines
        assert any(line.split()[:4] == ["mixture", "3", "–", "0.0"] for line in lines)
        assert any(line.split()[:2] == ["oracle", "3"] for line in lines)
        assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + 3 * 3 * 2
        assert (tmp_path / "leaks.png").read_bytes().startswith(b"\x89PNG")
        assert "note:" not in err

    def test_a_song_that_cannot_be_scored_is_named_and_exits_with_3(self, levada, stems, tmp_path):
        folder = shutil.copytree(stems, tmp_path / "songs")
        (folder / "b" / "agogo.wav").write_bytes(b"hello")
        code, _, err = levada("evaluate", folder, "-m", "nmf", "--minutes", 0.04, "--processes", 1)
        assert code == 3, err
        assert "nmf has no scores for 1 of 3 songs (b)" in err

    def test_json(self, levada, stems):
        code, out, _ = levada("evaluate", stems, "-m", "nmf", "--json", "--processes", 1)
        whole = json.loads(out)
        assert code == 0
        assert whole["models"] == ["nmf", "mixture"]
        assert whole["about"]["nmf"].startswith("0.1 minutes")

    def test_a_folder_that_was_adapted_on_them_is_said(self, levada, stems, tmp_path):
        from levada.data import annotated_spans, load_corpus
        from levada.separation.adaptation import adapt as adapt_separator

        songs = load_corpus(stems, labels="stems").tracks
        adapt_separator([*annotated_spans(songs[0])], strategy="nmf", base=None, out=tmp_path / "mine")
        code, out, err = levada("evaluate", stems, "-m", tmp_path / "mine", "--processes", 1)
        assert code == 0
        assert any(line.split()[:1] == ["mixture"] for line in out.splitlines())
        assert "was trained on 1 of the 3 songs" in err

    def test_adapt_scores_its_model_beside_others_and_the_card_keeps_it(self, levada, stems, in_tmp_path):
        """Of the name of the dictionaries that it is compared with; the notes are those of evaluate."""
        code, out, err = levada(
            "adapt", stems, "--strategy", "nmf-conv", "--minutes", 0.095, "-o", "mixture",
        )  # fmt: skip
        assert code == 0, err
        table = [line.split() for line in out.splitlines() if line]
        assert table[1][0] == "nmf"
        mine = next(line for line in table if line[0].endswith("/mixture") and "of" in line)
        nothing = next(line for line in table if line[:1] == ["mixture"])
        assert float(nothing[3]) == 0 < float(mine[5])
        assert "scored on 1 song of one group" in err
        card = json.loads((in_tmp_path / "mixture" / CONFIG).read_text())["card"]
        assert float(card["scores"]["si_sdr_i"].split()[0]) == pytest.approx(float(mine[5]), abs=0.06)
        assert card["scores"]["knows"] == "2 of 2 instruments"
        assert "none yet" not in card["scores"]

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (("--plot", "leaks.txt"), "figures are drawn as"),
            (("--plot", "file/leaks.png"), "is a file, not a folder"),
            (("-m", "flux"), "flux is a tracker"),
            (("-m", "nowhere"), "there is no separator 'nowhere'"),
        ],
    )
    def test_mistakes(self, levada, stems, in_tmp_path, options, said):
        (in_tmp_path / "file").touch()
        code, out, err = levada("evaluate", stems, *options)
        assert (code, out) == (2, "")
        assert said in err

    def test_options_of_stems_for_beats(self, levada, rendered):
        code, _, err = levada("evaluate", rendered, "--oracle")
        assert code == 2
        assert "are for stems" in err

    def test_a_corpus_with_beats_and_stems_needs_a_choice(self, levada, stems, tmp_path):
        shutil.copytree(stems, tmp_path / "both")
        for song in "abc":
            mixture = sum(soundfile.read(path)[0] for path in (tmp_path / "both" / song).glob("*.wav"))
            soundfile.write(tmp_path / "both" / song / "mixture.wav", mixture, RATE, subtype="FLOAT")
            (tmp_path / "both" / song / "mixture.beats").write_text("0.5\t1\n1.0\t2\n1.5\t1\n2.0\t2\n")
        options = ("-m", "nmf", "--minutes", 0.05, "--processes", 1, "--json")
        code, _, err = levada("evaluate", tmp_path / "both", *options)
        assert code == 2
        assert "--labels beats or --labels stems" in err
        code, out, _ = levada("evaluate", tmp_path / "both", "--labels", "stems", *options)
        assert code == 0
        assert json.loads(out)["models"] == ["nmf", "mixture"]
        code, out, _ = levada("evaluate", tmp_path / "both", "--labels", "beats", "-m", "flux", "--json")
        assert json.loads(out)["models"] == ["flux"]

    def test_empty_folder(self, levada, tmp_path):
        code, _, err = levada("evaluate", tmp_path, "-m", "nmf")
        assert code == 2
        assert str(tmp_path) in err

    def test_solos(self, levada, stems, tmp_path):
        for drum in ("surdo", "agogo"):
            (tmp_path / drum).mkdir()
            (tmp_path / drum / "x.wav").write_bytes((stems / "a" / f"{drum}.wav").read_bytes())
        code, _, err = levada("evaluate", tmp_path, "-m", "nmf")
        assert code == 2
        assert "levada remix" in err

    def test_one_song(self, levada, stems, tmp_path):
        (tmp_path / "a").mkdir()
        for drum in ("surdo", "agogo"):
            (tmp_path / "a" / f"{drum}.wav").write_bytes((stems / "a" / f"{drum}.wav").read_bytes())
        code, _, err = levada("evaluate", tmp_path, "-m", "nmf")
        assert code == 2
        assert "no others to train a model on" in err


class TestTable:
    def evaluation(self, instruments=("surdo", "caixa"), models=("nmf", "mine", "mixture"), known=("surdo", "caixa")):
        rows = [
            StemRow(
                f"song{i}", f"group{i % 2}", model, name, name in known, dict.fromkeys(STEM_SCORES, 9.0 - 2 * place - i)
            )
            for i in range(4)
            for place, model in enumerate(models)
            for name in instruments
        ]
        return StemEvaluation(tuple(rows), models, instruments=instruments)

    def test_fits_a_page(self, capsys):
        many = tuple(f"instrument{i}" for i in range(15))
        terminal.print_stem_evaluation(self.evaluation(many))
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 100
        assert all(sum(name in line.split() for line in lines) == 1 for name in many)

    def test_means_with_their_intervals_and_differences(self, capsys):
        found = self.evaluation()
        terminal.print_stem_evaluation(found)
        lines = capsys.readouterr().out.splitlines()
        assert lines[1].split() == ["nmf", "4", "2", "of", "2", *["7.5"] * 5]
        mean = found.summary()["nmf"]["si_sdr_i"]
        assert lines[2].split()[0] == f"{mean.low:.1f}…{mean.high:.1f}"  # of two groups
        assert any(line.startswith("mine") and line.count("-2.0 (range -2.0 to -2.0, 2 groups)") == 2 for line in lines)

    def test_nothing_known_is_a_dash(self, capsys):
        rows = (StemRow("song", "", "nmf", error="no"), StemRow("song", "", "mixture", error="no"))
        terminal.print_stem_evaluation(StemEvaluation(rows, ("nmf", "mixture")))
        assert capsys.readouterr().out.splitlines()[1].split() == ["nmf", "0", *["–"] * 6]

    def test_what_a_model_does_not_know_is_in_brackets(self, capsys):
        terminal.print_stem_evaluation(self.evaluation(known=("surdo",)))
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert lines[1][:5] == ["nmf", "4", "1", "of", "2"]
        assert ["nmf", "7.5", "(7.5)"] in lines
