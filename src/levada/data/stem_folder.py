"""Folders of stems: a folder a song with a file an instrument, or solos that are named by their instrument.

::

    roda-1/mixture.wav  roda-1/surdo.wav  roda-1/tamborim-1.wav  roda-1/tamborim-2.wav  roda-1/mixture.beats
    solos/surdo-1.wav   solos/surdo-2.wav   solos/caixa.wav         or  solos/surdo/ansina.wav
    NAME_MIX.wav  NAME_STEMS/NAME_STEM_01.wav  NAME_METADATA.yaml   as MedleyDB has it
    NAME.wav      NAME.stems/surdo.wav                              as levada renders corpora of beats
    roda-2/surdo_L.wav  roda-2/surdo_R.wav                          mono files of two channels of one stem

The mixture is not needed, nor are the beats; which stems a song has may differ. A ``corpus.toml`` in the folder may
name things, with ``[groups]`` as for other corpora, and where the names of files do not name instruments::

    layout = "solos"               # or "songs": whether files of one folder play together
    exclude = ["*overhead*", "*room*"]      # files that are left out: patterns of their paths, in any case of letters

    [instruments]
    "Reggae/stem_03" = "drums"     # a file's path without suffix, or a pattern; an exact one goes first
    "Reggae/surdo-1" = "surdo-1"   # names given here keep their numbers; others do not: surdo-1 and surdo-2 are surdo

Files without a mixture, of which several have the name of one instrument, are a song if most of them end together, or
if another folder has files of these names and a mixture; otherwise they are solos. Files that are in different groups
are solos. What was decided is in the notes of
the corpus. Stems that are silent throughout are left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from levada.data.corpus import Corpus
from levada.data.corpus_toml import TOML, CorpusSettings, assign_groups, exclude_recordings, read_settings
from levada.data.folder import STEMS
from levada.data.medleydb import read_metadata
from levada.data.multitracks import Multitrack, audio_info
from levada.data.pairing import Annotations
from levada.data.problems import Problem, others
from levada.data.song_preparation import prepare_songs
from levada.errors import InputError
from levada.io import audio
from levada.io.toml import line_of
from levada.synth.instrument_names import find_instrument, find_voice, normalise_name, slug

__all__ = ["brid_solo", "open_stem_folder", "song_kinds"]

MIXTURES = ("mixture", "mix", "mixdown", "master", "full-mix", "mezcla", "mistura")
MEDLEYDB, RAW = "_stems", "_raw"
BETTER = (".wav", ".flac", ".aiff", ".aif", ".w64", ".caf")  # of one recording in several formats
BRID = re.compile(r"\[\d{4}\] S\d*-?([A-Z]{2})\d*-")
BRID_NAMES = {
    "AG": "agogo", "CU": "cuica", "CX": "caixa", "PD": "pandeiro", "RP": "repique",
    "RR": "reco-reco", "SK": "shaker", "SU": "surdo", "TB": "tamborim", "TT": "tanta",
}  # fmt: skip
LEFT = re.compile(r"(.+?)[\s._(\[-]+(?:l|left)[)\]]?", re.IGNORECASE)  # names of files of one channel
RIGHT = re.compile(r"(.+?)[\s._(\[-]+(?:r|right)[)\]]?", re.IGNORECASE)
ALIKE_S = 0.05  # files of one length to within this were exported together


@dataclass(frozen=True)
class _Song:
    """A song before its instruments have their names."""

    id: str
    stems: tuple[tuple[str, Path], ...]  # name and file
    mixture: Path | None
    annotation: Path | None
    home: Path  # the folder that is its group
    artist: str = ""


def open_stem_folder(
    folder: str | Path,
    *,
    instruments: Mapping[str, str] | None = None,
    groups: Mapping[str, str] | str | Path | None = None,
) -> Corpus[Multitrack]:
    """Find the songs and solos in a folder and its sub-folders. Audio is read until it is not silent.

    `instruments` (a file's path without suffix, or a pattern -> its instrument) and `groups` go before those of
    ``corpus.toml``; see `levada.data.load_corpus`.

    Raises
    ------
    InputError
        If there is no such folder, no stems are in it, or its `corpus.toml` is wrong.
    """
    root = Path(folder)
    settings = read_settings(root, groups=groups)
    tree = _Tree(root, settings, dict(instruments or {}))
    if not tree.audio:
        raise InputError(f"has no audio files; looked for {', '.join(sorted(audio.SUFFIXES))}", path=root)
    found = sorted(tree.songs(), key=lambda song: song.id)
    if not found:
        raise InputError(
            "has recordings but no stems: looked for folders with a file an instrument (mixture.wav, surdo.wav, "
            "tamborim.wav …), for solos named by instrument (surdo-1.wav, or surdo/take.wav), and for NAME_STEMS and "
            f"NAME.stems; {TOML} may name files under [instruments]",
            path=root,
        )
    tree.check_names()
    folders = {song.home for song in found} - {root}
    defaults = {
        song.id: song.artist
        or (song.home.relative_to(root).as_posix() if len(folders) > 1 and song.home in folders else song.id)
        for song in found
    }
    origin = "the folder a song lies in" if len(folders) > 1 else "each song is its own group"
    if any(song.artist for song in found):
        origin = f"the artist; where none is named, {origin}"
    group_of, grouping = assign_groups(root, settings, defaults, origin)
    songs = (_multitrack(song, group_of[song.id], tree.right) for song in found)
    notes = (*tree.notes, *_unused(sorted(set(tree.unused))))
    corpus = settings.corpus(root, songs, grouping=grouping, notes=notes)
    return prepare_songs(corpus, kept=tree.kept)


def _unused(recordings: Sequence[Path]) -> list[Problem]:
    what = f"is not used{others(len(recordings))}: neither a stem nor the mixture of one"
    return [Problem("note", what, recordings[0])] if recordings else []


def song_kinds(folder: str | Path) -> tuple[bool, bool]:
    """Return whether a folder has songs whose mixture lies beside their stems, and others whose files name instruments.

    Raises
    ------
    InputError
        If its `corpus.toml` is wrong.
    """
    tree = _Tree(Path(folder), read_settings(Path(folder)), {})
    kinds = {
        song.mixture is not None and song.stems[0][1].parent == song.mixture.parent
        for song in tree.songs()
        if song.mixture is not None or any(find_instrument(name) for name, _ in song.stems)
    }
    return True in kinds, False in kinds


def brid_solo(name: str) -> str | None:
    """Return the instrument of a solo of BRID by its track id, such as "[0216] S2-TB3-02-SE"; None for mixtures."""
    found = BRID.match(name)
    return BRID_NAMES.get(found[1]) if found else None


class _Tree:
    """The recordings of a folder, and the songs and solos they form."""

    def __init__(self, root: Path, settings: CorpusSettings, given: Mapping[str, str]) -> None:
        self.root, self.layout, self.given, self.named = root, settings.layout, given, settings.instruments
        self.groups = settings.groups
        self.used: set[str] = set()
        self.unused: list[Path] = []
        self.kept: set[str] = set()  # names that the user gave
        self.notes: list[Problem] = []
        self.audio: dict[Path, list[Path]] = {}
        self.right: dict[Path, Path] = {}  # the right channel, of a left one that is a file of its own
        everything: set[Path] = set()
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            files = sorted(Path(folder, name) for name in names if not name.startswith("."))
            everything.update(files)
            recordings = [path for path in files if path.suffix.lower() in audio.SUFFIXES]
            if recordings and not folder.lower().endswith(RAW):
                self.audio[Path(folder)] = recordings
        if settings.exclude and self.audio:
            every = [path for files in self.audio.values() for path in files]
            used = set(exclude_recordings(every, root, settings.exclude))
            chosen = {folder: [path for path in files if path in used] for folder, files in self.audio.items()}
            self.audio = {folder: files for folder, files in chosen.items() if files}
            if len(used) < len(every):
                what = f"exclude leaves out {len(every) - len(used)} of {len(every)} recordings"
                self.notes.append(Problem("note", what, root / TOML, line_of(root / TOML, "exclude")))
        self.audio = {folder: self._paired(self._once(files)) for folder, files in self.audio.items()}
        self.annotations = Annotations(root, everything)

    def songs(self) -> Iterator[_Song]:
        """Yield every song and every solo."""
        for folder in [at for at in self.audio if at != self.root and at.name.lower().endswith((STEMS, MEDLEYDB))]:
            yield self._beside(folder, self.audio.pop(folder))
        for folder, files in self.audio.items():
            if files:
                yield from self._inside(folder, files)

    def check_names(self) -> None:
        """Raise for names given for files that do not exist: they are misspelt."""
        for pattern in {**self.named, **self.given}:
            if pattern not in self.used:
                toml = self.root / TOML
                line = line_of(toml, "instruments", pattern) if pattern in self.named else None
                path = toml if pattern in self.named else self.root
                raise InputError(f"no stem is called {pattern!r}", path=path, line=line)

    def _beside(self, folder: Path, files: list[Path]) -> _Song:
        """Return the song of a folder of stems that is beside its mixture."""
        base = folder.name[: -len(STEMS)]
        home = folder.parent
        around = self.audio.get(home, [])
        called = (base.lower(), f"{base}_mix".lower())
        mixture = next((path for path in around if self._stem(path).lower() in called), None)
        if mixture is not None:
            self.audio[home] = [path for path in around if path != mixture]
        named, artist = dict[str, str](), ""
        for at in (home, self.root, self.root / "Metadata", self.root / "METADATA"):
            if (at / f"{base}_METADATA.yaml").is_file():
                named, artist = read_metadata(at / f"{base}_METADATA.yaml")
                break
        names = self._instrument_names(files, {path: named[path.name] for path in files if path.name in named})
        own = home if home.name == base and home != self.root else home / base
        annotations = self.annotations.of(mixture or home / f"{base}.wav")
        return _Song(
            own.relative_to(self.root).as_posix(),
            tuple((names[path], path) for path in files),
            mixture,
            annotations[0] if annotations else None,
            own.parent,
            artist,
        )

    def _inside(self, folder: Path, files: list[Path]) -> Iterator[_Song]:
        """Yield the song of a folder, or its solos."""
        mixtures = [path for path in files if self._is_mixture(path, folder)]
        mixtures.sort(key=lambda path: [*MIXTURES, name := self._plain(path)].index(name))
        stems = [path for path in files if path not in mixtures]
        names = self._instrument_names(stems, {})
        is_song = bool(mixtures) if self.layout == "" else self.layout == "songs"
        if not stems:
            self.unused += mixtures
        elif is_song or (self.layout == "" and self._is_song(folder, stems, names)):
            self.unused += mixtures[1:]
            yield self._song(folder, stems, names, mixtures[0] if mixtures else None)
        else:
            self.unused += mixtures
            yield from self._solos(folder, stems, names)

    def _song(self, folder: Path, stems: list[Path], names: Mapping[Path, str], mixture: Path | None) -> _Song:
        annotations = [
            *self.annotations.of(mixture or folder / "mixture.wav"),
            *self.annotations.inside(folder),
            *self.annotations.of(folder.parent / f"{folder.name}.wav"),
        ]
        own = folder.relative_to(self.root).as_posix() if folder != self.root else self.root.resolve().name
        files = tuple((names[path], path) for path in stems)
        return _Song(own, files, mixture, annotations[0] if annotations else None, folder.parent)

    def _solos(self, folder: Path, files: list[Path], names: Mapping[Path, str]) -> Iterator[_Song]:
        of = normalise_name(folder.name) if folder != self.root and _is_instrument(folder.name) else ""
        for path in files:
            is_named = self._user_name(path) is not None
            if not (is_named or of or find_instrument(names[path])):
                self.unused.append(path)
                continue
            annotations = self.annotations.of(path)
            own = path.relative_to(self.root).with_name(self._stem(path)).as_posix()
            home = folder.parent if of else folder
            name = of if of and not is_named else names[path]
            yield _Song(own, ((name, path),), None, annotations[0] if annotations else None, home)

    def _is_song(self, folder: Path, files: list[Path], names: Mapping[Path, str]) -> bool:
        """Whether files without a mixture are a song: instruments differ, and lengths are equal if names are vague."""
        called = [names[path] for path in files]
        if len(set(called)) < 2 or self._in_several_groups(files):
            return False
        if folder != self.root and _is_instrument(folder.name):
            voices = {voice for voice in map(find_voice, called) if voice is not None}
            if voices <= {find_voice(folder.name)}:
                return False
        recognised = any(find_voice(name) is not None or re.search(r"-\d+$", name) for name in called)
        if folder != self.root and len(set(called)) == len(called) and recognised:
            return True
        try:
            lengths = [audio_info(path).duration_s for path in files]
        except InputError:  # check reports it
            return folder != self.root
        ends = dict(zip(files, lengths, strict=True))
        longest, shortest = max(files, key=ends.__getitem__), min(files, key=ends.__getitem__)
        shorter = [path for path in files if ends[longest] - ends[path] > ALIKE_S]
        if not shorter:
            return True
        what = f"({shortest.name} {ends[shortest]:.2f} s, {longest.name} {ends[longest]:.2f} s)"
        if self._ends_is_song(files, shorter) or frozenset(map(self._key, files)) in self._layouts:
            what = f"is read as one song, in which shorter files are silent at the end {what}"
            self.notes.append(Problem("note", f'{what}; if they are solos: layout = "solos" in {TOML}', folder))
            return True
        what = f"is read as solos, as lengths differ {what}"
        self.notes.append(Problem("note", f'{what}; if they play together: layout = "songs" in {TOML}', folder))
        return False

    def _in_several_groups(self, files: Sequence[Path]) -> bool:
        """Whether corpus.toml puts the files into different groups, as takes that were recorded apart."""
        names = [path.relative_to(self.root).with_name(self._stem(path)).as_posix() for path in files]
        found = [[of for one, of in self.groups.items() if fnmatchcase(name, one)] for name in names]
        return len({groups[0] for groups in found if groups}) > 1

    def _ends_is_song(self, files: Sequence[Path], shorter: Sequence[Path]) -> bool:
        """Whether most files end together, as when a program trims silence; solos have beats of their own."""
        own = sum(bool(self.annotations.of(path)) or brid_solo(path.name) is not None for path in files)
        return 2 * len(shorter) < len(files) and own < 2

    @cached_property
    def _layouts(self) -> set[frozenset[str]]:
        """Names of the files of each folder that has a mixture among them."""
        found = set[frozenset[str]]()
        for folder, files in self.audio.items():
            stems = [path for path in files if not self._is_mixture(path, folder)]
            if len(stems) < len(files):
                found.add(frozenset(map(self._key, stems)))
        return found

    def _key(self, path: Path) -> str:
        return slug(self._stem(path))

    def _is_mixture(self, path: Path, folder: Path) -> bool:
        if self._user_name(path) is not None:
            return False
        name = self._plain(path)
        words = name.split("-")
        sure = name in MIXTURES or ((words[0] in MIXTURES or words[-1] in MIXTURES) and find_instrument(name) is None)
        return sure or (folder != self.root and name == normalise_name(folder.name) and not _is_instrument(name))

    def _instrument_names(self, files: list[Path], metadata: Mapping[Path, str]) -> dict[Path, str]:
        """Return the instrument of every file of a folder."""
        plains = {path: self._plain(path) for path in files}
        cut = _in_common([*plains.values()]) if len(files) > 1 else 0
        names: dict[Path, str] = {}
        for path, whole in plains.items():
            user_name = self._user_name(path)
            solo = brid_solo(path.name)
            if user_name:
                names[path] = slug(user_name) or whole
                self.kept.add(names[path])
            elif path in metadata:
                names[path] = normalise_name(metadata[path]) or whole
            elif solo:
                names[path] = solo
            else:
                own = "-".join(whole.split("-")[cut:])
                part = find_instrument(own)
                names[path] = part[0] if part else own
        return names

    def _user_name(self, path: Path) -> str | None:
        """Return the instrument the user names for a file: exact before patterns, arguments before corpus.toml."""
        own = path.relative_to(self.root)
        forms = (own.with_suffix("").as_posix(), own.as_posix())
        for table in (self.given, self.named):
            exact = [pattern for pattern in table if pattern in forms]
            exact += [pattern for pattern in table if any(fnmatchcase(form, pattern) for form in forms)]
            self.used.update(exact)
            if exact:
                return table[exact[0]]
        return None

    def _paired(self, files: list[Path]) -> list[Path]:
        """Leave out files that are the right channel of another one."""
        rights = {found[1].lower(): path for path in files if (found := RIGHT.fullmatch(path.stem))}
        for path in files:
            found = LEFT.fullmatch(path.stem)
            right = rights.get(found[1].lower()) if found else None
            if (
                right is not None
                and self._user_name(path) == self._user_name(right)
                and _is_mono(path)
                and _is_mono(right)
            ):
                self.right[path] = right
        return [path for path in files if path not in self.right.values()]

    def _stem(self, path: Path) -> str:
        """Return the name of a file, without suffix and channel."""
        found = LEFT.fullmatch(path.stem) if path in self.right else None
        return found[1] if found else path.stem

    def _plain(self, path: Path) -> str:
        return normalise_name(self._stem(path) + path.suffix)

    def _once(self, files: list[Path]) -> list[Path]:
        """Keep each recording in its best format, where there are several."""
        best: dict[str, Path] = {}
        for path in sorted(files, key=lambda path: BETTER.index(s) if (s := path.suffix.lower()) in BETTER else 99):
            if best.setdefault(path.stem, path) != path:
                self.unused.append(path)
        return sorted(best.values())


def _is_mono(path: Path) -> bool:
    try:
        return audio_info(path).channels == 1
    except InputError:  # check reports it
        return False


def _is_instrument(name: str) -> bool:
    found = find_instrument(name)
    return found is not None and found[0] == normalise_name(name)


def _in_common(names: Sequence[str]) -> int:
    """Count the words that all names begin with, if these name no instrument and something is left."""
    words = [name.split("-") for name in names]
    count = 0
    while all(len(each) > count and each[count] == words[0][count] for each in words):
        count += 1
    while count and any(not re.search(r"[^\W\d_]", "-".join(each[count:])) for each in words):
        count -= 1
    return 0 if count and find_instrument("-".join(words[0][:count])) else count


def _multitrack(song: _Song, group: str, right: Mapping[Path, Path]) -> Multitrack:
    stems: dict[str, tuple[Path, ...]] = {}
    channels: dict[Path, int] = {}
    for name, path in song.stems:
        takes = (path, right[path]) if path in right else (path,)
        stems[name] = (*stems.get(name, ()), *takes)
        channels |= {take: channel for channel, take in enumerate(takes)} if len(takes) > 1 else {}
    other = right.get(song.mixture) if song.mixture is not None else None
    if song.mixture is not None and other is not None:
        channels |= {song.mixture: 0, other: 1}
    return Multitrack(
        song.id,
        dict(sorted(stems.items())),
        song.mixture,
        group,
        song.annotation,
        channels=channels,
        mixture_right=other,
    )
