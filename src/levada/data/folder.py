"""A folder of recordings with annotations beside them.

The annotation of ``song.wav`` is ``song.beats`` or ``song.wav.beats``, or another format under the same stem,
in the same folder, in its sub-folder ``annotations`` or ``beats``, or in a folder of that name beside it, or apart from
the recordings (`levada.data.pairing`). A stem must agree exactly: ``song.onsets.txt`` is not one. Where several
agree, ``.beats`` comes first.

An optional ``corpus.toml`` in the folder (`levada.data.corpus_toml`)::

    name = "Ansina and Cuareim"
    exclude = ["*rehearsal*"]   # recordings that are left out: patterns of their paths, in upper or lower case
    licence = "CC BY 4.0"
    citation = "Nunes et al., ISMIR 2015"

    [groups]                    # performer, session or instrument set of each track
    "1995/ansina*" = "ansina"   # a track's id (its path without suffix) or a pattern; an exact id goes first
    "1995/take7" = "cuareim"
    csv = "metadata.csv"        # or a table with a row for each recording (`levada.data.metadata`)
    column = "performer"        # the column of groups, where it cannot be recognised

    [labels]
    convention = "zero-based"   # of all labels, where it cannot be recognised (docs/labels.md)
    annotator = "ana"           # whose labels, where there are song.ana.svl, song.bea.svl or annotations/ana/song.svl
    readings = ["half-bar"]     # whose labels are as right: song.half-bar.svl, scored beside them by `levada evaluate`

Tracks without a group there are grouped by their folder where at least two sub-folders
hold recordings; otherwise each is its own group. Of recordings that differ only in the suffix, one keeps the plain id:
the first in the order wav, flac, aiff, and the others by name; the other ids have their suffix. Folders called
``song.stems`` hold recordings of single instruments, and are not read.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from levada.data.corpus import Corpus
from levada.data.corpus_toml import TOML, CorpusSettings, assign_groups, exclude_recordings, read_settings
from levada.data.pairing import ANNOTATIONS, Annotations, normal, stem_of
from levada.data.problems import Problem, others
from levada.data.tracks import Track
from levada.errors import InputError
from levada.io.audio import SUFFIXES
from levada.io.formats.provenance import is_unedited
from levada.io.tables import join_names
from levada.io.toml import line_of

__all__ = ["LABELS", "STEMS", "annotations_of", "open_folder", "single"]

FIRST = (".wav", ".flac", ".aiff", ".aif")  # of recordings that differ only in the suffix: the original
STEMS = ".stems"
LABELS = "labels"
"""Name of the labels among the readings of a recording, where no annotator is chosen."""

_NO_NOTE = re.compile(r"levada-|(readme|licen[cs]e|citation)\b", re.IGNORECASE)  # names that need no note

_log = logging.getLogger(__name__)


def open_folder(
    folder: str | Path,
    *,
    convention: str = "",
    annotator: str = "",
    readings: Sequence[str] = (),
    groups: Mapping[str, str] | str | Path | None = None,
) -> Corpus:
    """Find the recordings in a folder and its sub-folders, and the annotation of each.

    Hidden files, links to folders and folders of stems are ignored. Neither audio nor annotations are read.

    Parameters
    ----------
    folder : path-like
        The folder.
    convention : str
        Of all labels, a name in `levada.io.formats.CONVENTIONS`; that of `corpus.toml`, or recognised, by default.
    annotator : str
        Whose labels are used, where there are those of several people; the one in `corpus.toml` by default.
    readings : sequence of str
        Annotators whose labels are other readings (`Track.readings`); those in `corpus.toml` by default. The first of
        them annotates recordings without other labels.
    groups : mapping of str to str, path-like or None
        A track's id or a pattern -> its group, or a table of groups; those of `corpus.toml` by default.

    Returns
    -------
    Corpus
        Tracks without annotation included: they can be tracked later.

    Raises
    ------
    InputError
        If there is no such folder, no audio in it, no such annotator, or its `corpus.toml` is wrong.
    """
    root = Path(folder)
    settings = read_settings(root, groups=groups)
    annotator = normal(annotator or settings.annotator)
    names = tuple(map(normal, readings)) or settings.readings  # of other readings
    files = _files(root)
    recordings = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not recordings:
        suffixes = ", ".join(sorted(SUFFIXES))
        raise InputError(f"has no audio files; looked for {suffixes}, in sub-folders too", path=root)
    everything, recordings = recordings, exclude_recordings(recordings, root, settings.exclude)
    annotations = Annotations(root, files)
    people = {path: annotations.by_annotator(path) for path in recordings}
    annotators = tuple(sorted({name for one in people.values() for name in one}))
    for name in filter(None, (annotator, *names)):
        if name not in annotators:
            problem = f"there are no labels of an annotator {name!r}; annotators: {', '.join(annotators) or 'none'}"
            key = "annotator" if name == annotator else "readings"
            in_toml = name in (normal(settings.annotator), *settings.readings)
            line = line_of(root / TOML, "labels", key) if in_toml else None
            raise InputError(problem, path=root if line is None else root / TOML, line=line)
    labels = {path: annotations.of(path, annotator=annotator) for path in recordings}
    if (len(annotators) > 1 or names) and not annotator:  # the order of names must not decide
        labels = {path: [one for one in own if one not in people[path].values()] for path, own in labels.items()}
    read_as = dict[Path, dict[str, Path]]()
    for path, own in labels.items():
        first = {annotator or LABELS: own[0]} if own else {}
        read_as[path] = first | {name: people[path][name] for name in names if name in people[path]}
        labels[path] = own or list(read_as[path].values())[:1]
    ids = _ids(recordings, root=root)
    group_of, grouping = _groups(recordings, root, ids, settings)
    used = {path for paths in labels.values() for path in paths}
    strays = annotations.unused(used, everything)
    used_files = {*everything, *used, *strays, *annotations.machine_made, root / TOML, settings.groups_csv}
    used_files |= {path for one in people.values() for path in one.values()}
    used_files |= {path for one in set(everything) - set(recordings) for path in annotations.of(one)}
    ignored = [path for path in files if path not in used_files and not _NO_NOTE.match(path.name)]
    tracks = [
        Track(
            id=ids[path],
            audio=path,
            annotation=labels[path][0] if labels[path] else None,
            group=group_of[ids[path]],
            alternatives=tuple(labels[path][1:]),
            convention=convention or settings.convention,
            readings=read_as[path] if len(read_as[path]) > 1 else {},
        )
        for path in recordings
    ]
    notes = _notes(root, strays, sorted(annotations.machine_made), ignored, () if annotator or names else annotators)
    return settings.corpus(root, tracks, grouping=grouping, notes=tuple(notes))


def _notes(
    root: Path, strays: Sequence[Path], machine_made: Sequence[Path], ignored: Sequence[Path], annotators: Sequence[str]
) -> Iterator[Problem]:
    """Report the files that are not used."""
    if strays:
        yield Problem("warning", f"has no recording of its name{others(len(strays))}", strays[0])
    if machine_made:
        what = f"was written by levada and not edited since{others(len(machine_made))}: it is not used as a label"
        how = "if it is right as it is, remove its comment 'written by levada'"
        yield Problem("note", f"{what}; {how}", machine_made[0])
    if ignored:
        names = join_names(path.relative_to(root).as_posix() for path in ignored)
        yield Problem("note", f"has files that are not used: {names}", root)
    if len(annotators) > 1:
        what = f"has annotations of {', '.join(annotators)}, which are used only where corpus.toml selects one"
        yield Problem("note", f'{what}: [labels] annotator = "{annotators[0]}"', root)


def annotations_of(folder: str | Path, annotator: str = "") -> dict[str, Path]:
    """Find beat files by the recording they belong to, whether the recordings are there or not.

    Parameters
    ----------
    folder : path-like
        A folder of beat files, or of recordings with beat files.
    annotator : str
        Of this annotator, in a folder of recordings that several people annotated.

    Returns
    -------
    dict of str to Path
        By path inside the folder, without suffix.

    Raises
    ------
    InputError
        If there is no such folder, nothing in it, or no such annotator.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError("there is no such folder", path=folder)
    files = _files(root)
    if annotator:
        annotations = Annotations(root, files)
        recordings = [path for path in files if path.suffix.lower() in SUFFIXES]
        people = {_stem(path, root): annotations.by_annotator(path) for path in recordings}
        found = {name: one[normal(annotator)] for name, one in people.items() if normal(annotator) in one}
    else:
        found = {}
        for suffix in ANNOTATIONS:
            for path in files:
                if path.name.lower().endswith(suffix) and path.suffix.lower() not in SUFFIXES:
                    found.setdefault((path.parent.relative_to(root) / stem_of(path)).as_posix(), path)
    if not found:
        raise InputError(f"holds no beat files{f' of {annotator}' if annotator else ''}", path=folder)
    return found


