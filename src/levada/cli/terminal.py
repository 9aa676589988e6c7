"""Output on the terminal: messages and progress on stderr, tables and JSON on stdout, 100 columns wide."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from levada.io.text import printable

if TYPE_CHECKING:
    from levada.beat_tracking.agreement import Agreement
    from levada.beat_tracking.evaluation import Evaluation
    from levada.beat_tracking.evaluation import Row as BeatRow
    from levada.data import Corpus, DatasetInfo, Report, Row, SongRow
    from levada.learning.statistics import Interval
    from levada.separation.evaluation import StemEvaluation
    from levada.synth.traditions import Tradition

__all__ = [
    *("TimeLeft", "WarningHandler", "count", "duration", "error", "info", "prepare_streams", "print_agreement"),
    *(
        "print_all_scores",
        "print_corpus",
        "print_datasets",
        "print_evaluation",
        "print_json",
        "print_stem_evaluation",
        "print_table",
    ),
    *("print_traditions", "progress", "set_dated", "set_quiet"),
]


_is_quiet, _is_dated = False, False


def set_quiet(quiet: bool) -> None:
    """Choose whether `info` and `progress` print nothing."""
    global _is_quiet  # a setting of the process, like the level of a logger
    _is_quiet = quiet


def set_dated(dated: bool) -> None:
    """Choose whether messages begin with date and time: for logs of long jobs, not for a terminal without `--quiet`."""
    global _is_dated
    _is_dated = dated


def info(message: str, *, dated: bool = False) -> None:
    """Print a message on stderr; nothing with `--quiet`."""
    if not _is_quiet:
        error(message, dated=dated)


def error(message: str, *, dated: bool = False) -> None:
    """Print an error or a warning on stderr; where stderr is closed or full, print nothing."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            if dated or (_is_dated and (_is_quiet or not sys.stderr.isatty())):
                message = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}"
            print(printable(message), file=sys.stderr)


def prepare_streams() -> None:
    """Open closed standard streams on the null device, and let stdout and stderr print any file name.

    Otherwise the next file that is opened would get the number of a closed stream, and the output of libraries.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # open until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class WarningHandler(logging.Handler):
    """Print the library's log records on stderr, each text once, however often a file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        if text not in self._shown:
            self._shown.add(text)
            error(text)


def print_json(value: object) -> None:
    """Print JSON; numbers that are not finite become null."""
    print(json.dumps(_json_value(value), indent=1, ensure_ascii=False))


def print_evaluation(evaluation: Evaluation) -> None:
    """Print means with their intervals, then types of errors, differences to the first model, and readings."""
    summary, kinds, first = evaluation.summary(), evaluation.error_types(), evaluation.models[0]
    shown = ("beat_f", "beat_cmlt", "beat_amlt", "downbeat_f", "position_cmlt")
    rows = []
    for model, scores in summary.items():
        means, tempo = [scores[name] for name in shown], scores["tempo_error_percent"]
        scored = sum(not row.error for row in evaluation.of(model))
        rows.append([model, str(scored), *(_number(mean.mean) for mean in means), _number(tempo.mean, digits=1) + "%"])
        rows.append(["", "", *(_interval(mean) for mean in means)])
    print_table(["model", "n", "beat F", "CMLt", "AMLt", "downbeat F", "CMLt with positions", "tempo error"], rows)
    groups = count(summary[first]["beat_f"].groups, "group")
    print(f"n recordings, of {groups}; below each mean its 95% interval")
    seconds = {model: sum(row.scored_s for row in evaluation.of(model) if not row.error) for model in summary}
    each = ", ".join(f"{model} {scored_s:.0f}" for model, scored_s in seconds.items())
    text = each if len({*seconds.values()}) > 1 else f"{seconds[first]:.0f}"
    print(f"seconds scored: {text}{_explain_ranges(summary, shown)}\n")
    errors = [[model, ", ".join(f"{kind} {n}" for kind, n in counts.items())] for model, counts in kinds.items()]
    print_table(["model", "error types, and the number of recordings with each"], errors)
    differences = [
        [model, *(scores[name].text(sign="+") for name in ("beat_f", "downbeat_f"))]
        for model, scores in evaluation.differences().items()
    ]
    if differences:
        print()
        print_table([f"difference to {first}", "beat F", "downbeat F"], differences)
    if several := [row for row in evaluation.rows if row.readings]:
        _print_readings(evaluation, several)


