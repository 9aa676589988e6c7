"""``corpus.toml``: names, licence, groups and labels of a folder of recordings or of songs with stems."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from levada.data.corpus import Corpus
from levada.data.metadata import read_groups
from levada.data.pairing import normal
from levada.data.tracks import T
from levada.errors import InputError
from levada.io.formats import check_convention
from levada.io.toml import line_of, read_toml

__all__ = ["TOML", "CorpusSettings", "assign_groups", "exclude_recordings", "read_settings"]

TOML = "corpus.toml"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CorpusSettings:
    """The content of corpus.toml.

    Parameters
    ----------
    name, licence, citation : str
    groups : mapping of str to str
        A track's id or a pattern -> its group.
    groups_csv : Path, optional
        A table of groups.
    groups_column : str
        The column of groups in it; recognised by default.
    instruments : mapping of str to str
        In a corpus of stems, a file or a pattern -> its instrument.
    layout : str
        Of a corpus of stems: "songs" or "solos"; recognised by default.
    convention : str
        Of beat labels, a name in `levada.io.formats.CONVENTIONS`; recognised by default.
    annotator : str
        Whose beat labels are used, where there are those of several people.
    readings : tuple of str
        Annotators whose beat labels are as right as these: other readings of the same recordings.
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
    readings: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def corpus(self, root: Path, tracks: Iterable[T], **properties: Any) -> Corpus[T]:
        """Return a corpus of tracks, sorted by id, with the name, licence and citation of corpus.toml."""
        ordered = tuple(sorted(tracks, key=lambda track: track.id))
        name = self.name or root.resolve().name
        return Corpus(name, ordered, root, licence=self.licence, citation=self.citation, **properties)


def read_settings(folder: Path, *, groups: Mapping[str, str] | str | Path | None = None) -> CorpusSettings:
    """Read and check corpus.toml, if the folder has one.

    Parameters
    ----------
    folder : Path
    groups : mapping of str to str, path-like or None
        Used in place of those of corpus.toml: a track's id or a pattern -> its group, or a table of groups.

    Raises
    ------
    InputError
        If there is no such folder, or an entry is wrong; names the line.
    """
    if folder.is_file():
        raise InputError("is a file; a corpus is a folder of recordings and their labels", path=folder)
    if not folder.is_dir():
        raise InputError("there is no such folder", path=folder)
    settings = _read(folder / TOML) if (folder / TOML).is_file() else CorpusSettings()
    if isinstance(groups, str | Path):
        return replace(settings, groups={}, groups_csv=Path(groups), groups_column="")
    return settings if groups is None else replace(settings, groups=groups, groups_csv=None)


def _read(path: Path) -> CorpusSettings:
    entries = read_toml(path)

    def wrong(problem: str, *keys: str) -> InputError:
        return InputError(problem, path=path, line=line_of(path, *keys))

    if "license" in entries:
        entries.setdefault("licence", entries.pop("license"))
    tables: dict[str, dict[str, Any]] = {name: entries.pop(name, {}) for name in ("groups", "instruments", "labels")}
    exclude = entries.pop("exclude", [])
    if not isinstance(exclude, list) or not all(isinstance(pattern, str) and pattern for pattern in exclude):
        raise wrong('exclude must be a list of patterns: exclude = ["*overhead*", "*room*"]', "exclude")
    for key, value in entries.items():
        if key not in ("name", "licence", "citation", "layout"):
            what = "name, licence, citation, exclude, [groups] and [labels]; for stems layout and [instruments] too"
            raise wrong(f"{key!r} is not known; it may hold {what}", key)
        if not isinstance(value, str):
            raise wrong(f"{key} must be text in quotation marks", key)
    if entries.get("layout", "songs") not in ("songs", "solos"):
        raise wrong(f"layout must be songs or solos, not {entries['layout']!r}", "layout")
    for name, of, item in (("groups", "group", "a track"), ("instruments", "instrument", "a file"), ("labels", "", "")):
        if not isinstance(tables[name], dict):
            raise wrong(f"{name} must be a table: [{name}]", name)
        for key, value in tables[name].items():
            if of and (not isinstance(value, str) or not value):
                problem = f"the {of} of {key!r} must be a name in quotation marks; {item} with dots or slashes too"
                raise wrong(problem, name, key)
    readings = tables["labels"].pop("readings", [])
    if not isinstance(readings, list) or not all(isinstance(name, str) and name for name in readings):
        raise wrong('readings must be a list of annotators: readings = ["ana", "half-bar"]', "labels", "readings")
    for key, value in tables["labels"].items():
        if key not in ("convention", "annotator") or not isinstance(value, str):
            what = "a convention and an annotator in quotation marks, and a list of readings"
            raise wrong(f"[labels] holds {what}, not {key!r}", "labels", key)
        if key == "convention":
            try:
                check_convention(value)
            except InputError as error:
                raise wrong(error.problem, "labels", key) from error
    table, column, groups = None, "", tables["groups"]
    if str(groups.get("csv", "")).lower().endswith((".csv", ".tsv", ".txt")):
        table, column = path.parent / groups.pop("csv"), groups.pop("column", "")
    return CorpusSettings(
        **entries, groups=groups, groups_csv=table, groups_column=column, instruments=tables["instruments"],
        exclude=tuple(exclude), readings=tuple(dict.fromkeys(map(normal, readings))), **tables["labels"],
    )  # fmt: skip