def single(audio: str | Path, labels: str | Path, *, convention: str = "") -> Corpus:
    """Return one recording of which a part is annotated, as a corpus of one track.

    Parameters
    ----------
    audio : path-like
        The recording.
    labels : path-like
        Beats of a part of it, in any format `levada.io.formats` reads.
    convention : str
        Of the labels; recognised by default.

    Returns
    -------
    Corpus
        With the licence and the citation of the `corpus.toml` beside the recording, if there is one.

    Raises
    ------
    InputError
        If a file is missing, the labels cannot be read, or the `corpus.toml` beside the recording is wrong.
    """
    recording, annotation = Path(audio), Path(labels)
    for path, what in ((recording, "recording"), (annotation, "beat file")):
        if not path.is_file():
            raise InputError(f"there is no such {what}", path=path)
    track = Track(recording.stem, recording, annotation, group=recording.stem, convention=convention)
    _ = track.labels  # raises errors early
    if is_unedited(annotation):
        _log.warning("%s: was written by levada and not edited since: a model cannot learn from its own beats", labels)
    settings = read_settings(recording.parent)
    name = settings.name or recording.stem
    return Corpus(name, (track,), recording.parent, licence=settings.licence, citation=settings.citation)


def _files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and not name.endswith(STEMS)]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _ids(recordings: Iterable[Path], *, root: Path) -> dict[Path, str]:
    """Return the ids of recordings: paths without suffix; where two differ only there, all but the first have it."""
    stems = {path: _stem(path, root) for path in recordings}

    def rank(path: Path) -> tuple[int, Path]:
        suffix = path.suffix.lower()
        return FIRST.index(suffix) if suffix in FIRST else len(FIRST), path

    ids = {stem: path for path, stem in sorted(stems.items(), key=lambda item: rank(item[0]), reverse=True)}
    for path in sorted(set(stems) - set(ids.values())):
        id = path.relative_to(root).as_posix()
        while id in ids:  # of song.wav.mp3, perhaps
            id += path.suffix
        ids[id] = path
    return {path: id for id, path in ids.items()}


def _groups(
    recordings: Iterable[Path], root: Path, ids: Mapping[Path, str], settings: CorpusSettings
) -> tuple[dict[str, str], str]:
    folders = {path: path.parent.relative_to(root).as_posix() for path in recordings}
    by_folder = len(set(folders.values()) - {"."}) > 1
    names = {ids[path]: (_stem(path, root), path.relative_to(root).as_posix()) for path in folders}
    defaults = {
        ids[path]: folder if by_folder and folder != "." else _stem(path, root) for path, folder in folders.items()
    }
    origin = "the folder a recording lies in" if by_folder else "each recording is its own group"
    return assign_groups(root, settings, defaults, origin, names=names)
