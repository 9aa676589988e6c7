"""Sphinx extension: what chapters of the book need beyond myst-nb.

- Sound that cells embed becomes small files beside the pages.
- Formulas become MathML, which browsers draw by themselves.
- A chapter becomes a notebook, with a cell that installs this release; its page has buttons to download and to open it.
- Each page links to itself in the other languages, and says so where nobody has translated it.
- ``{results-table} name`` is a table of `benchmarks/RESULTS.md`; with ``:columns:``, some of its columns.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, ClassVar

import jupytext
import nbformat
import soundfile
import soxr
from babel.messages.pofile import read_po
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.ext.intersphinx import missing_reference
from sphinx.locale import _ as translate

from levada.player import script
from levada.version import __version__

ROOT = Path(__file__).parent.parent
LANGUAGES = {"en": "English", "es": "Español", "pt": "Português"}
EMBEDDED_SOUND = re.compile(r"data:audio/[\w.+-]+(?:;\s*codecs=\w+)?;base64,([A-Za-z0-9+/=]+)")
MOST_KB = 100
SOUNDS, PLAYER = "_sounds", "levada-player.js"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline_math, None), block_renderers=(_block_math, None))
    app.add_directive("results-table", ResultsTable)
    app.connect("config-inited", _link_to_the_whole_site)
    app.connect("config-inited", _translate_interface)
    app.connect("missing-reference", _page_of_the_whole_site, priority=400)  # before intersphinx
    app.connect("html-page-context", _complete_page)
    app.connect("build-finished", _write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


# Pages


def _link_to_the_whole_site(app: Sphinx, config: Any) -> None:
    """Let a book that is built alone link to the other pages, which are in English only."""
    if app.tags.has("book"):
        inventory = os.environ.get("LEVADA_INVENTORY", str(Path(app.outdir).parent / "objects.inv"))
        config.intersphinx_mapping = {"levada": ("." if config.language == "en" else "..", inventory)}


def _translate_interface(_: Sphinx, config: Any) -> None:
    """Translate what surrounds the text, by `locales/*/LC_MESSAGES/sphinx.po`."""
    config.author = config.copyright = translate("the levada developers")
    config.nb_code_prompt_show, config.nb_code_prompt_hide = translate("Show the code"), translate("Hide the code")
    config.html_theme_options["search_bar_text"] = translate("Search...")


def _page_of_the_whole_site(app: Sphinx, env: Any, node: Any, text: nodes.TextElement) -> nodes.Element | None:
    """Resolve a reference to a page by its path from the root, as other sites know it."""
    if node["reftype"] == "doc" and node["reftarget"].startswith("/"):
        node["reftarget"] = node["reftarget"].removeprefix("/")
        return missing_reference(app, env, node, text)
    return None


def _complete_page(app: Sphinx, page: str, _: str, context: dict[str, Any], __: nodes.document | None) -> None:
    language = app.config.language
    context["languages"] = [(name, language_link(page, language, name), name == language) for name in LANGUAGES]
    context["language_names"], context["languages_label"] = LANGUAGES, translate("Language")
    if "body" not in context:
        return
    up = "../" * page.count("/")
    context["body"] = share_player(extract_sounds(context["body"], Path(app.outdir), up), Path(app.outdir), up)
    if _is_untranslated(app, page):
        untranslated = translate("This page is in English: nobody has translated it yet.")
        note = f'<div class="admonition note" lang="{language}"><p>{untranslated}</p></div>'
        context["body"] = f'{note}<div lang="en">{context["body"]}</div>'
    if is_notebook(Path(app.srcdir) / f"{page}.md"):
        to_root = up + ("" if language == "en" else "../")
        name = page.rpartition("/")[2] if language == "en" else f"{language}/{page.rpartition('/')[2]}"
        buttons = _buttons(f"{to_root}book/notebooks/{name}.ipynb", colab_address(name, app.config.release))
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{buttons}", 1)


def _buttons(notebook: str, colab: str) -> str:
    links = [f'<a class="btn btn-sm" href="{notebook}" download>{translate("Download notebook")}</a>']
    links += [f'<a class="btn btn-sm" href="{colab}">{translate("Open in Colab")}</a>'] if colab else []
    return f'<p class="notebook-buttons">{" ".join(links)}</p>'


def language_link(page: str, current: str, target: str) -> str:
    """Relative address of a page in another language; of the first page of the book where it is not of the book."""
    page_there = page if target == current or page.startswith("book/") else "book/index"
    to_root = "../" * page.count("/") + ("" if current == "en" else "../")
    return f"{to_root}{'' if target == 'en' else target + '/'}{page_there}.html"


def extract_sounds(body: str, out: Path, up: str) -> str:
    """Write sound that is embedded in a page to Opus files, named by their contents, and refer to these."""

    def write(found: re.Match[str]) -> str:
        sound = base64.b64decode(found[1])
        path = out / SOUNDS / f"{hashlib.sha256(sound).hexdigest()[:16]}.opus"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            is_small = sound.startswith(b"OggS") and len(sound) < 1000 * MOST_KB
            path.write_bytes(sound if is_small else to_opus(sound))
        return f"{up}{SOUNDS}/{path.name}"

    return EMBEDDED_SOUND.sub(write, body)


def share_player(body: str, out: Path, up: str) -> str:
    """Let the players of a page use one script, which they embed otherwise."""
    embedded = f"<script>{script()}</script>"
    if embedded not in body:
        return body
    (out / SOUNDS / PLAYER).write_text(script(), encoding="utf-8")
    return f'{body.replace(embedded, "")}<script src="{up}{SOUNDS}/{PLAYER}"></script>'


def to_opus(sound: bytes) -> bytes:
    """Encode an audio file as Opus, which has a rate of 48 kHz."""
    samples, rate = soundfile.read(io.BytesIO(sound))
    opus = io.BytesIO()
    soundfile.write(
        opus, soxr.resample(samples, rate, 48000), 48000, format="OGG", subtype="OPUS", compression_level=0.85
    )
    return opus.getvalue()


def _is_untranslated(app: Sphinx, page: str) -> bool:
    """Whether a page of a translated book has no translation."""
    language = app.config.language
    return language != "en" and page in app.env.all_docs and not catalogue(page, language).exists()


# Formulas


def _inline_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_math(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


# Tables of results


class ResultsTable(Directive):
    """A table of `benchmarks/RESULTS.md`, by its name, or some of its columns."""

    required_arguments = 1
    option_spec: ClassVar = {"columns": str}

    def run(self) -> list[nodes.Node]:
        """Parse the table as Markdown."""
        holder = nodes.container()
        table = results_table(self.arguments[0], self.options.get("columns", ""))
        self.state.nested_parse([*table.splitlines(), ""], self.content_offset, holder)
        return holder.children


def results_table(name: str, columns: str = "") -> str:
    """Lines of the table after ``<!-- table: name -->``; of some columns, whose names are between ``|``."""
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    found = re.search(rf"^<!-- table: {re.escape(name)} -->\n+((?:\|.*\n)+)", results, re.MULTILINE)
    if found is None:
        raise ValueError(f"benchmarks/RESULTS.md has no table {name!r}")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    wanted = [column.strip() for column in columns.split("|")] if columns else rows[0]
    if missing := [column for column in wanted if column not in rows[0]]:
        raise ValueError(f"the table {name!r} of benchmarks/RESULTS.md has no column {', '.join(missing)}")
    places = [rows[0].index(column) for column in wanted]
    return "".join(f"| {' | '.join(row[place] for place in places)} |\n" for row in rows)


# Notebooks


def is_notebook(path: Path) -> bool:
    """Whether a page has cells that compute."""
    return path.is_file() and "\nkernelspec:" in path.read_text(encoding="utf-8")[:500]


def repository(project: Path = ROOT / "pyproject.toml") -> str:
    """Owner and name of the repository on GitHub: of the workflow that runs, or by the address in `[project.urls]`."""
    urls = tomllib.loads(project.read_text(encoding="utf-8"))["project"].get("urls", {})
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", urls.get("Repository", ""))
    return os.environ.get("GITHUB_REPOSITORY") or (found[1] if found else "")


def wheel_address(release: str) -> str:
    """Address of the wheel of a release; only name and version, where no repository is known."""
    if address := os.environ.get("LEVADA_WHEEL"):
        return address
    if not repository():
        return f"=={release}"
    return f" @ https://github.com/{repository()}/releases/download/v{release}/levada-{release}-py3-none-any.whl"


def colab_address(name: str, release: str) -> str:
    """Address that opens the notebook of a release in Colab; nothing where no repository is known."""
    if not repository():
        return ""
    return f"https://colab.research.google.com/github/{repository()}/blob/notebooks/v{release}/{name}.ipynb"


def _write_notebooks(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.name == "html" and app.config.language == "en":
        write_notebooks(Path(app.outdir) / "book" / "notebooks", app.config.release)


def write_notebooks(folder: Path, release: str) -> None:
    """Write all chapters as notebooks, translated ones into a folder of their language."""
    for page in sorted((ROOT / "docs" / "book").glob("*.md")):
        if not is_notebook(page):
            continue
        for language in LANGUAGES:
            path = folder / ("" if language == "en" else language) / f"{page.stem}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            messages = read_messages(f"book/{page.stem}", language)
            nbformat.write(to_notebook(page.read_text(encoding="utf-8"), release, messages), path)


def to_notebook(chapter: str, release: str, messages: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Notebook of a chapter, without outputs: its text as plain Markdown, and first a cell that installs levada.

    PyTorch is left as it is where it is there already, as in Colab. With messages the text is translated.
    """
    notebook = jupytext.reads(chapter, fmt="md:myst")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(translate_markdown(cell.source, messages or {}))
    extras = "train,plot" if ".adapt(" in chapter or "torch" in chapter else "plot"
    install = nbformat.v4.new_code_cell(f'%pip install --quiet "levada[{extras}]{wheel_address(release)}"')
    notebook.cells.insert(1, install)
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("tags", None)
    return notebook


