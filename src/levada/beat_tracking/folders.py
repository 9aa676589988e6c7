"""Beats for all recordings of a folder, with click tracks and figures beside them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levada.beat_tracking.decoder.settings import TempoRange, tempo_range
from levada.beat_tracking.tracker import LABELS, BeatTracker, TrackerLike, kept_labels, provenance
from levada.errors import InputError, collected_warnings, log_again
from levada.io import audio, workers
from levada.io.batch import BatchReport, Result, check_timeout, process_folder
from levada.io.formats import FORMATS, read_beats, write_beats
from levada.io.metres import Metre, sorted_metres
from levada.io.run_folder import RunFolder

if TYPE_CHECKING:
    from levada.beat_tracking.analysis import Analysis
    from levada.beat_tracking.curves import Curves

__all__ = ["track_folder"]

KIND = "beats"
"""Kind of the content of a folder of results."""
SAME_S = 0.002  # beats of a file that are so near are those that were written: formats round
MOST_PLOTTED = 1000  # recordings whose curves are kept for their figures; later ones are computed again
WORTH_A_PROCESS_S = 1800.0  # of music: below that, starting another one costs more than it saves


def track_folder(
    folder: str | Path,
    tracker: TrackerLike,
    *,
    out: str | Path,
    tempo_bpm: TempoRange | None = None,
    metres: Sequence[Metre] | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    use_labels: bool = True,
    processes: int | None = 1,
    timeout_s: float | None = None,
    each: Callable[..., Iterator[tuple[Path, Any]]] | None = None,
    suffix: str = ".beats",
    clicks: str | Path | None = None,
    plots: str | Path | None = None,
    compare: TrackerLike | None = None,
    table: str | Path | None = None,
    force: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """Beats for every recording in a folder and the folders inside it; a killed run goes on where it was.

    Parameters
    ----------
    folder : path-like
    tracker : Tracker
    out : path-like
        Where the beat files go, in folders like those of the recordings.
    tempo_bpm, metres, start_s, end_s, use_labels : optional
        As in `BeatTracker.track`; a recording that ends before `end_s` is tracked to its end. With others than before,
        it is another run.
    processes : int, optional
        Recordings tracked at the same time; None for two where there is music enough and a core for each, else one.
    timeout_s : float, optional
        A recording that takes longer is left out, and counts as failed.
    each : callable, optional
        What tracks them on other machines, as `cluster.parallel_map` with an address does: from a function, the
        recordings and `load`, which reads of a recording what the function gets, to pairs of recording and result.
        Bytes go there, beats come back, and are written here.
    suffix : str
        Of the beat files: any format that can be written.
    clicks : path-like, optional
        A folder, which may be `out`: each recording with clicks on its beats is written there, ``NAME-clicks.wav``.
    plots : path-like, optional
        A folder, which may be `out`: a figure of each recording is written there, ``NAME-plot.png``.
    compare : TrackerLike, optional
        Another tracker, whose beats the table compares with; each recording is tracked by both.
    table : path-like, optional
        Write a row for each recording here (.csv, .jsonl), also when interrupted.
    force : bool
        Track again what has been tracked before.
    progress : callable, optional
        Called with the number of recordings done, of how many, and the name of the last.

    Returns
    -------
    BatchReport

    Raises
    ------
    InputError
        If there is nothing to track, `out` holds beats of another model or other options or cannot be written, the
        suffix names no format, or an option is out of range.
    """
    audio.check_excerpt(start_s, end_s)
    check_timeout(timeout_s)
    if tempo_bpm is not None or metres is not None:
        tracker = _whole(tracker).restrict(tempo_bpm=tempo_bpm, metres=metres)
        compare = compare and _whole(compare).restrict(tempo_bpm=tempo_bpm, metres=metres)
    settings: dict[str, Any] = {"start_s": start_s, "end_s": end_s, "use_labels": use_labels}
    process_one: Callable[..., Any] = _analyse_part if plots is None else _analyse_with_curves
    analyse: Callable[[Path], Any] = partial(process_one, tracker, compare=compare, **settings)
    plotted = dict[Path, Any]()
    known = [ending for kind in FORMATS.values() for ending in kind.suffixes]
    if not suffix.lower().endswith(tuple(known)):
        raise InputError(f"{suffix!r} names no format of beats: use one of {', '.join(known)}")

    def in_parallel(work: Callable[[Path], Any], recordings: Sequence[Path]) -> Iterator[tuple[Path, Any]]:
        count = processes or _processes_worth_starting(recordings)
        return workers.parallel_map(work, recordings, processes=count, timeout_s=timeout_s)

    def process(recordings: Sequence[Path]) -> Generator[tuple[Path, Result], None, None]:
        run = (
            in_parallel(analyse, recordings)
            if each is None
            else each(partial(_analyse_remote, analyse), recordings, load=_with_content)
        )
        for done, (path, found) in enumerate(run, start=1):
            if plots is not None and not isinstance(found, Exception):
                plotted[path] = found if len(plotted) < MOST_PLOTTED else None
                found = found[0]
            yield path, found if isinstance(found, Exception) else partial(_write, found, path, tracker)
            if progress is not None:
                progress(done, len(recordings), path.name)

    config: dict[str, Any] = {"tracker": tracker.identity or tracker.name, "suffix": suffix}
    config |= {} if tempo_bpm is None else {"tempo_bpm": [*tempo_range(tempo_bpm)]}
    config |= {} if metres is None else {"metres": sorted_metres(metres)}
    config |= {} if start_s is None and end_s is None else {"part_s": [start_s, end_s]}
    kept = kept_labels(tracker) if use_labels else {}
    config |= {LABELS: hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]} if kept else {}
    about = {"model": tracker.name, "digest": tracker.identity}
    for place in (clicks, plots):
        if place is not None:
            _check_folder_beside(Path(place), Path(folder), Path(out))
            with RunFolder.acquire(place, kind=KIND, config=config, about=about, shared=True, force=force):
                pass  # an error is known before the work
    report = process_folder(
        folder, out, process, kind=KIND, config=config, about=about, suffix=suffix, table=table, force=force
    )
    files = {
        Path(folder) / row["path"]: Path(out) / row["file"]
        for row in report.rows
        if row["status"] in ("kept", "written")
    }

    def click(recordings: Sequence[Path]) -> Generator[tuple[Path, Result], None, None]:
        yield from ((path, partial(_write_clicks, path, files[path])) for path in recordings if path in files)

    def plot(recordings: Sequence[Path]) -> Generator[tuple[Path, Result], None, None]:
        todo = [path for path in recordings if path in files]
        anew = [path for path in todo if plotted.get(path) is None]
        again = in_parallel(partial(_analyse_with_curves, tracker, **settings), anew)
        for path, found in chain(((path, plotted[path]) for path in todo if plotted.get(path) is not None), again):
            title = f"{path.relative_to(folder).as_posix()}, {tracker.name}"
            yield path, found if isinstance(found, Exception) else partial(_write_plot, found, files[path], title)

    failed = dict(report.failed)
    for place, write, name in ((clicks, click, "clicks.wav"), (plots, plot, "plot.png")):
        if place is not None:
            added = process_folder(
                folder, place, write, kind=KIND, config=config, about=about, suffix=f"-{name}",
                variant=name.partition(".")[0], force=force,
            )  # fmt: skip
            failed |= added.failed
    return replace(report, failed=failed)


def _whole(tracker: TrackerLike) -> BeatTracker:
    return tracker if isinstance(tracker, BeatTracker) else BeatTracker(tracker)


def _analyse_part(
    tracker: TrackerLike,
    path: Path,
    *,
    start_s: float | None,
    end_s: float | None,
    use_labels: bool = True,
    compare: TrackerLike | None = None,
) -> Analysis:
    """Analyse a recording of a folder, or a part of it, to its end where that comes first."""
    if compare is not None:
        analysis, other = (
            _analyse_part(one, path, start_s=start_s, end_s=end_s, use_labels=use_labels) for one in (tracker, compare)
        )
        return analysis.compare(compare.name, other.beats)
    if end_s is not None and end_s > audio.info(path).duration_s:
        end_s = None
    return _whole(tracker).analyse(path, start_s=start_s, end_s=end_s, use_labels=use_labels)


def _analyse_with_curves(
    tracker: TrackerLike, path: Path, *, start_s: float | None, end_s: float | None, **settings: Any
) -> tuple[Analysis, Curves | None, tuple[float, float]]:
    """Analyse a recording of a folder; return also what its figure needs: curves, and the part that was analysed."""
    from levada.beat_tracking.curves import ActivationRecorder

    recorder, duration_s = ActivationRecorder(tracker), audio.info(path).duration_s
    analysis = _analyse_part(recorder.tracker, path, start_s=start_s, end_s=end_s, **settings)
    end = None if end_s is None else min(end_s, duration_s)
    span = audio.check_excerpt(start_s, end, duration_s=duration_s, path=path)
    return analysis, recorder.curves(path, *span), span


def _write(analysis: Analysis, recording: Path, tracker: TrackerLike, target: Path) -> dict[str, Any]:
    """Write beats, and return what a table says of them."""
    write_beats(target, analysis.beats, duration_s=audio.info(recording).duration_s, provenance=provenance(tracker))
    return analysis.summary()


def _check_folder_beside(place: Path, folder: Path, out: Path) -> None:
    """Refuse a folder of click tracks or figures among the recordings: clicks would be tracked the next time."""
    inside, beats = place.resolve(), out.resolve()
    skipped = beats != folder.resolve() and inside.is_relative_to(beats)
    if inside.is_relative_to(folder.resolve()) and not skipped:
        raise InputError("lies among the recordings: give the folder of the beats or another one", path=place)


def _write_clicks(recording: Path, beats: Path, target: Path) -> None:
    """Write a recording with clicks on the beats of a file."""
    audio.write_clicks(target, recording, read_beats(beats))


def _write_plot(
    analysed: tuple[Analysis, Curves | None, tuple[float, float]], beats: Path, title: str, target: Path
) -> None:
    """Draw a recording with the beats of a file, which may have been edited since they were tracked."""
    from levada.beat_tracking.track_plot import plot_track

    found, curves, (start_s, end_s) = analysed[0].beats, *analysed[1:]
    written = read_beats(beats)
    same = len(written) == len(found) and np.allclose(written.times_s, found.times_s, rtol=0, atol=SAME_S)
    plot_track(target, found if same else written, curves, title=title, start_s=start_s, end_s=end_s)


def _processes_worth_starting(recordings: Sequence[Path]) -> int:
    length_s = 0.0
    for path in recordings:
        with suppress(InputError):  # it is reported when its turn comes
            length_s += audio.info(path).duration_s
    return 2 if workers.usable_cores() > 1 and len(recordings) > 1 and length_s > WORTH_A_PROCESS_S else 1


def _with_content(path: Path) -> tuple[str, bytes]:
    return str(path), path.read_bytes()


def _analyse_remote(analyse: Callable[[Path], Any], carried: tuple[str, bytes]) -> Any:
    """Analyse a recording that lies on another machine."""
    name, content = carried
    with tempfile.TemporaryDirectory(prefix="levada-") as folder:
        path = Path(folder) / ("recording" + Path(name).suffix)
        path.write_bytes(content)
        try:
            with collected_warnings() as warned:
                return analyse(path)
        except InputError as error:
            raise InputError(error.problem.replace(str(path), name), path=name) from None
        finally:
            log_again((logger, level, message.replace(str(path), name)) for logger, level, message in warned)
