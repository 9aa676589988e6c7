"""Metadata of MedleyDB: the instrument of each stem, and the artist (Bittner et al., ISMIR 2014)."""

from __future__ import annotations

from pathlib import Path

from levada.errors import InputError
from levada.io.text import decode_text, read_bytes

__all__ = ["read_metadata"]

NO_ARTIST = {"musicdelta", "music delta"}  # a publisher: its pieces have different players


def read_metadata(path: str | Path) -> tuple[dict[str, str], str]:
    """Read the instruments of stems, and the artist.

    Parameters
    ----------
    path : path-like
        ``NAME_METADATA.yaml``.

    Returns
    -------
    instruments : dict of str to str
        File name of each stem -> its instrument, as it is written in the file; the first of several.
    artist : str
        Empty where none is named.

    Raises
    ------
    InputError
        If it cannot be read, is not YAML, or names no stems.
    """
    import yaml  # type: ignore[import-untyped]

    try:
        metadata = yaml.load(decode_text(read_bytes(path)), Loader=yaml.BaseLoader)  # every scalar stays text
        stems = [(stem.get("filename"), stem.get("instrument")) for stem in metadata["stems"].values()]
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"is not YAML: {' '.join(str(error).split())}", path=path) from None
    except (TypeError, KeyError, AttributeError):
        stems = []
    instruments = {str(file): str(name[0] if isinstance(name, list) else name) for file, name in stems if file and name}
    if not instruments:
        raise InputError("names no stems: entries S01, S02 … with filename and instrument are expected", path=path)
    artist = str(metadata.get("artist") or "")
    return instruments, "" if artist.casefold() in NO_ARTIST else artist
