"""Runs logged to plain files, TensorBoard and Weights & Biases, read back with their own tools."""

import csv
import itertools
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking.targets import Batch, widened_target_loss
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats
from levada.learning import loggers

CONFIG = {
    "strategy": "finetune",
    "minutes": 1.5,
    "augment": True,
    "settings": {"steps": 30, "kinds": ["tempo", "pitch"]},
}
ROWS = [{"track": "a|b", "F": 0.5}, {"track": "c", "F": None, "note": "no beats"}]
RATE = 8000


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture
def picture(tmp_path) -> Path:
    """Three pixels by two."""
    path = tmp_path / "given.png"
    pixels = zlib.compress((b"\0" + bytes(9)) * 2)
    size = struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user who is not logged in anywhere, whatever the machine says."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "XDG_CONFIG_HOME", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))


def log_all(names, folder, picture) -> None:
    with loggers.start(names, folder=folder, project="a/project", run="the run", config=CONFIG) as logger:
        logger.log_scalars(1, {"loss": 0.75, "F": 0.25})
        logger.log_scalars(3, {"loss": 0.5})
        logger.log_table("scores", ROWS)
        logger.log_audio("clicks", np.full((2, RATE), 0.1, np.float32), RATE, beats=Beats(np.array([0.25, 0.75])))
        logger.log_image("activations", picture)


