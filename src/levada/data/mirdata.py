"""Datasets of mirdata: candombe, BRID and every other one that has beats, stems or solos.

mirdata (Bittner, Fuentes et al., ISMIR 2019) defines the files of a dataset, its licence and what to cite. It is
imported on use, because that takes seconds. Stems are multitracks such as Slakh's; solos are tracks that name their
instrument, or, as in BRID, whose ids do.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from levada.data.corpus import Corpus, Labels
from levada.data.multitracks import Multitrack
from levada.data.song_preparation import prepare_songs
from levada.data.stem_folder import brid_solo
from levada.data.tracks import Track
from levada.errors import InputError, MissingExtra
from levada.io.beats import Beats
from levada.io.workers import private_numba_cache
from levada.synth.instrument_names import find_instrument, normalise_name

__all__ = ["DatasetInfo", "get", "labels_of_dataset", "list_datasets", "open_mirdata"]

AUDIO = ("audio_path", "audio_mix_path", "audio_mic_path")  # attributes of loaders that hold the recording's path
MIXTURES = ("mix_path", "audio_mix_path", "mixture_path", "audio_path")  # the same of the mixture of a multitrack
INSTRUMENTS = ("instrument", "instrument_full", "inst_class", "instrument_name")
PERFORMERS = ("drummer", "artist", "performer", "player_id", "ensemble", "musician", "session", "release")
ABSENT = (OSError, ValueError, AttributeError, KeyError, TypeError, IndexError)  # raised by loaders for absent files
HOURS = re.compile(r"(\d+(?:\.\d+)?) hours(?: and (\d+) minutes)?")  # in the description of a dataset

_log = logging.getLogger(__name__)


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
        "how many instruments play, or which one; players are not named and may be in both parts of a split",
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
"""Other groups, selected by name: the group of a track's id, a sentence on its origin, and one on its risk."""


def open_mirdata(name: str, *, labels: Labels = "beats", home: str | Path | None = None) -> Corpus[Any]:
    """Open a dataset of mirdata that has been downloaded.

    Parameters
    ----------
    name : str
        mirdata's name of the dataset, such as ``candombe``; ``NAME@VERSION`` for another than its default
        version. ``candombe:ensemble`` groups by ensemble instead of by session: more groups, and `Corpus.caveat` names
        the risk.
    labels : "beats" or "stems"
        Stems of songs, or solos, one instrument each.
    home : path-like or None
        The folder of the datasets, one folder each; mirdata's own, ``~/mir_datasets``, by default.

    Returns
    -------
    Corpus
        The recordings that are present, with the dataset's licence, citation and own splits. Groups are defined here
        for candombe and BRID; otherwise they are the drummer, artist, player or session the dataset names, else each
        recording is one.

    Raises
    ------
    InputError
        If mirdata has no such dataset, it has no such labels, or is not downloaded.
    MissingExtra
        If mirdata is not installed.
    """
    plain_name, version, level = _parse(name)
    if level and level not in FINER.get(plain_name, {}):
        levels = ", ".join(f"{one}:{finer}" for one, of in FINER.items() for finer in of)
        raise InputError(f"{plain_name} has no groups called {level!r}; there are {levels}")
    root = _home(plain_name, home)
    dataset = _dataset(plain_name, version, str(root))
    if labels == "beats" and not hasattr(dataset._track_class, "beats"):
        raise InputError(f"mirdata's dataset {plain_name} has no beats")
    fetch = f"levada corpus get {plain_name}" + (f" --home {home}" if home else "")
    try:
        read: Callable[[str, Any, str, _Groups], Track | Multitrack | None]
        if labels == "beats":
            read, members = partial(_track, version, str(root)), {id: dataset.track(id) for id in dataset.track_ids}
        elif dataset._multitrack_class is not None and dataset.mtrack_ids:
            read, members = _song, {id: dataset.multitrack(id) for id in dataset.mtrack_ids}
        else:
            read, members = _solo, {id: dataset.track(id) for id in dataset.track_ids}
    except ABSENT:
        raise InputError(f"{plain_name} is not downloaded here; run: {fetch}", path=root) from None
    groups = _Groups(plain_name, level)
    tracks = [track for id, member in sorted(members.items()) if (track := read(plain_name, member, id, groups))]
    if labels == "stems" and not tracks:
        problem = f"mirdata's dataset {plain_name} has neither stems nor solos that name their instrument"
        raise InputError(problem, path=root)
    total = len(tracks) if labels == "stems" else len(members)
    tracks = [track for track in tracks if isinstance(track, Track) or track.stems]
    if not tracks:
        how = getattr(dataset, "_download_info", None)
        hint = f"; mirdata's instructions: {' '.join(how.split())}" if how else f"; run: {fetch}"
        raise InputError(f"none of the {total} recordings of {plain_name} are here{hint}", path=root)
    if len(tracks) < total:
        _log.warning("%s: %d of %d recordings are here", plain_name, len(tracks), total)
    if groups.caveat:
        _log.warning("%s: %s", plain_name, groups.caveat)
    corpus: Corpus[Any] = Corpus(
        name=plain_name,
        tracks=tuple(tracks),
        root=root,
        licence=(getattr(dataset, "_license_info", None) or "").strip(),
        citation=(dataset.bibtex or "").strip(),
        grouping=groups.origin(tracks),
        caveat=groups.caveat,
        splits=_splits(dataset),
    )
    return corpus if labels == "beats" else prepare_songs(corpus)


