"""What a terminal shows: sentences and progress on stderr, tables and JSON on stdout, 100 columns wide."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from levada.io.text import printable

if TYPE_CHECKING:
    from levada.beat_tracking.agreement import Agreement
    from levada.beat_tracking.evaluation import Evaluation
    from levada.data import Corpus, DatasetInfo, Report, Row, SongRow
    from levada.learning.statistics import Interval
    from levada.separation.evaluation import StemEvaluation
    from levada.synth.traditions import Tradition

__all__ = [
    *("Notes", "TimeLeft", "count", "error", "length", "print_agreement", "print_datasets"),
    *("print_evaluation", "print_json", "print_report"),
    "prepare_streams",
    *("print_stem_evaluation", "print_traditions", "progress", "say", "set_dated", "set_quiet"),
]


_is_quiet, _is_dated = False, False


def set_quiet(quiet: bool) -> None:
    """Choose whether `say` and `progress` print nothing."""
    global _is_quiet  # as the level of a logger: of the process, not of a caller
    _is_quiet = quiet


def set_dated(dated: bool) -> None:
    """Choose whether date and time stand before each message: for long jobs.

    A terminal has none, unless it is to be quiet: who watches it knows the time.
    """
    global _is_dated  # as `_is_quiet`
    _is_dated = dated


def say(message: str, *, dated: bool = False) -> None:
    """Print a sentence for people, on stderr; nothing if it is to be quiet."""
    if not _is_quiet:
        error(message, dated=dated)


def error(message: str, *, dated: bool = False) -> None:
    """Print an error or a warning, on stderr; one that is closed or full stops nothing."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            if dated or (_is_dated and (_is_quiet or not sys.stderr.isatty())):
                message = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {message}"
            print(printable(message), file=sys.stderr)


def prepare_streams() -> None:
    """Make stdin, stdout and stderr fit to be used: a closed one leads nowhere, and any name can be printed.

    Where one is closed, the next file that is opened would get its number, and what libraries print would go into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # for as long as the process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Notes(logging.Handler):
    """Say what the library warns of, also while a bar is shown; each sentence once, however often a file is opened."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as a sentence."""
        sentence = f"{record.levelname.lower()}: {record.getMessage()}"
        if sentence not in self._shown:
            self._shown.add(sentence)
            error(sentence)


def print_json(value: object) -> None:
    """Print JSON for programs; what is not a finite number is null."""
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False))


def print_evaluation(evaluation: Evaluation) -> None:
    """Means with their intervals below them, then what kind of wrong, then differences to the first model."""
    summary, kinds, first = evaluation.summary(), evaluation.kinds(), evaluation.models[0]
    shown = ("beat_f", "beat_cmlt", "beat_amlt", "downbeat_f", "position_cmlt")
    rows = []
    for model, scores in summary.items():
        means, tempo = [scores[name] for name in shown], scores["tempo_error_percent"]
        scored = sum(not row.error for row in evaluation.of(model))
        rows.append([model, str(scored), *(_number(mean.mean) for mean in means), _number(tempo.mean, digits=1) + "%"])
        rows.append(["", "", *(_ends(mean) for mean in means)])
    _table(["model", "n", "beat F", "CMLt", "AMLt", "downbeat F", "CMLt with positions", "tempo off"], rows)
    groups = count(summary[first]["beat_f"].groups, "group")
    print(f"n recordings, of {groups}; below each mean its 95% interval")
    seconds = {model: sum(row.scored_s for row in evaluation.of(model) if not row.error) for model in summary}
    each = ", ".join(f"{model} {scored_s:.0f}" for model, scored_s in seconds.items())
    print(
        f"seconds scored: {each if len({*seconds.values()}) > 1 else format(seconds[first], '.0f')}{_ranges(summary)}\n"
    )
    said = [[model, ", ".join(f"{kind} {n}" for kind, n in counts.items())] for model, counts in kinds.items()]
    _table(["model", "kinds of error, and in how many recordings"], said)
    differences = [
        [
            model,
            *(by.text(sign="+") for by in (scores["beat_f"], scores["downbeat_f"])),
        ]
        for model, scores in evaluation.differences().items()
    ]
    if differences:
        print()
        _table([f"against {first}", "beat F", "downbeat F"], differences)


