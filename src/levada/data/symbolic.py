"""Fetching music as notes from those who published it: the Groove MIDI Dataset and POP909.

Both are what `levada.synth.songs.groove` and `levada.synth.songs` read. What is checked is the content: the digest of
the files that are read, however an archive was packed. Nothing is left on the disk but a folder that is whole.
"""

from __future__ import annotations

import errno
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO
from zlib import error as ZlibError

from levada.errors import InputError
from levada.io.files import atomic_folder

__all__ = ["SOURCES", "Source", "fetch", "manifest_digest"]

TRIES = 4
TIMEOUT_S = 30.0
CHUNK = 1 << 16
LARGEST = 4 << 20  # bytes of one file; the largest that is read is a fifth of it

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # no fault of the network

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """The origin of a dataset.

    Parameters
    ----------
    url : str
        Of a zip archive.
    pattern : str
        Regular expression of the paths that are read, below the archive's own folders.
    count : int
        How many files that makes.
    digest : str
        Their `manifest_digest`.
    marker : str
        One of them, which identifies a folder of this dataset.
    licence, citation : str
        Shown to the user who fetches it.
    """

    url: str
    pattern: str
    count: int
    digest: str
    marker: str
    licence: str
    citation: str


# The archive of Groove has 3,260,318 bytes and the SHA-256
# 651cbc524ffb891be1a3e46d89dc82a1cecb09a57c748c7b45b844c4841dcc1e, as TensorFlow Datasets records it. An archive that
# GitHub makes of a commit may be packed anew at any time.
SOURCES = {
    "groove": Source(
        url="https://storage.googleapis.com/magentadata/datasets/groove/groove-v1.0.0-midionly.zip",
        pattern=r"info\.csv|drummer\d+/\w+/\w[\w.-]*\.mid",
        count=1151,
        digest="84bcc63061d8da38a06bf11e5312030017dfc5d6dc6d3e2746598bd6d3836e4b",
        marker="info.csv",
        licence="Creative Commons Attribution 4.0 (Google Inc.), https://magenta.tensorflow.org/datasets/groove",
        citation=(
            'Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck, David Bamman: "Learning to Groove with Inverse '
            'Sequence Transformations", ICML 2019'
        ),
    ),
    "pop909": Source(
        url="https://github.com/music-x-lab/POP909-Dataset/archive/efa0bce09b0b8dc241957412270aba6740bd0bf5.zip",
        pattern=r"(?P<id>\d{3})/(?:(?P=id)\.mid|beat_midi\.txt|chord_midi\.txt)",
        count=2727,
        digest="a4828188d3f35b547b4fa46f6058ebd47c084bb10bb0b95c4adeb6c60cd1e594",
        marker="001/beat_midi.txt",
        licence=(
            "MIT (Music X Lab, 2020), https://github.com/music-x-lab/POP909-Dataset; the songs themselves are the "
            "works of others"
        ),
        citation=(
            "Ziyu Wang, Ke Chen, Junyan Jiang, Yiyi Zhang, Maoran Xu, Shuqi Dai, Xianbin Gu, Gus Xia: "
            '"POP909: A Pop-song Dataset for Music Arrangement Generation", ISMIR 2020'
        ),
    ),
}