def labels_of_dataset(name: str, *, home: str | Path | None = None) -> set[Labels]:
    """Return which labels a dataset has: beats, or stems of songs; solos count as stems where it has no beats.

    Raises
    ------
    InputError
        If mirdata has no such dataset.
    MissingExtra
        If mirdata is not installed.
    """
    plain_name, version, _ = _parse(name)
    dataset = _dataset(plain_name, version, str(_home(plain_name, home)))
    kinds: set[Labels] = {"beats"} if hasattr(dataset._track_class, "beats") else set()
    return kinds | ({"stems"} if dataset._multitrack_class is not None or not kinds else set())


@dataclass(frozen=True)
class DatasetInfo:
    """A dataset of mirdata, as described without downloading it."""

    name: str  # as in ``mirdata:NAME``
    labels: tuple[Labels, ...]  # beats, stems (of songs or solos), or both
    tracks: int | None  # number of recordings; None if its index is not downloaded
    minutes: float | None  # of music, as its description states; None if it does not
    licence: str  # as mirdata states it; empty if it does not
    versions: tuple[str, ...]  # the default one first
    downloaded: bool  # whether there is a folder of it with audio


def list_datasets(
    *, home: str | Path | None = None, progress: Callable[[int, int], None] | None = None
) -> list[DatasetInfo]:
    """List the datasets of mirdata that have beats or stems; nothing is downloaded.

    Parameters
    ----------
    home : path-like or None
        The folder of the datasets, one folder each; ``~/mir_datasets`` by default.
    progress : callable or None
        Called with the number of datasets that are done, and of all.

    Returns
    -------
    list of DatasetInfo
        Sorted by name. Datasets whose loader cannot be imported are left out.

    Raises
    ------
    MissingExtra
        If mirdata is not installed.
    """
    mirdata = _import_mirdata("list its datasets")
    names, datasets = mirdata.list_datasets(), list[DatasetInfo]()
    for done, name in enumerate(names, start=1):
        with contextlib.suppress(InputError):
            if info := _dataset_info(name, _home(name, home)):
                datasets.append(info)
        if progress is not None:
            progress(done, len(names))
    return datasets


