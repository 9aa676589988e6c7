"""The figure of a training, from the logs in the folder of a model."""

import json

import pytest

from levada.errors import InputError
from levada.learning import figures
from levada.learning.figures import plot_training
from levada.learning.training_log import append_row

pytest.importorskip("matplotlib", reason="matplotlib is not installed (levada[plot])")


def write_log(path, *, parts=True, validation=()):
    for step in range(1, 7):
        append_row(
            path, step=step, seconds=0.1 * step, loss=1 / step, learning_rate=1e-3 / step,
            parts={"beat_loss": 0.5 / step, "downbeat_loss": 1 / step} if parts else {},
            validation={"validation_loss": 0.5 / step} if step in validation else {},
        )  # fmt: skip


@pytest.fixture
def model(tmp_path):
    """The folder of a model, as far as a figure needs it."""
    folder = tmp_path / "mine"
    folder.mkdir()

    def write(**training):
        config = {"format": 1, "network": "tcn", "settings": {}, "decoder": {}, "training": training, "card": {}}
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


@pytest.fixture
def drawn(monkeypatch):
    """Figures that are saved."""
    kept, save = [], figures.save

    def keep(figure, path, *, force=False):
        kept.append(figure)
        save(figure, path, force=force)

    monkeypatch.setattr(figures, "save", keep)
    return kept


def lines_of(axes):
    return {line.get_label(): (list(line.get_xdata()), list(line.get_ydata())) for line in axes.get_lines()}


class TestPlotTraining:
    def test_losses_learning_rate_held_out_losses_and_alpha(self, model, drawn, tmp_path):
        folder = model(alpha=0.5, held_out_losses={"0.0": 0.4, "0.5": 0.2, "1.0": 0.3}, base="base")
        write_log(folder / "log.csv")
        for half in (1, 2):
            write_log(folder / f"log-half-{half}.csv", validation=(3, 6))
        plot_training(tmp_path / "a.png", folder)
        assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
        losses, rate, held_out, alpha = drawn[0].axes
        steps = list(range(1, 7))
        assert {name: list(x) for name, (x, _) in lines_of(losses).items()} == dict.fromkeys(
            ("total loss", "beat loss", "downbeat loss"), steps
        )
        assert lines_of(losses)["beat loss"][1] == pytest.approx([0.5 / step for step in steps], abs=1e-5)
        assert rate.get_lines()[0].get_ydata() == pytest.approx([1e-3 / step for step in steps], rel=1e-5)
        assert len(lines_of(held_out)) == 3  # each half, and the base
        assert lines_of(held_out)["base"][1] == [0.4, 0.4]
        of_halves = [points for name, points in lines_of(held_out).items() if "half" in name]
        assert [x for x, _ in of_halves] == [[3, 6]] * 2
        curve, chosen = alpha.get_lines()
        assert (list(curve.get_xdata()), list(curve.get_ydata())) == ([0, 0.5, 1], [0.4, 0.2, 0.3])
        assert list(chosen.get_xdata()) == [0.5, 0.5]

    def test_of_stems(self, model, drawn, tmp_path):
        folder = model(alpha=0.25, base="stems")
        write_log(folder / "log.csv", parts=False)
        plot_training(tmp_path / "a.pdf", folder)
        losses, _ = drawn[0].axes
        assert list(lines_of(losses)) == ["total loss"]
        assert "alpha = 0.25" in drawn[0].get_suptitle()

    def test_of_an_older_log(self, model, drawn, tmp_path):
        folder = model()
        (folder / "log.csv").write_text("step,seconds,loss,validation\n1,0.10,0.5,\n2,0.20,0.25,\n")
        plot_training(tmp_path / "a.svg", folder)
        assert lines_of(drawn[0].axes[0])["total loss"] == ([1, 2], [0.5, 0.25])

    def test_losses_of_an_older_adaptation_are_left_out_where_auto_kept_it(self, model, drawn, tmp_path):
        folder = model(alpha=0.5, held_out_losses={"0.0": 0.4, "1.0": 0.3}, auto={"chosen": "base"})
        write_log(folder / "log.csv")
        plot_training(tmp_path / "a.png", folder)
        assert len(drawn[0].axes) == 2
        assert "auto chose base" in drawn[0].get_suptitle()

    def test_nothing_to_draw(self, model, tmp_path):
        with pytest.raises(InputError, match="nothing to plot"):
            plot_training(tmp_path / "a.png", model())
        with pytest.raises(InputError, match="is not a model"):
            plot_training(tmp_path / "a.png", tmp_path)
        assert not (tmp_path / "a.png").exists()

    def test_a_figure_that_exists_and_an_unknown_suffix(self, model, tmp_path):
        folder = model()
        write_log(folder / "log.csv")
        (tmp_path / "a.png").write_text("mine")
        with pytest.raises(InputError, match="exists"):
            plot_training(tmp_path / "a.png", folder)
        plot_training(tmp_path / "a.png", folder, force=True)
        with pytest.raises(InputError, match="figures are written as"):
            plot_training(tmp_path / "a.jpeg", folder)
