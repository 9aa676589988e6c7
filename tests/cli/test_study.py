"""`levada study` and `levada report` at the door: what is shown where, and exit codes."""

import json

import pytest
import typer
from typer.testing import CliRunner

from levada.cli import report, study, terminal
from levada.errors import InputError, MissingExtra
from levada.experiments import read_runs

SPEC = 'external = ["flux"]\nseeds = 2\n[corpora]\nsmall = "{}"\n'


@pytest.fixture
def command(monkeypatch):
    """Run `levada study` with arguments; gives the exit code, stdout and stderr."""
    app = typer.Typer()
    app.command("study")(study.study)
    app.command("report")(report.report)
    monkeypatch.setattr(study, "_executor", lambda *_: None)  # here, one after the other
    terminal.set_dated(False)

    def run(*arguments):
        result = CliRunner().invoke(app, [*map(str, arguments)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture
def spec(tmp_path, rendered):
    path = tmp_path / "mine.toml"
    path.write_text(SPEC.format(rendered))
    return path


class TestStudy:
    def test_runs_then_nothing_left(self, command, spec, tmp_path):
        code, out, err = command("study", spec, "-o", tmp_path / "out")
        assert (code, out) == (0, "")
        assert "2 runs done in" in err
        assert f"show them: levada report {tmp_path / 'out'}" in err
        assert "it is unknown who plays" in err
        code, out, err = command("study", spec, "-o", tmp_path / "out", "--json")
        assert code == 0
        assert {key: json.loads(out)[key] for key in ("done", "kept", "failed")} == {"done": 0, "kept": 2, "failed": {}}

    def test_failures_are_told_and_end_with_three(self, command, spec, tmp_path, monkeypatch):
        def each(_, jobs):
            yield from ((job, InputError("it would not")) for job in jobs)

        monkeypatch.setattr(study, "_executor", lambda *_: each)
        code, _, err = command("study", spec, "-o", tmp_path / "out")
        assert code == 3
        assert "failed: small, flux, seed 0: it would not" in err
        assert "0 runs done, 2 failed and are tried again by the next call" in err

    def test_a_dry_run_lists_and_writes_nothing(self, command, spec, tmp_path):
        code, out, err = command("study", spec, "-o", tmp_path / "out", "--dry-run")
        assert code == 0
        assert [line.split("  ")[1].rpartition(":")[0] for line in out.splitlines()] == [
            "small, flux, no labels, seed 0",
            "small, flux, no labels, seed 1",
        ]
        assert "2 runs, 0 of them done" in err
        assert not (tmp_path / "out").exists()
        code, out, _ = command("study", spec, "-o", tmp_path / "out", "--dry-run", "--json")
        rows = json.loads(out)["runs"]
        assert [(row["base"], row["seed"], row["done"]) for row in rows] == [("flux", 0, False), ("flux", 1, False)]

    def test_less_memory_than_was_asked_for(self, command, spec, tmp_path, monkeypatch):
        from levada.experiments import runner

        monkeypatch.setattr(runner, "_free_mb", lambda: 100.0)
        _, _, err = command("study", spec, "-o", tmp_path / "out", "--processes", 2)
        assert "1 run at a time: there is not enough memory for 2" in err

    def test_a_wrong_spec(self, command, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            command("study", tmp_path / "none.toml")

    def test_every_run_is_shown_to_who_wants_to_see_it(self, command, spec, tmp_path):
        code, _, _ = command("study", spec, "-o", tmp_path / "out", "--log-to", "csv")
        assert code == 0
        for run in read_runs(tmp_path / "out"):
            shown = tmp_path / "out" / "logs" / run.id
            assert json.loads((shown / "config.json").read_text())["config"] == run.config
            assert (shown / "tables" / "scores.csv").read_text().count("\n") == 1 + len(run.scores)
            said = {line.split(",")[1] for line in (shown / "scalars.csv").read_text().splitlines()}
            assert {"beat_f", "downbeat_f", "cpu_s"} <= said

    def test_nobody_of_that_name(self, command, spec, tmp_path):
        with pytest.raises(InputError, match=r"there is no logger .tensorbord.; did you mean 'tensorboard'"):
            command("study", spec, "-o", tmp_path / "out", "--log-to", "tensorbord")
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("name", ["wandb", "tensorboard"])
    def test_a_logger_that_is_not_installed_is_said_before_the_first_run(
        self, command, spec, tmp_path, hide_module, name
    ):
        hide_module(name)
        with pytest.raises(MissingExtra, match=rf"{name} is needed .*levada\[{name}\]"):
            command("study", spec, "-o", tmp_path / "out", "--log-to", name)
        assert not (tmp_path / "out").exists()
