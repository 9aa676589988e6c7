"""Settings of the site, book and documentation: `make book`, or `sphinx-build -W -n docs docs/book/_build/html`.

With ``-t book`` the book alone is built, as its translations are: ``-t book -D language=es``.
"""

import os
import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "src")]  # extensions beside this file, and levada where not installed

from levada.io.package_digest import package_digest  # noqa: E402  # of this checkout

# Chapters run in processes of their own: with the levada of this checkout, and one thread each.
os.environ["PYTHONPATH"] = os.pathsep.join([str(DOCS.parent / "src"), os.environ.get("PYTHONPATH", "")]).rstrip(":;")
os.environ.setdefault("OMP_NUM_THREADS", "1")

_project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
_book_alone = tags.has("book")  # noqa: F821  (Sphinx defines it)

project = _project["name"]
version = release = _project["version"]
author = copyright = "the levada developers"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.intersphinx", "numpydoc", "chapters"]
root_doc = "index"
exclude_patterns = ["book/_build", "locales"]
if _book_alone:
    root_doc = "book/index"
    include_patterns = ["book/*"]
else:
    extensions += ["reference"]
nitpicky = True
default_role = "code"  # docstrings write `names` as the rest of the scientific Python packages do

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# A chapter is executed once for all languages, and again when its cells or levada change. An error in a cell fails the
# build.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "book" / "_build" / "cache" / package_digest()[:16])
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 240
nb_merge_streams = True
nb_render_image_options = {"width": "100%"}

autodoc_typehints = "none"  # types, shapes and units stand in the docstrings
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Types of other libraries in annotations of attributes: nothing is fetched from a network to link to them.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|fractions|logging|np|npt|numpy|pathlib|torch|typing|nn|types|scipy)\..*"),
]

locale_dirs = ["locales"]
gettext_compact = False
gettext_additional_targets = []
gettext_location = False
intersphinx_disabled_reftypes = []  # a translated book links to the pages that it does not have

html_theme = "sphinx_book_theme"
html_title = f"levada {release}"
html_static_path = ["_static"]
html_css_files = ["book.css"]
templates_path = ["_templates"]
html_copy_source = False
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "use_source_button": False,
    "show_navbar_depth": 1,
    "article_header_end": ["languages.html", "article-header-buttons.html"],
    "navbar_start": [],
    "navbar_persistent": [],
}
html_math_renderer = "mathml"
