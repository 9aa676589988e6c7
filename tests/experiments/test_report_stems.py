"""A report of separators whose scores are known: decibels, instruments, leaks, the ceiling, and beats beside them."""

import csv
import json
import math

import numpy as np
import pytest

from levada.experiments.report import PAGE, write_report
from levada.experiments.report.results import collect
from levada.experiments.report.stems import by_instrument, leak_table, leaks
from levada.experiments.report.tables import all_scores, gained_and_lost
from levada.experiments.report.text import findings, methods_text, verdict_text
from levada.experiments.store import fingerprint, read_runs, write_run
from levada.separation.metrics import STEM_SCORES

HEADINGS = ("track", "group", "model", "instrument", *STEM_SCORES, "duration_s", "cpu_s", "trained_on", "error")
GAINS = {"surdo": 8.0, "caixa": 4.0}


def a_run(out, strategy, base="base", *, minutes=1.5, seed=0, gain=0.0, songs=8, kept=True, corpus="roda", code="a"):
    """Write a run of eight songs of two instruments, so much better than `GAINS`; a third one never plays."""
    bare = strategy == "pretrained"
    config = {
        "corpus": corpus, "strategy": strategy, "base": base, "minutes": 0.0 if bare else minutes,
        "selection": "" if bare else "random", "augmentation": "", "layers": "", "seed": seed, "code": code,
        "data": "d", "task": "stems",
    }  # fmt: skip
    rng, lines = np.random.default_rng(seed), [",".join(HEADINGS)]
    for number in range(songs):
        up = gain + float(rng.normal(0, 0.01))
        for instrument, own in [*GAINS.items(), ("agogo", math.nan)]:
            sounds = not math.isnan(own)
            of = {
                "si_sdr_i": own + up,
                "sdr_i": own + up + 1,
                "si_sdr": up,
                "sdr": up,
                "leak_db": math.nan if sounds else -20.0,
            }
            cells = [f"song{number}", f"bloco{number}", "m", instrument, *(str(of[name]) for name in STEM_SCORES)]
            lines.append(",".join([*cells, "30", "1", "False", ""]))
    identifier = fingerprint(config)
    model = {"format": 1, "id": identifier, "study": "stems", "config": config, "labels": [], "test": [],
             "error": "", "labels_minutes": minutes, "environment": {}, "model": {},
             "costs": {"adapt_cpu_s": 10.0, "score_cpu_s": 2.0, "peak_mb": 500.0}}  # fmt: skip
    files = {"run.json": json.dumps(model).encode(), "scores.csv": ("\n".join(lines) + "\n").encode()}
    if kept and not bare:
        shares = [("surdo", "surdo", 0.9 - 0.1 * seed), ("surdo", "caixa", 0.05), ("caixa", "surdo", 0.1),
                  ("caixa", "caixa", 0.95), ("agogo", "surdo", ""), ("agogo", "caixa", 0.0)]  # fmt: skip
        table = ["stem,instrument,share", *(f"{stem},{name},{share}" for stem, name, share in shares), ""]
        files["leaks.csv"] = "\n".join(table).encode()
    return write_run(out, files)


