"""Every command and every line of Python of the README and of the pages in docs/, run as a reader would."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NAMES = ("tracking", "studies", "separation", "python", "microtiming")
PAGES = [ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in NAMES)]
TEXTS = {page.stem: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    (name, kind, block)
    for name, text in TEXTS.items()
    for kind, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
]
SHELL = [line for _, kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
INLINE = [command for text in TEXTS.values() for command in re.findall(r"`(levada [^`]+ [^`]+)`", text)]
LINES = [line.split(" #")[0].strip() for line in (*SHELL, *INLINE)]
SERVES = "levada studio "  # does not end by itself; tests/studio runs it
COMMANDS = list(dict.fromkeys(line for line in LINES if line.startswith("levada ") and not line.startswith(SERVES)))
PYTHON = {name: "".join(block for page, kind, block in BLOCKS if (page, kind) == (name, "python")) for name in TEXTS}


def in_a_process(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """As a reader's is: other tests have loaded nothing there."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd)


def test_there_are_commands_to_run():
    verbs = {"track", "adapt", "evaluate", "separate", "convert", "select", "render", "remix", "study", "report"}
    assert {shlex.split(command)[1] for command in COMMANDS} >= verbs | {"corpus", "models", "traditions"}
    assert {name for name, code in PYTHON.items() if code} == {"README", "python", "microtiming"}


@pytest.mark.slow
def test_every_command_and_every_line_of_python_runs():
    walk = ROOT / "tests" / "pages_walk.py"
    done = in_a_process("-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", str(walk))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.slow
def test_a_network_of_your_own_learns_the_beats_of_another_recording(tmp_path, monkeypatch):
    """The page prints the scores of the baseline, of the network trained by `adapt`, and of that trained by hand."""
    page = (ROOT / "docs" / "own-network.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    script = tmp_path / "own_network.py"
    head, corpus, rest = code.partition("import levada\n")  # the class, and what starts processes
    body = "\n".join(f"    {line}" if line else "" for line in (corpus + rest).splitlines())
    script.write_text(f"{head}\nif __name__ == '__main__':\n{body}\n", encoding="utf-8")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = in_a_process(str(script), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scores = [float(score) for score in re.findall(r"beat F ([\d.]+), downbeat", done.stdout)]
    assert len(scores) == 3
    assert min(scores[1:]) > max(0.9, scores[0])
    assert (tmp_path / "my-network" / "log.csv").exists()


def test_make_has_the_targets_that_pages_name():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    pages = [*PAGES, ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    named = {target for text in texts for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE)}
    assert phony is not None
    assert {"demo", "test", "check", "book"} <= named <= set(phony[1].split())


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_files_that_a_page_links_to_exist(page):
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []
