"""Provenance comments of estimated beats, with a hash that shows whether a file was edited.

The comment holds a hash of the whole file, with zeros in place of the hash. While it agrees, the beats are uncorrected
estimates, not labels. Line ends are ignored, as some programs and repositories change them.
"""

from __future__ import annotations

import bz2
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Metadata", "is_unedited", "provenance_comment", "read_provenance", "seal"]

_DIGITS = 16
_HEAD = 4096  # bytes in which a mark begins
_SHOWN = 12  # digits of a model's digest
_MARK = re.compile(rb"written by levada (\S+), model (.{1,300}?) \((\w*)\), content ([0-9a-f]{16})")


@dataclass(frozen=True)
class Metadata:
    """Data written along with beats, where a format supports it.

    Parameters
    ----------
    duration_s : float, optional
        Length of the recording.
    provenance : mapping of str to str, optional
        As of `provenance_comment`.
    """

    duration_s: float | None = None
    provenance: Mapping[str, str] | None = None

    @property
    def comment(self) -> str:
        """The provenance comment; empty without provenance."""
        return provenance_comment(self.provenance)


def provenance_comment(provenance: Mapping[str, str] | None) -> str:
    """Return a provenance comment, which `seal` completes; empty without provenance.

    Parameters
    ----------
    provenance : mapping of str to str, optional
        "version" of levada, "model" and its "identity".

    Examples
    --------
    >>> provenance_comment({"version": "1.0", "model": "base", "identity": "0123456789abcdef"})
    'written by levada 1.0, model base (0123456789ab), content 0000000000000000'
    """
    if not provenance:
        return ""
    version, model = (" ".join(provenance.get(key, "").split()) or "unknown" for key in ("version", "model"))
    model = "".join(letter for letter in model if letter.isprintable())[:50]
    model = re.sub('--+|[<>&"\\\\]', "-", model)  # valid in XML and JSON without escapes
    digest = re.sub(r"\W", "", provenance.get("identity", ""))[:_SHOWN]
    return f"written by levada {version.replace(' ', '-')}, model {model} ({digest}), content {'0' * _DIGITS}"


def seal(content: bytes) -> bytes:
    """Insert the hash of the content into its provenance comment, if any."""
    found = _MARK.search(content, 0, _HEAD)
    return content if found is None else content[: found.start(4)] + _hash(content, found) + content[found.end(4) :]


def read_provenance(content: bytes) -> dict[str, str] | None:
    """Return the provenance of an unedited file of levada; None for any other."""
    if content.startswith(b"BZh"):
        try:
            content = bz2.BZ2Decompressor().decompress(content, max_length=1 << 26)
        except (OSError, ValueError, EOFError):
            return None
    found = _MARK.search(content, 0, _HEAD)
    if found is None or _hash(content, found) != found[4]:
        return None
    version, model, identity = (part.decode("utf-8", "replace") for part in found.groups()[:3])
    return {"version": version, "model": model, "identity": identity}


def is_unedited(path: Path) -> bool:
    """Whether a file is an unedited file of levada; False for one that cannot be read."""
    if not path.is_file():  # a pipe would never end
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            if not head.startswith(b"BZh") and _MARK.search(head) is None:
                return False
            return read_provenance(head + file.read(1 << 26)) is not None
    except OSError:
        return False


def _hash(content: bytes, found: re.Match[bytes]) -> bytes:
    blank = content[: found.start(4)] + b"0" * _DIGITS + content[found.end(4) :]
    return hashlib.sha256(blank.replace(b"\r\n", b"\n")).hexdigest()[:_DIGITS].encode()