def print_all_scores(evaluation: Evaluation) -> None:
    """Print the mean and the interval of every score, a column for each model, and what the scores measure."""
    from levada.beat_tracking.metrics import SCORE_NAMES, SCORE_TEXTS

    summary = evaluation.summary()
    print()
    print_table(
        ["all scores", *summary],
        [[name, *(scores[score].text() for scores in summary.values())] for score, name in SCORE_NAMES.items()],
    )
    print()
    print_table(["score", "what it measures"], [list(pair) for pair in SCORE_TEXTS.items()])


def _print_readings(evaluation: Evaluation, rows: Sequence[BeatRow]) -> None:
    """Print the means against the first and against the best reading, and each recording that has several."""
    tables = {"first": evaluation.summary(), "best": evaluation.of_best_readings().summary()}
    means = [
        [model, reading, *(str(summary[model][name]) for name in ("beat_f", "downbeat_f"))]
        for model in evaluation.models
        for reading, summary in tables.items()
    ]
    print()
    print_table(["model", "reading", "beat F", "downbeat F"], means)
    print(f"{count(len({row.track for row in rows}), 'recording')} with several readings; the others have one\n")
    cells = []
    for row in rows:
        of_each = [
            f"{name} {_number(scores['beat_f'])} / {_number(scores['downbeat_f'])}"
            for name, scores in row.readings.items()
        ]
        cells.append([row.track, row.model, row.reading, ", ".join(of_each)])
    print_table(["recording", "model", "takes", "beat F / downbeat F against each reading"], cells)


def print_stem_evaluation(evaluation: StemEvaluation) -> None:
    """Print means with their intervals, then each instrument, then differences to the first model; all in dB."""
    summary, first = evaluation.summary(), evaluation.models[0]
    shown = ("si_sdr_i", "si_sdr", "sdr_i", "sdr", "leak_db")
    rows = []
    for model, scores in summary.items():
        scored = len({row.song for row in evaluation.of(model) if not row.error})
        has_stems = evaluation.instruments and model not in ("mixture", "oracle")
        stems = f"{len(evaluation.knows(model))} of {len(evaluation.instruments)}" if has_stems else "–"
        rows.append([model, str(scored), stems, *(_number(scores[name].mean, digits=1) for name in shown)])
        ends = (_interval(scores[name], digits=1, between=" to ") if name.endswith("_i") else "" for name in shown)
        rows.append(["", "", "", *ends])
    print_table(["model", "n", "stems", "SI-SDRi", "SI-SDR", "SDRi", "SDR", "leak"], rows)
    groups = count(max(summary[model]["si_sdr_i"].groups for model in evaluation.models), "group")
    below = "with its 95% interval below"
    ranges = _explain_ranges(summary, shown)
    print(f"means of n songs, of {groups}, in dB; i: improvement over the mixture, {below}{ranges}")
    print("leak: level of the stem of a silent instrument relative to the mixture")
    print("every model is given the instruments of a song; stems: how many of these instruments it can separate")
    for model, data in evaluation.about.items():
        print(f"{model}: trained on {data}")
    print()
    table, models = evaluation.by_instrument(), [model for model in evaluation.models if model != "mixture"]
    for names in _column_groups(evaluation.instruments, 100 - max(map(len, ["SI-SDRi", *models]))):
        print_table(
            ["SI-SDRi", *names],
            [[model, *(_of_instrument(evaluation, model, table[model][name].mean, name) for name in names)]
             for model in models],
        )  # fmt: skip
        print()
    if any(set(evaluation.knows(model)) < set(evaluation.instruments) for model in models):
        print("( ) an instrument without a stem of this model: the residual, or the mixture, whose SI-SDRi is 0\n")
    differences = [
        [model, *(scores[name].text(digits=1, sign="+") for name in ("si_sdr_i", "sdr_i"))]
        for model, scores in evaluation.differences().items()
        if model != "mixture"
    ]
    if differences:
        print_table([f"difference to {first}", "SI-SDR", "SDR"], differences)
        print("differences are means over the instruments that both models can separate")


def _of_instrument(evaluation: StemEvaluation, model: str, mean: float, name: str) -> str:
    text = _number(mean, digits=1)
    return text if math.isnan(mean) or name in evaluation.knows(model) else f"({text})"


