"""The page of a report that plays recordings before and after."""

import json
import re

import numpy as np
import pytest

import levada
from levada.beat_tracking.metrics import SCORES
from levada.beat_tracking.task import ESTIMATES, read_estimates
from levada.errors import InputError
from levada.experiments.corpora import data_digest
from levada.experiments.report import write_report
from levada.experiments.report.players import PLAYERS
from levada.experiments.store import fingerprint, read_run, write_run
from levada.io import audio

RATE = 11_025
TIMES_S = np.arange(0.5, 39.5, 0.5)
BEATS = levada.Beats(TIMES_S, np.arange(len(TIMES_S)) % 4 + 1)
LATE = levada.Beats(np.where(TIMES_S > 22, TIMES_S + 0.2, TIMES_S), BEATS.positions)
"""Wrong from 22 s on."""
LOST, GAINED = "1-lost", "2-gained"


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in (LOST, GAINED, "3-same"):
        audio.write(folder / f"{name}.wav", np.full((1, 40 * RATE), 0.1, np.float32), rate=RATE)
        BEATS.save(folder / f"{name}.beats")
    (folder / "corpus.toml").write_text('licence = "CC BY 4.0"\n', encoding="utf-8")
    return folder


def a_run(out, corpus, strategy, base, beat_f, estimates, *, seed=0, path=None, has_beats=True):
    minutes = 0.0 if strategy == "pretrained" else 1.5
    config = {
        "corpus": "drums", "strategy": strategy, "base": base, "minutes": minutes, "selection": "", "augmentation": "",
        "layers": "", "seed": seed, "code": "a", "data": data_digest(levada.load_corpus(corpus)),
    }  # fmt: skip
    record = {
        "format": 1, "id": fingerprint(config), "study": "mine", "config": config, "labels": [], "test": [],
        "labels_minutes": minutes, "costs": {"adapt_cpu_s": 1.0, "score_cpu_s": 1.0, "peak_mb": 1.0}, "error": "",
        "source": {"path": str(path or corpus), "left_out": []},
    }  # fmt: skip
    lines = [",".join(("track", "group", "model", "start_s", "end_s", *SCORES, "kind", "trained_on", "error"))]
    for track, score in beat_f.items():
        lines.append(",".join([track, track, "m", "5", "40", *[str(score)] * len(SCORES), "right", "False", ""]))
    files = {"run.json": json.dumps(record).encode(), "scores.csv": ("\n".join(lines) + "\n").encode()}
    if has_beats:
        rows = {track: [one.times_s.tolist(), one.positions.tolist()] for track, one in estimates.items()}
        files[ESTIMATES] = json.dumps(rows).encode()
    return write_run(out, files)


def a_study(out, corpus, **options):
    """Write a base and an adapted model: one recording got worse, one better."""
    before, after = {LOST: BEATS, GAINED: LATE, "3-same": BEATS}, {LOST: LATE, GAINED: BEATS, "3-same": BEATS}
    a_run(out, corpus, "pretrained", "base", {LOST: 1.0, GAINED: 0.5, "3-same": 1.0}, before, **options)
    a_run(out, corpus, "pretrained", "flux", {LOST: 0.2, GAINED: 0.2, "3-same": 0.2}, before, **options)
    return a_run(out, corpus, "finetune", "base", {LOST: 0.6, GAINED: 1.0, "3-same": 1.0}, after, **options)


def facts(page):
    text = page.read_text(encoding="utf-8")
    return [json.loads(part) for part in re.findall(r"<script type=.application/json.>(.*?)</script>", text)]


