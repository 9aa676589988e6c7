"""Corpora through mirdata: candombe, BRID and every other of its datasets that has beats.

mirdata (Bittner, Fuentes et al., ISMIR 2019) knows where a dataset lies, under which licence and what to
cite. It is imported when a dataset is asked for, because that takes seconds.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from levada.data.corpus import Corpus
from levada.data.tracks import Track
from levada.errors import InputError, MissingExtra
from levada.io.beats import Beats
from levada.io.workers import private_numba_cache

__all__ = ["get", "has_labels", "open_mirdata"]

AUDIO = ("audio_path", "audio_mix_path", "audio_mic_path")  # where loaders keep the recording's path
PERFORMERS = ("drummer", "artist", "performer", "player_id", "ensemble", "musician", "session", "release")


def _candombe_session(track_id: str) -> str:
    return re.split(r"(?<=\d{4})_", track_id, maxsplit=1)[0]


def _brid_set(track_id: str) -> str:
    # "[0042] M3-23-SE" is a mixture of three instruments, "[0216] S2-TB3-02-SE" a solo on the third tamborim
    kind, *parts = track_id.split("] ", maxsplit=1)[-1].split("-")
    return parts[0] if kind.startswith("S") and parts else kind


GROUPS: dict[str, tuple[Callable[[str], str], str]] = {
    "candombe": (
        _candombe_session,
        "the recording session (1992, 1995, 2014), as ensembles of one session may share players and drums",
    ),
    "brid": (
        _brid_set,
        "how many instruments play, or which one; players are not named and may be on both sides of a split",
    ),
}


def _candombe_ensemble(track_id: str) -> str:
    """The ensemble without its number: "csic.1995_ansina1_01" is of ansina. A session that names none is a group."""
    named = re.search(r"\d{4}_([A-Za-z]+)\d*_\d+$", track_id)
    return named[1] if named else _candombe_session(track_id)


FINER: dict[str, dict[str, tuple[Callable[[str], str], str, str]]] = {
    "candombe": {
        "ensemble": (
            _candombe_ensemble,
            "the ensemble, which is finer than the recording session",
            "groups are ensembles and not recording sessions: players may play in several ensembles of a session, with "
            "the same drums, place and microphones, so that a model may be scored on players that it was trained on",
        )
    }
}
"""Groups that may be asked for: from a track's id, what they are, and what they risk."""


def open_mirdata(name: str, *, home: str | Path | None = None) -> Corpus:
    """Open a dataset that mirdata knows and that has been downloaded.

    Parameters
    ----------
    name : str
        mirdata's name of the dataset, such as ``candombe``; ``NAME@VERSION`` for another than its default
        version. ``candombe:ensemble`` groups by ensemble instead of by session: more groups, and `Corpus.caveat` says
        what that risks.
    home : path-like or None
        The folder that holds the datasets, one folder each; mirdata's own, ``~/mir_datasets``, by default.

    Returns
    -------
    Corpus
        The recordings that are there, with the dataset's licence, citation and own splits. Groups are known
        for candombe and BRID; elsewhere they are the drummer, artist, player or session the dataset names,
        else each recording is one.

    Raises
    ------
    InputError
        If mirdata does not know the name, the dataset has no beats, or is not downloaded.
    MissingExtra
        If mirdata is not installed.
    """
    name, _, level = name.partition(":")
    name, _, version = name.partition("@")
    if level and level not in FINER.get(name, {}):
        known = ", ".join(f"{one}:{finer}" for one, of in FINER.items() for finer in of)
        raise InputError(f"{name} has no groups called {level!r}; there are {known}")
    root = _home(name, home)
    dataset = _dataset(name, version or "default", str(root))
    if not hasattr(dataset._track_class, "beats"):
        raise InputError(f"mirdata's dataset {name} has no beats")
    fetch = f"levada corpus get {name}" + (f" --home {home}" if home else "")
    try:
        members = {track_id: dataset.track(track_id) for track_id in dataset.track_ids}
    except (OSError, ValueError, AttributeError, KeyError):
        raise InputError(f"{name} is not downloaded here; run: {fetch}", path=root) from None
    tracks: list[Track] = []
    for track_id, member in sorted(members.items()):
        recording = next((Path(p) for key in AUDIO if (p := getattr(member, key, None))), None)
        if recording is None or not recording.is_file():
            continue
        labels = getattr(member, "beats_path", None)
        there = labels is None or Path(labels).is_file()
        tracks.append(
            Track(
                id=track_id,
                audio=recording,
                annotation=Path(labels) if labels and there else None,
                group=FINER[name][level][0](track_id) if level else _group(name, member, track_id),
                load=partial(_beats, name, version or "default", str(root), track_id) if there else None,
            )
        )
    if not tracks:
        how = getattr(dataset, "_download_info", None)
        hint = f"; mirdata says: {' '.join(how.split())}" if how else f"; run: {fetch}"
        raise InputError(f"none of the {len(members)} recordings of {name} are here{hint}", path=root)
    if len(tracks) < len(members):
        logging.getLogger(__name__).warning("%s: %d of %d recordings are here", name, len(tracks), len(members))
    caveat = FINER[name][level][2] if level else ""
    if caveat:
        logging.getLogger(__name__).warning("%s: %s", name, caveat)
    return Corpus(
        name=name,
        tracks=tuple(tracks),
        root=root,
        licence=(getattr(dataset, "_license_info", None) or "").strip(),
        citation=(dataset.bibtex or "").strip(),
        grouping=FINER[name][level][1] if level else GROUPS[name][1] if name in GROUPS else _grouping(tracks),
        caveat=caveat,
        splits=_splits(dataset),
    )


