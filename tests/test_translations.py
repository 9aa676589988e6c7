"""The translations of the book: complete, and with the links, code and formulas of the text."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.stem for path in (ROOT / "docs" / "book").glob("*.md"))
# Roles (by what they refer to), links, code, formulas, numbers of references.
MARKUP = re.compile(
    r"\{[\w:]+\}`(?:[^`<]*<)?([^`>]+)>?`|(<https?://[^>]+>|\]\([^)]+\)|`[^`]+`|\$[^$]+\$|\[\d[\d, ]*\])"
)


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """Messages of each page, as `make translations` extracts them."""
    pytest.importorskip("myst_nb")
    pofile = pytest.importorskip("babel.messages.pofile")
    out = tmp_path_factory.mktemp("gettext")
    command = [sys.executable, "-m", "sphinx", "-b", "gettext", "-Q", "-t", "book", "-D", "nb_execution_mode=off"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    subprocess.run([*command, "-d", str(out / "doctrees"), str(ROOT / "docs"), str(out)], check=True, env=environment)
    return {page: set(catalogue(pofile, out / "book" / f"{page}.pot")) for page in PAGES}


def catalogue(pofile, path):
    """Translations of a file by message; nothing where a person has yet to look at one."""
    with path.open("rb") as file:
        return {one.id: "" if one.fuzzy else one.string for one in pofile.read_po(file) if one.id}


def markup(text):
    return sorted(role or other for role, other in MARKUP.findall(text))


def test_the_interface_of_the_pages_is_translated():
    pofile = pytest.importorskip("babel.messages.pofile")
    texts = re.findall(r'translate\("([^"]+)"\)', (ROOT / "docs" / "chapters.py").read_text(encoding="utf-8"))
    for language in ("es", "pt"):
        translated = catalogue(pofile, ROOT / "docs" / "locales" / language / "LC_MESSAGES" / "sphinx.po")
        assert [text for text in texts if not translated.get(text)] == []
        assert all(translated.values())


def test_markup_is_what_a_translation_must_keep():
    text = "{doc}`the music <01-music>`, {py:class}`levada.Beats`, `code`, $x_k$, <https://a.org>, [b](c), [1, 2]."
    assert markup(text) == ["$x_k$", "01-music", "<https://a.org>", "[1, 2]", "](c)", "`code`", "levada.Beats"]


@pytest.mark.parametrize("language", ["es", "pt"])
@pytest.mark.parametrize("page", PAGES)
def test_every_message_is_translated_with_its_markup(messages, page, language):
    pofile = pytest.importorskip("babel.messages.pofile")
    path = ROOT / "docs" / "locales" / language / "LC_MESSAGES" / "book" / f"{page}.po"
    assert path.exists(), "make translations"
    translated = catalogue(pofile, path)
    assert translated.keys() == messages[page], "make translations"
    assert [text for text, translation in translated.items() if not translation] == []
    assert [found for found in translated.values() if re.match(r"\d+\. ", found)] == [], "a list, and no title: 1\\."
    different = {text: found for text, found in translated.items() if markup(text) != markup(found)}
    assert different == {}