def print_stem_evaluation(evaluation: StemEvaluation) -> None:
    """Means with their intervals below them, then each instrument, then differences to the first model; all in dB."""
    summary, first = evaluation.summary(), evaluation.models[0]
    shown = ("si_sdr_i", "si_sdr", "sdr_i", "sdr", "leak_db")
    rows = []
    for model, scores in summary.items():
        scored = len({row.song for row in evaluation.of(model) if not row.error})
        some = evaluation.instruments and model not in ("mixture", "oracle")
        knows = f"{len(evaluation.knows(model))} of {len(evaluation.instruments)}" if some else "–"
        rows.append([model, str(scored), knows, *(_number(scores[name].mean, digits=1) for name in shown)])
        ends = (_ends(scores[name], digits=1, between=" to ") if name.endswith("_i") else "" for name in shown)
        rows.append(["", "", "", *ends])
    _table(["model", "n", "knows", "SI-SDR gained", "SI-SDR", "SDR gained", "SDR", "leak"], rows)
    groups = count(max(summary[model]["si_sdr_i"].groups for model in evaluation.models), "group")
    print(f"means of n songs, of {groups}, in dB; below what was gained its 95% interval{_ranges(summary)}")
    print("leak: how loud the stem of a silent instrument is against the mixture")
    print("every model was told which instruments play in a song; knows: how many of them it has a stem of")
    for model, what in evaluation.about.items():
        print(f"{model}: learnt from {what}")
    print()
    table, models = evaluation.by_instrument(), [model for model in evaluation.models if model != "mixture"]
    for names in _pages(evaluation.instruments, 100 - max(map(len, ["SI-SDR gained", *models]))):
        _table(
            ["SI-SDR gained", *names],
            [[model, *(_of_instrument(evaluation, model, table[model][name].mean, name) for name in names)]
             for model in models],
        )  # fmt: skip
        print()
    if any(set(evaluation.knows(model)) < set(evaluation.instruments) for model in models):
        print("( ) an instrument that the model has no stem of: what it leaves over, or the mixture, which gains 0\n")
    differences = [
        [model, *(by.text(digits=1, sign="+") for by in both)]
        for model, scores in evaluation.differences().items()
        for both in [(scores["si_sdr_i"], scores["sdr_i"])]
        if model != "mixture"
    ]
    if differences:
        _table([f"against {first}", "SI-SDR", "SDR"], differences)
        print("differences are over the instruments that both models know")


def _of_instrument(evaluation: StemEvaluation, model: str, mean: float, name: str) -> str:
    text = _number(mean, digits=1)
    return text if math.isnan(mean) or name in evaluation.knows(model) else f"({text})"


def print_report(corpus: Corpus[Any], report: Report) -> None:
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
    _table(headings, rows)
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
    _table(["dataset", "labels", "recordings", "minutes", "versions", "downloaded", "licence"], rows)
    print("levada corpus get NAME downloads one; use it as mirdata:NAME")


def print_agreement(found: Mapping[str, Agreement]) -> None:
    """How far two sets of beats agree, a line a recording; what is the same is counted."""
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
        for name, row in found.items()
        if not row.is_same
    ]
    if rows:
        _table(["recording", "beats", "F", "ms", "MAD", "positions", "tempo ×", ""], rows)
        print("ms: median asynchrony, second less first, and MAD its median absolute deviation")
    print(f"{len(rows)} of {count(len(found), 'recording')} differ")


def print_traditions(traditions: Iterable[Tradition]) -> None:
    """A line a tradition, and where to read on."""
    rows = []
    for one in traditions:
        tempo = f"{one.tempo_bpm[0]:g} ± {one.tempo_bpm[1]:g}"
        parts = ", ".join(part.name for part in one.instruments)
        rows.append([one.name, one.title or one.name, f"{one.beats} × {one.tatums}", tempo, parts])
    headings = ["name", "title", "cycle", "bpm", "instruments"]
    taken = sum(max(len(row[column]) for row in [headings, *rows]) + 2 for column in range(4))
    _table(
        headings,
        [[*facts, shorten(parts, 100 - taken, placeholder=" …").replace(", …", " …")] for *facts, parts in rows],
    )
    print("\ncycle: beats × tatums in a beat. levada traditions show NAME draws one;")
    print("levada render NAME -o FOLDER renders it; a TOML file of your own is a tradition too.")


