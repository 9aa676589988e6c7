"""Safe parsing of untrusted XML."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from levada.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["comment", "escape", "has_root", "parse_number", "parse_xml"]


def parse_xml(text: str, *, path: str | Path) -> Element:
    """Parse XML that declares no entities.

    Raises
    ------
    InputError
        If it is not whole, or declares entities, which can be made to fill the memory or to read other files.
    """
    from xml.etree import ElementTree

    if re.search(r"<!ENTITY|<!DOCTYPE[^>]*\[", text):
        raise InputError("declares XML entities: no program that marks beats writes them", path=path)
    try:
        return ElementTree.fromstring(re.sub(r"^\s*<\?xml.*?\?>", "", text, count=1))
    except ElementTree.ParseError as error:
        raise InputError(f"is not whole XML ({error})", path=path, line=error.position[0]) from error


def has_root(name: str) -> Callable[[str], bool]:
    """Return a function that recognises XML whose first element has this name."""

    def recognise(text: str) -> bool:
        first = re.search(r"<([A-Za-z_][\w.:-]*)", re.sub(r"<!--.*?-->", "", text[:20000], flags=re.S))
        return text.lstrip().startswith("<") and first is not None and first[1] == name

    return recognise


def parse_number(text: str, name: str, *, path: str | Path, limit: float = 1e7) -> float:
    """Read a number whose absolute value is below a limit.

    Raises
    ------
    InputError
        If it is none; the message has its name.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < limit:
        raise InputError(f"has a damaged number: {name} is {text[:20]!r}", path=path)
    return value


def comment(text: str) -> str:
    """Write a line with a comment; nothing of an empty text. It must not hold two hyphens."""
    return f"<!-- {text} -->\n" if text else ""


def escape(text: str) -> str:
    """Escape text for attributes and elements."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
