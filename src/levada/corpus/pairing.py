"""Which file is the annotation of which recording.

Names are compared as people read them: composed and decomposed letters (NFC, NFD) are the same, suffixes may be in
upper case, and `.txt` may follow `.beats` as Windows adds it. Beside a recording, in its folder `annotations` or
`beats` or one beside its folder, a name of the same stem is its annotation. Where none is there, one of the same stem
in a folder of annotations, beats or labels anywhere in the corpus is, as in BRID (`Data/`, `Annotations/beats/`) and
candombe (`candombe_audio/`, `candombe_annotations/`), provided that it is the only recording of that stem.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from levada.audio import SUFFIXES
from levada.errors import InputError
from levada.folders import MANIFEST, written_files

__all__ = ["ALWAYS", "ANNOTATIONS", "Annotations", "normal"]

ANNOTATIONS = (  # in the order they are preferred, in lower case
    *(".beats", ".beats.txt"),
    *(".svl", ".sv", ".jams", ".npy"),
    *(".textgrid", ".eaf", ".srt", ".vtt", ".mid", ".midi"),
    *(".sv.csv", ".reaper.csv", ".labels.txt", ".audacity.txt"),
    *(".csv", ".tsv", ".txt", ".lab"),
)
ALWAYS = (".beats", ".beats.txt", ".svl", ".jams")  # these are annotations wherever they lie
FOLDERS = ("annotations", "beats")
_OF_BEATS = re.compile(r"annot|beat|label", re.IGNORECASE)  # in the name of a folder
_OF_OTHERS = re.compile(r"onset|tempo|chord|segment|section|struct|key|melod|note|pitch|lyric|stroke", re.IGNORECASE)


def normal(name: str) -> str:
    """Write a name in composed letters (NFC), as different systems write it differently."""
    return unicodedata.normalize("NFC", name)


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
        Beat files that levada itself wrote into a folder of the corpus: no annotations.
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
                        if self._may_lie_apart(path):
                            self._anywhere[stem + suffix].append(path)

    def of(self, recording: Path) -> list[Path]:
        """Find what may be the annotation of a recording, the preferred one first."""
        home = recording.parent
        places = [home, *(home / name for name in FOLDERS), *(home.parent / name for name in FOLDERS)]
        names = [stem + suffix for suffix in ANNOTATIONS for stem in (normal(recording.stem), normal(recording.name))]
        found = [path for name in names for place in places for path in self._in(place).get(name, ())]
        if not found and self._recordings.get(normal(recording.stem)) == [recording]:
            found = [path for name in names for path in self._anywhere.get(name, ())]
        return list(dict.fromkeys(found))

    def inside(self, folder: Path) -> list[Path]:
        """List the files in a folder that are annotations whatever they are called."""
        found = {path for paths in self._in(folder).values() for path in paths}
        return sorted(path for path in found if path.name.lower().endswith(ALWAYS))

    def unused(self, used: Iterable[Path], recordings: Iterable[Path]) -> tuple[Path, ...]:
        """List the annotations whose recording is not here."""
        stems = {normal(recording.stem) for recording in recordings}
        known = {path for by_name in self._by_name.values() for paths in by_name.values() for path in paths}

        def is_lost(path: Path) -> bool:
            name = normal(path.name)
            sure = name.lower().endswith(ALWAYS) or path.parent.name.lower() in FOLDERS
            parts = name.split(".")
            return sure and not any(".".join(parts[:n]) in stems for n in range(1, len(parts)))

        return tuple(sorted(path for path in known - set(used) if is_lost(path)))

    def _in(self, place: Path) -> Mapping[str, list[Path]]:
        return self._by_name.get(place, {})

    def _may_lie_apart(self, path: Path) -> bool:
        folders = path.relative_to(self.root).parts[:-1]
        return any(map(_OF_BEATS.search, folders)) and not _OF_OTHERS.search(folders[-1])


def _machine_made(files: frozenset[Path]) -> frozenset[Path]:
    """Beats that levada found, by its manifests, and nobody has changed since; those of rendered music are exact."""
    found = set[Path]()
    for manifest in files:
        if manifest.name == MANIFEST:
            try:
                found |= written_files(manifest.parent, kind="beats")
            except InputError:  # a damaged manifest says nothing
                continue
    return frozenset(found)
