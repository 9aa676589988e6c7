"""A folder of recordings with annotations beside them.

The annotation of ``song.wav`` is ``song.beats`` or ``song.wav.beats``, or another format under the same stem,
in the same folder, in its sub-folder ``annotations`` or ``beats``, or in a folder of that name beside it, or apart from
the recordings (`levada.data.pairing`). A stem must agree exactly: ``song.onsets.txt`` is not one. Where several
agree, ``.beats`` comes first.

An optional ``corpus.toml`` in the folder names things::

    name = "Ansina and Cuareim"
    exclude = ["*rehearsal*"]   # recordings that are left out: patterns of their paths, in upper or lower case
    licence = "CC BY 4.0"
    citation = "Nunes et al., ISMIR 2015"

    [groups]                    # performer, session or instrument set of each track
    "1995/ansina*" = "ansina"   # a track's id (its path without suffix) or a pattern; an exact id goes first
    "1995/take7" = "cuareim"
    csv = "metadata.csv"        # or a table with a row for each recording (`levada.data.metadata`)
    column = "performer"        # which of its columns is the group, where that cannot be told

    [labels]
    convention = "zero-based"   # what all labels mean, where it cannot be told (docs/labels.md)
    annotator = "ana"           # whose labels, where there are song.ana.svl, song.bea.svl or annotations/ana/song.svl

Tracks it leaves out, and all where there is none, are grouped by their folder where at least two sub-folders
hold recordings; otherwise each is its own group. Of recordings that differ only in the suffix, one keeps the plain id:
the first in the order wav, flac, aiff, and the others by name; the other ids have their suffix. Folders called
``song.stems`` hold what single instruments of a recording play, and are passed over.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from levada.data.corpus import Corpus
from levada.data.metadata import read_groups
from levada.data.pairing import ANNOTATIONS, Annotations, normal, stem_of
from levada.data.problems import Problem, listed, others
from levada.data.tracks import Track
from levada.errors import InputError
from levada.io.audio import SUFFIXES
from levada.io.formats import check_convention
from levada.io.formats.provenance import is_unedited
from levada.io.toml import line_of, read_toml

__all__ = [
    "STEMS",
    "TOML",
    "Facts",
    "annotations_of",
    "open_folder",
    "read_facts",
    "single",
    "without_excluded",
]

FIRST = (".wav", ".flac", ".aiff", ".aif")  # of recordings that differ only in the suffix: the original
STEMS = ".stems"
TOML = "corpus.toml"

_OF_NOBODY = re.compile(r"levada-|(readme|licen[cs]e|citation)\b", re.IGNORECASE)  # names that need no note

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Facts:
    """What corpus.toml says.

    Parameters
    ----------
    name, licence, citation : str
    groups : mapping of str to str
        A track's id or a pattern -> its group.
    groups_csv : Path, optional
        A table of groups.
    groups_column : str
        The column of it that has them; empty where it is to be found out.
    instruments : mapping of str to str
        In a corpus of stems, a file or a pattern -> its instrument.
    layout : str
        Of a corpus of stems: "songs", "solos", or empty where it is to be found out.
    convention : str
        What the labels of beats mean, a name in `levada.io.formats.CONVENTIONS`; empty where it is recognised.
    annotator : str
        Whose labels of beats are used, where there are those of several people.
    exclude : tuple of str
        Patterns of recordings that are left out.
    """

    name: str = ""
    licence: str = ""
    citation: str = ""
    groups: Mapping[str, str] = field(default_factory=dict)
    groups_csv: Path | None = None
    groups_column: str = ""
    instruments: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""
    convention: str = ""
    annotator: str = ""
    exclude: tuple[str, ...] = ()


def open_folder(folder: str | Path, *, convention: str = "") -> Corpus:
    """Find the recordings in a folder and its sub-folders, and the annotation of each.

    Hidden files, links to folders and folders of stems are passed over. Neither audio nor annotations are read.

    Parameters
    ----------
    folder : path-like
        The folder.
    convention : str
        What all labels mean, a name in `levada.io.formats.CONVENTIONS`; that of `corpus.toml`, or recognised, if left
        out.

    Returns
    -------
    Corpus
        Tracks without annotation included: they can be tracked later.

    Raises
    ------
    InputError
        If there is no such folder, no audio in it, or its `corpus.toml` is wrong.
    """
    root = Path(folder)
    if root.is_file():
        raise InputError("is a file; a corpus is a folder of recordings with annotations beside them", path=root)
    if not root.is_dir():
        raise InputError("there is no such folder", path=root)
    files = _files(root)
    recordings = [path for path in files if path.suffix.lower() in SUFFIXES]
    if not recordings:
        looked = ", ".join(sorted(SUFFIXES))
        raise InputError(f"has no audio files; looked for {looked}, in sub-folders too", path=root)
    facts = read_facts(root / TOML) if (root / TOML).is_file() else Facts()
    everything, recordings = recordings, without_excluded(recordings, root, facts.exclude)
    annotations = Annotations(root, files)
    people = {path: annotations.by_annotator(path) for path in recordings}
    annotators = tuple(sorted({name for one in people.values() for name in one}))
    if facts.annotator and normal(facts.annotator) not in annotators:
        problem = (
            f"there are no labels of an annotator {facts.annotator!r}; annotators: {', '.join(annotators) or 'none'}"
        )
        raise InputError(problem, path=root / TOML, line=line_of(root / TOML, "labels", "annotator"))
    found = {path: annotations.of(path, annotator=facts.annotator) for path in recordings}
    if len(annotators) > 1 and not facts.annotator:  # nobody is chosen by the order of names
        found = {path: [one for one in own if one not in people[path].values()] for path, own in found.items()}
    ids = _ids(recordings, root=root)
    groups, grouping = _groups(recordings, root=root, ids=ids, facts=facts)
    used = {path for paths in found.values() for path in paths}
    strays = annotations.unused(used, everything)
    known = {*everything, *used, *strays, *annotations.machine_made, root / TOML, facts.groups_csv}
    known |= {path for one in people.values() for path in one.values()}
    known |= {path for one in set(everything) - set(recordings) for path in annotations.of(one)}
    ignored = [path for path in files if path not in known and not _OF_NOBODY.match(path.name)]
    tracks = [
        Track(
            id=ids[path],
            audio=path,
            annotation=found[path][0] if found[path] else None,
            group=groups[path],
            alternatives=tuple(found[path][1:]),
            convention=convention or facts.convention,
        )
        for path in recordings
    ]
    return Corpus(
        name=facts.name or root.resolve().name,
        tracks=tuple(sorted(tracks, key=lambda track: track.id)),
        root=root,
        licence=facts.licence,
        citation=facts.citation,
        grouping=grouping,
        notes=tuple(
            _notes(root, strays, sorted(annotations.machine_made), ignored, () if facts.annotator else annotators)
        ),
    )


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
        names = listed(path.relative_to(root).as_posix() for path in ignored)
        yield Problem("note", f"has files that are not used: {names}", root)
    if len(annotators) > 1:
        what = f"has annotations of {', '.join(annotators)}, which are used only where corpus.toml selects one"
        yield Problem("note", f'{what}: [labels] annotator = "{annotators[0]}"', root)


def without_excluded(recordings: Iterable[Path], root: Path, patterns: Iterable[str]) -> list[Path]:
    """Choose the recordings that ``exclude`` of corpus.toml does not leave out.

    A pattern is compared with the path inside the folder, with and without suffix, whatever the case of letters.

    Raises
    ------
    InputError
        If nothing is left.
    """
    rules = {pattern: normal(pattern).casefold() for pattern in patterns}
    chosen, used = list[Path](), set[str]()
    for path in recordings:
        own = path.relative_to(root)
        forms = [normal(form.as_posix()).casefold() for form in (own, own.with_suffix(""))]
        matching = {pattern for pattern, rule in rules.items() if any(fnmatchcase(form, rule) for form in forms)}
        used |= matching
        chosen += [] if matching else [path]
    toml = root / TOML
    for pattern in rules:
        if pattern not in used:
            _log.warning("%s: line %s: exclude: no recording is called %r", toml, line_of(toml, "exclude"), pattern)
    if not chosen:
        raise InputError("exclude leaves out every recording", path=toml, line=line_of(toml, "exclude"))
    return chosen


def annotations_of(folder: str | Path, annotator: str = "") -> dict[str, Path]:
    """Find beat files by the recording they belong to, whether the recordings are there or not.

    Parameters
    ----------
    folder : path-like
        A folder of beat files, or of recordings with beat files.
    annotator : str
        Of whom, in a folder of recordings that several people annotated.

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
    """One recording of which a part is annotated, as a corpus of one track.

    Parameters
    ----------
    audio : path-like
        The recording.
    labels : path-like
        Beats of a part of it, in any format `levada.io.formats` reads.
    convention : str
        What the labels mean; recognised if left out.

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
    _ = track.labels  # what cannot be read is said here
    if is_unedited(annotation):
        _log.warning(
            "%s: was written by levada and not edited since: a model learns nothing from its own beats", labels
        )
    toml = recording.parent / TOML
    facts = read_facts(toml) if toml.is_file() else Facts()
    name = facts.name or recording.stem
    return Corpus(name, (track,), recording.parent, licence=facts.licence, citation=facts.citation)


def _files(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and not name.endswith(STEMS)]
        found += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _ids(recordings: Iterable[Path], *, root: Path) -> dict[Path, str]:
    """Name recordings by their paths without suffix; where two differ only there, all but the first have it."""
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
    recordings: Iterable[Path], *, root: Path, ids: Mapping[Path, str], facts: Facts
) -> tuple[dict[Path, str], str]:
    """Group every recording, and say in a sentence where the groups come from."""
    homes = {path: path.parent.relative_to(root).as_posix() for path in recordings}
    by_folder = len(set(homes.values()) - {"."}) > 1
    otherwise = "the folder a recording lies in" if by_folder else "each recording is its own group"
    named, source = facts.groups, TOML
    groups, matched, missed = dict[Path, str](), set[str](), 0
    listed = dict[str, str]()
    if facts.groups_csv is not None:
        called = {ids[path]: (_stem(path, root), path.relative_to(root).as_posix()) for path in homes}
        listed, column = read_groups(facts.groups_csv, called, column=facts.groups_column)
        source = " and ".join([TOML] * bool(named) + [f"column {column} of {facts.groups_csv.name}"])
    for path, home in homes.items():
        stem = _stem(path, root)
        names = {normal(ids[path]), normal(stem)}
        patterns = [p for p in named if normal(p) in names]
        patterns += [p for p in named if any(fnmatchcase(name, normal(p)) for name in names)]
        matched.update(patterns)
        missed += not patterns and ids[path] not in listed
        own = home if by_folder and home != "." else stem
        groups[path] = named[patterns[0]] if patterns else listed.get(ids[path], own)
    for pattern in named:
        if pattern not in matched:
            toml = root / TOML
            _log.warning(
                "%s: line %s: [groups]: no recording is called %r", toml, line_of(toml, "groups", pattern), pattern
            )
    if not named and facts.groups_csv is None:
        return groups, otherwise
    return groups, source + (f"; where it says nothing, {otherwise}" if missed else "")


def read_facts(path: Path) -> Facts:
    """Read and check corpus.toml."""
    known = read_toml(path)
    if "license" in known and "licence" not in known:
        known["licence"] = known.pop("license")
    groups, instruments, labels = (known.pop(what, {}) for what in ("groups", "instruments", "labels"))
    exclude = known.pop("exclude", [])
    if not isinstance(exclude, list) or not all(isinstance(pattern, str) and pattern for pattern in exclude):
        problem = 'exclude must be a list of patterns: exclude = ["*overhead*", "*room*"]'
        raise InputError(problem, path=path, line=line_of(path, "exclude"))
    for what, table in (("groups", groups), ("instruments", instruments), ("labels", labels)):
        if not isinstance(table, dict):
            raise InputError(f"{what} must be a table: [{what}]", path=path, line=line_of(path, what))
    for key, value in known.items():
        if key not in ("name", "licence", "citation", "layout"):
            raise InputError(
                f"{key!r} is not known; it may hold name, licence, citation, exclude, [groups] and [labels]; "
                "for stems layout and [instruments] too",
                path=path,
                line=line_of(path, key),
            )
        if not isinstance(value, str):
            raise InputError(f"{key} must be text in quotation marks", path=path, line=line_of(path, key))
    for key, value in groups.items():
        if not isinstance(value, str) or not value:
            problem = f"the group of {key!r} must be a name in quotation marks; a track with dots or slashes too"
            raise InputError(problem, path=path, line=line_of(path, "groups", key))
    table, column = "", ""
    if str(groups.get("csv", "")).lower().endswith((".csv", ".tsv", ".txt")):
        table, column = groups.pop("csv"), groups.pop("column", "")
    for key, value in instruments.items():
        if not isinstance(value, str) or not value:
            problem = f"the instrument of {key!r} must be a name in quotation marks; a file with dots or slashes too"
            raise InputError(problem, path=path, line=line_of(path, "instruments", key))
    for key, value in labels.items():
        if key not in ("convention", "annotator") or not isinstance(value, str):
            problem = f"[labels] holds a convention and an annotator in quotation marks, not {key!r}"
            raise InputError(problem, path=path, line=line_of(path, "labels", key))
        if key == "annotator":
            continue
        try:
            check_convention(value)
        except InputError as error:
            raise InputError(error.problem, path=path, line=line_of(path, "labels", key)) from error
    if known.get("layout", "songs") not in ("songs", "solos"):
        problem = f"layout must be songs or solos, not {known['layout']!r}"
        raise InputError(problem, path=path, line=line_of(path, "layout"))
    listed = path.parent / table if table else None
    return Facts(
        **known, groups=groups, groups_csv=listed, groups_column=column, instruments=instruments,
        exclude=tuple(exclude), **labels,
    )  # fmt: skip
