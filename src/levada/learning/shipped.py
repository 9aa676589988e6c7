"""The models that come with levada: their names and folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from levada.learning.card import CONFIG

__all__ = ["STEMS_BASE", "WEIGHTS", "shipped"]

WEIGHTS = Path(__file__).parent.parent / "weights"

STEMS_BASE = "stems-base"
"""The separator that comes with levada; where a separator is asked for, it is "base" too."""


def shipped(task: str = "beats") -> Mapping[str, Path]:
    """Names of the models that come with levada, and their folders.

    Parameters
    ----------
    task : {"beats", "stems"}
        Trackers, or separators.
    """
    folders = {path.parent.name: path.parent for path in sorted(WEIGHTS.glob(f"*/{CONFIG}"))}
    separators = {STEMS_BASE: folders.pop("stems")} if "stems" in folders else {}
    return separators if task == "stems" else folders
