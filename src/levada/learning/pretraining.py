"""Settings of pre-training: values that are checked when made, and TOML files that hold them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from levada.errors import InputError
from levada.io import audio
from levada.synth.instruments.soundfont import find_soundfont

__all__ = ["build_settings", "check_settings", "soundfont_digests"]

S = TypeVar("S")


def check_settings(settings: Any, *, may_be_zero: Collection[str] = (), fractions: Collection[str] = ()) -> None:
    """Check that the fields of a dataclass have the kind of their defaults and values in range.

    Parameters
    ----------
    settings : dataclass
        Fields with a number as default must be finite numbers above 0, whole ones at least 1; `soundfonts` is a tuple.
    may_be_zero : collection of str
        Names of fields that may be 0.
    fractions : collection of str
        Names of fields that must be at most 1.

    Raises
    ------
    InputError
        If a value is of another kind or out of range; the message names the field.
    """
    for entry in fields(settings):
        name, value = entry.name, getattr(settings, entry.name)
        if isinstance(entry.default, str):
            if not isinstance(value, str):
                raise InputError(f"{name} must be a text, not {value!r}")
        elif isinstance(entry.default, bool):
            if not isinstance(value, bool):
                raise InputError(f"{name} must be true or false, not {value!r}")
        elif isinstance(entry.default, int | float):
            whole = isinstance(entry.default, int)
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                raise InputError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
            least = 0 if name in may_be_zero else 1 if whole else 1e-9
            if not least <= value < math.inf:
                raise InputError(f"{name} must not be {value!r}")
            if name in fractions and value > 1:
                raise InputError(f"{name} is a fraction, at most 1, not {value}")
    if not all(isinstance(name, str) for name in settings.soundfonts):
        raise InputError(f"soundfonts must be names of files, not {list(settings.soundfonts)}")


def build_settings(
    kind: type[S], table: dict[str, Any], *, path: str | Path, paths: Sequence[str] = (), **nested: Any
) -> S:
    """Build settings from a table of a TOML file.

    Parameters
    ----------
    kind : type
        A dataclass.
    table : dict
    path : path-like
        The file, for messages.
    paths : sequence of str
        Names of fields that are paths relative to the file.
    **nested
        Fields that were built before.

    Raises
    ------
    InputError
        If the table has a field that does not exist, or a value is invalid.
    """
    if unknown := sorted(set(table) - {entry.name for entry in fields(kind)}):  # type: ignore[arg-type]
        raise InputError(f"names settings that do not exist: {', '.join(unknown)}", path=path)
    if not isinstance(table.get("soundfonts", []), list):
        raise InputError(f"soundfonts must be a list, not {table['soundfonts']!r}", path=path)
    resolved = {
        name: str(Path(path).parent / table[name]) for name in paths if isinstance(table.get(name), str) and table[name]
    }
    try:
        return kind(**table | resolved | nested)
    except InputError as error:
        raise InputError(error.problem, path=path) from None


def soundfont_digests(names: Sequence[str]) -> Mapping[str, str]:
    """Return the SHA-256 of SoundFonts by name: a file of one name may change.

    Raises
    ------
    InputError
        If one is not installed.
    """
    return {name: audio.content_hash(find_soundfont(name)) for name in names}
