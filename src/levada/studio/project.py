"""A project of the studio: a folder of recordings, what is annotated of it, and the models learnt from that."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from levada.beat_tracking.agreement import compare_beats
from levada.beat_tracking.tracker import BeatTracker, provenance
from levada.data import Track, load_corpus
from levada.errors import InputError, check_number
from levada.io import audio
from levada.io.beats import Beats, nearest
from levada.io.files import is_on_network, lock_folder
from levada.io.formats import FORMATS, write_beats
from levada.studio import decoding, views
from levada.studio.annotation import Annotation, edit, merge, of_beats, to_beats, verified
from levada.studio.checks import LEAST_VERIFIED, Suspect, bars_to_check, suspects
from levada.studio.decoding import Prepared
from levada.studio.jobs import Jobs, Progress
from levada.studio.journal import Journal, State
from levada.synth.traditions import list_traditions

__all__ = ["Project", "Proposal", "separators", "suffixes"]

FOLDER = ".levada-studio"
JOURNAL = "journal.sqlite"
KEPT_PREPARED = 4
LONG_S = 600.0
"""Recordings whose edits do not wait for an analysis; of shorter ones it takes seconds."""
LEAST_LABELS = 4
LONGEST_COMPARED_S = 900.0
"""Length up to which patterns are learnt behind every verified stretch: a longer recording takes too long."""
ME = "me"
STRATEGIES = ("bayes", "auto")
"""What is learnt at once, and what follows behind it."""


@dataclass(frozen=True, eq=False)
class Proposal:
    """What a model that was learnt would change in the recording, until a person accepts or refuses it.

    Parameters
    ----------
    strategy : str
    tracker : BeatTracker
    recording, annotator : str
    revision : int
        Of the annotation that it was learnt from.
    annotation : Annotation
    number : int
        Another one for each proposal.
    """

    strategy: str
    tracker: BeatTracker
    recording: str
    annotator: str
    revision: int
    annotation: Annotation
    number: int = field(default_factory=count(1).__next__)

    def to_json(self, before: Annotation) -> dict[str, Any]:
        """Return both annotations where nobody has verified them, and how they differ."""
        old, new = (tuple(mark for mark in one if not mark.verified) for one in (before, self.annotation))
        card = self.tracker.card
        return {
            "number": self.number,
            "strategy": self.strategy,
            "recording": self.recording,
            "beats": [list(mark) for mark in self.annotation],
            "before": _summary(old),
            "after": _summary(new),
            "agreement": _finite(compare_beats(to_beats(old), to_beats(new)).f_measure),
            "scores": {} if card is None else dict(card.scores),
        }


@dataclass
class Project:
    """A folder of recordings that is annotated, or one recording.

    Nothing in the folder is changed but by `save`; the journal of edits and the models are in a hidden folder
    ``.levada-studio`` in it, or in the user's data folder where it cannot be written or is on a network.

    Parameters
    ----------
    path : path-like
        A folder of recordings, or a recording.
    model : str or path-like
        The model whose beats are corrected first.

    Raises
    ------
    InputError
        If there are no recordings, or another studio has the project.
    """

    path: Path
    model: str = "base"
    tracks: dict[str, Track] = field(init=False)
    journal: Journal = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        self.path = Path(self.path).resolve()
        self.is_file = self.path.is_file()
        if not self.path.exists():
            raise InputError("there is no such folder or recording", path=self.path)
        tracks: Sequence[Track]
        if self.is_file:
            audio.info(self.path)
            self.root, tracks = self.path.parent, (Track(self.path.stem, self.path),)
        else:
            self.root, tracks = self.path, load_corpus(self.path, labels="beats").tracks
        self.tracks = {track.id: track for track in tracks}
        self.folder, self.is_beside = self._home()
        self._closing = ExitStack()
        try:
            self._closing.enter_context(lock_folder(self.folder))
        except InputError as error:
            problem = f"is open in another studio: go on in its page, or end it first ({error.problem})"
            raise InputError(problem, path=self.path) from error
        try:
            self.journal = Journal(self.folder / JOURNAL)
        except InputError:
            self._closing.close()
            raise
        self._closing.callback(self.journal.close)
        self.jobs = Jobs()
        self._closing.callback(self.jobs.stop)
        self._lock = threading.RLock()
        self._keeping = threading.Lock()  # of what is kept in memory; nothing waits while it has this one
        self._drawing = threading.Lock()
        self._prepared: OrderedDict[tuple[str, str], Prepared] = OrderedDict()
        self._preparing: dict[tuple[str, str], threading.Lock] = {}
        self._peaks: OrderedDict[str, views.PeakReader] = OrderedDict()
        self._reader = views.SampleReader()
        self._visited: set[tuple[str, float]] = set()
        self._suspects: tuple[tuple[Any, ...], list[Suspect]] | None = None
        self._visited_suspects: set[tuple[Any, ...]] = set()
        self._others: dict[tuple[str, str], Beats] = {}
        self.proposals: dict[str, Proposal] = {}
        self._base: BeatTracker | None = None
        self._tracker: BeatTracker | None = None

    def close(self) -> None:
        """Stop all jobs and close the journal."""
        self._closing.close()

    def _home(self) -> tuple[Path, bool]:
        """Return the folder of the journal, which is created, and whether it is beside the recordings."""
        beside = self.root / FOLDER
        try:
            if is_on_network(self.root) and not (beside / JOURNAL).exists():
                raise OSError("a journal needs a disk of this machine")
            beside.mkdir(exist_ok=True)
            probe = beside / f"probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
            return beside, True
        except OSError:
            data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
            folder = data / "levada" / "studio" / hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError("edits can be saved neither beside the recordings nor here", path=folder) from error
            return folder, False

    # Models

    @property
    def base(self) -> BeatTracker:
        """The model that everything starts from."""
        with self._lock:
            if self._base is None:
                self._base = BeatTracker.from_pretrained(self.model)
            return self._base

    @property
    def tracker(self) -> BeatTracker:
        """The model whose beats are shown: the one accepted last, or the base."""
        with self._lock:
            if self._tracker is None:
                name = self.journal.read("model")
                folder = None if name is None else self.folder / "models" / str(name)
                found = folder is not None and folder.is_dir()
                self._tracker = BeatTracker.from_pretrained(folder) if folder is not None and found else self.base
            return self._tracker

    def prepared(
        self, recording: str, tracker: BeatTracker | None = None, progress: Progress | None = None
    ) -> Prepared:
        """Return what a model has observed of a recording; the last few are kept in memory."""
        track, tracker = self.track(recording), tracker or self.tracker
        key = (recording, tracker.identity)

        def wait_for_waveform(done: int, total: int) -> None:
            with self._drawing:  # a person sees the waveform first
                pass
            if progress is not None:
                progress(done, total)

        with self._keeping:
            lock = self._preparing.setdefault(key, threading.Lock())
        with lock:
            if key not in self._prepared:
                found = decoding.prepare(tracker, track.audio, duration_s=track.duration_s, progress=wait_for_waveform)
                with self._keeping:
                    self._prepared[key] = found
                    while len(self._prepared) > KEPT_PREPARED:
                        self._prepared.popitem(last=False)
                return found
            with self._keeping:
                found = self._prepared[key]
                self._prepared.move_to_end(key)
            return found

    # Recordings

    def track(self, recording: str) -> Track:
        """Return a recording by its id."""
        if recording not in self.tracks:
            raise InputError(f"there is no recording {recording!r} in this project", path=self.root)
        return self.tracks[recording]

    def state(self, recording: str, annotator: str = ME) -> State:
        """Return the annotation of a recording; its first row is made of the labels beside it, or of the model.

        A second annotator starts from the model, and does not see the labels of the first.
        """
        track = self.track(recording)
        state = self.journal.state(recording, annotator)
        if state.revision:
            return state
        others = [name for name in self.journal.annotators() if name != annotator]
        first: Annotation
        kind, origin = "model", dict[str, Any]()
        if track.annotation is not None and not others:
            first, kind = of_beats(track.beats(), is_verified=True), "labels"
            origin = {"file": track.annotation.name}
        else:
            tracker = self.base if others else self.tracker  # learnt from the labels of the others, it would show them
            first, _ = decoding.analyse(self.prepared(recording, tracker), ())
            origin = {"model": tracker.name}
        with self._lock:
            return state if state.revision else self.journal.add(recording, annotator, kind, first, origin=origin)

    def info(self, recording: str) -> dict[str, Any]:
        """Return what the page needs to open a recording, as JSON values."""
        changes = self._changed(self.track(recording))
        track = self.track(recording)
        samples, rate = audio.read(track.audio, duration_s=1 / views.PEAKS_FPS)  # to count all may take long
        return {
            "id": recording,
            "duration_s": track.duration_s,
            "rate": rate,
            "channels": min(len(samples), 2),
            "peaks_fps": views.PEAKS_FPS,
            "spectrogram_fps": views.SPECTROGRAM_FPS,
            "bands": views.N_BANDS,
            "tile_s": views.TILE_S,
            "part_s": views.PART_S,
            "notes": [*changes, *_beyond_the_end(track, track.duration_s)],
            "stems": [*self.stems(recording)],
        }

    def _changed(self, track: Track) -> list[str]:
        """Say if a recording is not the one that was annotated, and remember the one that is."""
        now = track.audio.stat()
        name, mark = f"file:{track.id}", [now.st_size, now.st_mtime_ns]
        before = self.journal.read(name)
        if before is not None and before[:2] == mark:
            return []
        content = audio.content_hash(track.audio)
        self.journal.write(name, [*mark, content])
        if before is None or before[2] == content:
            return []
        self.tracks[track.id] = replace(track)  # its length may be another one
        self._peaks.pop(track.id, None)
        return ["this recording has changed since it was annotated: check that the beats still lie on it"]

    def peaks(self, recording: str, part: int = 0) -> Any:
        """Return a part of the peaks of a recording, see `views.PeakReader`; the last few recordings are kept."""
        path = self.track(recording).audio
        with self._keeping:
            reader = self._peaks.setdefault(recording, views.PeakReader(path))
            self._peaks.move_to_end(recording)
            while len(self._peaks) > KEPT_PREPARED:
                self._peaks.popitem(last=False)
        with self._drawing:
            return reader.read(part)

    def samples(self, recording: str, *, start_s: float, duration_s: float, stem: str | None = None) -> tuple[Any, int]:
        """Read a part of a recording, or of one of its separated instruments, see `views.SampleReader`."""
        path = self.track(recording).audio
        if stem is not None:
            stems = self.stems(recording)
            if stem not in stems:
                raise InputError(f"there is no separated {stem!r} of this recording")
            path = stems[stem]
        return self._reader.read(path, start_s=start_s, duration_s=duration_s)

    def recordings(self, annotator: str = ME) -> list[dict[str, Any]]:
        """List the recordings, the least certain first; those that were not analysed yet last, as JSON values."""
        rows = []
        for name, track in self.tracks.items():
            state = self.journal.state(name, annotator)
            unsure = [mark for mark in state.annotation if not mark.verified]
            sure = [m.position_confidence for m in unsure if m.position_confidence is not None]
            times = [m.confidence for m in unsure if m.confidence is not None]
            rows.append(
                {
                    "id": name,
                    "group": track.group,
                    "analysed": bool(state.revision),
                    "revision": state.revision,
                    "beats": len(state.annotation),
                    "verified": len(state.annotation) - len(unsure),
                    "time_certainty": _mean(times, empty=1.0 if state.annotation else 0.0),
                    "position_certainty": _mean(sure, empty=1.0 if state.annotation else 0.0),
                    "problem": self.journal.read(f"problem:{name}"),
                }
            )
        return sorted(rows, key=lambda row: (not row["analysed"], row["position_certainty"], row["id"]))

    def analyse_all(self, annotator: str = ME) -> None:
        """Queue the analysis of every recording that has none."""

        def analyse_one(name: str, progress: Progress) -> None:
            try:
                self.prepared(name, progress=progress)
                progress(1, 1)  # decoding has no steps
                self.state(name, annotator)
                self.journal.write(f"problem:{name}", None)
            except InputError as error:
                self.journal.write(f"problem:{name}", str(error))

        self.jobs.add("load", lambda _: self.tracker)
        for name in self.tracks:
            if not self.journal.state(name, annotator).revision:
                self.jobs.add(f"analyse {name}", partial(analyse_one, name))

    # Edits

    def edit(
        self, recording: str, kind: str, arguments: Mapping[str, Any], *, annotator: str = ME, decode: bool = False,
        origin: Mapping[str, Any] | None = None,
    ) -> tuple[State, list[str]]:  # fmt: skip
        """Apply an operation of `annotation.OPERATIONS`.

        Parameters
        ----------
        recording, kind, arguments
            See `annotation.edit`.
        annotator : str
        decode : bool
            Whether what lies between the anchors beside a moved beat is decoded again.
        origin : mapping, optional
            Device and lag, for the journal.

        Returns
        -------
        state : State
        warnings : list of str
            Of hints that cannot be met: the beats are kept as they are placed.
        """
        self.state(recording, annotator)  # where the recording is still being analysed others need not wait for it
        if decode and kind == "move" and not self._is_late(recording):
            self.prepared(recording)
        with self._lock:
            after, warnings = self.preview(recording, kind, arguments, annotator=annotator, decode=decode)
            state = self.journal.add(recording, annotator, kind, after, origin=origin)
        is_short = self.track(recording).duration_s <= LONGEST_COMPARED_S
        if kind == "verify" and is_short and len(verified(state.annotation)) >= LEAST_VERIFIED:
            self.jobs.add("compare", partial(self._compare, recording, annotator, state.revision), urgent=True)
        return state, warnings

    def preview(
        self, recording: str, kind: str, arguments: Mapping[str, Any], *, annotator: str = ME, decode: bool = False
    ) -> tuple[Annotation, list[str]]:
        """Return what `edit` would make of the annotation, and its warnings; nothing is changed."""
        end_s = self.track(recording).duration_s
        for name in ("time_s", "to_s"):
            value = arguments.get(name)
            if isinstance(value, int | float) and value > end_s:
                raise InputError(f"{value:.3f} s is after the end of the recording ({end_s:.3f} s)")
        after = edit(self.state(recording, annotator).annotation, kind, arguments)
        if decode and kind == "move" and self._is_late(recording):
            return after, ["the recording is still being analysed: the beats beside this one stay where they are"]
        if decode and kind == "move":
            return decoding.decode_around(self.prepared(recording), after, float(arguments["to_s"]))
        return after, []

    def _is_late(self, recording: str) -> bool:
        """Whether the analysis of a recording, as after a restart of the studio, would take longer than an edit may."""
        key = (recording, self.tracker.identity)
        with self._keeping:
            is_there = key in self._prepared
        return not is_there and self.track(recording).duration_s > LONG_S

    def _compare(self, recording: str, annotator: str, revision: int, progress: Progress) -> None:
        """Track a recording by patterns of its verified beats: bars that they have otherwise are listened to."""
        state = self.journal.state(recording, annotator)
        if state.revision != revision:  # another edit came after it
            return
        with suppress(InputError):  # patterns need beats in a row
            spans = decoding.labelled_spans({recording: (self.tracks[recording], state.annotation)})
            tracker = decoding.learn(self.base, spans, STRATEGIES[0], progress=progress)
            after, _ = decoding.analyse(self.prepared(recording, tracker), state.annotation)
            self._others[recording, annotator] = to_beats(after)

    def undo(self, recording: str, annotator: str = ME) -> State:
        """Undo the last edit of a recording."""
        with self._lock:
            return self.journal.undo(recording, annotator)

    def redo(self, recording: str, annotator: str = ME) -> State:
        """Apply the last undone edit again."""
        with self._lock:
            return self.journal.redo(recording, annotator)

    # Learning

    def learn(self, recording: str, annotator: str = ME) -> int:
        """Queue learning from all verified beats: patterns first, then the default strategy behind them.

        Returns
        -------
        int
            The number of the job.

        Raises
        ------
        InputError
            If fewer than four beats of the recording are verified.
        """
        if len(verified(self.state(recording, annotator).annotation)) < LEAST_LABELS:
            raise InputError(f"verify or tap {LEAST_LABELS} beats of this recording first: nothing can be learnt yet")
        self.refuse()

        def work(progress: Progress) -> None:
            state = self.journal.state(recording, annotator)
            spans = decoding.labelled_spans(self._labelled(annotator, recording))
            for strategy in STRATEGIES:
                tracker = decoding.learn(self.base, spans, strategy, progress=progress)
                progress(1, 1)
                after, _ = decoding.analyse(self.prepared(recording, tracker), state.annotation)
                progress(1, 1)
                self.proposals[strategy] = Proposal(strategy, tracker, recording, annotator, state.revision, after)

        return self.jobs.add("learn", work, urgent=True)

    def _labelled(self, annotator: str, first: str) -> dict[str, tuple[Track, Annotation]]:
        """Return the recordings with verified beats in a row, one of them first."""
        labelled = {}
        for name in [first, *(name for name in self.tracks if name != first)]:
            annotation = self.journal.state(name, annotator).annotation
            if len(verified(annotation)) >= LEAST_LABELS:
                labelled[name] = (self.tracks[name], annotation)
        return labelled

    def accept(self, strategy: str) -> State:
        """Take the beats of a proposal, and its model for everything that follows.

        Beats that were verified meanwhile stay.
        """
        with self._lock:
            proposal = self._proposal(strategy)
            folder = self.folder / "models"
            folder.mkdir(exist_ok=True)
            number = 1 + max((int(one.name) for one in folder.iterdir() if one.name.isdigit()), default=0)
            proposal.tracker.save(folder / f"{number:04d}")
            state = self.journal.state(proposal.recording, proposal.annotator)
            after = merge(state.annotation, (mark for mark in proposal.annotation if not mark.verified))
            self.journal.write("model", f"{number:04d}")
            self._tracker = None
            self._visited.clear()
            self.proposals.clear()
            self._others.clear()
            origin = {"model": f"{number:04d}", "strategy": strategy}
            return self.journal.add(proposal.recording, proposal.annotator, "learn", after, origin=origin)

    def refuse(self) -> None:
        """Drop all proposals; they leave no trace."""
        self.proposals.clear()

    def _proposal(self, strategy: str) -> Proposal:
        if strategy not in self.proposals:
            raise InputError("there is no such proposal any more: learn again")
        return self.proposals[strategy]

    def apply_to_all(self, annotator: str = ME) -> int:
        """Queue tracking every recording with the model accepted last, through its verified beats."""

        def work(progress: Progress) -> None:
            tracker = self.tracker
            for done, name in enumerate(self.tracks):
                progress(done, len(self.tracks))
                try:
                    prepared = self.prepared(name, tracker)
                    state = self.state(name, annotator)
                    after, _ = decoding.analyse(prepared, state.annotation)
                except InputError as error:
                    self.journal.write(f"problem:{name}", str(error))
                    continue
                with self._lock:  # what was verified meanwhile stays
                    now = self.journal.state(name, annotator).annotation
                    after = merge(now, (mark for mark in after if not mark.verified))
                    self.journal.add(name, annotator, "apply", after, origin={"model": tracker.name})
            self._visited.clear()

        return self.jobs.add("apply", work, urgent=True)

    def next_uncertain(self, annotator: str = ME) -> dict[str, Any] | None:
        """Return the least certain bar of all recordings that was not visited yet; None where there is none.

        Bars that patterns of the verified beats have otherwise come first.
        """
        bars = [
            (bar, name)
            for name in self.tracks
            for bar in bars_to_check(
                self.journal.state(name, annotator).annotation, self._others.get((name, annotator))
            )
        ]
        for bar, name in sorted(bars, key=lambda pair: (-pair[0].uncertainty, pair[1], pair[0].start_s)):
            if (name, round(bar.start_s, 1)) not in self._visited:
                self._visited.add((name, round(bar.start_s, 1)))
                return {"id": name, "start_s": bar.start_s, "end_s": bar.end_s, "uncertainty": bar.uncertainty}
        self._visited.clear()
        return None

    # What is listened to

    def next_suspect(self, recording: str, annotator: str = ME) -> dict[str, Any] | None:
        """Return the next verified beats that look wrong and were not visited yet; None where there are none.

        A beat that is moved, or a model that is accepted, makes another one of them.
        """
        state, tracker = self.state(recording, annotator), self.tracker
        key = (recording, annotator, state.revision, tracker.identity)
        if self._suspects is None or self._suspects[0] != key:
            found = self.prepared(recording, tracker).analyse()[0].beats
            self._suspects = (key, suspects(state.annotation, found))
        visits = {
            (*key[:2], key[3], suspect.reason, round(suspect.time_s, 2)): suspect for suspect in self._suspects[1]
        }
        left = [visit for visit in visits if visit not in self._visited_suspects]
        if not left:
            return None
        self._visited_suspects.add(left[0])
        return {**asdict(visits[left[0]]), "left": len(left) - 1}

    # Files

    def save(
        self, recording: str, suffix: str = ".beats", *, annotator: str = ME, only_verified: bool = False,
        force: bool = False, out: Path | None = None,
    ) -> Path:  # fmt: skip
        """Write the beats of a recording beside it, in a format of levada.

        Parameters
        ----------
        recording : str
        suffix : str
            Names the format.
        annotator : str
            Files of others than the first have their name in it.
        only_verified : bool
            Leave out what nobody has verified.
        force : bool
            Whether a file that exists may be replaced.
        out : Path, optional
            Another folder.

        Returns
        -------
        Path
        """
        _check_suffix(suffix)
        track, annotation = self.track(recording), self.state(recording, annotator).annotation
        marks = verified(annotation) if only_verified else annotation
        if not marks:
            raise InputError("there are no beats to save", path=track.audio)
        who = "" if annotator == ME else f".{annotator}"
        name = f"{track.audio.stem}{who}{suffix}"
        target = track.audio.with_name(name) if out is None else out / name
        made_by = None if verified(annotation) else provenance(self.tracker)
        write_beats(target, to_beats(marks), duration_s=track.duration_s, provenance=made_by, force=force)
        return target

    def save_all(
        self, suffix: str = ".beats", *, annotator: str = ME, force: bool = False, out: Path | None = None
    ) -> list[Path]:
        """Write the beats of every recording with a verified beat; see `save`."""
        _check_suffix(suffix)
        with_labels = [
            name
            for name in self.journal.recordings(annotator)
            if name in self.tracks and verified(self.journal.state(name, annotator).annotation)
        ]
        return [self.save(name, suffix, annotator=annotator, force=force, out=out) for name in with_labels]

    # Stems

    def stems(self, recording: str) -> dict[str, Path]:
        """Return the files of the separated instruments of a recording, by name; none where it was not separated."""
        folder = self.folder / "stems" / self.track(recording).id
        return {path.stem: path for path in sorted(folder.glob("*.flac"))}

    def separate(self, recording: str, model: str = "base") -> int:
        """Queue separating a recording into its instruments, which are kept beside the journal.

        Parameters
        ----------
        recording : str
        model : str
            A tradition, or "base", as of `Separator.from_pretrained`.

        Returns
        -------
        int
            The number of the job.
        """
        track = self.track(recording)
        if model not in separators():
            raise InputError(f"there is no separator {model!r}: use one of {', '.join(separators())}")

        def work(progress: Progress) -> None:
            from levada.separation.files import separate_file
            from levada.separation.separator import Separator

            folder = self.folder / "stems" / track.id
            shutil.rmtree(folder, ignore_errors=True)
            separate_file(track.audio, Separator.from_pretrained(model), folder, suffix=".flac", progress=progress)

        return self.jobs.add("separate", work, urgent=True)

    def write_mix(self, recording: str, gains: Mapping[str, float], *, force: bool = False) -> Path:
        """Write a mix of the separated instruments beside the recording, to practise with.

        Parameters
        ----------
        recording : str
        gains : mapping of str to float
            Level of each instrument, from 0 to 2; instruments without one are left out.
        force : bool
            Whether a file that exists may be replaced.

        Returns
        -------
        Path
        """
        stems, track = self.stems(recording), self.track(recording)
        for name, gain in gains.items():
            check_number(f"the level of {name}", gain, 0, 2)
        played = [(stems[name], gain) for name, gain in gains.items() if gain and name in stems]
        if not played:
            raise InputError("every instrument is silent: there is nothing to write")
        mixed, rate = audio.read(played[0][0])
        mixed = mixed * np.float32(played[0][1])
        for path, gain in played[1:]:
            mixed += np.float32(gain) * audio.read(path)[0]
        target = track.audio.with_name(f"{track.audio.stem}.mix.flac")
        audio.write(target, mixed / max(1.0, float(np.abs(mixed).max())), rate=rate, force=force)
        return target

    # Annotators

    def agreement(self, recording: str, first: str, second: str) -> dict[str, Any]:
        """Compare the annotations of two people, and list where they differ, as JSON values."""
        one, other = (self.journal.state(recording, name).annotation for name in (first, second))
        scores = compare_beats(to_beats(one), to_beats(other))
        return {
            "first": scores.first,
            "second": scores.second,
            "f_measure": _finite(scores.f_measure),
            "median_ms": _finite(scores.median_ms),
            "mad_ms": _finite(scores.mad_ms),
            "positions": _finite(scores.positions),
            "differences": _differences(one, other),
        }

    # Calibration

    def calibrate(self, device: str, lag_ms: float, spread_ms: float) -> None:
        """Keep the lag of a device, in milliseconds."""
        if not (math.isfinite(lag_ms) and abs(lag_ms) < 2000):
            raise InputError(f"a lag of {lag_ms:g} ms cannot be right: calibrate again")
        with self._lock:
            lags = self.journal.read("calibrations") or {}
            lags[device] = {"lag_ms": round(lag_ms, 2), "spread_ms": round(spread_ms, 2)}
            self.journal.write("calibrations", lags)

    def discard(self) -> None:
        """Remove all that the studio has kept of a project that is closed."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _beyond_the_end(track: Track, duration_s: float) -> list[str]:
    """Say if a recording has labels that are longer than it is."""
    if track.annotation is None:
        return []
    with suppress(InputError):  # opening its beats says what is wrong with the file
        last_s = max(track.beats().times_s, default=0.0)
        if last_s > duration_s:
            where = f"up to {last_s:.1f} s, and the recording ends at {duration_s:.1f} s"
            return [f"{track.annotation.name} has beats {where}: is it of another version of the recording?"]
    return []


