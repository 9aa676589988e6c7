"""Names that are imported when they are first used."""

import importlib
import subprocess
import sys

import pytest

from levada.lazy import lazy_names


@pytest.mark.parametrize("package", ["levada", "levada.data"])
def test_packages_have_the_names_that_they_list_and_no_others(package):
    module = importlib.import_module(package)
    assert set(module.__all__) <= set(dir(module))
    assert [name for name in module.__all__ if getattr(module, name) is None] == []
    with pytest.raises(AttributeError, match=rf"^module '{package}' has no attribute 'beets'$"):
        module.beets  # noqa: B018


def test_a_module_is_imported_with_the_first_of_its_names(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    namespace = {"__name__": "package"}
    load, names = lazy_names(namespace, {"convert": "colorsys:rgb_to_hsv", "rgb_to_hls": "colorsys"})
    assert names() == ["__name__", "convert", "rgb_to_hls"]
    assert "colorsys" not in sys.modules
    assert load("convert")(1, 0, 0) == (0, 1, 1)
    assert namespace["convert"] is sys.modules["colorsys"].rgb_to_hsv
    assert load("rgb_to_hls") is sys.modules["colorsys"].rgb_to_hls
    with pytest.raises(AttributeError, match="module 'package' has no attribute 'other'"):
        load("other")


def test_python_runs_the_package_as_the_command():
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "levada", *arguments], capture_output=True, text=True, check=False)

    done = run("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: levada ")
    assert run("trakc").returncode == 2
