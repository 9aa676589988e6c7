"""Commands score the model that was meant, whatever it is called, and say how little evidence few groups are."""

import json
import shutil

import mir_eval
import numpy as np
import pytest

from levada.beat_tracking.pretrained import baseline, load_tracker
from levada.data import load_corpus
from levada.errors import InputError
from levada.learning.card import read_card
from levada.models.cards import cards


@pytest.fixture
def here(in_tmp_path):
    return in_tmp_path


def f_measure(track, tracker):
    """As mir_eval has it, inside the annotated beats and half a beat around them."""
    reference = track.beats().times_s
    found = np.asarray(tracker.track(track.audio).times_s)
    first, last = np.diff(reference)[[0, -1]] / 2
    inside = (found >= max(0, reference[0] - first)) & (found <= min(track.duration_s, reference[-1] + last))
    return mir_eval.beat.f_measure(reference, found[inside])


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps", "one_process")
class TestAdapt:
    def adapted(self, levada, rendered, base, out, *more):
        command = ("adapt", rendered, "--minutes", 0.15, "-m", base, "-o", out, "--strategy", "decoder", *more)
        code, printed, said = levada(*command, "--json")
        assert code == 0, said
        return json.loads(printed)["evaluation"], said

    @pytest.mark.parametrize(
        ("out", "shown"), [("flux", "./flux"), ("x/tiny", "x/tiny"), ("samba-enredo", "./samba-enredo")]
    )
    def test_each_row_has_the_scores_of_its_model(self, out, shown, levada, rendered, tiny_model, here):
        shutil.copytree(tiny_model, here / "tiny")
        (here / "x").mkdir()
        evaluation, said = self.adapted(levada, rendered, "./tiny", out)
        assert evaluation["models"] == ["./tiny", shown, "flux"]
        meant = {"./tiny": load_tracker("./tiny"), shown: load_tracker(f"./{out}"), "flux": baseline()}
        tracks = {track.id: track for track in load_corpus(rendered, labels="beats").tracks}
        assert len(evaluation["rows"]) >= 3
        for row in evaluation["rows"]:
            expected = f_measure(tracks[row["track"]], meant[row["model"]])
            assert row["beat_f"] == pytest.approx(expected, abs=1e-9), row["model"]
        assert f"--model {shown}" in said
        mean = np.mean([row["beat_f"] for row in evaluation["rows"] if row["model"] == shown])
        assert read_card(here / out).scores["beat_f"].startswith(f"{mean:.2f} ")

    def test_a_base_that_is_a_folder_too_is_refused(self, levada, rendered, tiny_model, here):
        shutil.copytree(tiny_model, here / "base")
        for command in (
            ("adapt", rendered, "-o", "mine"), ("track", rendered / "a.wav"), ("evaluate", rendered, "-m", "base"),
            ("models", "base"), ("separate", rendered / "a.wav", "-m", "base", "-o", "stems"), ("select", rendered),
        ):  # fmt: skip
            code, _, said = levada(*command)
            assert code == 2, command
            assert "base is both" in said, command
            assert "write ./base for the folder" in said, command
        evaluation, _ = self.adapted(levada, rendered, "./base", "mine")
        assert evaluation["models"] == ["./base", "mine", "flux"]

    def test_notes_and_card_say_how_little_one_group_shows(self, levada, rendered, tiny_model, here):
        (here / "two").mkdir()
        for path in rendered.iterdir():
            if path.stem in "ab":
                (here / "two" / path.name).symlink_to(path)
        command = ("adapt", here / "two", "--minutes", 0.15, "-m", tiny_model, "-o", "mine", "--strategy", "decoder")
        code, _, said = levada(*command)
        assert code == 0
        (note,) = (line for line in said.splitlines() if "of one group" in line)
        assert "1 recording" in note
        assert "no evidence" in note
        assert read_card("mine").scores["scored on"].startswith("1 recording of 1 other group,")


class TestModels:
    def test_of_a_folder(self, levada, tiny_model):
        code, printed, _ = levada("models", tiny_model, "base")
        assert code == 0
        assert [line for line in printed.splitlines() if line and line[0] != " "] == ["tiny (beats)", "base (beats)"]
        assert "licence: CC0-1.0" in printed

    def test_shows_licence_and_citation_of_all_data(self, levada, rendered, tiny_model, here):
        (here / "drums").mkdir()
        for path in rendered.iterdir():
            (here / "drums" / path.name).symlink_to(path)
        (here / "drums" / "corpus.toml").write_text(
            'name = "Drums"\nlicence = "CC BY-NC-SA 4.0"\ncitation = "Me, 2020"\n'
        )
        assert levada("adapt", "drums", "-m", tiny_model, "-o", "mine", "--strategy", "decoder")[0] == 0
        printed = " ".join(levada("models", "mine")[1].split())
        assert "licence: CC0-1.0 (tiny); CC BY-NC-SA 4.0 (Drums)" in printed
        assert "trained from Drums: licence CC BY-NC-SA 4.0; citation Me, 2020" in printed
        (row,) = json.loads(levada("models", "mine", "--json")[1])
        assert row["sources"][1] == {"name": "Drums", "licence": "CC BY-NC-SA 4.0", "citation": "Me, 2020"}

    def test_of_none(self):
        with pytest.raises(InputError, match="no model 'nowhere'"):
            cards("nowhere")


def test_folders_of_one_name_are_two_rows(levada, rendered, tiny_model, here):
    for folder in "ab":
        shutil.copytree(tiny_model, here / folder / "x")
    code, printed, _ = levada("evaluate", rendered, "-m", "a/x", "-m", "b/x", "--json", "--processes", 1)
    assert code == 0
    assert json.loads(printed)["models"] == ["a/x", "b/x", "flux"]
