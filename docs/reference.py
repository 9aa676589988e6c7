"""Sphinx extension: the API reference from docstrings, and the command reference from the command line itself.

Pages are written into `docs/_reference` before the build: one for each public package of levada, one for each of its
modules, and one for all commands. They are made anew for each build and never committed.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import shutil
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from inspect import getsource, isclass, isfunction, ismodule
from pathlib import Path
from typing import Any

PACKAGES = (
    "io",
    "synth",
    "data",
    "learning",
    "beat_tracking",
    "separation",
    "models",
    "player",
    "experiments",
    "challenges",
    "studio",
)
PAGES = "_reference"


def setup(app: Any) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", write_pages)
    app.connect("autodoc-process-docstring", add_fields, priority=100)  # before numpydoc
    return {"parallel_read_safe": True}


def write_pages(app: Any, _: Any = None) -> None:
    """Write the pages of the reference."""
    folder = Path(app.srcdir) / PAGES
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    documented = set[int]()
    pages = {"levada": _page("levada", documented), "levada.errors": _page("levada.errors", documented)}
    for package in (f"levada.{name}" for name in PACKAGES):
        if importlib.util.find_spec(package) is None:
            continue
        modules = sorted(_modules(package), key=lambda name: (name.count("."), name))
        pages[package] = _page(package, documented)
        pages |= {name: page for name in modules if (page := _page(name, documented, only_if_public=True))}
        below = "".join(f"   {name}\n" for name in sorted(pages) if name.startswith(f"{package}."))
        if below:
            pages[package] += f".. toctree::\n   :caption: Modules\n   :maxdepth: 1\n\n{below}"
    for name, page in pages.items():
        (folder / f"{name}.rst").write_text(page, encoding="utf-8")
    (folder / "commands.md").write_text(command_page(), encoding="utf-8")


def _modules(package: str) -> Iterator[str]:
    """Names of all modules below a package."""
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, prefix=f"{package}."):
        yield found.name


def _page(name: str, documented: set[int], *, only_if_public: bool = False) -> str:
    """Text of the page of a module: its docstring, and what it exports that no page before it has.

    What a package exports from a module below it is described on the page of the package, where users import it from.
    """
    module = importlib.import_module(name)
    names = [one for one in getattr(module, "__all__", ()) if not one.startswith("__")]
    new = [one for one in names if id(getattr(module, one)) not in documented]
    if only_if_public and not new:
        return ""
    lines = [f"``{name}``", "=" * (len(name) + 4), "", f".. automodule:: {name}", "   :no-members:"]
    lines += ["   :no-index:", ""] if _is_also_a_function(name) else [""]
    for one in new:
        value = getattr(module, one)
        if isclass(value):
            lines += [f".. autoclass:: {name}.{one}", "   :members:", ""]
        elif isfunction(value):
            lines += [f".. autofunction:: {name}.{one}", ""]
        else:
            lines += [f".. py:data:: {name}.{one}", "", *(f"   {line}" for line in _comment(module, one)), ""]
        if isclass(value) or isfunction(value):
            documented.add(id(value))
    return "\n".join(lines) + "\n"


def _is_also_a_function(name: str) -> bool:
    """Whether a package exports a function by the name of the module that has it."""
    package, _, last = name.rpartition(".")
    return bool(package) and not ismodule(getattr(importlib.import_module(package), last))


def _comment(module: Any, name: str) -> list[str]:
    """Lines of the docstring that follows a constant in its source."""
    from sphinx.pycode import ModuleAnalyzer

    for owner in (module.__name__, *_sources(module, name)):
        lines = ModuleAnalyzer.for_module(owner).find_attr_docs().get(("", name))
        if lines:
            return list(lines)
    return []


def _sources(module: Any, name: str) -> Iterator[str]:
    """Modules below a package that have the same constant: where the package imports it from."""
    if hasattr(module, "__path__"):
        for found in pkgutil.iter_modules(module.__path__, prefix=f"{module.__name__}."):
            if getattr(importlib.import_module(found.name), name, None) is getattr(module, name):
                yield found.name


def add_fields(_: Any, what: str, __: str, value: Any, ___: Any, lines: list[str]) -> None:
    """Describe the fields of a dataclass by the comments on their lines, as parameters, where its docstring does not.

    A field is described so in the source: ``rate: int = 44100  # samples per second``.
    """
    if what != "class" or not is_dataclass(value) or "Parameters" in lines:
        return
    described = dict(re.findall(r"^    (\w+): .*?  # (?!type:|noqa)(.+)$", getsource(value), re.MULTILINE))
    if described:
        lines += ["", "Parameters", "----------"]
        for field in fields(value):
            lines += [f"{field.name} : {field.type}"] if field.init else []
            lines += [f"    {described[field.name]}"] if field.init and field.name in described else []
        lines += [""]


def command_page() -> str:
    """Text of the page of all commands: usage, help, arguments and options of each."""
    from typer.main import get_command

    from levada.cli import app

    command = get_command(app)
    command.name = "levada"
    return "\n".join(["# Commands", "", *_command(command, "levada", depth=1)]) + "\n"


def _command(command: Any, name: str, *, depth: int, parent: Any = None) -> Iterator[str]:
    context = command.make_context(name.split()[-1], [], parent=parent, resilient_parsing=True)
    if depth > 1:
        yield f"{'#' * min(depth, 3)} `{name}`"
        yield ""
    yield from ["```text", " ".join([name, *command.collect_usage_pieces(context)]), "```", ""]
    yield from [_plain(command.help), ""]
    rows = [record for one in command.get_params(context) if (record := one.get_help_record(context)) is not None]
    arguments = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    for title, table in (("argument", arguments), ("option", [row for row in rows if row[0].startswith("-")])):
        if table:
            yield from [f"| {title} | meaning |", "|---|---|"]
            yield from (f"| `{_cell(left)}` | {_cell(_plain(right))} |" for left, right in table)
            yield ""
    if command.epilog:
        text = command.epilog.replace("\b", "").strip()
        yield from ["```text", text, "```", ""] if "\n" in text else [_plain(text), ""]
    for sub in getattr(command, "commands", {}):
        yield from _command(command.get_command(context, sub), f"{name} {sub}", depth=depth + 1, parent=context)


def _argument(argument: Any) -> tuple[str, str]:
    return argument.name, argument.help or ""


def _plain(text: str | None) -> str:
    """Help as Markdown: brackets and angles are text, and paragraphs stay."""
    return (text or "").replace("\b", "").replace("<", "&lt;").replace("[", "\\[").strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
