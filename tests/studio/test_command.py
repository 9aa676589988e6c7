"""`levada studio` and its demo."""

import pytest

from levada.cli.demo.studio import demo_studio
from levada.io.audio import info
from levada.io.formats import read_beats
from levada.studio import Project


def test_export_writes_what_was_annotated_without_a_browser(levada, recordings):
    folder = recordings[0]
    assert levada("studio", str(folder), "--export", ".csv") == (0, "", "")
    project = Project(folder)
    project.edit("even", "verify", {"start_s": 0, "end_s": 3})
    kept = [mark.time_s for mark in project.state("even").annotation]
    project.state("waltz")  # nobody has verified any of it
    project.close()
    code, out, _ = levada("studio", str(folder), "--export", ".csv")
    assert code == 0
    assert out.split() == [str(folder.resolve() / "even.csv")]
    assert read_beats(folder / "even.csv").times_s == pytest.approx(kept, abs=1e-5)
    code, _, err = levada("studio", str(folder), "--export", ".csv")
    assert code == 2
    assert "exists" in err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["missing"], "no such folder or recording"),
        (["recordings", "--export", ".doc"], "no format"),
        (["recordings", "--model", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_opened_is_refused(levada, recordings, words, problem):
    where = recordings[0].parent
    code, _, err = levada("studio", str(where / words[0]), *words[1:], "--no-browser")
    assert code == 2
    assert problem in err


def test_the_demo_renders_recordings_without_labels(tmp_path):
    folder = demo_studio(tmp_path / "demo", length_s=3)
    project = Project(folder)
    assert [*project.tracks] == [f"candombe-{n}" for n in (1, 2, 3, 4)]
    assert not any(track.is_annotated for track in project.tracks.values())
    assert info(folder / "candombe-1.flac").duration_s == pytest.approx(3, abs=0.5)
    assert len(read_beats(tmp_path / "demo" / "truth" / "candombe-1.beats"))
    project.close()
