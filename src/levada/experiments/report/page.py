"""The page of a report: one HTML file that works offline, in light and dark, on paper and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from levada.experiments.report.listening import Players
from levada.experiments.report.tables import Table

__all__ = ["Image", "Section", "render_page"]

MAX_ROWS = 400
"""Rows of a table on the page; its CSV has all."""

_INTERVAL = re.compile(r"([+-]?\d[\d.]* (?:\[[-+., \d]+\]|\(range [^)]*\)))")


@dataclass(frozen=True)
class Image:
    """A figure on the page."""

    uri: str  # data URI
    alt: str  # description for readers who do not see it
    caption: str


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Image | Table | Players] = ()
    bullets: Sequence[str] = ()  # sentences
    is_folded: bool = False  # whether its tables are closed at first
    links: Sequence[tuple[str, str]] = ()  # address and text; the page is beside what they lead to


def render_page(title: str, lead: Sequence[str], sections: Sequence[Section], *, footer: str) -> str:
    """Render the page.

    Parameters
    ----------
    title : str
    lead : sequence of str
        Findings, in sentences.
    sections : sequence of Section
    footer : str

    Returns
    -------
    str
        HTML without external resources.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    environment.filters["interval_parts"] = _interval_parts
    page = environment.get_template("page.html")
    return page.render(title=title, lead=lead, sections=sections, footer=footer, limit=MAX_ROWS) + "\n"


def _interval_parts(text: str) -> list[tuple[str, str]]:
    """Parts of a cell, each with its CSS class: an interval is not broken, and stands below its mean if alone."""
    if _INTERVAL.fullmatch(text):
        value, ends = text.split(" ", 1)
        return [(f"{value} ", ""), (ends, "ends under")]
    return [(part, "ends" if at % 2 else "") for at, part in enumerate(_INTERVAL.split(text))]
