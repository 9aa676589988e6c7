"""Pictures: what is drawn is what was given, and what cannot be drawn is said."""

import numpy as np
import pytest

from levada.beat_tracking.plots import BEAT, DOWNBEAT, MARKS, Panel, plot_activations
from levada.errors import InputError, MissingExtra
from levada.io.beats import Beats

BEATS = Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 1, 2, 1])


def panel(title="base", frames=300):
    activations = np.zeros((frames, 2), np.float32)
    activations[50::50] = [0.9, 0.4]
    return Panel(title, activations, BEATS)


def lines(axes, label):
    (line,) = [line for line in axes.get_lines() if line.get_label() == label]
    return line


class TestDrawing:
    @pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
    def test_files(self, tmp_path, suffix, magic):
        plot_activations(tmp_path / f"picture{suffix}", [panel()])
        assert (tmp_path / f"picture{suffix}").read_bytes().startswith(magic)
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_row_for_each(self, tmp_path, drawn):
        plot_activations(tmp_path / "a.png", [panel("before"), panel("after"), panel("flux")], reference=BEATS)
        assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["before", "after", "flux"]
        assert drawn[0].axes[-1].get_xlabel() == "time (s)"

    def test_activations_and_beats_are_at_their_times(self, tmp_path, drawn):
        plot_activations(tmp_path / "a.png", [panel()])
        axes = drawn[0].axes[0]
        for column, label in enumerate(["beat activation", "downbeat activation"]):
            line = lines(axes, label)
            np.testing.assert_allclose(line.get_ydata(), panel().activations[:, column])
            np.testing.assert_allclose(line.get_xdata(), np.arange(300) / 100)
        marks = [line for line in axes.get_lines() if set(np.atleast_1d(line.get_ydata())) == {MARKS}]
        found = {line.get_color(): line.get_xdata().tolist() for line in marks}
        assert found == {BEAT: [1.0, 2.0], DOWNBEAT: [0.5, 1.5, 2.5]}

    def test_annotation_is_drawn_if_there_is_one(self, tmp_path, drawn):
        plot_activations(tmp_path / "a.png", [panel()])
        plot_activations(tmp_path / "b.png", [panel()], reference=Beats([0.51, 1.02], [1, 2]))
        bare, full = ([one.get_label() for one in figure.axes[0].collections] for figure in drawn)
        assert "annotated beat" not in bare
        (annotated,) = [one for one in drawn[1].axes[0].collections if one.get_label() == "annotated beat"]
        assert [float(segment[0][0]) for segment in annotated.get_segments()] == pytest.approx([0.51, 1.02])
        assert "annotated downbeat" in full

    def test_a_stretch(self, tmp_path, drawn):
        plot_activations(tmp_path / "a.png", [panel()], start_s=0.8, end_s=1.6)
        axes = drawn[0].axes[0]
        assert axes.get_xlim() == (0.8, 1.6)
        line = lines(axes, "beat activation")
        assert line.get_xdata()[0] == pytest.approx(0.8)
        assert line.get_xdata()[-1] == pytest.approx(1.6)
        assert line.get_ydata()[20] == pytest.approx(0.9)  # at 1.0 s

    def test_all_of_the_longest_by_default(self, tmp_path, drawn):
        plot_activations(tmp_path / "a.png", [panel(frames=200), panel(frames=400)])
        assert drawn[0].axes[0].get_xlim() == (0, 4)

    def test_no_beats_at_all(self, tmp_path):
        plot_activations(tmp_path / "a.png", [Panel("none", np.zeros((100, 2), np.float32), Beats([]))])
        assert (tmp_path / "a.png").stat().st_size > 1000

    def test_replaced_with_force(self, tmp_path):
        (tmp_path / "a.png").write_text("old")
        plot_activations(tmp_path / "a.png", [panel()], force=True)
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


class TestRefused:
    def test_existing(self, tmp_path):
        (tmp_path / "a.png").write_text("old")
        with pytest.raises(InputError, match="exists already"):
            plot_activations(tmp_path / "a.png", [panel()])
        assert (tmp_path / "a.png").read_text() == "old"

    @pytest.mark.parametrize("name", ["a.docx", "a", "a.wav"])
    def test_no_picture(self, tmp_path, name):
        with pytest.raises(InputError, match=r"\.png, \.svg, \.pdf") as raised:
            plot_activations(tmp_path / name, [panel()])
        assert raised.value.path == tmp_path / name

    def test_nobody_to_draw(self, tmp_path):
        with pytest.raises(InputError, match="no tracker"):
            plot_activations(tmp_path / "a.png", [])

    @pytest.mark.parametrize(("start_s", "end_s"), [(2.0, 1.0), (1.0, 1.0), (3.0, None), (-1.0, 1.0)])
    def test_no_stretch(self, tmp_path, start_s, end_s):
        with pytest.raises(InputError, match="nothing to plot from"):
            plot_activations(tmp_path / "a.png", [panel()], start_s=start_s, end_s=end_s)

    def test_no_folder(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is a file"):
            plot_activations(tmp_path / "file" / "a.png", [panel()])

    def test_without_matplotlib(self, tmp_path, hide_module):

        hide_module("matplotlib")
        with pytest.raises(MissingExtra, match=r"levada\[plot\]"):
            plot_activations(tmp_path / "a.png", [panel()])
