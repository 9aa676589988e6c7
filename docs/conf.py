"""Settings of the documentation: `make docs`, or `sphinx-build -W -n docs docs/_build`."""

import sys
import tomllib
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent / "src")]  # `reference` beside this file, and levada where not installed

_project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = _project["name"]
version = release = _project["version"]
author = copyright = "the levada developers"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "reference"]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "code"  # docstrings write `names` as the rest of the scientific Python packages do

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # types, shapes and units stand in the docstrings
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

# Types of other libraries in annotations of attributes: nothing is fetched from a network to link to them.
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|fractions|logging|np|npt|numpy|pathlib|torch|typing|nn|types|scipy)\..*"),
]

html_theme = "furo"
html_title = f"levada {release}"
html_theme_options = {"source_edit_link": ""}
if _project.get("urls", {}).get("Repository"):
    html_theme_options = {"source_repository": _project["urls"]["Repository"], "source_directory": "docs/"}
else:
    html_theme_options = {}
