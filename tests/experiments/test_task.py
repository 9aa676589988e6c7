"""Studies of stems: the same grid, runs and report, of songs that are taken apart."""

import csv
import json
from dataclasses import fields, replace

import numpy as np
import pytest

from levada.errors import InputError
from levada.experiments import runner
from levada.experiments.grid import Plan
from levada.experiments.report import write_report
from levada.experiments.runner import run_study
from levada.experiments.spec import TASKS, read_spec
from levada.experiments.store import read_runs
from levada.io import audio

RATE = 22050


def drum(hz, every_s, seed, seconds=4.0):
    rng, out, time = np.random.default_rng(seed), np.zeros(round(seconds * RATE), np.float32), np.arange(2000) / RATE
    for start in np.arange(rng.uniform(0, 0.2), seconds - 0.2, every_s):
        out[round(start * RATE) :][:2000] += np.float32(0.3) * np.exp(-time / 0.03) * np.sin(2 * np.pi * hz * time)
    return out


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Four songs of two drums."""
    folder = tmp_path_factory.mktemp("songs")
    for seed in range(4):
        stems = {"surdo": drum(80 + 5 * seed, 0.5, seed), "tamborim": drum(1500 + 50 * seed, 0.25, 9 + seed)}
        (folder / f"song-{seed}").mkdir()
        for name, stem in [*stems.items(), ("mixture", sum(stems.values()))]:
            audio.write(folder / f"song-{seed}" / f"{name}.wav", stem[None], rate=RATE)
    return folder


@pytest.fixture
def spec(songs, tmp_path):
    """From lines to a spec of these songs."""

    def written(*lines):
        path = tmp_path / "study.toml"
        path.write_text("\n".join(['task = "stems"', *lines, "[corpora]", f'drums = "{songs.as_posix()}"']) + "\n")
        return path

    return written


@pytest.mark.slow
def test_runs_and_their_report(spec, tmp_path):
    path = spec('strategies = ["nmf", "nmf-conv"]', "minutes = [0.05, 0.1]", "seeds = 2")
    summary = run_study(path, out=tmp_path / "runs")
    assert (summary.done, summary.kept, summary.failed) == (8, 0, {})
    assert run_study(path, out=tmp_path / "runs").kept == 8
    runs = read_runs(tmp_path / "runs")
    assert {run.config["task"] for run in runs} == {"stems"}
    assert all(float(row["si_sdr_i"]) > 5 for run in runs for row in run.scores)
    record = json.loads((runs[0].folder / "run.json").read_text())
    assert {name for name, *_ in record["labels"]}.isdisjoint(record["test"])
    found = write_report(tmp_path / "runs", out=tmp_path / "report")
    page = found.page.read_text()
    assert "SI-SDR improvement, dB" in page
    assert "beat F" not in page
    rows = list(csv.DictReader((tmp_path / "report" / "tables" / "all.csv").read_text().splitlines()))
    assert {"si_sdr_i", "sdr_i", "leak_db"} <= rows[0].keys()
    assert "nmf" in found.findings[0]


@pytest.mark.slow
def test_rendered_songs(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        'task = "stems"\nstrategies = ["nmf"]\nminutes = [0.05]\n'
        '[corpora]\nmade = { render = "candombe", recordings = 3, seconds = 4 }\n'
    )
    ahead = runner.plan_study(read_spec(path), out=tmp_path / "runs")
    assert len(ahead.runs) == 1
    assert run_study(path, out=tmp_path / "runs").done == 1
    assert len(list((tmp_path / "runs").rglob("mixture.wav"))) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('strategies = ["bayes"]', "there is no strategy 'bayes'"),
        ('strategies = ["nmf"]\nselection = ["vote-k"]', "there is no selection 'vote-k'"),
        ('strategies = ["scratch"]\naugmentation = ["tempo"]', "there is no augmentation 'tempo'"),
    ],
)
def test_what_is_of_beats_alone(spec, tmp_path, line, said):
    path = spec(line, "minutes = [0.05]")
    with pytest.raises(InputError) as refused:
        run_study(path, out=tmp_path / "runs")
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_task_that_does_not_exist(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text('strategies = ["nmf"]\ntask = "stem"\n[corpora]\na = "b"\n')
    with pytest.raises(InputError, match=r"study.toml, line 2: there is no task 'stem'; did you mean 'stems'"):
        read_spec(path)


def test_the_id_of_a_run_depends_on_its_configuration_alone():
    plan = Plan("a", "scratch", "", 1.0, "random", (), (), 0, 0.5, 5.0, False, False)
    assert plan.id == replace(plan).id
    assert plan.id != replace(plan, seed=1).id
    assert replace(plan, task="stems").id != plan.id


@pytest.mark.parametrize("name", ["beats", "stems"])
def test_every_strategy_has_settings_and_a_place_in_its_task(name):
    task = TASKS[name]
    assert name == task.NAME
    assert task.strategies().keys() == task.default_settings().keys()
    assert set(task.FROM_SCRATCH) | set(task.NON_NEURAL) | set(task.OWN_SETTINGS) <= task.strategies().keys()
    assert task.selections()[0] == "random"
    assert set(task.AUGMENTATIONS.values()) <= {entry.name for entry in fields(task.no_augmentation())}
