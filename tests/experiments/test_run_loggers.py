"""Runs shown elsewhere: curves, tables, and what a kept model makes of the recording it does worst on."""

import pytest

from levada.data import load_corpus
from levada.experiments.corpora import OpenCorpus, data_digest
from levada.experiments.grid import make_grid
from levada.experiments.run import Job, failure, run
from levada.experiments.run_loggers import log_run
from levada.experiments.spec import Source, Study
from levada.experiments.store import write_run


@pytest.fixture
def job(rendered, tiny_model):
    source, corpus = Source("small", path=str(rendered)), load_corpus(rendered, labels="beats")
    settings = {"steps": 3, "batch": 1, "excerpt_s": 2.0, "alpha": 0.5}
    study = Study("mine", (source,), ("finetune",), (0.1,), (str(tiny_model),), settings=settings)
    (plan,) = make_grid(study, [OpenCorpus(source, corpus, data_digest(corpus))]).plans
    return Job(plan, source, "mine", keep_weights=True, model=str(tiny_model))


@pytest.mark.slow
def test_all_there_is(job, tmp_path):
    written = write_run(tmp_path, run(job))
    log_run(written, job, names=["csv"], out=tmp_path)
    folder = tmp_path / "logs" / written.id
    rows = [line.split(",") for line in (folder / "scalars.csv").read_text().splitlines()[1:]]
    assert [int(step) for step, name, _ in rows if name == "loss"] == [1, 2, 3]
    last = {name: float(value) for step, name, value in rows if step == "4"}
    assert last["beat_f"] == pytest.approx(sum(row["beat_f"] for row in written.scores) / len(written.scores))
    assert last["cpu_s"] == written.costs["cpu_s"]
    assert (folder / "tables" / "scores.csv").is_file()
    assert (folder / "audio" / "lowest-score.wav").stat().st_size > 100_000
    assert (folder / "images" / "lowest-score.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_that_failed(job, tmp_path):
    written = write_run(tmp_path, failure(job, ValueError("alas")))
    log_run(written, job, names=["csv"], out=tmp_path)
    assert "ValueError: alas" in (tmp_path / "logs" / written.id / "tables" / "error.csv").read_text()
