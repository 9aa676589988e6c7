"""The page component as one script, from its modules."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

__all__ = ["COMPONENT", "script"]

COMPONENT = Path(__file__).parent / "component"
STYLES = ("palette.css", "levada-player.css")
MODULES = ("calibration", "stretch", "playback", "scoring", "stems", "texts", "timeline", "levada-player")
"""In an order in which each comes after those that it imports."""


@cache
def script() -> str:
    """Return the script that defines ``<levada-player>``, for a page of your own; it loads nothing else.

    It may be a module or not, and more than once in a page.

    Returns
    -------
    str
    """
    style = "".join((COMPONENT / name).read_text(encoding="utf-8") for name in STYLES)
    modules = "\n".join((COMPONENT / f"{name}.js").read_text(encoding="utf-8") for name in MODULES)
    modules = re.sub(r"^import .*;\n", "", modules, flags=re.MULTILINE)
    modules = re.sub(r"^export ", "", modules, flags=re.MULTILINE)
    modules = re.sub(r"^\s*//.*\n|^\s+", "", modules, flags=re.MULTILINE)
    return f"(() => {{\nconst STYLE = {json.dumps(style)};\n{modules}}})();\n"