def print_corpus(corpus: Corpus[Any], report: Report) -> None:
    """Print a table of a corpus, and its problems."""
    songs = corpus.labels == "stems"
    headings = ["song" if songs else "recording", "group", "length"]
    headings += ["mixture", "instruments"] if songs else ["annotated", "beats", "bpm", "beats a bar", "labels"]
    rows = [[row.id, row.group, _minutes(row.duration_s), *_label_cells(row)] for row in report.rows]
    if all(row.group == row.id for row in report.rows):
        headings, rows = [headings[0], *headings[2:]], [[row[0], *row[2:]] for row in rows]
    if songs:
        taken = sum(max(len(row[column]) for row in [headings, *rows]) + 2 for column in range(len(headings) - 1))
        rows = [[*row[:-1], shorten(row[-1], max(20, 100 - taken), placeholder=" …")] for row in rows]
    print_table(headings, rows)
    if songs:
        amount = f"{count(len(rows), 'solo' if corpus.is_solos else 'song')}, {report.minutes:.1f} minutes, "
        amount += count(len(corpus.instruments), "instrument")
    else:
        amount = f"{count(len(rows), 'recording')}, {report.minutes:.1f} annotated minutes"
    print(f"{report.name}: {amount}; {report.grouping}")
    print(f"licence: {corpus.licence or 'not stated'}; citation: {corpus.citation or 'not stated'}")
    for problem in report.problems:
        print(printable(f"{problem.severity}: {problem}", lines=False))
    if not report.problems:
        print("no problems found")


def _label_cells(row: Row | SongRow) -> list[str]:
    from levada.data import SongRow

    if isinstance(row, SongRow):
        return ["yes" if row.mixture else "–", ", ".join(row.instruments)]
    return [
        _minutes(row.annotated_s) if row.beats else "–",
        str(row.beats or "–"),
        f"{row.tempo_bpm:.1f}" if row.beats > 1 else "–",
        ", ".join(f"{metre} (×{bars})" for metre, bars in row.metres.items()) or "–",
        row.format or "–",
    ]


def print_datasets(datasets: Iterable[DatasetInfo]) -> None:
    """Print a table of mirdata's datasets."""
    rows = [
        [
            dataset.name,
            ", ".join(dataset.labels),
            "–" if dataset.tracks is None else str(dataset.tracks),
            "–" if dataset.minutes is None else f"{dataset.minutes:.0f}",
            ", ".join(dataset.versions),
            "yes" if dataset.downloaded else "–",
            shorten(dataset.licence, 50, placeholder=" …") or "not stated",
        ]
        for dataset in datasets
    ]
    print_table(["dataset", "labels", "recordings", "minutes", "versions", "downloaded", "licence"], rows)
    print("levada corpus get NAME downloads one; use it as mirdata:NAME")


def print_agreement(agreements: Mapping[str, Agreement]) -> None:
    """Print the agreement of two sets of beats for each recording in which they differ."""
    rows = [
        [
            name,
            f"{row.first} / {row.second}",
            _number(row.f_measure),
            _number(row.median_ms, digits=1, sign="+"),
            _number(row.mad_ms, digits=1),
            _number(row.positions),
            _number(row.tempo_ratio),
            row.error,
        ]
        for name, row in agreements.items()
        if not row.is_same
    ]
    if rows:
        print_table(["recording", "beats", "F", "ms", "MAD", "positions", "tempo ×", ""], rows)
        print("ms: median asynchrony, second less first, and MAD its median absolute deviation")
    print(f"{len(rows)} of {count(len(agreements), 'recording')} differ")


def print_traditions(traditions: Iterable[Tradition]) -> None:
    """Print a line for each tradition."""
    rows = []
    for one in traditions:
        tempo = f"{one.tempo_bpm[0]:g} ± {one.tempo_bpm[1]:g}"
        parts = ", ".join(part.name for part in one.instruments)
        cycle = str(one.metre) if one.unequal else f"{one.beats} × {one.tatums}"
        metre = "unchecked" if not one.checked else "in part" if one.unchecked else "checked"
        rows.append([one.name, one.title or one.name, cycle, metre, tempo, parts])
    headings = ["name", "title", "cycle", "metre", "bpm", "instruments"]
    taken = sum(max(len(row[column]) for row in [headings, *rows]) + 2 for column in range(5))
    print_table(
        headings,
        [[*facts, shorten(parts, 100 - taken, placeholder=" …").replace(", …", " …")] for *facts, parts in rows],
    )
    print("\ncycle: beats × tatums in a beat; metre: whether it was compared with sources.")
    print("levada traditions show NAME draws one;")
    print("levada render NAME -o FOLDER renders it; a TOML file of your own is a tradition too.")