def exclude_recordings(recordings: Iterable[Path], folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the recordings that ``exclude`` of corpus.toml does not leave out.

    A pattern is compared with the path inside the folder, with and without suffix, whatever the case of letters.

    Raises
    ------
    InputError
        If nothing is left.
    """
    rules = {pattern: normal(pattern).casefold() for pattern in patterns}
    chosen, used = list[Path](), set[str]()
    for path in recordings:
        relative = path.relative_to(folder)
        forms = [normal(form.as_posix()).casefold() for form in (relative, relative.with_suffix(""))]
        matching = {pattern for pattern, rule in rules.items() if any(fnmatchcase(form, rule) for form in forms)}
        used |= matching
        chosen += [] if matching else [path]
    toml = folder / TOML
    for pattern in rules:
        if pattern not in used:
            _log.warning("%s: line %s: exclude: no recording is called %r", toml, line_of(toml, "exclude"), pattern)
    if not chosen:
        raise InputError("exclude leaves out every recording", path=toml, line=line_of(toml, "exclude"))
    return chosen


def assign_groups(
    folder: Path,
    settings: CorpusSettings,
    defaults: Mapping[str, str],
    origin: str,
    *,
    names: Mapping[str, Iterable[str]] | None = None,
) -> tuple[dict[str, str], str]:
    """Return the group of every track, and a sentence on the origin of the groups.

    Parameters
    ----------
    folder : Path
    settings : CorpusSettings
    defaults : mapping of str to str
        Id of every track -> its group where the settings have none.
    origin : str
        The origin of these.
    names : mapping of str to iterable of str, optional
        Id -> other names of the track.
    """
    if not settings.groups and settings.groups_csv is None:
        return dict(defaults), origin
    other_names = {id: tuple((names or {}).get(id, ())) for id in defaults}
    listed, sources = dict[str, str](), [TOML] if settings.groups else []
    if settings.groups_csv is not None:
        listed, column = read_groups(settings.groups_csv, other_names, column=settings.groups_column)
        sources.append(f"column {column} of {settings.groups_csv.name}")
    groups, matched, missed = dict[str, str](), set[str](), False
    for id, default in defaults.items():
        forms = {normal(form) for form in (id, *other_names[id])}
        patterns = [pattern for pattern in settings.groups if normal(pattern) in forms]
        patterns += [p for p in settings.groups if any(fnmatchcase(form, normal(p)) for form in forms)]
        matched.update(patterns)
        missed |= not patterns and id not in listed
        groups[id] = settings.groups[patterns[0]] if patterns else listed.get(id, default)
    toml = folder / TOML
    for pattern in (pattern for pattern in settings.groups if pattern not in matched):
        line = line_of(toml, "groups", pattern) if toml.is_file() else None
        _log.warning("%s: line %s: [groups]: no recording is called %r", toml, line, pattern)
    return groups, " and ".join(sources) + (f"; otherwise {origin}" if missed else "")
