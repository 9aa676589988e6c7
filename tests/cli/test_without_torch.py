"""Commands where PyTorch is not installed: those that train no network work, the others name the extra."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from levada.cli import main

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four rendered recordings with beats and stems, and the program without PyTorch."""
    folder = tmp_path_factory.mktemp("without-torch")
    (folder / "levada_without_torch.py").write_text(BLOCKED)
    done = levada(folder, "render", "candombe", "-o", "corpus", "--minutes", "0.8", "--recordings", "4", "--multitrack")
    assert done.returncode == 0, done.stderr
    return folder


def levada(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "levada_without_torch.py", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


@pytest.mark.slow
def test_commands_that_train_no_network(folder):
    song = next((folder / "corpus").rglob("mixture.wav"))
    for arguments in (
        ("track", str(song), "-o", "x.beats"),
        ("track", str(song), "-m", "latin", "-o", "x.csv"),
        ("separate", str(song), "-m", "candombe", "-o", "stems"),
        ("evaluate", "corpus", "--labels", "beats", "-m", "base", "-m", "flux"),
        ("evaluate", "corpus", "--labels", "stems", "-m", "base"),
        ("select", "corpus", "--minutes", "0.2"),
        ("corpus", "check", "corpus", "--labels", "beats"),
        ("adapt", "corpus", "--labels", "beats", "--strategy", "bayes", "--minutes", "0.3", "-o", "bayes"),
        ("adapt", "corpus", "--labels", "beats", "--strategy", "decoder", "--minutes", "0.3", "-o", "decoder"),
        ("adapt", "corpus", "--labels", "stems", "--strategy", "nmf", "--minutes", "0.2", "-o", "my-nmf"),
        ("track", str(song), "-m", "bayes", "-o", "y.beats"),
        ("track", str(song), "-m", "decoder", "-o", "z.beats"),
        ("separate", str(song), "-m", "my-nmf", "-o", "stems-nmf"),
        ("models", "decoder"),
    ):
        done = levada(folder, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.slow
def test_a_study_of_such_strategies_and_its_report(folder):
    (folder / "study.toml").write_text(
        'name = "small"\nstrategies = ["pretrained", "bayes"]\nminutes = [0.3]\nseeds = 1\n'
        '[corpora]\ncandombe = { render = "candombe", recordings = 4, seconds = 12, seed = 7 }\n'
    )
    for arguments in (("study", "study.toml", "-o", "runs"), ("report", "runs", "-o", "report")):
        done = levada(folder, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.slow
@pytest.mark.parametrize("labels", ["beats", "stems"])
@pytest.mark.parametrize("strategy", ["auto", "finetune", "scratch"])
def test_training_names_the_extra(folder, labels, strategy):
    done = levada(
        folder, "adapt", "corpus", "--labels", labels, "--strategy", strategy, "--minutes", "0.3", "-o", "new"
    )
    assert done.returncode == 2
    assert "pip install 'levada[train]'" in done.stderr
    assert not (folder / "new").exists()


@pytest.mark.slow
def test_the_wheel_in_a_fresh_environment(built_wheel, tmp_path):
    """Installed without extras it has no PyTorch, is small, and tracks, separates and evaluates."""
    venv.create(tmp_path / "env")
    binaries = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    pip = [sys.executable, "-m", "pip", "--python", str(binaries / "python"), "install", "--quiet", "--no-compile"]
    done = subprocess.run(
        [*pip, "-c", str(ROOT / "constraints.txt"), str(built_wheel)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"its dependencies cannot be installed here: {done.stderr[-300:]}")
    site = next((tmp_path / "env").rglob("site-packages"))
    assert not (site / "torch").exists()
    installed = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and "pip" not in path.parts)
    assert installed < 330e6
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for arguments in (
        ("render", "candombe", "-o", "corpus", "--minutes", "0.4", "--recordings", "2", "--multitrack"),
        ("evaluate", "corpus", "--labels", "beats", "-m", "base"),
        ("evaluate", "corpus", "--labels", "stems", "-m", "base"),
        ("track", "corpus", "-o", "beats"),
        ("separate", "corpus", "-m", "candombe", "-o", "stems"),
    ):
        done = subprocess.run(
            [str(binaries / "levada"), *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stderr)
