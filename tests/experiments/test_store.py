"""Folders of runs: whole or not there, known when damaged, and one writer at a time."""

import hashlib
import json
import logging
import os

import pytest

from levada.beat_tracking.evaluation import Row
from levada.beat_tracking.metrics import SCORES
from levada.errors import InputError
from levada.experiments.grid import Plan
from levada.experiments.store import Run, read_run, read_runs, recover, valid_runs, write_run, write_study

PLAN = Plan("drums", "finetune+augment", "base", 1.5, "vote-k", ("tempo", "pitch"), ("all",), 3, 0.5, 5.0, False, False)


def files(plan=PLAN, *, error="", weights=False):
    """What a run of a plan gives."""
    record = {
        "format": 1, "id": plan.id, "study": "mine", "config": plan.config(), "labels": [["a", 0.5, 90.5]],
        "labels_minutes": 1.5, "test": ["b", "c"], "costs": {} if error else {"wall_s": 2.0, "cpu_s": 1.5},
        "environment": {}, "model": {"card": None, "fell_back": False}, "error": error,
    }  # fmt: skip
    found = {"run.json": json.dumps(record).encode()}
    if not error:
        rows = [Row(name, name, "mine", scores=dict.fromkeys(SCORES, 0.5)).flat() for name in "bc"]
        rows[1] |= {"beat_f": "", "error": "it crashed, alas"}
        quoted = [
            ",".join(f'"{cell}"' if isinstance(cell, str) else str(cell) for cell in row.values()) for row in rows
        ]
        found["scores.csv"] = "\n".join([",".join(rows[0]), *quoted, ""]).replace("nan", "").encode()
    if weights:
        found |= {"weights/config.json": b"{}", "weights/model.safetensors": b"\x00\x01"}
    return found


def other(**said):
    from dataclasses import replace

    return replace(PLAN, **said)


class TestRuns:
    def test_there_and_back(self, tmp_path):
        written = write_run(tmp_path, files(weights=True))
        (run,) = read_runs(tmp_path)
        assert str(run) == str(written)
        assert isinstance(run, Run)
        assert (run.id, run.folder.name) == (PLAN.id, PLAN.id)
        assert (run.corpus, run.strategy, run.base, run.budget.amount) == ("drums", "finetune+augment", "base", 1.5)
        assert (run.selection, run.augmentation, run.layers, run.seed) == ("vote-k", "tempo+pitch", "all", 3)
        assert run.label == "finetune+augment from base, augmentation tempo+pitch, labels by vote-k"
        assert run.costs["cpu_s"] == 1.5
        assert run.record["labels"] == [["a", 0.5, 90.5]]
        first, second = run.scores
        assert (first["track"], first["beat_f"], first["error"]) == ("b", 0.5, "")
        assert second["beat_f"] != second["beat_f"]
        assert second["error"] == "it crashed, alas"
        assert (run.folder / "weights" / "model.safetensors").read_bytes() == b"\x00\x01"
        assert run.error == ""

    def test_a_failed_run_has_no_scores_and_is_replaced(self, tmp_path):
        failed = write_run(tmp_path, files(error="it would not learn"))
        assert (failed.error, failed.scores, failed.costs) == ("it would not learn", (), {})
        assert write_run(tmp_path, files()).error == ""
        (run,) = read_runs(tmp_path)
        assert len(run.scores) == 2

    @pytest.mark.parametrize(
        ("said", "label"),
        [
            ({"strategy": "pretrained", "base": "flux"}, "flux"),
            ({"strategy": "scratch", "base": "", "selection": "", "augmentation": ("all",), "layers": ()}, "scratch"),
            ({"strategy": "decoder", "selection": "random", "augmentation": (), "layers": ()}, "decoder from base"),
            ({"strategy": "a", "selection": "random", "augmentation": (), "layers": ("h",)}, "a from base, layers h"),
        ],
    )  # fmt: skip
    def test_what_tables_call_it(self, tmp_path, said, label):
        assert write_run(tmp_path, files(other(**said))).label == label

    def test_runs_of_earlier_grids_are_left_out_where_it_is_known(self, tmp_path):
        for seed in (1, 2, 3):
            write_run(tmp_path, files(other(seed=seed)))
        assert len(read_runs(tmp_path)) == 3
        write_study(tmp_path, "one", [other(seed=1).id, "f" * 16])
        write_study(tmp_path, "two", [other(seed=3).id])
        assert {run.seed for run in read_runs(tmp_path)} == {1, 3}
        assert {run.seed for run in read_runs(tmp_path, stale=True)} == {1, 2, 3}

    def test_other_folders_are_none(self, tmp_path):
        write_run(tmp_path, files())
        (tmp_path / "runs" / f"{PLAN.id}.damaged-1").mkdir()
        (tmp_path / "runs" / "notes").mkdir()
        assert len(read_runs(tmp_path)) == 1

    @pytest.mark.parametrize("there", [False, True])
    def test_no_runs(self, tmp_path, there):
        folder = tmp_path / "out"
        if there:
            (folder / "runs").mkdir(parents=True)
        with pytest.raises(InputError, match="holds no runs" if there else "no such folder"):
            read_runs(folder)
        assert valid_runs(folder) == {}


