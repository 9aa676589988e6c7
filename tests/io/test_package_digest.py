"""The digest of the code: whatever may decide a result changes it."""

import subprocess
import sys

import numpy as np
import pytest

from levada.experiments import code_version
from levada.io import audio, package_digest
from levada.io.beats import Beats
from levada.io.formats import write_beats


@pytest.fixture
def clicks(tmp_path):
    """Two recordings of clicks with their beats."""
    beats = Beats(np.arange(0.5, 15.8, 0.5), np.arange(31) % 4 + 1)
    for name in "ab":
        (tmp_path / "clicks").mkdir(exist_ok=True)
        sound = audio.clicks(beats, rate=8000, duration_s=16 + (name == "b"))
        audio.write(tmp_path / "clicks" / f"{name}.wav", sound[None], rate=8000)
        write_beats(tmp_path / "clicks" / f"{name}.beats", beats)
    return tmp_path / "clicks"


class TestCode:
    """Whatever may decide a result changes the digest: nothing can be forgotten, only listed as irrelevant."""

    @pytest.fixture
    def package(self, tmp_path, monkeypatch):
        for name in ("fit.py", "synth/__init__.py", "traditions/son.toml", "weights/base/model", "cli/__init__.py"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("a = 1\n")
        monkeypatch.setattr(package_digest, "PACKAGE", tmp_path)
        package_digest.package_digest.cache_clear()
        yield tmp_path
        package_digest.package_digest.cache_clear()

    @pytest.mark.parametrize(
        ("name", "changes"),
        [
            ("fit.py", True),
            ("synth/__init__.py", True),
            ("traditions/son.toml", True),
            ("weights/base/model", True),
            ("new.py", True),
            ("new/data.bin", True),
            ("synth/cli.py", True),
            ("cli/__init__.py", False),
            ("experiments/report/new.py", False),
            ("__pycache__/fit.pyc", False),
            (".DS_Store", False),
        ],
    )
    def test_what_changes_it(self, package, name, changes):
        before = code_version.code_digest()
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text("a = 2\n")
        package_digest.package_digest.cache_clear()
        assert (code_version.code_digest() != before) == changes

    def test_a_file_that_is_renamed_or_gone_changes_it(self, package):
        found = {code_version.code_digest()}
        (package / "fit.py").rename(package / "fits.py")
        package_digest.package_digest.cache_clear()
        found.add(code_version.code_digest())
        (package / "fits.py").unlink()
        package_digest.package_digest.cache_clear()
        assert len(found | {code_version.code_digest()}) == 3

    @pytest.mark.slow
    def test_no_import_leads_from_a_run_to_what_does_not_count(self):
        """All imports, those inside functions too, from what renders, lays out and does runs."""
        graph = pytest.importorskip("grimp").build_graph("levada")
        reached = {"levada.experiments.run", "levada.experiments.runner"}
        for module in [*reached]:
            reached |= graph.find_upstream_modules(module)
        paths = _paths(reached)
        assert {"synth/render", "synth/instruments", "beat_tracking/adaptation", "separation/adaptation"} <= paths
        assert not paths & code_version.ASIDE
        assert _paths(graph.modules) >= code_version.ASIDE

    @pytest.mark.slow
    def test_nothing_that_does_not_count_is_loaded_by_a_study(self, clicks, tmp_path):
        spec = tmp_path / "mine.toml"
        spec.write_text(
            f'strategies = ["decoder"]\nminutes = [0.1]\nexternal = ["flux"]\n[corpora]\nclicks = "{clicks}"\n'
            'made = { render = "candombe", recordings = 2, seconds = 5 }\n'
        )
        program = (
            "import sys\nfrom levada.experiments import run_study\n"
            f"summary = run_study({str(spec)!r}, out={str(tmp_path / 'out')!r})\nassert summary.done, summary\n"
            "print(*(name for name in sys.modules if name.startswith('levada.')))"
        )
        told = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        loaded = _paths(told.stdout.split())
        assert {"experiments/runner", "synth/render", "beat_tracking/decoder"} <= loaded
        assert not loaded & code_version.ASIDE


def _paths(modules):
    """Paths of modules, and of the packages that they lie in, from the root of the package."""
    parts = [module.split(".")[1:] for module in modules]
    return {"/".join(names[:count]) for names in parts for count in range(1, len(names) + 1)}
