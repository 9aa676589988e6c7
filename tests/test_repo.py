"""The repository as a whole: imports are quick, public names are documented, nothing names a machine or a registry."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "levada"
MODULES = sorted(SOURCE.rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

HEAVY = {
    "torch",
    "numba",
    "matplotlib",
    "mirdata",
    "scipy",
    "mir_eval",
    "soundfile",
    "soxr",
    "rich.console",
}
TRAINING = {
    "levada.learning.training",
    "levada.beat_tracking.targets",
    "levada.beat_tracking.networks.tcn",
    "levada.beat_tracking.networks.harmonic_change",
    "levada.beat_tracking.networks.tcn2019",
    "levada.beat_tracking.networks.crnn",
    "levada.beat_tracking.networks.beat_this",
    "levada.separation.networks.mask_net",
    "levada.separation.networks.unet",
    "levada.learning.weights",
    "levada.beat_tracking.adaptation",
    "levada.separation.auto",
    "levada.beat_tracking.interpolation",
    "levada.models.adaptation",
    "levada.separation.examples",
    "levada.separation.adaptation",
    "levada.separation.unet_training",
    "levada.separation.external.demucs",
    "levada.separation.external.demucs_network",
    "levada.cli.demo",
    "levada.cli.demo.beats",
    "levada.cli.demo.output",
    "levada.cli.demo.stems",
    "levada.cli.demo.studio",
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def committed() -> list[Path]:
    """All files of text under version control, or in an unpacked archive, all that would be."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        folders = ("src", "tests", "benchmarks", "scripts", "studies", "pretraining")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")] + list(ROOT.glob("*.*"))
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()]


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Which heavy libraries a fresh process has loaded when the code is through."""
    report = f"import sys, atexit; atexit.register(lambda: print('LOADED', *({HEAVY!r} & set(sys.modules))))\n"
    done = subprocess.run(
        [sys.executable, "-c", report + code, *arguments], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("LOADED")[-1].split())


class TestQuickStart:
    def test_everything_that_does_not_train_imports_without_heavy_libraries(self):
        quick = [name for name in map(module_name, MODULES) if name not in TRAINING]
        assert len(quick) > 30
        report = f"""
import importlib, sys
for name in {quick!r}:
    importlib.import_module(name)
    heavy = {HEAVY!r} & set(sys.modules)
    assert not heavy, f"{{name}} loads {{', '.join(sorted(heavy))}}"
"""
        assert loaded_by(report) == set()

    def test_help_loads_no_library_of_sound_or_learning(self):
        assert loaded_by("from levada.cli import main; main()", "--help") == set()

    def test_checking_a_corpus_does_not_load_torch(self, tmp_path):
        import numpy as np

        from levada.io import audio
        from levada.io.beats import Beats
        from levada.io.formats import write_beats

        beats = Beats(np.arange(0.5, 9.5, 0.5), positions=np.arange(18) % 4 + 1)
        audio.write(tmp_path / "a.wav", audio.clicks(beats, rate=22050, duration_s=10)[None], rate=22050)
        write_beats(tmp_path / "a.beats", beats)
        heavy = loaded_by("from levada.cli import main; main()", "corpus", "check", str(tmp_path))
        assert heavy <= {"soundfile"}


class TestModules:
    @pytest.mark.parametrize("path", MODULES, ids=module_name)
    def test_every_public_name_exists_and_is_described(self, path):
        module = importlib.import_module(module_name(path))
        assert module.__doc__, "what is this module for?"
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert inspect.getdoc(value), f"{name} has no docstring"


class TestFiles:
    # Written in two pieces, so that this file passes its own test.
    MACHINE = re.compile(
        "|".join(["/" + "work/", "/" + "root/", "/" + r"home/(?!me\b)", r"C:" + r"\\Users", "/" + "opt/"])
    )
    REGISTRY = re.compile("|".join(["pypi" + r"\.org", "python" + "hosted", "index" + "-url", "find" + "-links"]))
    UNFINISHED = re.compile(r"\b(TO" + "DO|FIX" + "ME|X" + r"XX)\b")

    @pytest.mark.parametrize("pattern", [MACHINE, REGISTRY, UNFINISHED], ids=["machine", "registry", "unfinished"])
    def test_nothing_committed_names_a_machine_a_registry_or_a_thing_undone(self, pattern):
        found = [
            f"{path.relative_to(ROOT)}, line {number}: {line.strip()}"
            for path in committed()
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
            if pattern.search(line)
        ]
        assert found == []

    def test_the_patterns_find_what_they_are_for(self):
        assert self.MACHINE.search("see /" + "work/main")
        assert self.REGISTRY.search("--index" + "-url=https://example")
        assert self.UNFINISHED.search("# TO" + "DO: later")

    def test_torch_is_pinned(self):
        pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        assert any(re.fullmatch(r"torch==\d+\.\d+\.\d+", line) for line in pins)

    def test_make_help_tells_every_target(self):
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
        told = re.findall(r'^\t@echo "make ([\w-]+) ', makefile, re.MULTILINE)
        assert phony is not None
        assert set(told) == set(phony[1].split()) - {"help"}


class TestExtras:
    EXTRAS = PROJECT["project"]["optional-dependencies"]

    def missing(self) -> list[tuple[Path, ast.Call]]:
        trees = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES]
        return [(path, call) for path, tree in trees for call in calls(tree, "MissingExtra")]

    def test_errors_name_extras_that_bring_the_library(self):
        found = self.missing()
        assert len(found) >= 4
        for path, call in found:
            words = {word.arg: word.value for word in call.keywords}
            extra = ast.literal_eval(words["extra"])
            where = f"{path.name}, line {call.lineno}"
            assert extra in self.EXTRAS, where
            if isinstance(call.args[0], ast.Constant):  # and no variable, over several libraries of an extra
                library = re.escape(str(call.args[0].value))
                assert any(re.match(rf"{library}\b", need) for need in self.EXTRAS[extra]), where

    def test_pages_and_messages_name_extras_that_exist(self):
        named = [
            (path, extra.strip())
            for path in committed()
            if path.suffix in (".py", ".md", ".toml")
            for extras in re.findall(r"levada\[([\w, -]+)\]", path.read_text(encoding="utf-8"))
            for extra in extras.split(",")
        ]
        assert {extra for _, extra in named} >= {"all", "train"}
        assert [(path, extra) for path, extra in named if extra not in self.EXTRAS] == []


class TestPapers:
    def test_the_citation_can_be_read_by_those_who_cite(self):
        import yaml

        cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
        assert cff["cff-version"] == "1.2.0"
        assert cff["title"].startswith("levada")
        assert cff["version"] == PROJECT["project"]["version"]
        assert cff["license"] == PROJECT["project"]["license"]
        assert cff["message"]
        assert cff["authors"]
        assert len(cff["references"]) >= 10
        for paper in cff["references"]:
            assert paper["type"] in {"article", "conference-paper", "book", "generic", "software"}
            assert paper["title"]
            assert 1990 < paper["year"] < 2100
            assert all({"family-names", "given-names"} <= set(author) for author in paper["authors"])
            assert re.fullmatch(r"10\.\d{4,9}/\S+", paper.get("doi", "10.1234/none"))

    def test_the_changelog_tells_of_this_version(self):
        changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        assert re.search(rf"^## \[{re.escape(PROJECT['project']['version'])}\]", changes, re.MULTILINE)