def rows_of(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


class TestFiles:
    def test_hold_everything(self, tmp_path, picture):
        log_all([], tmp_path / "runs" / "one", picture)
        folder = tmp_path / "runs" / "one"
        assert json.loads((folder / "config.json").read_text()) == {
            "project": "a/project",
            "run": "the run",
            "config": CONFIG,
        }
        assert rows_of(folder / "scalars.csv") == [
            ["step", "name", "value"],
            ["1", "loss", "0.75"],
            ["1", "F", "0.25"],
            ["3", "loss", "0.5"],
        ]
        assert rows_of(folder / "tables" / "scores.csv") == [
            ["track", "F", "note"],
            ["a|b", "0.5", ""],
            ["c", "", "no beats"],
        ]
        sound, rate = audio.read(folder / "audio" / "clicks.wav")
        assert (sound.shape, rate) == ((2, RATE), RATE)
        alone = np.abs(sound[:, : RATE // 4 - 1]).max()
        assert np.abs(sound[:, RATE // 4 : RATE // 4 + 20]).max() > 1.5 * alone  # with a click
        assert (folder / "images" / "activations.png").read_bytes() == picture.read_bytes()

    def test_a_resumed_run_replaces_what_it_logs_again(self, tmp_path):
        with loggers.start(["csv"], folder=tmp_path) as logger:
            for step in (1, 2, 3, 4):
                logger.log_scalars(step, {"loss": float(step)})
        with open(tmp_path / "scalars.csv", "a", encoding="utf-8") as file:
            file.write("5,lo")  # where a kill cut it
        with loggers.start(["csv"], folder=tmp_path) as logger:
            logger.log_scalars(3, {"loss": 30.0})
            logger.log_scalars(4, {"loss": 40.0})
        assert rows_of(tmp_path / "scalars.csv")[1:] == [
            ["1", "loss", "1.0"],
            ["2", "loss", "2.0"],
            ["3", "loss", "30.0"],
            ["4", "loss", "40.0"],
        ]

    def test_names_may_hold_anything_and_do_not_collide(self, tmp_path):
        with loggers.start([], folder=tmp_path) as logger:
            for name in ("a/b", "a b", "../../escape", "…", "a" * 300):
                logger.log_table(name, [{"name": name}])
        written = sorted((tmp_path / "tables").iterdir())
        assert len(written) == 5
        assert {rows_of(path)[1][0] for path in written} == {"a/b", "a b", "../../escape", "…", "a" * 300}
        assert not (tmp_path.parent / "escape.csv").exists()

    def test_a_table_of_the_same_name_replaces_the_first(self, tmp_path):
        with loggers.start([], folder=tmp_path) as logger:
            logger.log_table("scores", [{"F": 1}, {"F": 2}])
            logger.log_table("scores", [{"F": 3}])
        assert rows_of(tmp_path / "tables" / "scores.csv") == [["F"], ["3"]]

    def test_settings_become_plain_values(self, tmp_path):
        @dataclass(frozen=True)
        class Settings:
            steps: int = 3
            folder: Path = Path("some/where")
            limits: tuple[float, ...] = (1.0, float("inf"))

        with loggers.start([], folder=tmp_path, config={"settings": Settings()}) as logger:
            assert logger.config == {
                "settings": {"steps": 3, "folder": str(Path("some/where")), "limits": [1.0, "inf"]}
            }

    def test_nothing_that_is_not_named_is_imported(self, tmp_path):
        code = f"""
import sys
from levada.learning import loggers
with loggers.start(["csv"], folder={str(tmp_path)!r}) as logger:
    logger.log_scalars(1, {{"loss": 1.0}})
assert not {{"wandb", "tensorboard", "torch", "tensorflow"}} & set(sys.modules)
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


class TestBadInput:
    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("tensorbord", "did you mean 'tensorboard'"),
            ("WandB", "did you mean 'wandb'"),
            ("mlflow", "csv, tensorboard"),
        ],
    )
    def test_an_unknown_name(self, tmp_path, name, said):
        with pytest.raises(InputError, match=said):
            loggers.start([name], folder=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    @pytest.mark.usefixtures("nobody")
    @pytest.mark.parametrize("name", ["tensorboard", "wandb"])
    def test_a_library_that_is_missing(self, tmp_path, name, hide_module, monkeypatch):
        for module in [module for module in sys.modules if module.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, module)
        hide_module(name)
        with pytest.raises(MissingExtra, match=rf"levada\[{name}\]"):
            loggers.start([name], folder=tmp_path)

    def test_a_folder_that_is_a_file(self, tmp_path):
        (tmp_path / "file").write_text("here")
        with pytest.raises(InputError, match="could not be written"):
            loggers.start([], folder=tmp_path / "file")

    def test_a_picture_that_is_none(self, tmp_path):
        (tmp_path / "not.png").write_text("a picture of nothing")
        with loggers.start([], folder=tmp_path / "run") as logger:
            with pytest.raises(InputError, match="not a PNG"):
                logger.log_image("one", tmp_path / "not.png")
            with pytest.raises(InputError, match="cannot be read"):
                logger.log_image("two", tmp_path / "missing.png")

    def test_who_fails_is_told_no_more_and_the_run_goes_on(self, tmp_path, caplog):
        class Failing:
            calls = 0

            def log_scalars(self, *_):
                self.calls += 1
                raise OSError("the socket is gone")

        failing = Failing()
        with loggers.start([], folder=tmp_path) as logger, caplog.at_level(logging.WARNING):
            logger.add("Somebody", lambda: failing)
            logger.log_scalars(1, {"loss": 1.0})
            logger.log_scalars(2, {"loss": 2.0})
        assert failing.calls == 1
        assert caplog.text.count("Somebody failed and is left out from now on: OSError: the socket is gone") == 1
        assert len(rows_of(tmp_path / "scalars.csv")) == 3


class TestProgress:
    def test_tells_the_first_the_last_and_every_tenth_step(self, tmp_path):
        with loggers.start([], folder=tmp_path) as logger:
            progress = loggers.log_progress(logger)
            for step in range(1, 26):
                progress(step, 25, 1 / step)
        rows = rows_of(tmp_path / "scalars.csv")[1:]
        assert [(int(step), name) for step, name, _ in rows] == [(step, "loss") for step in (1, 10, 20, 25)]
        assert [float(value) for *_, value in rows] == [1, 0.1, 0.05, 0.04]

    def test_follows_a_training(self, tmp_path):
        import torch

        from levada.beat_tracking.networks.tcn import tiny
        from levada.learning import training

        torch.manual_seed(0)
        batch = Batch(torch.randn(1, 50, 81), torch.zeros(1, 50, 2), torch.ones(1, 50, 2))
        with loggers.start([], folder=tmp_path / "log") as logger:
            training.fit(
                tiny(),
                lambda _: itertools.repeat(batch),
                settings=training.FitSettings(steps=3),
                loss=widened_target_loss,
                folder=tmp_path / "run",
                progress=loggers.log_progress(logger),
            )
        rows = rows_of(tmp_path / "log" / "scalars.csv")[1:]
        assert [row[0] for row in rows] == ["1", "3"]
        log = [row.split(",")[2] for row in (tmp_path / "run" / "log.csv").read_text().splitlines()[1:]]
        assert [float(row[2]) for row in rows] == pytest.approx([float(log[0]), float(log[2])], abs=1e-5)


class TestTensorBoard:
    @pytest.fixture(autouse=True)
    def _here(self):
        pytest.importorskip("tensorboard", reason="TensorBoard is not installed (levada[tensorboard])")

    @staticmethod
    def read(folder: Path):
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        everything = EventAccumulator(str(folder), size_guidance={"audio": 0, "images": 0, "scalars": 0, "tensors": 0})
        return everything.Reload()

    def test_reads_back_everything(self, tmp_path, picture):
        log_all(["tensorboard"], tmp_path / "run", picture)
        read = self.read(tmp_path / "run")
        assert [(event.step, event.value) for event in read.Scalars("loss")] == [(1, 0.75), (3, 0.5)]
        assert [(event.step, event.value) for event in read.Scalars("F")] == [(1, 0.25)]
        (sound,) = read.Audio("clicks")
        assert sound.sample_rate == RATE
        (tmp_path / "back.wav").write_bytes(sound.encoded_audio_string)
        expected = audio.read(tmp_path / "run" / "audio" / "clicks.wav")[0].mean(axis=0, keepdims=True)
        np.testing.assert_allclose(audio.read(tmp_path / "back.wav")[0], expected, atol=1e-4)
        (image,) = read.Images("activations")
        assert (image.width, image.height) == (3, 2)
        (table,) = read.Tensors("scores/text_summary")
        assert table.tensor_proto.string_val[0].decode().splitlines() == [
            "| track | F | note |",
            "| --- | --- | --- |",
            "| a\\|b | 0.5 |  |",
            "| c |  | no beats |",
        ]
        (config,) = read.Tensors("config/text_summary")
        assert "| settings/steps | 30 |" in config.tensor_proto.string_val[0].decode()

    def test_settings_are_hyperparameters(self, tmp_path):
        from tensorboard.plugins.hparams import plugin_data_pb2

        loggers.start(["tensorboard"], folder=tmp_path, config=CONFIG).close()
        content = self.read(tmp_path).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        given = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
        assert given["strategy"].string_value == "finetune"
        assert given["minutes"].number_value == 1.5
        assert given["augment"].number_value == 1
        assert given["settings/steps"].number_value == 30

    def test_a_killed_run_keeps_what_it_told_and_goes_on(self, tmp_path):
        first = loggers.start(["tensorboard"], folder=tmp_path)
        for step in (1, 2, 3):
            first.log_scalars(step, {"loss": float(step)})
        assert [event.step for event in self.read(tmp_path).Scalars("loss")] == [1, 2, 3]  # before any end
        first.close()
        time.sleep(0.01)  # files are read in the order of their names, which begin with the time
        with loggers.start(["tensorboard"], folder=tmp_path) as second:
            second.log_scalars(3, {"loss": 30.0})
        assert [(event.step, event.value) for event in self.read(tmp_path).Scalars("loss")] == [(1, 1), (2, 2), (3, 30)]


@pytest.mark.slow
@pytest.mark.usefixtures("nobody")
class TestWeightsAndBiases:
    @pytest.fixture(autouse=True)
    def _here(self):
        pytest.importorskip("wandb", reason="Weights & Biases is not installed (levada[wandb])")

    @staticmethod
    def records(folder: Path) -> list:
        """What an offline run wrote for the day it is sent: a log of protobufs in blocks of 32 kB, as LevelDB's.

        Another process of the library writes it, and may end a moment later than `finish` returns.
        """
        from wandb.proto import wandb_internal_pb2

        (path,) = folder.glob("wandb/offline-run-*/*.wandb")
        deadline = time.monotonic() + 300
        while True:
            data, at, records, pending = path.read_bytes(), 7, [], b""
            while at + 7 <= len(data):
                if at % 32768 > 32768 - 7:
                    at += -at % 32768
                length, kind = struct.unpack("<HB", data[at + 4 : at + 7])
                if at + 7 + length > len(data):
                    break
                pending += data[at + 7 : at + 7 + length]
                at += 7 + length
                if kind in (1, 4):  # whole, or the last part
                    records.append(wandb_internal_pb2.Record.FromString(pending))
                    pending = b""
            if any(record.WhichOneof("record_type") == "exit" for record in records) or time.monotonic() > deadline:
                assert data[:4] == b":W&B"
                return records
            time.sleep(0.1)

    def curves(self, folder: Path) -> list[dict]:
        return [
            {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for record in self.records(folder)
            if record.WhichOneof("record_type") == "history"
        ]

    def config(self, folder: Path) -> dict:
        (run,) = [record.run for record in self.records(folder) if record.WhichOneof("record_type") == "run"]
        assert run.project == "a-project"
        assert run.display_name == "the run"
        return {item.key: json.loads(item.value_json) for item in run.config.update}

    def test_everything_is_in_the_folder_and_nothing_asks_the_network(self, tmp_path, picture, monkeypatch, capfd):
        pytest.importorskip("PIL", reason="Pillow is not installed, and pictures need it")
        with socket.create_server(("127.0.0.1", 0)) as door:
            door.settimeout(0)
            for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{door.getsockname()[1]}")
            log_all(["wandb"], tmp_path / "run", picture)
            with pytest.raises(BlockingIOError):
                door.accept()
        assert capfd.readouterr().out == ""
        (offline,) = tmp_path.glob("run/wandb/offline-run-*")
        media = offline / "files" / "media"
        (table,) = media.rglob("*.table.json")
        assert json.loads(table.read_text())["data"] == [["a|b", 0.5, None], ["c", None, "no beats"]]
        (sound,) = media.rglob("*.wav")
        assert sound.read_bytes() == (tmp_path / "run" / "audio" / "clicks.wav").read_bytes()
        (image,) = media.rglob("*.png")
        assert image.read_bytes() == picture.read_bytes()
        assert list((tmp_path / "home").rglob("*.wandb")) == []
        config = self.config(tmp_path / "run")
        assert {name: config[name] for name in CONFIG} == CONFIG
        curves = self.curves(tmp_path / "run")
        assert [(row["step"], row["loss"]) for row in curves if "loss" in row] == [(1, 0.75), (3, 0.5)]

    def test_a_run_that_goes_on_is_the_same_run(self, tmp_path):
        for _ in range(2):
            loggers.start(["wandb"], folder=tmp_path).close()
            time.sleep(1.1)  # folders are told apart by their second
        assert len({path.stem for path in tmp_path.glob("wandb/offline-run-*/*.wandb")}) == 1

    def test_a_server_that_does_not_answer_is_told_offline(self, tmp_path):
        code = f"""
import logging
from levada.learning import loggers
from levada.learning.loggers import wandb
logging.basicConfig(level=logging.WARNING)
wandb.INIT_S = 2.0
with loggers.start(["wandb"], folder={str(tmp_path / "run")!r}) as logger:
    logger.log_scalars(1, {{"loss": 0.75}})
"""
        away = os.environ | {"WANDB_API_KEY": "0" * 40, "WANDB_BASE_URL": "http://127.0.0.1:1"}
        ran = subprocess.run(
            [sys.executable, "-c", code],
            env=away,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == ""
        assert "is logged offline" in ran.stderr
        assert len(list(tmp_path.glob("run/wandb/offline-run-*/*.wandb"))) == 1

    def test_who_is_not_logged_in_is_not_prompted(self, tmp_path, monkeypatch, caplog):
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked something"))
        loggers.start(["wandb"], folder=tmp_path).close()
        assert "nobody is logged in" in caplog.text
        assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 1

    def test_disabled_is_disabled(self, tmp_path, monkeypatch):
        monkeypatch.setenv("WANDB_MODE", "disabled")
        with loggers.start(["wandb"], folder=tmp_path) as logger:
            logger.log_scalars(1, {"loss": 1.0})
        assert list(tmp_path.glob("wandb/*run-*")) == []
        assert len(rows_of(tmp_path / "scalars.csv")) == 2