def fetch(
    name: str, folder: str | Path, *, archive: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Fetch a dataset, unless the folder already has all of it.

    Parameters
    ----------
    name : str
        "groove" or "pop909".
    folder : path-like
        The folder to create; its parent must exist.
    archive : path-like or None
        The archive, where it has been downloaded by hand.
    progress : callable or None
        Called with the bytes that are downloaded, and of all, as far as stated.

    Returns
    -------
    Path
        The folder, with the files that are read and no other.

    Raises
    ------
    InputError
        If the name is unknown, the folder holds something else, the network fails, or the files differ from the
        published ones.
    """
    if name not in SOURCES:
        raise InputError(f"there is no dataset {name!r} to fetch; there are {', '.join(sorted(SOURCES))}")
    source, target = SOURCES[name], Path(folder)
    damaged = (target / source.marker).is_file()
    if damaged and _files(target, source)[1] == source.digest:
        return target
    with atomic_folder(target, marker=source.marker, force=damaged) as temporary:
        if archive is None:
            with tempfile.TemporaryFile(dir=target.resolve().parent) as file:
                _download(source.url, file, target, progress)
                _unpack(file, temporary, source, source.url)
        else:
            try:
                with open(archive, "rb") as file:
                    _unpack(file, temporary, source, archive)
            except FileNotFoundError:
                raise InputError("there is no such file", path=archive) from None
        count, digest = _files(temporary, source)
        if digest != source.digest:
            amount = f"{count} of {source.count} files" if count != source.count else "files that differ"
            raise InputError(
                f"it holds {amount} from the {name} that was published: it is damaged, or has been changed by its "
                "publisher. Fetch it again; if that does not help, please report it",
                path=archive or source.url,
            )
    return target


def manifest_digest(root: str | Path, paths: list[str]) -> str:
    """SHA-256 of the sorted lines "SHA-256 of a file, two spaces, its path", each ended by a newline.

    Parameters
    ----------
    root : path-like
    paths : list of str
        Relative to it, with forward slashes.
    """
    lines = sorted(f"{sha256((Path(root) / path).read_bytes()).hexdigest()}  {path}\n" for path in paths)
    return sha256("".join(lines).encode()).hexdigest()


def _files(root: Path, source: Source) -> tuple[int, str]:
    """Return the number of matching files, and their digest."""
    relative = (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
    paths = [path for path in relative if re.fullmatch(source.pattern, path)]
    return len(paths), manifest_digest(root, paths)


def _download(url: str, file: IO[bytes], target: Path, progress: Progress | None) -> None:
    """Download to a file; a connection that breaks is taken up again where it broke."""
    from http.client import HTTPException
    from urllib.error import HTTPError

    reason = ""
    for _ in range(TRIES):
        try:
            if _download_rest(url, file, progress):
                return
            reason = "the connection broke"
        except HTTPError as error:
            reason = f"{error.code} {error.reason}"
            if error.code < 500:
                break
        except (OSError, HTTPException) as error:
            if getattr(error, "errno", None) in DISK:
                raise
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise InputError(
        f"could not be downloaded: {reason}. See to the network and run it again; or download it by hand and hand "
        f"the archive in, to be unpacked to {target}",
        path=url,
    )


def _download_rest(url: str, file: IO[bytes], progress: Progress | None) -> bool:
    """Download what is still missing; returns whether that was all."""
    from urllib.request import Request, urlopen

    here = file.seek(0, 2)
    headers = {"User-Agent": "levada"} | ({"Range": f"bytes={here}-"} if here else {})
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
        if here and (answer.status != 206 or not answer.headers["Content-Range"].startswith(f"bytes {here}-")):
            here = file.truncate(file.seek(0))
        length = answer.headers["Content-Length"]
        total = here + int(length) if length else 0
        while chunk := answer.read(CHUNK):
            here += file.write(chunk)
            if progress is not None:
                progress(here, max(total, here))
    return not total or here == total


def _unpack(file: IO[bytes], folder: Path, source: Source, origin: str | Path) -> None:
    """Write the matching files of an archive; the pattern, which cannot lead out of the folder, gives their paths."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                match = re.fullmatch(rf"(?:.*/)?(?P<path>{source.pattern})", member.filename)
                if match is None or member.is_dir():
                    continue
                if member.file_size > LARGEST:
                    raise InputError(f"has a file of {member.file_size} bytes: {match['path']}", path=origin)
                path = folder / match["path"]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(member))
    except InputError:
        raise
    except (zipfile.BadZipFile, ZlibError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"is not a readable zip archive: {error}. Fetch it again", path=origin) from None