class TestDamage:
    def spoil(self, folder, how):
        record = json.loads((folder / "run.json").read_text())
        if how == "half":
            (folder / "run.json").write_bytes((folder / "run.json").read_bytes()[:100])
        elif how == "scores":
            (folder / "scores.csv").write_bytes((folder / "scores.csv").read_bytes()[:-20])
        elif how == "gone":
            (folder / "scores.csv").unlink()
        elif how == "empty":
            for path in folder.iterdir():
                path.unlink()
        elif how == "binary":
            (folder / "run.json").write_bytes(b"\xff\xfe\x00")
        elif how == "nested":
            (folder / "run.json").write_text('{"config": ' + "[" * 100_000)
        elif how == "huge":
            config = json.dumps(record["config"] | {"minutes": 0}).replace('"minutes": 0', '"minutes": 1' + "0" * 400)
            (folder / "run.json").write_text(json.dumps(record).replace(json.dumps(record["config"]), config))
        elif how == "pipe":
            (folder / "scores.csv").unlink()
            os.mkfifo(folder / "scores.csv")
        elif how in ("above", "absolute"):
            secret = folder.parent / "secret"
            secret.write_text("one's own")
            name = "../secret" if how == "above" else str(secret)
            sums = record["files"] | {name: hashlib.sha256(b"one's own").hexdigest()}
            (folder / "run.json").write_text(json.dumps(record | {"files": sums}))
        elif how == "list":
            (folder / "run.json").write_text("[]")
        else:
            change = {
                "id": {"id": "0" * 16}, "seed": {"config": record["config"] | {"seed": 9}}, "format": {"format": 2},
                "costs": {"costs": 3}, "bare": {"files": {}, "config": {}},
            }[how]  # fmt: skip
            (folder / "run.json").write_text(json.dumps(record | change))

    @pytest.mark.parametrize(
        "how",
        [
            *("half", "scores", "gone", "empty", "binary", "list", "id", "seed", "format", "costs", "bare"),
            *("nested", "huge", "above", "absolute", "pipe"),
        ],
    )
    def test_is_moved_aside_with_a_warning(self, tmp_path, caplog, how):
        damaged, sound = (write_run(tmp_path, files(other(seed=seed))) for seed in (1, 2))
        self.spoil(damaged.folder, how)
        with pytest.raises(InputError) as error:
            read_run(damaged.folder)
        assert error.value.path == damaged.folder
        with caplog.at_level(logging.WARNING):
            assert [run.seed for run in read_runs(tmp_path)] == [2]
            assert damaged.folder.exists()  # who only reads moves nothing
            assert list(recover(tmp_path)) == [sound.id]
        assert f"{damaged.id}.damaged-1" in caplog.text
        assert not damaged.folder.exists()
        assert damaged.folder.with_name(f"{damaged.id}.damaged-1").is_dir()
        assert list(recover(tmp_path)) == [sound.id]

    def test_a_run_on_another_disk_is_read_and_its_link_moved_aside(self, tmp_path):
        run = write_run(tmp_path / "out", files())
        run.folder.rename(tmp_path / "elsewhere")
        run.folder.symlink_to(tmp_path / "elsewhere")
        assert list(recover(tmp_path / "out")) == [run.id]
        self.spoil(run.folder, "half")
        assert recover(tmp_path / "out") == {}
        assert (tmp_path / "out" / "runs" / f"{run.id}.damaged-1").is_symlink()
        assert (tmp_path / "elsewhere" / "scores.csv").is_file()

    def test_a_second_time_takes_another_name(self, tmp_path):
        for number in (1, 2):
            run = write_run(tmp_path, files())
            self.spoil(run.folder, "half")
            recover(tmp_path)
            assert run.folder.with_name(f"{run.id}.damaged-{number}").is_dir()


class TestFullDisk:
    def test_nothing_half_written(self, tmp_path, full_disk):
        given = files()
        with full_disk(len(given["run.json"])), pytest.raises(InputError, match="could not be written: the file would"):
            write_run(tmp_path, given | {"scores.csv": bytes(10_000)})
        assert not [*(tmp_path / "runs").glob("*")]

    def test_a_failed_try_stays_until_it_is_replaced_as_a_whole(self, tmp_path, full_disk):
        write_run(tmp_path, files(error="first"))
        with full_disk(10), pytest.raises(InputError, match="would be larger than is allowed"):
            write_run(tmp_path, files())
        (run,) = read_runs(tmp_path)
        assert run.error == "first"