def suffixes() -> list[str]:
    """Return the suffixes of all formats of beats that are written."""
    return [one for kind in FORMATS.values() if kind.dump is not None for one in kind.suffixes]


def _check_suffix(suffix: str) -> None:
    if suffix not in suffixes():
        raise InputError(f"there is no format {suffix!r}: use one of {', '.join(suffixes())}")


def separators() -> list[str]:
    """Return the names of the separators that ship."""
    return ["base", *sorted(list_traditions())]


def _summary(marks: Annotation) -> dict[str, Any]:
    beats = to_beats(marks)
    return {
        "beats": len(marks),
        "tempo_bpm": _finite(beats.tempo_bpm),
        "metre": beats.metre,
        "time_certainty": _mean([m.confidence for m in marks if m.confidence is not None]),
        "position_certainty": _mean([m.position_confidence for m in marks if m.position_confidence is not None]),
    }


def _differences(one: Annotation, other: Annotation) -> list[dict[str, Any]]:
    """List the beats of one annotation alone, and those with two positions."""
    found: list[dict[str, Any]] = []
    for mine, theirs, whose in ((one, other, "first"), (other, one, "second")):
        times = np.array([mark.time_s for mark in theirs])
        for mark in mine:
            near = int(nearest(np.array([mark.time_s]), times)[0])
            if not len(times) or abs(times[near] - mark.time_s) > 0.07:
                found.append({"time_s": mark.time_s, "only": whose, "position": mark.position})
            elif whose == "first" and mark.position and theirs[near].position not in (0, mark.position):
                found.append({"time_s": mark.time_s, "positions": [mark.position, theirs[near].position]})
    return sorted(found, key=lambda row: row["time_s"])


def _mean(values: Sequence[float | None], *, empty: float | None = None) -> float | None:
    numbers = [value for value in values if value is not None]
    return round(sum(numbers) / len(numbers), 4) if numbers else empty


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