def _dataset_info(name: str, root: Path) -> DatasetInfo | None:
    dataset = _dataset(name, "default", str(root))
    module = importlib.import_module(f"mirdata.datasets.{name}")
    beats = hasattr(dataset._track_class, "beats")
    multitracks = dataset._multitrack_class is not None
    stems = multitracks or name == "brid" or any(hasattr(dataset._track_class, key) for key in INSTRUMENTS)
    labels: list[Labels] = [*(["beats"] if beats else []), *(["stems"] if stems else [])]  # type: ignore[list-item]
    if not labels:
        return None
    licence = " ".join((dataset._license_info or "").split())
    count, default = None, str(module.INDEXES["default"])
    if Path(dataset.index_path).is_file():
        with contextlib.suppress(*ABSENT):
            count = len(dataset.mtrack_ids if multitracks else dataset.track_ids)
    versions = [one for one, index in module.INDEXES.items() if not isinstance(index, str) and "sample" not in one]
    hours = HOURS.search(module.__doc__ or "")
    return DatasetInfo(
        name=name,
        labels=tuple(labels),
        tracks=count,
        minutes=60 * float(hours[1]) + float(hours[2] or 0) if hours else None,
        licence="" if "couldn't find the license" in licence else licence,
        versions=(default, *sorted(set(versions) - {default})),
        downloaded=root.is_dir() and any(path.is_file() for path in root.rglob("*")),
    )


def get(name: str, *, home: str | Path | None = None, progress: bool = True) -> Corpus[Any]:
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
        Show its `licence` and `citation` to whoever downloads it.

    Raises
    ------
    InputError
        If the name is unknown, or the download fails.
    MissingExtra
        If mirdata is not installed.
    """
    plain_name, version, _ = _parse(name)
    root = _home(plain_name, home)
    dataset = _dataset(plain_name, version, str(root))
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
        damaged = (
            "MD5" in reason
        )  # for example an interrupted download: mirdata names the file and takes it for complete
        advice = "delete that file" if damaged else "see to the network and the space on the disk"
        raise InputError(
            f"could not download {plain_name}: {reason} To go on, {advice} and run it again", path=root
        ) from None
    _dataset.cache_clear()
    labels: Labels = "beats" if hasattr(dataset._track_class, "beats") else "stems"
    return open_mirdata(name, labels=labels, home=home)


def _parse(name: str) -> tuple[str, str, str]:
    """Return the name, the version and the level of groups of ``NAME@VERSION:LEVEL``."""
    name, _, level = name.partition(":")
    name, _, version = name.partition("@")
    return name, version or "default", level


def _home(name: str, home: str | Path | None) -> Path:
    return (Path(home) if home is not None else Path.home() / "mir_datasets") / name


@lru_cache(maxsize=8)
def _dataset(name: str, version: str, root: str) -> Any:
    """Return mirdata's object of a dataset."""
    mirdata = _import_mirdata(f"open the dataset {name}")
    with _quiet():
        if name not in mirdata.list_datasets():
            beats = "candombe, brid, ballroom, gtzan_genre, groove_midi, hainsworth, …"
            raise InputError(f"mirdata has no dataset {name!r}; with beats it has {beats} (levada corpus list)")
        try:
            return mirdata.initialize(name, data_home=root, version=version)
        except (ValueError, KeyError, ImportError) as error:
            raise InputError(f"mirdata cannot open {name}: {error}") from None


def _import_mirdata(purpose: str) -> Any:
    if importlib.util.find_spec("mirdata") is None:
        raise MissingExtra("mirdata", extra="data", purpose=purpose)
    with _quiet():
        private_numba_cache()  # mirdata imports librosa
        import mirdata

        return mirdata


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep mirdata from setting up logging, and what it imports from printing."""
    with _quiet_logging(), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _quiet_logging() -> Iterator[None]:
    """Keep mirdata, which uses the root logger, from setting up logging and from logging."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.handlers[:] = [logging.NullHandler()]
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def _beats(name: str, version: str, root: str, track_id: str) -> Beats:
    """Read the beats of a track; by name and not by object, so that a track can go to another process."""
    member = _dataset(name, version, root).track(track_id)
    path = getattr(member, "beats_path", None)
    try:
        data = member.beats
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"mirdata cannot read the beats of {track_id}: {error}", path=path) from None
    if data is None or len(data.times) == 0:
        raise InputError(f"{name} has no beats for {track_id}", path=path)
    has_positions = data.positions is not None and data.position_unit == "bar_index"
    try:
        return Beats(data.times, np.nan_to_num(data.positions).astype(int) if has_positions else None)
    except InputError as error:
        raise InputError(error.problem, path=path) from None


