"""Every command and every line of Python of the README, run one after another as a reader would."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SHELL = [line for kind, text in BLOCKS if kind in ("bash", "sh", "console") for line in text.splitlines()]
INLINE = re.findall(r"`(levada [^`]+ [^`]+)`", README)
LINES = [line.removeprefix("$ ").split(" #")[0].strip() for line in (*SHELL, *INLINE)]
COMMANDS = list(dict.fromkeys(line for line in LINES if line.startswith("levada ")))


def test_there_are_commands_to_run():
    assert len(COMMANDS) >= 8
    assert {shlex.split(command)[1] for command in COMMANDS} >= {"track", "adapt", "evaluate", "corpus", "models"}


@pytest.mark.slow
def test_every_line_does_what_it_says():
    """In a process of its own, as a reader's is: whatever other tests have loaded is not there."""
    walk = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(ROOT / "tests" / "readme_walk.py"),
    ]
    done = subprocess.run(walk, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_make_has_the_targets_the_readme_names():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", README, re.MULTILINE))
    assert phony is not None
    assert {"demo", "test"} <= named <= set(phony[1].split())


def test_files_the_readme_points_to_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
