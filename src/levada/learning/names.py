"""Names of models: those that come with levada, those of other projects, and what a name or a folder means."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from levada.learning.card import CONFIG, both_error, is_model

__all__ = [
    "EXTERNAL_TRACKERS", "FLUX", "NMF", "STEMS_BASE", "UNET_BASS", "WEIGHTS",
    "argument_for", "display_names", "folder_of", "is_reserved", "shipped",
]  # fmt: skip

WEIGHTS = Path(__file__).parent.parent / "weights"

FLUX, NMF = "flux", "nmf"
STEMS_BASE = "stems-base"
"""The separator that comes with levada; where a separator is asked for, it is "base" too."""
UNET_BASS = "unet-bass"
"""The U-Net of one instrument that comes with levada, to be fine-tuned to another one."""

EXTERNAL_TRACKERS = ("madmom", "madmom-tcn", "beatnet", "beat_this", "librosa")
"""Beat trackers of other projects."""

PREFIXES = ("beat_this:", "bayes:", "demucs:")
"""Before the name or the file of a checkpoint, or a folder that must be of this kind."""

ROWS = ("mixture", "oracle")
"""Rows of tables of stems that are not models."""


def shipped(task: str = "beats") -> Mapping[str, Path]:
    """Return the names of the models that come with levada, and their folders.

    Parameters
    ----------
    task : {"beats", "stems"}
        Trackers, or separators.
    """
    folders = {path.parent.name: path.parent for path in sorted(WEIGHTS.glob(f"*/{CONFIG}"))}
    names = {"stems": STEMS_BASE, UNET_BASS: UNET_BASS}
    separators = {name: folders.pop(folder) for folder, name in names.items() if folder in folders}
    return separators if task == "stems" else folders


def is_reserved(name: str) -> bool:
    """Whether a name means a model that levada knows by name, whatever folders there are."""
    from levada.synth.traditions import list_traditions

    names = ("base", *shipped(), STEMS_BASE, *shipped("stems"), FLUX, NMF, *ROWS, *EXTERNAL_TRACKERS)
    return name in names or name.startswith(PREFIXES) or name in list_traditions()


def folder_of(name: str | Path) -> Path | None:
    """Return the folder that a model's name means; None for the name of a model that levada knows.

    All commands go by this: a `Path`, and text that is not a reserved name, is a folder.

    Raises
    ------
    InputError
        If the name is reserved and is that of a model's folder in the working directory too.
    """
    if isinstance(name, Path) or not is_reserved(name):
        return Path(name)
    if is_model(name):
        raise both_error(name)
    return None


def argument_for(folder: Path) -> str:
    """Return what to write for a model's folder in a command: its path, with ./ where that is a reserved name."""
    return f"./{folder}" if is_reserved(str(folder)) else str(folder)


def display_names(given: Sequence[str | Path]) -> list[str]:
    """Return names for the models of one table, no two alike.

    Parameters
    ----------
    given : sequence of str or Path
        Names, which stay as they are, and folders, which get the last part of their path or, where that is also the
        name of another model, all of it.

    Returns
    -------
    list of str
        In the order given.
    """
    chains = [
        [one] if isinstance(one, str) else [one.resolve().name, argument_for(one), str(one.resolve())] for one in given
    ]
    names = list[str]()
    for index, chain in enumerate(chains):
        rest = [one for at, one in enumerate(given) if at != index]
        others = {*map(str, rest), *(Path(one).resolve().name for one in rest)}
        free = [name for name in chain if len(chain) == 1 or not (name in others or is_reserved(name))]
        numbered = (f"{chain[-1]} ({number})" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain(free, numbered) if name not in names))
    return names