def count(number: int, noun: str) -> str:
    """Format a number of things: 1 recording, 2 recordings."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Format a duration: 8 s, 12.5 minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


@contextmanager
def progress(
    label: str, *, at_once: int = 1, is_timed: bool = False, every_s: float = 10.0
) -> Iterator[Callable[..., None]]:
    """Show the items done and the time left on stderr: a bar on a terminal, otherwise a line now and then.

    Parameters
    ----------
    label : str
    at_once : int
        How many items are processed at the same time, for the time left.
    is_timed : bool
        Whether the caller estimates the time left, in seconds, and passes it as the third argument.
    every_s : float
        Seconds between lines, at least.

    Yields
    ------
    callable
        Takes the number of items done and their total; ignores other arguments.
    """
    if _is_quiet:
        yield lambda *_: None
        return
    estimate = TimeLeft(at_once=at_once)

    def time_left(done: int, total: int, *others: Any) -> str:
        seconds = estimate.seconds(done, total, time.monotonic())
        seconds = others[0] if is_timed else seconds
        return "" if math.isnan(seconds) else f", about {duration(seconds)} left"

    if sys.stderr is None or not sys.stderr.isatty():
        printed = time.monotonic()

        def update(done: int, total: int, *others: Any) -> None:
            nonlocal printed
            left = time_left(done, total, *others)
            if time.monotonic() - printed >= every_s and 0 < done < total:
                printed = time.monotonic()
                info(f"{label}: {done} of {total}{left}", dated=True)

        yield update
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(label, markup=False), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, *others: bar.update(
            task, completed=done, total=total, description=time_left(done, total, *others).lstrip(", ")
        )


class TimeLeft:
    """Time left of a job, estimated from the later half of the items done, so that a slow start does not count.

    Parameters
    ----------
    at_once : int
        How many items are processed at the same time: the first ones end together, and are not used.
    """

    def __init__(self, *, at_once: int = 1) -> None:
        self.at_once, self._seen = at_once, list[tuple[int, float]]()

    def seconds(self, done: int, total: int, now_s: float) -> float:
        """Estimate the time left.

        Parameters
        ----------
        done, total : int
            Items done, and items in all.
        now_s : float
            Time of a monotonic clock.

        Returns
        -------
        float
            Seconds; NaN while less than a twentieth is done, or too few items for an estimate.
        """
        if self._seen and done < self._seen[-1][0]:  # another job
            self._seen.clear()
        if not self._seen or done > self._seen[-1][0]:
            self._seen.append((done, now_s))
        first = next((at for at in self._seen if at[0] >= max(self.at_once, done // 2)), None)
        if first is None or done <= first[0] or 20 * done < total:
            return math.nan
        while len(self._seen) > 2 and self._seen[1][0] < done // 2:
            del self._seen[0]
        return (now_s - first[1]) * (total - done) / (done - first[0])


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with columns as wide as their longest cell."""
    lines = [[printable(cell, lines=False) for cell in line] for line in [headings, *rows]]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(headings))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip())


def _number(value: float, *, digits: int = 2, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}z.{digits}f}"


def _interval(interval: Interval, *, digits: int = 2, between: str = "–") -> str:
    """Format an interval, or a range with dots between its ends; empty where there is neither."""
    low, high = (_number(end, digits=digits) for end in (interval.low, interval.high))
    return {"interval": f"{low}{between}{high}", "range": f"{low}…{high}"}.get(interval.kind, "")


def _explain_ranges(summary: Mapping[str, Mapping[str, Interval]], shown: Sequence[str]) -> str:
    """Explain ranges, where a table of some scores contains them."""
    some = any(scores[name].kind == "range" for scores in summary.values() for name in shown)
    return (
        "\na…b: the range of the groups instead of an interval, with under three groups or without variation"
        if some
        else ""
    )


def _column_groups(names: Iterable[str], width: int) -> Iterator[list[str]]:
    """Divide columns into groups that fit into a width."""
    page, taken = list[str](), 0
    for name in names:
        taken += 2 + max(5, len(name))
        if page and taken > width:
            yield page
            page, taken = [], 2 + max(5, len(name))
        page.append(name)
    if page:
        yield page


def _minutes(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _json_value(value: Any) -> Any:
    """Replace numbers that JSON cannot represent by None."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _json_value(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(entry) for entry in value]
    return value
