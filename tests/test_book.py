"""The book: chapters as notebooks, the site as it is built, and its pages in a browser."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zlib
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urldefrag, urljoin, urlparse

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parent.parent
BOOK = ROOT / "docs" / "book"
CHAPTERS = sorted(path for path in BOOK.glob("*.md") if "\nkernelspec:" in path.read_text(encoding="utf-8"))
LANGUAGES = ("en", "es", "pt")
PAGE_KB, SOUND_KB, WITH_SOUND_KB = 2000, 200, 2000


@pytest.fixture(scope="module")
def chapters():
    """The Sphinx extension, where the tools of the book are installed."""
    pytest.importorskip("myst_nb")
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import chapters

        yield chapters
    finally:
        sys.path.remove(str(ROOT / "docs"))


class TestNotebooks:
    CHAPTER = """---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---

# 1. A question

See {doc}`/install`, {doc}`the music <01-music>` and {py:class}`~levada.Beats`.
<!-- no claim: nothing is
stated -->

```{code-cell}
:tags: [hide-input]
import levada
```

:::{admonition} Task
:class: tip
Count to
four.
:::

```{results-table} drums
```
"""

    def test_a_chapter_becomes_a_notebook_that_installs_this_release_first(self, chapters, monkeypatch):
        monkeypatch.delenv("LEVADA_WHEEL", raising=False)
        monkeypatch.setenv("GITHUB_REPOSITORY", "someone/levada")
        notebook = chapters.to_notebook(self.CHAPTER, "1.2.3")
        kinds = [cell.cell_type for cell in notebook.cells]
        assert kinds == ["markdown", "code", "code", "markdown"]
        title, install, cell, end = (cell.source for cell in notebook.cells)
        assert title == "# 1. A question\n\nSee *install*, the music and `levada.Beats`."
        address = "https://github.com/someone/levada/releases/download/v1.2.3/levada-1.2.3-py3-none-any.whl"
        assert install == f'%pip install --quiet "levada[plot] @ {address}"'
        assert cell == "import levada"
        assert end.startswith("> **Task**\n>\n> Count to\n> four.\n")
        assert "| model |" in end
        assert "{" not in end

    def test_a_notebook_that_trains_brings_what_training_needs(self, chapters, monkeypatch):
        monkeypatch.setenv("LEVADA_WHEEL", " @ file:///tmp/levada.whl")
        notebook = chapters.to_notebook(self.CHAPTER.replace("import levada", "base.adapt(labels)"), "1.2.3")
        assert notebook.cells[1].source == '%pip install --quiet "levada[train,plot] @ file:///tmp/levada.whl"'

    def test_the_text_of_a_notebook_is_translated_and_its_cells_are_not(self, chapters):
        messages = {
            "1. A question": "1\\. Una pregunta",
            "See {doc}`/install`, {doc}`the music <01-music>` and {py:class}`~levada.Beats`.": "Ver {doc}`/install`.",
            "Task": "Tarea",
            "Count to four.": "Cuenta hasta cuatro.",
            "import levada": "importar levada",
            "to": "hasta",
            "what": "qué",
        }
        chapter = f"{self.CHAPTER}\n| what | to what |\n|---|---|\n| what | *what* |\n"
        title, _, cell, end = (one.source for one in chapters.to_notebook(chapter, "1.2.3", messages).cells)
        assert title == "# 1\\. Una pregunta\n\nVer *install*."
        assert cell == "import levada"
        assert end.startswith("> **Tarea**\n>\n> Cuenta hasta cuatro.\n")
        assert end.endswith("| qué | to what |\n|---|---|\n| qué | *what* |")

    @pytest.mark.parametrize("language", LANGUAGES)
    @pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
    def test_no_directive_or_role_is_left_in_the_notebook_of_a_chapter(self, chapters, path, language):
        messages = chapters.read_messages(f"book/{path.stem}", language)
        notebook = chapters.to_notebook(path.read_text(encoding="utf-8"), "1.2.3", messages)
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        assert re.findall(r"^:::|^```\{|\{\w+(?::\w+)*\}`", text, re.MULTILINE) == []
        code = "\n".join(cell.source for cell in notebook.cells[2:] if cell.cell_type == "code")
        compile(code, path.name, "exec")
        assert "myst_nb" not in code

    def test_a_table_that_is_missing_is_named(self, chapters):
        with pytest.raises(ValueError, match="no table 'none'"):
            chapters.results_table("none")

    def test_some_columns_of_a_table(self, chapters):
        head, _, first, *_ = chapters.results_table("drums").splitlines()
        places = [head.split("|").index(f" {name} ") for name in ("downbeat F", "model")]
        chosen = chapters.results_table("drums", "downbeat F | model").splitlines()
        assert chosen[0] == "| downbeat F | model |"
        assert [cell.strip() for cell in chosen[2].split("|")[1:-1]] == [first.split("|")[at].strip() for at in places]
        chapter = self.CHAPTER.replace(
            "{results-table} drums\n", "{results-table} drums\n:columns: downbeat F | model\n"
        )
        assert "\n".join(chosen) in chapters.to_notebook(chapter, "1.2.3").cells[-1].source
        with pytest.raises(ValueError, match="no column beats"):
            chapters.results_table("drums", "model | beats")

    @pytest.mark.parametrize(
        ("urls", "found"),
        [
            ("", ""),
            ('[project.urls]\nRepository = "https://github.com/some-one/levada.git"\n', "some-one/levada"),
            ('[project.urls]\nRepository = "https://github.com/some-one/levada/"\n', "some-one/levada"),
            ('[project.urls]\nRepository = "https://codeberg.org/some-one/levada"\n', ""),
        ],
    )
    def test_the_repository_is_that_of_the_project_where_no_workflow_names_another(
        self, chapters, tmp_path, monkeypatch, urls, found
    ):
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "levada"\n{urls}')
        monkeypatch.delenv("GITHUB_REPOSITORY", raising=False)
        assert chapters.repository(tmp_path / "pyproject.toml") == found
        monkeypatch.setenv("GITHUB_REPOSITORY", "another/levada")
        assert chapters.repository(tmp_path / "pyproject.toml") == "another/levada"


class TestPages:
    @pytest.mark.parametrize(
        ("page", "current", "target", "link"),
        [
            ("book/01-music", "en", "es", "../es/book/01-music.html"),
            ("book/01-music", "es", "en", "../../book/01-music.html"),
            ("book/01-music", "es", "pt", "../../pt/book/01-music.html"),
            ("index", "en", "pt", "pt/book/index.html"),
            ("_reference/levada", "en", "es", "../es/book/index.html"),
        ],
    )
    def test_links_to_other_languages(self, chapters, page, current, target, link):
        assert chapters.language_link(page, current, target) == link

    def test_embedded_sound_becomes_a_small_file(self, chapters, tmp_path):
        wav = io.BytesIO()
        soundfile.write(wav, 0.1 * np.sin(np.arange(44100) / 20), 44100, format="WAV")
        body = f'<audio src="data:audio/wav;base64,{base64.b64encode(wav.getvalue()).decode()}"></audio>'
        name = re.fullmatch(
            r'<audio src="\.\./(_sounds/\w+\.opus)"></audio>', chapters.extract_sounds(body, tmp_path, "../")
        )
        samples, rate = soundfile.read(tmp_path / name[1])
        assert rate == 48000
        assert len(samples) == pytest.approx(48000, abs=1000)
        assert (tmp_path / name[1]).stat().st_size < 20_000


class _Links(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self):
        super().__init__()
        self.links, self.resources, self.anchors = [], [], set()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if found.get("src"):
            self.resources.append(found["src"])
        if tag == "link" and found.get("href") and found.get("rel") != "canonical":
            self.resources.append(found["href"])


@pytest.fixture(scope="module")
def site(shared_folder):
    """The book in three languages, every chapter executed once; links to other pages resolve as in the whole site."""
    pytest.importorskip("myst_nb")
    return shared_folder("site", _build_site) / "html"


def _build_site(out):
    inventory = out / "pages.inv"
    lines = "".join(f"{page.stem} std:doc -1 {page.stem}.html {page.stem}\n" for page in (ROOT / "docs").glob("*.md"))
    head = b"# Sphinx inventory version 2\n# Project: levada\n# Version: 0\n# The remainder is compressed using zlib.\n"
    inventory.write_bytes(head + zlib.compress(lines.encode()))
    for language in LANGUAGES:
        target = out / "html" if language == "en" else out / "html" / language
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-t", "book"]
        command += ["-D", f"language={language}", "-d", str(out / language), str(ROOT / "docs"), str(target)]
        environment = {**os.environ, "LEVADA_INVENTORY": str(inventory)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
class TestSite:
    def test_every_chapter_is_there_in_every_language_with_its_notebook(self, site):
        for path in CHAPTERS:
            for language in LANGUAGES:
                folder = "" if language == "en" else language
                assert (site / "book" / "notebooks" / folder / f"{path.stem}.ipynb").exists()
                assert (site / folder / "book" / f"{path.stem}.html").exists()

    def test_every_internal_link_resolves_and_nothing_is_loaded_from_other_hosts(self, site):
        pages = {path: _Links() for path in site.rglob("*.html") if "_static" not in path.parts}
        for path, parser in pages.items():
            parser.feed(path.read_text(encoding="utf-8"))
        broken, external = [], []
        for path, parser in pages.items():
            here = path.as_uri()
            external += [(path.name, address) for address in parser.resources if urlparse(address).netloc]
            for address in (*parser.links, *parser.resources):
                target, anchor = urldefrag(urljoin(here, address))
                if urlparse(target).scheme != "file":
                    continue
                found = Path(unquote(urlparse(target).path))
                if found.parent == site and (ROOT / "docs" / f"{found.stem}.md").exists():
                    continue  # a page of the site that is not of the book
                if not found.exists() or (
                    anchor and found.suffix == ".html" and unquote(anchor) not in pages[found].anchors
                ):
                    broken.append((path.relative_to(site).as_posix(), address))
        assert external == []
        assert broken == []

    def test_no_page_embeds_sound_and_all_are_small(self, site):
        for path in site.rglob("book/*.html"):
            page = path.read_text(encoding="utf-8")
            assert "base64," not in re.sub(r"data:image/svg[^\"')]*", "", page), path.name
            sounds = {(path.parent / name).resolve() for name in re.findall(r"[./\w-]+\.opus", page)}
            assert all(sound.stat().st_size < 1000 * SOUND_KB for sound in sounds)
            size = len(page) + sum(sound.stat().st_size for sound in sounds)
            assert size < 1000 * WITH_SOUND_KB, f"{path.name}: {size} bytes"

    def test_pages_that_are_not_translated_say_so(self, site):
        for language in LANGUAGES[1:]:
            for path in CHAPTERS:
                page = (site / language / "book" / f"{path.stem}.html").read_text(encoding="utf-8")
                catalogue = ROOT / "docs" / "locales" / language / "LC_MESSAGES" / "book" / f"{path.stem}.po"
                assert ('<div lang="en">' in page) == (not catalogue.exists()), path.stem


@pytest.fixture(scope="module")
def address(site):
    """Serve the site on this machine, with parts of files, which browsers ask for to play sound."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_pages_play_in_a_browser_and_ask_no_other_host(address):
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium")
    player = "document.querySelector('levada-player')"
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        for path in CHAPTERS:
            page = browser.new_page(viewport={"width": 390, "height": 800})
            asked, errors = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("pageerror", lambda error, errors=errors: errors.append(str(error)))
            page.goto(f"{address}/book/{path.stem}.html")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path.stem
            if "levada.Player(" in path.read_text(encoding="utf-8"):
                page.wait_for_function(f"{player}.data && !{player}.$('play').disabled", timeout=60_000)
                page.evaluate(f"{player}.play()")
                page.wait_for_function(f"{player}.currentTime > 0.2", timeout=30_000)
            assert errors == []
            assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []
            page.close()
        page = browser.new_page()
        page.goto(f"{address}/book/02-beat.html")
        for language in ("es", "pt", "en"):
            page.click(f".languages a[hreflang={language}]")
            assert page.evaluate("document.documentElement.lang") == language
            assert page.url.endswith("/book/02-beat.html")
        browser.close()


@pytest.mark.slow
def test_a_notebook_runs_in_a_fresh_environment_from_the_wheel(chapters, built_wheel, tmp_path, monkeypatch):
    """As in Colab: its first cell installs levada, here the wheel of this checkout."""
    venv.create(tmp_path / "fresh", with_pip=True)
    python = tmp_path / "fresh" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setenv("PIP_NO_COMPILE", "0")  # which pip reads as yes; most of what is installed is not imported
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", "nbmake", "ipykernel"], check=True)
    monkeypatch.setenv("LEVADA_WHEEL", f" @ {built_wheel.as_uri()}")
    notebook = tmp_path / "chapter.ipynb"
    text = (BOOK / "02-beat.md").read_text(encoding="utf-8")
    notebook.write_text(json.dumps(chapters.to_notebook(text, "0")), encoding="utf-8")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = [str(python), "-m", "pytest", "-p", "no:cacheprovider", "--nbmake", "--nbmake-kernel=python3"]
    done = subprocess.run([*command, str(notebook)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
