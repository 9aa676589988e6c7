"""What several test files share."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

ROOT = Path(__file__).parent.parent
LONGEST_S = 600  # until a process that a test started is given up: a machine may be busy with other work

hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, the walk over the pages and the book: at the end the other process would wait."""
    order = {"test_pages.py": 0, "test_book.py": 1}
    items.sort(key=lambda item: order.get(item.path.name, 2))


@pytest.fixture(scope="module")
def chromium():
    """A browser that plays sound unasked; without one, tests are skipped, and fail in CI."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None and not os.environ.get("CI"):
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = driver.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real recordings beside the project."""
    folder = ROOT.parent / "shared" / "real"
    if not folder.is_dir():
        pytest.skip("no real recordings beside the project (../shared/real)")
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """Make a folder once for all processes of a run: ``shared_folder("site", build)``; the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def make(name: str, build: Callable[[Path], None]) -> Path:
        folder, finished = root / name, root / f"{name}.finished"
        with FileLock(root / f"{name}.lock"):
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                build(folder)
                finished.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def built_wheel(shared_folder) -> Path:
    """The wheel of this checkout."""
    pytest.importorskip("hatchling")

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)

    return next(shared_folder("wheel", build).glob("*.whl"))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder of weights of an untrained network, small enough to train in a test."""
    import torch

    from levada.beat_tracking.networks.tcn import tiny
    from levada.learning.card import Card
    from levada.learning.weights import Weights, save

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(folder, Weights(tiny(), Card("tiny", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})))
    return folder


@pytest.fixture(scope="session")
def rendered(tmp_path_factory) -> Path:
    """A folder of three annotated recordings of 12 s, `a`, `b` and `c`, each of another group; not to be changed."""
    import numpy as np

    from levada.io import audio
    from levada.io.formats import write_beats
    from levada.synth.render import render
    from levada.synth.traditions import read_tradition

    folder, tradition = tmp_path_factory.mktemp("rendered"), read_tradition("candombe")
    for seed, name in enumerate("abc"):
        piece = render(tradition, duration_s=12.0, rng=np.random.default_rng(seed))
        audio.write(folder / f"{name}.wav", piece.mixture, rate=piece.rate)
        write_beats(folder / f"{name}.beats", piece.beats)
    return folder


@pytest.fixture
def empty_weights(tmp_path_factory, monkeypatch) -> Path:
    """The folder in which models that ship are looked for; empty, and a test puts into it what it wants to ship."""
    from levada.learning import names

    folder = tmp_path_factory.mktemp("shipped")
    monkeypatch.setattr(names, "WEIGHTS", folder)
    return folder


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn, to look into them."""
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig

    def watched(figure, *args, **kwargs):
        figures.append(figure)
        return save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", watched)
    return figures


@pytest.fixture
def full_disk():
    """Let files grow to so many bytes and no further: ``with full_disk(1000): ...``; the system itself refuses more."""
    resource = pytest.importorskip("resource", reason="the size of files cannot be limited here")

    @contextmanager
    def limited(size):
        before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


@pytest.fixture
def hide_module(monkeypatch):
    """Make modules impossible to import, as if their libraries were not installed: ``hide_module("numba")``."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.fixture
def in_tmp_path(monkeypatch, tmp_path) -> Path:
    """The folder of the test, which is the current one too."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def home_in_tmp_path(monkeypatch, tmp_path) -> Path:
    """The folder of the test, which is the user's home too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def cache_in_tmp_path(monkeypatch, tmp_path) -> Path:
    """The folder of the test, which is where caches are kept too, also those of processes that the test starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_ffmpeg(monkeypatch, tmp_path) -> None:
    """No program is found, ffmpeg neither."""
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture
def few_steps(monkeypatch) -> None:
    """Adapting takes three steps with half a second of music in each, whatever the strategy."""
    from dataclasses import replace

    from levada.beat_tracking import adaptation as of_beats
    from levada.separation import adaptation as of_stems

    for strategy, settings in of_beats.DEFAULTS.items():
        monkeypatch.setitem(of_beats.DEFAULTS, strategy, replace(settings, steps=3, batch=1, excerpt_s=2.0))
    for strategy, settings in of_stems.DEFAULTS.items():
        if hasattr(settings, "excerpt_s"):
            monkeypatch.setitem(of_stems.DEFAULTS, strategy, replace(settings, steps=3, batch=1, excerpt_s=0.5))


@pytest.fixture
def one_process(monkeypatch) -> None:
    """Score and track folders in this process: starting others takes seconds."""
    from levada.beat_tracking import evaluation as of_beats
    from levada.beat_tracking import folders
    from levada.separation import evaluation as of_stems

    for module, name in ((of_beats, "evaluate"), (of_stems, "evaluate_stems"), (folders, "track_folder")):
        many = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given, _many=many, **said: _many(*given, **{**said, "processes": 1}))


@pytest.fixture
def levada(monkeypatch, capsys):
    """Run a command as a shell would; gives the exit code, what stdout carries and what stderr does."""
    from levada.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["levada", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture
def refused(levada):
    """Run a command that must be refused for its input; gives what stderr carries."""

    def run(*arguments: object) -> str:
        code, out, err = levada(*arguments)
        assert code == 2, (code, out, err)
        assert out == ""
        assert "Traceback" not in err
        assert "error inside levada" not in err
        return err

    return run


@pytest.fixture
def interrupted():
    """Run a command in a process of its own, to which something happens when so much is done."""

    def run(what: str, at: int, *arguments: object) -> subprocess.CompletedProcess[str]:
        script = ROOT / "tests" / "interrupted_command.py"
        return subprocess.run(
            [sys.executable, script, what, str(at), *map(str, arguments)],
            capture_output=True, text=True, check=False, timeout=LONGEST_S, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    return run


@pytest.fixture(scope="session", autouse=True)
def listening_to_ctrl_c() -> None:
    """A process started in the background of a script ignores Ctrl-C, and so would all it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
