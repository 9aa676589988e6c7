"""Matching of annotation files with recordings.

Names are compared as they are read: composed and decomposed letters (NFC, NFD) are the same, suffixes may be in
upper case, and `.txt` may follow `.beats` as Windows adds it. Beside a recording, in its folder `annotations` or
`beats` or one beside its folder, a name of the same stem is its annotation. Where none is there, one of the same stem
in a folder of annotations, beats or labels anywhere in the corpus is, as in BRID (`Data/`, `Annotations/beats/`) and
candombe (`candombe_audio/`, `candombe_annotations/`), provided that it is the only recording of that stem.

Annotations of several people are ``song.ana.svl`` beside the recording, or ``annotations/ana/song.svl``. They are used
where one of them is chosen, and by no order of their names.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from levada.errors import InputError
from levada.io.audio import SUFFIXES
from levada.io.formats.provenance import is_unedited
from levada.io.run_folder import MANIFEST, unchanged_files

__all__ = ["ALWAYS", "ANNOTATIONS", "Annotations", "normal", "stem_of"]

ANNOTATIONS = (  # in the order they are preferred, in lower case
    *(".beats", ".beats.txt"),
    *(".svl", ".sv", ".jams", ".npy"),
    *(".textgrid", ".eaf", ".srt", ".vtt", ".mid", ".midi"),
    *(".sv.csv", ".reaper.csv", ".labels.txt", ".audacity.txt"),
    *(".csv", ".tsv", ".txt", ".lab"),
)
ALWAYS = (".beats", ".beats.txt", ".svl", ".jams")  # annotations in any folder
OF_PEOPLE = (*ALWAYS, ".sv", ".textgrid", ".eaf")  # of these, NAME.ANNOTATOR is a name and an annotator
FOLDERS = ("annotations", "beats")
_OF_BEATS = re.compile(r"annot|beat|label", re.IGNORECASE)  # in the name of a folder
_OF_OTHERS = re.compile(r"onset|tempo|chord|segment|section|struct|key|melod|note|pitch|lyric|stroke", re.IGNORECASE)


def normal(name: str) -> str:
    """Return a name in composed letters (NFC): systems differ."""
    return unicodedata.normalize("NFC", name)


def stem_of(path: Path) -> str:
    """Return the name of an annotation without its suffix, in composed letters."""
    name = normal(path.name)
    return next((name[: -len(suffix)] for suffix in ANNOTATIONS if name.lower().endswith(suffix)), name)


class Annotations:
    """The files of a corpus that may be annotations of beats, found by the recording.

    Parameters
    ----------
    root : Path
        The folder of the corpus.
    files : iterable of Path
        All files in it.

    Attributes
    ----------
    machine_made : frozenset of Path
        Beat files that levada itself wrote into a folder of the corpus: they are no annotations.
    """

    def __init__(self, root: Path, files: Iterable[Path]) -> None:
        self.root, self.files = root, frozenset(files)
        self.machine_made = _machine_made(self.files)
        self._by_name: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        self._anywhere: dict[str, list[Path]] = defaultdict(list)
        self._recordings: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(self.files):
            if path.suffix.lower() in SUFFIXES:
                self._recordings[normal(path.stem)].append(path)
            elif path not in self.machine_made:
                name = normal(path.name)
                for suffix in ANNOTATIONS:
                    if name.lower().endswith(suffix):
                        stem = name[: -len(suffix)]
                        self._by_name[path.parent][stem + suffix].append(path)
                        if self._may_be_apart(path):
                            self._anywhere[stem + suffix].append(path)

    def of(self, recording: Path, *, annotator: str = "") -> list[Path]:
        """Find the possible annotations of a recording, or those of one annotator, the preferred one first."""
        if annotator:
            own = self.by_annotator(recording).get(normal(annotator))
            return [own] if own is not None else []
        home = recording.parent
        folders = [home, *(home / name for name in FOLDERS), *(home.parent / name for name in FOLDERS)]
        names = [stem + suffix for suffix in ANNOTATIONS for stem in (normal(recording.stem), normal(recording.name))]
        found = [path for name in names for folder in folders for path in self._in(folder).get(name, ())]
        if not found and self._recordings.get(normal(recording.stem)) == [recording]:
            found = [path for name in names for path in self._anywhere.get(name, ())]
        return list(dict.fromkeys(found))

    def by_annotator(self, recording: Path) -> dict[str, Path]:
        """Find annotations of a recording that are of several people, by annotator, the preferred format of each."""
        home, stem = recording.parent, normal(recording.stem)
        found = dict[str, Path]()
        folders = [home, *(home / name for name in FOLDERS), *(home.parent / name for name in FOLDERS)]
        for suffix in ANNOTATIONS:
            for folder in folders:
                for name, paths in self._in(folder).items():
                    person = name[len(stem) + 1 : -len(suffix)]
                    if suffix in OF_PEOPLE and name == f"{stem}.{person}{suffix}" and _is_person(person):
                        found.setdefault(person, paths[0])
                if folder.name in FOLDERS:
                    for own in (one for one in self._by_name if one.parent == folder and _is_person(one.name)):
                        for path in self._in(own).get(stem + suffix, ()):
                            found.setdefault(normal(own.name), path)
        return dict(sorted(found.items()))

    def inside(self, folder: Path) -> list[Path]:
        """List the files in a folder that are annotations whatever they are called."""
        found = {path for paths in self._in(folder).values() for path in paths}
        return sorted(path for path in found if path.name.lower().endswith(ALWAYS))

    def unused(self, used: Iterable[Path], recordings: Iterable[Path]) -> tuple[Path, ...]:
        """List the annotations whose recording is not here."""
        stems = {normal(recording.stem) for recording in recordings}
        every = {path for by_name in self._by_name.values() for paths in by_name.values() for path in paths}

        def has_no_recording(path: Path) -> bool:
            name = normal(path.name)
            sure = name.lower().endswith(ALWAYS) or path.parent.name.lower() in FOLDERS
            parts = name.split(".")
            return sure and not any(".".join(parts[:n]) in stems for n in range(1, len(parts)))

        return tuple(sorted(path for path in every - set(used) if has_no_recording(path)))

    def _in(self, folder: Path) -> Mapping[str, list[Path]]:
        return self._by_name.get(folder, {})

    def _may_be_apart(self, path: Path) -> bool:
        folders = path.relative_to(self.root).parts[:-1]
        return any(map(_OF_BEATS.search, folders)) and not _OF_OTHERS.search(folders[-1])


def _is_person(name: str) -> bool:
    """Whether a name may be an annotator's: no number, nothing that is a suffix, and no other kind of annotation."""
    suffixes = {one.strip(".") for suffix in (*ANNOTATIONS, *SUFFIXES) for one in suffix.split(".")}
    return (
        bool(re.fullmatch(r"[^\W\d][\w-]*", name))
        and name.lower() not in suffixes
        and not (_OF_OTHERS.search(name) or _OF_BEATS.search(name))
    )


def _machine_made(files: frozenset[Path]) -> frozenset[Path]:
    """Return files of estimated beats that were not edited, by marks and manifests; rendered beats are exact."""
    found = {file for file in files if file.name.lower().endswith(ANNOTATIONS) and is_unedited(file)}
    for manifest in files:
        if manifest.name == MANIFEST:
            try:
                found |= unchanged_files(manifest.parent, kind="beats")
            except InputError:  # a damaged manifest is ignored
                continue
    return frozenset(found)