def catalogue(page: str, language: str) -> Path:
    """File with the translation of a page, which may not exist."""
    return ROOT / "docs" / "locales" / language / "LC_MESSAGES" / f"{page}.po"


def read_messages(page: str, language: str) -> dict[str, str]:
    """Translations of a page by its messages; none where there is no catalogue."""
    path = catalogue(page, language)
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {message.id: message.string for message in read_po(file) if message.id and message.string}


def translate_markdown(text: str, messages: dict[str, str]) -> str:
    """Replace the paragraphs, titles, items and cells of tables that have a translation."""
    for message in sorted(messages, key=len, reverse=True):
        lines = r"\s+".join(map(re.escape, message.split()))
        block = rf"^((?:#+ | *- | *\d+\. |:::+\{{\w+\}} )?){lines}$|(?<=\| ){lines}(?= \|)"
        text = re.sub(block, lambda found, to=messages[message]: (found[1] or "") + to, text, flags=re.MULTILINE)
    return text


def plain_markdown(text: str) -> str:
    """MyST as Markdown that a notebook shows: boxes are quotations, references are their text; without comments."""
    text = re.sub(r"(?:^|\n)<!--.*?-->(?=\n|$)", "", text, flags=re.DOTALL)
    text = re.sub(r"^\(\w[\w-]*\)=\n", "", text, flags=re.MULTILINE)
    text = re.sub(
        r"^```\{results-table\} (\S+)\n(?::columns: (.*)\n)?```",
        lambda found: results_table(found[1], found[2] or ""), text, flags=re.MULTILINE,
    )  # fmt: skip
    text = re.sub(r"^:::+\{(\w+)\} ?(.*)\n((?:.*\n)*?):::+$", _quotation, text, flags=re.MULTILINE)
    text = re.sub(r"\{(?:doc|ref)\}`([^<`]+?) ?<[^>]+>`", r"\1", text)
    text = re.sub(r"\{doc\}`/?(?:[\w.-]+/)*([\w.-]+)`", r"*\1*", text)
    return re.sub(r"\{py:\w+\}`~?([^`]+)`", r"`\1`", text)


def _quotation(found: re.Match[str]) -> str:
    kind, title, text = found.groups()
    lines = [line for line in text.strip().splitlines() if not re.match(r":\w+:", line)]
    return "\n".join(f"> {line}".rstrip() for line in [f"**{title or kind.capitalize()}**", "", *lines])


if __name__ == "__main__":  # python docs/chapters.py FOLDER: the notebooks alone
    write_notebooks(Path(sys.argv[1]), __version__)