@pytest.mark.slow
class TestPlayers:
    def test_those_that_changed_most_are_played_where_they_did(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus)
        made = write_report(tmp_path / "runs", out=tmp_path / "report", players=2)
        assert made.players.recordings == (f"drums: {LOST}", f"drums: {GAINED}")
        assert made.players.licences == ("Sound of drums: CC BY 4.0.",)
        page = tmp_path / "report" / PLAYERS
        assert "CC BY 4.0" in page.read_text(encoding="utf-8")
        assert page.stat().st_size == pytest.approx(1e6 * made.players.mb)
        assert page.stat().st_size < 500_000
        lost = next(one for one in facts(page) if LOST in one["title"])
        assert [layer["name"] for layer in lost["layers"]] == [
            "reference", "before: base", "after: finetune from base, 1.5 minutes",
        ]  # fmt: skip
        assert "1.00 / 1.00, after: finetune from base, 1.5 minutes 0.60 / 0.60" in lost["title"]
        assert lost["duration_s"] == pytest.approx(15)
        assert lost["start_s"] > 20
        end_s = lost["start_s"] + 15
        for layer, beats in zip(lost["layers"], (BEATS, BEATS, LATE), strict=True):
            inside = beats.between(lost["start_s"], end_s).shift(-lost["start_s"])
            assert [beat[0] for beat in layer["beats"]] == pytest.approx(inside.times_s.tolist(), abs=1e-3)
        assert f'<a href="{PLAYERS}">' in made.page.read_text(encoding="utf-8")

    def test_chosen_recordings_and_methods(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus)
        made = write_report(
            tmp_path / "runs", out=tmp_path / "report", recordings=["3-same"], methods=["flux", "finetune from base"]
        )
        assert made.players.recordings == ("drums: 3-same",)
        (only,) = facts(tmp_path / "report" / PLAYERS)
        assert [layer["name"].split(":")[0] for layer in only["layers"]] == ["reference", "before", "after"]
        assert only["layers"][1]["name"] == "before: flux"

    def test_none_without_being_asked(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus)
        made = write_report(tmp_path / "runs", out=tmp_path / "report")
        assert made.players is None
        assert not (tmp_path / "report" / PLAYERS).exists()
        assert PLAYERS not in made.page.read_text(encoding="utf-8")

    def test_recordings_that_moved_with_the_runs_are_found(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus, path=tmp_path / "elsewhere" / "0123456789abcdef")
        (tmp_path / "runs" / "corpora").mkdir()
        corpus.rename(tmp_path / "runs" / "corpora" / "0123456789abcdef")
        made = write_report(tmp_path / "runs", out=tmp_path / "report", players=1)
        assert len(made.players.recordings) == 1

    @pytest.mark.parametrize(
        ("options", "problem"),
        [
            ({"recordings": ["nobody"]}, "no recording 'nobody'"),
            ({"players": 1, "methods": ["base"]}, "two methods"),
            ({"players": 1, "methods": ["base", "finetun"]}, "no method 'finetun'"),
        ],
    )
    def test_what_there_is_not(self, corpus, tmp_path, options, problem):
        a_study(tmp_path / "runs", corpus)
        with pytest.raises(InputError, match=problem):
            write_report(tmp_path / "runs", out=tmp_path / "report", **options)
        assert not (tmp_path / "report").exists()

    def test_runs_without_beats_are_reported_and_not_played(self, corpus, tmp_path):
        run = a_study(tmp_path / "runs", corpus, has_beats=False)
        assert read_estimates(run.folder) == {}
        assert write_report(tmp_path / "runs", out=tmp_path / "report").runs == 3
        with pytest.raises(InputError, match="hold no beats"):
            write_report(tmp_path / "runs", out=tmp_path / "report", players=1, force=True)

    def test_other_labels_than_those_that_were_scored_are_not_shown(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus)
        LATE.save(corpus / f"{LOST}.beats", force=True)
        with pytest.raises(InputError, match="have changed"):
            write_report(tmp_path / "runs", out=tmp_path / "report", players=1)

    def test_recordings_that_are_not_there(self, corpus, tmp_path):
        a_study(tmp_path / "runs", corpus, path=tmp_path / "elsewhere")
        with pytest.raises(InputError, match="not at hand"):
            write_report(tmp_path / "runs", out=tmp_path / "report", players=1)


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '{"a": [[1, 0.5], [1, 2]]}', '{"a": [[1], ["x"]]}', "[]"])
def test_damaged_beats(tmp_path, text):
    (tmp_path / ESTIMATES).write_text(text, encoding="utf-8")
    with pytest.raises(InputError):
        read_estimates(tmp_path)


def test_changed_beats_are_damage(corpus, tmp_path):
    run = a_study(tmp_path / "runs", corpus)
    assert [*read_estimates(run.folder)[LOST]] == [*LATE]
    (run.folder / ESTIMATES).write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        read_run(run.folder)
