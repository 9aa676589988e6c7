"""Pictures of stems and of leaks: what is drawn is what was given, and what cannot be drawn is said."""

import numpy as np
import pytest

from levada.errors import InputError, MissingExtra
from levada.separation.plots import Leaks, plot_leakage, plot_stems

RATE = 22050
SHARES = np.array([[0.9, 0.25], [0.1, 0.75]])
LEAKS = Leaks("base", ("surdo", "caixa"), ("surdo", "caixa"), SHARES)


def tone(hertz, seconds=1.0, channels=1):
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)
    return np.repeat(wave[None], channels, axis=0).astype(np.float32)


class TestLeakage:
    def test_numbers_are_in_the_cells(self, tmp_path, drawn):
        plot_leakage(tmp_path / "a.png", [LEAKS, Leaks("nmf", ("a",), ("b",), np.array([[np.nan]]))])
        first, second = drawn[0].axes
        assert [text.get_text() for text in first.texts] == ["90", "25", "10", "75"]
        assert [text.get_text() for text in second.texts] == ["–"]
        assert [label.get_text() for label in first.get_yticklabels()] == ["surdo", "caixa"]
        assert [axes.get_title(loc="left") for axes in drawn[0].axes] == ["base", "nmf"]

    def test_letters_stand_out_from_their_cells(self, tmp_path, drawn):
        plot_leakage(tmp_path / "a.png", [LEAKS])
        (axes,) = drawn[0].axes
        image = axes.get_images()[0]
        for text, share in zip(axes.texts, SHARES.ravel(), strict=True):
            cell = float(np.mean(image.cmap(image.norm(share))[:3]))
            letter = {"white": 1.0, "black": 0.0}[text.get_color()]
            assert abs(cell - letter) > 0.4

    def test_more_stems_than_instruments(self, tmp_path):
        plot_leakage(tmp_path / "a.pdf", [Leaks("base", ("a", "b", "c"), ("a",), np.array([[1.0], [-0.001], [1.2]]))])
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")

    def test_nothing_to_draw(self, tmp_path):
        for panels in ([], [Leaks("base", (), (), np.zeros((0, 0)))]):
            with pytest.raises(InputError, match="nothing to plot"):
                plot_leakage(tmp_path / "a.png", panels)

    def test_labels_of_something_else(self, tmp_path):
        with pytest.raises(InputError, match=r"shape \(2, 2\), its labels \(1, 2\)"):
            plot_leakage(tmp_path / "a.png", [Leaks("base", ("surdo",), ("surdo", "caixa"), SHARES)])

    def test_existing_and_no_picture(self, tmp_path):
        (tmp_path / "a.png").write_text("precious")
        with pytest.raises(InputError, match="exists already"):
            plot_leakage(tmp_path / "a.png", [LEAKS])
        with pytest.raises(InputError, match="figures are written as"):
            plot_leakage(tmp_path / "a.txt", [LEAKS])
        assert (tmp_path / "a.png").read_text() == "precious"

    def test_without_matplotlib(self, tmp_path, hide_module):
        hide_module("matplotlib")
        with pytest.raises(MissingExtra, match=r"levada\[plot\]"):
            plot_leakage(tmp_path / "a.png", [LEAKS])


class TestStems:
    def test_a_row_for_each_on_one_scale(self, tmp_path, drawn):
        low, high = tone(80), 0.5 * tone(4000)
        plot_stems(tmp_path / "a.png", low + high, {"surdo": low, "agogo": high}, RATE, start_s=30)
        *rows, _ = drawn[0].axes
        assert [axes.get_title(loc="left") for axes in rows] == ["mixture", "surdo", "agogo"]
        assert rows[-1].get_xlabel() == "time (s)"
        assert rows[0].get_xlim() == pytest.approx((30, 31), abs=0.05)
        meshes = [axes.collections[0] for axes in rows]
        assert {mesh.get_clim() for mesh in meshes} == {(-60.0, 0.0)}
        loudest = [mesh.get_array().max() for mesh in meshes]
        assert loudest == pytest.approx([0, 0, -6], abs=2.5)

    def test_tone_is_at_its_frequency(self, tmp_path, drawn):
        plot_stems(tmp_path / "a.png", tone(1000), {"agogo": tone(1000)}, RATE)
        mesh = drawn[0].axes[1].collections[0]
        row = int(np.argmax(mesh.get_array().mean(axis=1)))
        edges = mesh.get_coordinates()[:, 0, 1]
        assert edges[row] * 0.97 <= 1000 <= edges[row + 1] * 1.03

    def test_silence_and_stereo(self, tmp_path):
        plot_stems(tmp_path / "a.png", 0 * tone(100, channels=2), {"surdo": 0 * tone(100, channels=2)}, RATE)
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_minutes_are_as_many_columns_as_are_seen(self, tmp_path, drawn):
        plot_stems(tmp_path / "a.png", tone(100, 60), {"surdo": tone(100, 60)}, RATE)
        assert drawn[0].axes[0].collections[0].get_array().shape[1] <= 1300

    def test_nothing_to_draw(self, tmp_path):
        with pytest.raises(InputError, match="nothing to plot"):
            plot_stems(tmp_path / "a.png", tone(100), {}, RATE)
        with pytest.raises(InputError, match="nothing to plot"):
            plot_stems(tmp_path / "a.png", np.zeros((1, 0)), {"surdo": np.zeros((1, 0))}, RATE)

    def test_lengths_that_differ(self, tmp_path):
        with pytest.raises(InputError, match="the stem surdo has 22049 samples, and the mixture 22050"):
            plot_stems(tmp_path / "a.png", tone(100), {"surdo": tone(100)[:, 1:]}, RATE)

    def test_existing(self, tmp_path):
        (tmp_path / "a.png").write_text("precious")
        with pytest.raises(InputError, match="exists already"):
            plot_stems(tmp_path / "a.png", tone(100), {"surdo": tone(100)}, RATE)