def count(number: int, noun: str) -> str:
    """Say how many there are: 1 recording, 2 recordings."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def length(seconds: float) -> str:
    """Say how long something lasts: 8 s, 12.5 minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


@contextmanager
def progress(label: str, *, at_once: int = 1) -> Iterator[Callable[..., None]]:
    """Show what is done and the time left on stderr: a bar on a terminal, elsewhere a line now and then.

    Parameters
    ----------
    label : str
    at_once : int
        How many items are done at the same time, for the time left.

    Yields
    ------
    callable
        To be told how many are done, of how many; what else it is told is passed over.
    """
    if _is_quiet:
        yield lambda *_: None
        return
    if sys.stderr is None or not sys.stderr.isatty():
        yield _lines(label, at_once)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total, *_: bar.update(task, completed=done, total=total)


def _lines(label: str, at_once: int, *, every_s: float = 10.0) -> Callable[..., None]:
    said, left = time.monotonic(), TimeLeft(at_once=at_once)

    def update(done: int, total: int, *_: object) -> None:
        nonlocal said
        now = time.monotonic()
        seconds = left.seconds(done, total, now)
        if now - said >= every_s and 0 < done < total:
            said = now
            takes = "" if math.isnan(seconds) else f", about {length(seconds)} left"
            say(f"{label}: {done} of {total}{takes}", dated=True)

    return update


class TimeLeft:
    """How long the rest of a job takes, from the second half of what is done: a slow start is no part of that.

    Parameters
    ----------
    at_once : int
        How many items are done at the same time: as many come first, together, and say nothing about the pace.
    """

    def __init__(self, *, at_once: int = 1) -> None:
        self.at_once, self._seen = at_once, list[tuple[int, float]]()

    def seconds(self, done: int, total: int, now_s: float) -> float:
        """Estimate the time left.

        Parameters
        ----------
        done, total : int
            What is done, and of how much.
        now_s : float
            By a clock that never goes back.

        Returns
        -------
        float
            Seconds; NaN while less than a twentieth is done, or nothing can be said.
        """
        if not self._seen or done > self._seen[-1][0]:
            self._seen.append((done, now_s))
        first = next((at for at in self._seen if at[0] >= max(self.at_once, done // 2)), None)
        if first is None or done <= first[0] or 20 * done < total:
            return math.nan
        while len(self._seen) > 2 and self._seen[1][0] < done // 2:
            del self._seen[0]
        return (now_s - first[1]) * (total - done) / (done - first[0])


def _table(headings: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they need to be."""
    lines = [[printable(cell, lines=False) for cell in line] for line in [headings, *rows]]
    widths = [max(len(line[column]) for line in lines if column < len(line)) for column in range(len(headings))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip())


def _number(value: float, *, digits: int = 2, sign: str = "") -> str:
    return "–" if math.isnan(value) else f"{value:{sign}z.{digits}f}"


def _ends(interval: Interval, *, digits: int = 2, between: str = "–") -> str:
    """The ends of an interval or, with dots between them, of a range; nothing where there are none."""
    low, high = (_number(end, digits=digits) for end in (interval.low, interval.high))
    return {"interval": f"{low}{between}{high}", "range": f"{low}…{high}"}.get(interval.kind, "")


def _ranges(summary: Mapping[str, Mapping[str, Interval]]) -> str:
    """Explain ranges where a table has some."""
    some = any(mean.kind == "range" for scores in summary.values() for mean in scores.values())
    return (
        "\na…b: no interval but the range of the groups, of which there are under three or all are alike"
        if some
        else ""
    )


def _pages(names: Iterable[str], width: int) -> Iterator[list[str]]:
    """As many columns at once as there is room for."""
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


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
