"""The page of a report: one HTML file that works offline, in light and dark, on paper and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from levada.experiments.report.tables import Table

__all__ = ["Image", "Section", "page"]

SHOWN = 400
"""Rows of a table that the page shows; its CSV has all."""

_INTERVAL = re.compile(r"([+-]?\d[\d.]* (?:\[[-+., \d]+\]|\(range [^)]*\)))")

_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --quiet: #5a5a5a; --ground: #fdfdfb; --line: #d8d8d2;
  --link: #0b5c8a; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e4; --quiet: #a8a8a2; --ground: #18191a; --line: #3a3c3e; --link: #7cc0e8; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.2rem 5rem; background: var(--ground); color: var(--text);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; } h2 { margin: 3rem 0 .6rem; font-size: 1.35rem; }
h3 { margin: 2rem 0 .4rem; font-size: 1.05rem; } a { color: var(--link); }
.quiet, figcaption, caption { color: var(--quiet); } .lead p { font-size: 1.08rem; }
nav ol { columns: 2; padding-left: 1.2rem; } nav li { break-inside: avoid; }
figure { margin: 1.2rem 0 2rem; } figure img { width: 100%; height: auto; background: #fff; border-radius: 6px;
  padding: 6px; border: 1px solid var(--line); } figcaption { font-size: .9rem; margin-top: .4rem; }
.wide { overflow-x: auto; margin: 1rem 0 2rem; } table { border-collapse: collapse; font-size: .84rem; width: 100%;
  font-variant-numeric: tabular-nums; } caption { text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { border-bottom-width: 2px; white-space: nowrap; } th[aria-sort] { cursor: pointer; }
.ends { white-space: nowrap; } .under { display: block; color: var(--quiet); }
details > summary { cursor: pointer; margin: 1rem 0; }
@media print { body { max-width: none; font-size: 10pt; } nav { display: none; } h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; } }
"""

_SORT = """
for (const th of document.querySelectorAll('th[data-sort]')) {
  th.setAttribute('aria-sort', 'none'); th.title = 'sort';
  th.tabIndex = 0;
  th.addEventListener('keydown', event => { if (event.key === 'Enter') th.click(); });
  th.addEventListener('click', () => {
    const rows = th.closest('table').tBodies[0], at = th.cellIndex, up = th.getAttribute('aria-sort') !== 'ascending';
    for (const other of th.parentNode.children) other.setAttribute('aria-sort', 'none');
    th.setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const key = row => { const text = row.cells[at].textContent, number = parseFloat(text.replace('–', '')); return isNaN(number) ? text : number; };
    [...rows.rows].sort((a, b) => { const x = key(a), y = key(b);
      return (typeof x === typeof y ? (x > y) - (x < y) : typeof x === 'number' ? -1 : 1) * (up ? 1 : -1); })
      .forEach(row => rows.append(row));
  });
}
"""  # noqa: E501


@dataclass(frozen=True)
class Image:
    """A figure on the page.

    Parameters
    ----------
    address : str
        What it shows, as a data address.
    words : str
        What it shows, for those who do not see it.
    caption : str
    """

    address: str
    words: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it.

    Parameters
    ----------
    title : str
    paragraphs : sequence of str
    parts : sequence of Image or Table
    listed : sequence of str
        Sentences as a list.
    folded : bool
        Whether its tables wait to be opened.
    """

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Image | Table] = ()
    listed: Sequence[str] = ()
    folded: bool = False


def page(title: str, lead: Sequence[str], sections: Sequence[Section], *, foot: str) -> str:
    """The whole page.

    Parameters
    ----------
    title : str
    lead : sequence of str
        What came out, in sentences.
    sections : sequence of Section
    foot : str
        Where it comes from.

    Returns
    -------
    str
        HTML without anything from outside.
    """
    contents = "".join(f'<li><a href="#s{at}">{escape(section.title)}</a></li>' for at, section in enumerate(sections))
    body = "".join(_section(section, at) for at, section in enumerate(sections))
    told = "".join(f"<p>{escape(sentence)}</p>" for sentence in lead)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{escape(title)}</h1>\n"
        f'</header>\n<main>\n<section class="lead">{told}</section>\n'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>\n{body}</main>\n'
        f'<footer class="quiet"><p>{escape(foot)}</p></footer>\n<script>{_SORT}</script>\n</body>\n</html>\n'
    )


def _section(section: Section, at: int) -> str:
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in section.paragraphs)
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in section.listed)
    parts = "".join(_image(part) if isinstance(part, Image) else _table(part, section.folded) for part in section.parts)
    items = f"<ul>{listed}</ul>" if listed else ""
    return f'<section id="s{at}"><h2>{escape(section.title)}</h2>{said}{items}{parts}</section>\n'


def _image(image: Image) -> str:
    return (
        f'<figure><img alt="{escape(image.words)}" src="{image.address}">'
        f"<figcaption>{escape(image.caption)}</figcaption></figure>"
    )


def _table(table: Table, folded: bool) -> str:
    if not table.rows:
        return f'<p class="quiet">{escape(table.caption)} None.</p>'
    head = "".join(f'<th scope="col" data-sort>{escape(heading)}</th>' for heading in table.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(str(cell))}</td>" for cell in row.values()) + "</tr>"
        for row in table.rows[:SHOWN]
    )
    more = len(table.rows) - SHOWN
    rest = f" {more} rows more are in tables/{table.name}.csv." if more > 0 else ""
    whole = (
        f'<div class="wide"><table><caption>{escape(table.caption + rest)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return f"<details><summary>{escape(table.caption)}</summary>{whole}</details>" if folded else whole


def _cell(text: str) -> str:
    """An interval stays in one line, under its number where there is nothing else."""
    if _INTERVAL.fullmatch(text):
        value, ends = text.split(" ", 1)
        return f'{escape(value)} <span class="ends under">{escape(ends)}</span>'
    parts = _INTERVAL.split(text)
    return "".join(f'<span class="ends">{escape(p)}</span>' if at % 2 else escape(p) for at, p in enumerate(parts))
