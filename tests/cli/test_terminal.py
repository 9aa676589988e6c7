"""What a terminal shows: tables that fit a page, JSON without NaN, progress for people only."""

import json
import logging
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest

from levada.beat_tracking.evaluation import Evaluation, Row
from levada.beat_tracking.metrics import SCORE_TEXTS, SCORES
from levada.cli import terminal
from levada.data import check, load_corpus

MODELS = ("base", "decoder adapted", "flux")


DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


@pytest.fixture(autouse=True)
def _neither_quiet_nor_dated():
    """What a command chose before is of the process."""
    terminal.set_quiet(False)
    terminal.set_dated(False)
    yield
    terminal.set_quiet(False)
    terminal.set_dated(False)


def evaluation(*, models=MODELS, tracks=4):
    """Recordings of two groups, on which each model is a little worse than the one before."""
    rows = []
    for track in range(tracks):
        for place, model in enumerate(models):
            scores = dict.fromkeys(SCORES, 0.9 - 0.2 * place - 0.05 * track) | {"tempo_error_percent": 12.34}
            kind = "right" if place == 0 else "phase shift"
            rows.append(
                Row(
                    f"track{track}",
                    f"group{track % 2}",
                    model,
                    scores=scores,
                    kind=kind,
                    scored_s=55.0,
                    duration_s=60.0,
                )
            )
    return Evaluation(tuple(rows), models)


class TestEvaluation:
    def test_fits_a_page(self, capsys):
        terminal.print_evaluation(evaluation())
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 100

    def test_shows_means_with_their_intervals_below(self, capsys):
        found = evaluation()
        terminal.print_evaluation(found)
        lines = capsys.readouterr().out.splitlines()
        words = "model n beat F CMLt AMLt downbeat F CMLt with positions tempo error"
        assert " ".join(lines[0].split()) == words
        assert lines[1].split() == ["base", "4", *["0.82"] * 5, "12.3%"]
        mean = found.summary()["base"]["beat_f"]
        assert lines[2].split() == [f"{mean.low:.2f}…{mean.high:.2f}"] * 5
        assert lines[2].index(lines[2].split()[0]) == lines[1].index("0.82")
        assert "n recordings, of 2 groups" in lines[7]
        assert lines[8] == "seconds scored: 220"

    def test_shows_the_seconds_scored_of_each_model_where_they_differ(self, capsys):
        found = evaluation()
        rows = [
            replace(row, error="no") if row.model == "flux" and row.track == "track0" else row for row in found.rows
        ]
        terminal.print_evaluation(replace(found, rows=tuple(rows)))
        assert "seconds scored: base 220, decoder adapted 220, flux 165\n" in capsys.readouterr().out

    def test_shows_kinds_of_error_and_differences(self, capsys):
        terminal.print_evaluation(evaluation())
        out = capsys.readouterr().out
        assert re.search(r"^base +right 4$", out, re.MULTILINE)
        assert re.search(r"^flux +phase shift 4$", out, re.MULTILINE)
        assert re.search(r"^difference to base +beat F +downbeat F$", out, re.MULTILINE)
        assert re.search(r"^decoder adapted( +-0\.20 \(range -0\.20 to -0\.20, 2 groups\)){2}$", out, re.MULTILINE)

    def test_of_one_recording_has_no_intervals(self, capsys):
        terminal.print_evaluation(evaluation(models=("flux",), tracks=1))
        lines = capsys.readouterr().out.splitlines()
        assert lines[2] == ""
        assert "of 1 group;" in lines[3]
        assert not any("difference to" in line for line in lines)

    def test_leaves_out_what_has_no_value(self, capsys):
        found = evaluation(models=("flux",), tracks=2)
        rows = [replace(row, scores={**row.scores, "downbeat_f": math.nan}) for row in found.rows]
        terminal.print_evaluation(replace(found, rows=tuple(rows)))
        assert capsys.readouterr().out.splitlines()[1].split()[5] == "–"


class TestAllScores:
    def test_shows_each_with_its_meaning(self, capsys):
        found = evaluation(models=("base", "flux"))
        terminal.print_all_scores(found)
        out = capsys.readouterr().out
        assert re.search(r"^beat F +0\.825 \(.*\) +0\.62 \(.*\)$", out, re.MULTILINE)
        assert re.search(r"^beat Cemgil +– +–$", out, re.MULTILINE)  # rows of a version without it
        assert all(meaning in out for meaning in SCORE_TEXTS.values())

    def test_are_those_of_the_documentation(self):
        page = (Path(__file__).parents[2] / "docs" / "scores.md").read_text(encoding="utf-8")
        assert dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE)[1:]) == SCORE_TEXTS


class TestReport:
    def test_leaves_out_groups_that_say_nothing(self, rendered, capsys):
        corpus = load_corpus(rendered, labels="beats")
        terminal.print_corpus(corpus, check(corpus))
        assert " group " not in capsys.readouterr().out.splitlines()[0]

    def test_shows_groups_licence_and_problems(self, rendered, tmp_path, capsys):
        (tmp_path / "a.wav").write_bytes((rendered / "a.wav").read_bytes())
        (tmp_path / "a.beats").write_text("0.5\n1.0\n1.5\n99\n")
        (tmp_path / "corpus.toml").write_text('licence = "CC0"\ncitation = "me"\n[groups]\na = "the band"\n')
        corpus = load_corpus(tmp_path, labels="beats")
        terminal.print_corpus(corpus, check(corpus))
        out = capsys.readouterr().out
        assert out.splitlines()[1].split()[:3] == ["a", "the", "band"]
        assert "licence: CC0; citation: me" in out
        assert f"error: {tmp_path / 'a.beats'}, line 4: 1 beat after the end of the audio" in out