def _track(version: str, root: str, name: str, member: Any, id: str, groups: _Groups) -> Track | None:
    """Return a recording with its beats; None where its audio is absent."""
    recording = next((Path(path) for key in AUDIO if (path := getattr(member, key, None))), None)
    if recording is None or not recording.is_file():
        return None
    labels = getattr(member, "beats_path", None)
    present = labels is None or Path(labels).is_file()
    return Track(
        id=id,
        audio=recording,
        annotation=Path(labels) if labels and present else None,
        group=groups.of(member, id),
        load=partial(_beats, name, version, root, id) if present else None,
    )


def _song(_: str, song: Any, id: str, groups: _Groups) -> Multitrack:
    """Return a multitrack; without stems where its files are absent."""
    stems: dict[str, tuple[Path, ...]] = {}
    for track_id, track in song.tracks.items():
        takes = [path for path in _recordings(track) if path.is_file()]
        if takes:
            instrument = (
                _instrument(track) or normalise_name(str(track_id).removeprefix(id)) or normalise_name(str(track_id))
            )
            stems[instrument] = (*stems.get(instrument, ()), *takes)
    mixtures = [Path(path) for key in MIXTURES if (path := _attribute(song, key))]
    mixture = next((path for path in mixtures if path.is_file()), None)
    return Multitrack(id, dict(sorted(stems.items())), mixture, groups.of(song, id), _beats_path(song))


def _solo(name: str, track: Any, id: str, groups: _Groups) -> Multitrack | None:
    """Return a solo, without stems where its audio is absent; None where it names no instrument."""
    instrument = brid_solo(id) if name == "brid" else _instrument(track) or next(iter(find_instrument(id) or ()), None)
    if instrument is None:
        return None
    takes = tuple(path for path in _recordings(track) if path.is_file())
    return Multitrack(id, {instrument: takes} if takes else {}, None, groups.of(track, id), _beats_path(track))


def _instrument(track: Any) -> str | None:
    names = (_attribute(track, key) for key in INSTRUMENTS)
    return next((normalise_name(name) for name in names if isinstance(name, str) and normalise_name(name)), None)


def _recordings(track: Any) -> list[Path]:
    several = _attribute(track, "audio_paths")
    if isinstance(several, list | tuple):
        return [Path(path) for path in several if path]
    return [Path(path) for key in AUDIO if (path := _attribute(track, key))][:1]


def _beats_path(member: Any) -> Path | None:
    path = _attribute(member, "beats_path")
    return Path(path) if path and Path(path).is_file() else None


def _attribute(member: Any, key: str) -> Any:
    """Return an attribute; None if the loader lacks it, or needs an absent file for it."""
    try:
        return getattr(member, key, None)
    except ABSENT:
        return None


@dataclass(frozen=True)
class _Groups:
    """The groups of a dataset: its own level, those defined here, or the performers it names."""

    name: str
    level: str = ""

    @property
    def caveat(self) -> str:
        return FINER[self.name][self.level][2] if self.level else ""

    def of(self, member: Any, id: str) -> str:
        if self.level:
            return FINER[self.name][self.level][0](id)
        if self.name in GROUPS:
            return GROUPS[self.name][0](id)
        values = (_attribute(member, key) for key in PERFORMERS)
        return next((value.strip() for value in values if isinstance(value, str) and value.strip()), id)

    def origin(self, tracks: Sequence[Track | Multitrack]) -> str:
        if self.level:
            return FINER[self.name][self.level][1]
        if self.name in GROUPS:
            return GROUPS[self.name][1]
        if all(track.group == track.id for track in tracks):
            return "each recording is its own group: the dataset names no performers"
        return "the performer or session the dataset names; a recording without one is its own group"


def _splits(dataset: Any) -> dict[str, tuple[str, ...]]:
    try:
        return {str(name): tuple(ids) for name, ids in dataset.get_track_splits().items()}
    except (NotImplementedError, AttributeError, OSError, KeyError):
        return {}