def a_study(folder, **said):
    for seed in (0, 1):
        a_run(folder, "pretrained", "mixture", gain=-6.0, seed=seed, **said)
        a_run(folder, "pretrained", "oracle", gain=9.0, seed=seed, **said)
        a_run(folder, "pretrained", gain=-3.0, seed=seed, **said)
        for minutes, gain in ((0.5, 0.0), (1.5, 1.0)):
            a_run(folder, "finetune+augment", minutes=minutes, gain=gain, seed=seed, **said)
            a_run(folder, "nmf", "", minutes=minutes, gain=gain - 2.5, seed=seed, **said)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return a_study(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def results(runs):
    return collect(read_runs(runs))


@pytest.fixture(scope="module")
def written(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write_report(runs, out=folder / "report")
    return folder / "report"


def arm(results, strategy):
    return next(one for one in results.methods if one.strategy == strategy)


class TestResults:
    def test_a_song_is_the_mean_of_its_stems_that_sound(self, results):
        own = arm(results, "finetune+augment")
        values = results.values(("roda", own, 1.5), "si_sdr_i")
        assert len(values) == 16
        assert list(values.values()) == [pytest.approx(7.0, abs=0.1)] * 16
        alone = results.values(("roda", own, 1.5), "si_sdr_i", instrument="surdo")
        assert list(alone.values()) == [pytest.approx(9.0, abs=0.1)] * 16
        assert results.values(("roda", own, 1.5), "si_sdr_i", instrument="agogo") == {}

    def test_what_it_is_about(self, results):
        assert results.main == ("si_sdr_i", "sdr_i")
        assert results.scores == STEM_SCORES
        assert results.labels_of("roda") == "stems"
        assert results.instruments_of("roda") == ("caixa", "surdo")

    def test_the_ceiling_is_nobodys_rival(self, results):
        others = results.external_of("roda", arm(results, "finetune+augment"))
        assert [one.base for one in others] == ["mixture"]
        assert results.oracle_of("roda").base == "oracle"
        assert results.oracle_of("elsewhere") is None


class TestWords:
    def test_a_paragraph_in_decibels(self, results):
        (said,) = findings(results)
        assert said.startswith("roda: with 1.5 minutes of stems, finetune+augment from base reaches an SI-SDR")
        assert "SI-SDR improvement of 7.0" in said
        assert "against dictionaries of the same stems (nmf) +2.5 (range +2.5 to +2.5, 8 groups) dB, a range" in said
        assert "against base without stems +4.0" in said
        assert "masks made of the true stems would reach 15.0" in said
        assert "Its stems of instruments that do not play are at -20.0 (range -20.0 to -20.0, 8 groups) dB" in said
        assert "No other strategy had higher means with as many stems" in said
        assert "labels" not in said

    def test_worth_leaves_the_ceiling_out(self, results):
        said = next(sentence for sentence in verdict_text(results) if sentence.startswith("finetune"))
        assert "at or above every other model in 4 of 4" in said

    def test_how_a_song_is_scored(self, results):
        assert any("mean over its stems that sound" in sentence for sentence in methods_text(results))
        assert not any("AMLt" in sentence for sentence in methods_text(results))


class TestTables:
    def test_instrument_by_instrument(self, results):
        table = by_instrument(results, "roda", 1.5)
        rows = {row["method"]: row for row in table.rows}
        assert rows["finetune+augment from base"]["surdo"].startswith("9.0")
        assert rows["oracle"]["caixa"].startswith("13.0")
        assert rows["nmf"]["minutes"] == "1.5"
        assert "agogo" not in rows["nmf"]
        assert {row["instrument"] for row in table.numbers} == {"surdo", "caixa"}

    def test_without_a_budget(self, tmp_path):
        a_run(tmp_path, "pretrained")
        table = by_instrument(collect(read_runs(tmp_path)), "roda", None)
        assert [row["minutes"] for row in table.rows] == ["–"]

    def test_a_row_a_stem(self, results):
        rows = all_scores(results).rows
        assert len(rows) == 14 * 8 * 3
        assert {row["instrument"] for row in rows} == {"surdo", "caixa", "agogo"}
        assert "beat_f" not in rows[0]

    def test_songs_that_got_worse(self, tmp_path):
        for seed in (0, 1):
            a_run(tmp_path, "pretrained", seed=seed)
            a_run(tmp_path, "finetune+augment", gain=-1.0, seed=seed)
        rows = gained_and_lost(collect(read_runs(tmp_path)), lost=True).rows
        assert rows
        assert rows[0]["recording"].startswith("song")
        assert "error before" not in rows[0]


class TestLeaks:
    def test_the_mean_over_seeds(self, results):
        matrix = leaks(results, "roda", 1.5, arm(results, "finetune+augment"))
        assert matrix.stems == ("caixa", "surdo", "agogo")
        assert matrix.instruments == ("caixa", "surdo")
        assert matrix.shares[1, 1] == pytest.approx(0.85)
        assert np.isnan(matrix.shares[2, 1])
        assert leak_table(matrix, "roda").rows[2] == {"stem": "agogo", "caixa": "0", "surdo": "–"}

    @pytest.mark.slow
    def test_runs_that_kept_none(self, tmp_path):
        a_run(tmp_path, "finetune+augment", kept=False)
        found = collect(read_runs(tmp_path))
        assert leaks(found, "roda", 1.5, found.methods[0]) is None
        write_report(tmp_path, out=tmp_path / "report")


@pytest.mark.slow
class TestPage:
    def test_has_all_of_it(self, written):
        html = (written / PAGE).read_text(encoding="utf-8")
        assert "roda: scores by minutes of stems" in html
        assert "roda: instruments" in html
        assert "types of error" not in html
        for name in ("curves-roda", "differences-roda", "leaks-roda", "costs"):
            for suffix in ("pdf", "svg", "png"):
                assert (written / "figures" / f"{name}.{suffix}").stat().st_size > 1000
        with open(written / "tables" / "leaks-roda.csv", encoding="utf-8", newline="") as file:
            assert len(list(csv.DictReader(file))) == 3

    def test_the_same_runs_give_the_same_page(self, runs, written, tmp_path):
        assert write_report(runs, out=tmp_path / "again").page.read_bytes() == (written / PAGE).read_bytes()

    def test_beats_and_stems_in_one_folder(self, runs, tmp_path):
        from shutil import copytree

        from experiments.test_report import a_run as a_beat_run

        copytree(runs, tmp_path / "both")
        for seed in (0, 1):
            a_beat_run(tmp_path / "both", "pretrained", seed=seed)
            a_beat_run(tmp_path / "both", "finetune+augment", seed=seed)
        found = collect(read_runs(tmp_path / "both"))
        assert found.labels_of("drums") == "labels"
        assert found.labels_of() == "labels and stems"
        drums, roda = findings(found)
        assert "beat F 0.90" in drums
        assert "dB" not in drums
        assert "beat F" not in roda
        html = write_report(tmp_path / "both", out=tmp_path / "report").page.read_text(encoding="utf-8")
        assert "drums: types of error" in html
        assert "roda: instruments" in html