class TestWords:
    def test_counts(self):
        assert [terminal.count(number, "recording") for number in (0, 1, 2)] == [
            "0 recordings",
            "1 recording",
            "2 recordings",
        ]

    def test_lengths(self):
        assert [terminal.duration(seconds) for seconds in (7.6, 99, 750)] == ["8 s", "99 s", "12.5 minutes"]

    def test_json_has_no_nan_and_keeps_letters(self, capsys):
        terminal.print_json({"a": [1.5, math.nan, (math.inf,)], "ñ": "maracatú"})
        out = capsys.readouterr().out
        assert json.loads(out) == {"a": [1.5, None, [None]], "ñ": "maracatú"}
        assert "maracatú" in out

    def test_sentences_are_for_people(self, capsys):
        terminal.info("done")
        assert capsys.readouterr() == ("", "done\n")

    def test_warnings_are_sentences_too(self, capsys):
        log = logging.getLogger("levada.test_terminal")
        log.addHandler(terminal.WarningHandler())
        log.propagate = False
        log.warning("stopped after %d of %d steps", 2, 3)
        assert capsys.readouterr() == ("", "warning: stopped after 2 of 3 steps\n")


class TestProgress:
    def test_shows_the_time_left_that_is_given(self, capsys):
        with terminal.progress("mine", is_timed=True, every_s=0) as told:
            for done, left_s in enumerate((math.nan, 600.0, 40.0, 0.0)):
                told(done, 3, left_s)
        lines = capsys.readouterr().err.splitlines()
        assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in lines] == [
            "mine: 1 of 3, about 10.0 minutes left",
            "mine: 2 of 3, about 40 s left",
        ]

    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock that stands still until it is told."""
        now = [0.0]
        monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
        return now

    def test_without_a_terminal_is_a_line_every_ten_seconds(self, capsys, clock):
        with terminal.progress("adapting") as told:
            for step in range(1, 41):
                clock[0] += 1
                told(step, 40, 0.5)
        out, err = capsys.readouterr()
        assert out == ""
        assert [re.sub(f"^{DATE}", "", line) for line in err.splitlines()] == [
            "adapting: 10 of 40, about 30 s left",
            "adapting: 20 of 40, about 20 s left",
            "adapting: 30 of 40, about 10 s left",
        ]

    def test_of_what_is_quick_says_nothing(self, capsys, clock):
        with terminal.progress("scoring") as told:
            clock[0] += 2
            told(1, 2, "song")
        assert capsys.readouterr() == ("", "")

    def test_on_a_terminal_is_a_bar_that_goes_away(self, capsys, monkeypatch):
        import sys

        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        with terminal.progress("adapting") as told:
            told(10, 40)
            told(40, 40)
        out, err = capsys.readouterr()
        assert out == ""
        assert "adapting" in err
        assert "40/40" in err
        assert err.endswith(("\x1b[2K", "\x1b[?25h"))


class TestTimeLeft:
    """A second an item, 400 of them, after a start of 60 s; estimates after 5 % are right within a factor of two."""

    @pytest.mark.parametrize("at_once", [1, 2, 8])
    def test_is_right_within_a_factor_of_two_after_a_twentieth(self, at_once):
        left = terminal.TimeLeft(at_once=at_once)
        for done in range(1, 400):
            seconds = left.seconds(done, 400, 60 + math.ceil(done / at_once) + 0.001 * (done % at_once))
            right = (400 - done) / at_once
            if done < 20:
                assert math.isnan(seconds)
            else:
                assert right / 2 <= seconds <= 2 * right

    def test_of_a_pace_that_changes_follows_it(self):
        left, now = terminal.TimeLeft(), 0.0
        for done in range(1, 900):
            now += 10.0 if done <= 100 else 0.1
            seconds = left.seconds(done, 1000, now)
        assert seconds == pytest.approx(101 * 0.1)

    def test_of_another_job_begins_anew(self):
        left = terminal.TimeLeft()
        for done in range(1, 101):
            left.seconds(done, 100, 10.0 * done)
        for done in range(1, 51):
            seconds = left.seconds(done, 100, 1000 + 0.1 * done)
        assert seconds == pytest.approx(50 * 0.1)


def test_quiet_says_warnings_and_errors_alone(capsys):
    terminal.set_quiet(True)
    terminal.info("done")
    terminal.error("a fault")
    with terminal.progress("working") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == "a fault\n"


class TestDates:
    """Date and time before each message of a long job, but for somebody who watches it."""

    @pytest.mark.parametrize(
        ("dated", "quiet", "watched", "some"),
        [
            (False, False, False, False),
            (False, True, False, False),
            (True, False, False, True),
            (True, True, False, True),
            (True, False, True, False),
            (True, True, True, True),
        ],
    )
    def test_of_warnings_and_errors(self, capsys, monkeypatch, dated, quiet, watched, some):
        import sys

        monkeypatch.setattr(sys.stderr, "isatty", lambda: watched, raising=False)
        terminal.set_dated(dated)
        terminal.set_quiet(quiet)
        terminal.error("a fault")
        terminal.WarningHandler().handle(
            logging.LogRecord("levada", logging.WARNING, "", 0, "a.wav: damaged", (), None)
        )
        date = DATE if some else ""
        assert re.fullmatch(f"{date}a fault\n{date}warning: a.wav: damaged\n", capsys.readouterr().err)

    def test_once_on_a_line_of_progress(self, capsys):
        terminal.set_dated(True)
        terminal.info("1 of 2", dated=True)
        assert re.fullmatch(f"{DATE}1 of 2\n", capsys.readouterr().err)