def has_labels(name: str, *, home: str | Path | None = None) -> set[Literal["beats", "stems"]]:
    """Return which labels a dataset has: beats, or stems of songs; solos count as stems where it has no beats.

    Raises
    ------
    InputError
        If mirdata does not know the name.
    MissingExtra
        If mirdata is not installed.
    """
    plain, _, version = name.partition(":")[0].partition("@")
    dataset = _dataset(plain, version or "default", str(_home(plain, home)))
    kinds: set[Literal["beats", "stems"]] = set()
    if hasattr(dataset._track_class, "beats"):
        kinds.add("beats")
    if dataset._multitrack_class is not None or not kinds:
        kinds.add("stems")
    return kinds


def get(name: str, *, home: str | Path | None = None, progress: bool = True) -> Corpus:
    """Download a dataset through mirdata and open it.

    Parameters
    ----------
    name : str
        As in `open_mirdata`.
    home : path-like or None
        The folder that holds the datasets, one folder each; ``~/mir_datasets`` by default.
    progress : bool
        Let mirdata show its progress bars on stderr.

    Returns
    -------
    Corpus
        Its `licence` and `citation` are to be shown to whoever downloads it.

    Raises
    ------
    InputError
        If the name is unknown, or the download fails.
    MissingExtra
        If mirdata is not installed.
    """
    plain, _, version = name.partition(":")[0].partition("@")
    root = _home(plain, home)
    dataset = _dataset(plain, version or "default", str(root))
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _quiet_logging(), contextlib.ExitStack() as stack:
            if not progress:
                stack.enter_context(
                    contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
                )
            dataset.download()
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split()) or type(error).__name__
        reason += "" if reason.endswith(".") else "."
        damaged = "MD5" in reason  # an interrupted download, say; mirdata names the file and takes it for complete
        advice = "delete that file" if damaged else "see to the network and the space on the disk"
        raise InputError(
            f"could not download {plain}: {reason} To go on, {advice} and run it again", path=root
        ) from None
    _dataset.cache_clear()
    return open_mirdata(name, home=home)


def _home(name: str, home: str | Path | None) -> Path:
    return (Path(home) if home is not None else Path.home() / "mir_datasets") / name


@lru_cache(maxsize=8)
def _dataset(name: str, version: str, root: str) -> Any:
    """Ask mirdata for its object of a dataset."""
    if importlib.util.find_spec("mirdata") is None:
        raise MissingExtra("mirdata", extra="data", purpose=f"open the dataset {name}")
    with _quiet_logging(), contextlib.redirect_stdout(io.StringIO()):  # what it imports may print where a library is
        private_numba_cache()  # mirdata imports librosa
        import mirdata

        if name not in mirdata.list_datasets():
            beats = "candombe, brid, ballroom, gtzan_genre, groove_midi, hainsworth, …"
            raise InputError(f"mirdata knows no dataset {name!r}; with beats it has {beats}")
        try:
            return mirdata.initialize(name, data_home=root, version=version)
        except (ValueError, ImportError) as error:
            raise InputError(f"mirdata cannot open {name}: {error}") from None


@contextlib.contextmanager
def _quiet_logging() -> Iterator[None]:
    """Keep mirdata, which logs as if it were the program, from setting up logging and from chatting."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers[:] = [logging.NullHandler()]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _beats(name: str, version: str, root: str, track_id: str) -> Beats:
    """One track's beats; by name and not by object, so that a track can go to another process."""
    member = _dataset(name, version, root).track(track_id)
    path = getattr(member, "beats_path", None)
    try:
        data = member.beats
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"mirdata cannot read the beats of {track_id}: {error}", path=path) from None
    if data is None or len(data.times) == 0:
        raise InputError(f"{name} has no beats for {track_id}", path=path)
    known = data.positions is not None and data.position_unit == "bar_index"
    try:
        return Beats(data.times, np.nan_to_num(data.positions).astype(int) if known else None)
    except InputError as error:
        raise InputError(error.problem, path=path) from None


def _group(name: str, member: Any, track_id: str) -> str:
    if name in GROUPS:
        return GROUPS[name][0](track_id)
    for key in PERFORMERS:
        try:
            value = getattr(member, key, None)
        except (OSError, AttributeError, KeyError, ValueError, TypeError):  # metadata that is not there
            continue
        if isinstance(value, str) and value.strip():
            return value.strip()
    return track_id


def _grouping(tracks: list[Track]) -> str:
    if all(track.group == track.id for track in tracks):
        return "each recording is its own group: the dataset names no performers"
    return "the performer or session the dataset names; a recording without one is its own group"


def _splits(dataset: Any) -> dict[str, tuple[str, ...]]:
    try:
        return {str(name): tuple(ids) for name, ids in dataset.get_track_splits().items()}
    except (NotImplementedError, AttributeError, OSError, KeyError):
        return {}
