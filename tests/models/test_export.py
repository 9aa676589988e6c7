"""`levada export`: a model as a file for programs without torch."""

import json

import pytest
import torch

from levada.beat_tracking.networks import tcn
from levada.beat_tracking.pretrained import find_folder
from levada.learning import weights
from levada.learning.card import CONFIG, Card

torch.set_num_threads(1)


@pytest.fixture
def model(tmp_path):
    card = Card(name="a test", origin="made here", licence="CC0-1.0", data="none", minutes=0.0, scores={"no": "no"})
    weights.save(tmp_path / "model", weights.Weights(tcn.tiny(channels=4, levels=2).eval(), card))
    return tmp_path / "model"


@pytest.mark.slow
def test_a_model_becomes_a_file_that_onnx_runtime_reads(levada, model, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    out = tmp_path / "model.onnx"
    code, printed, said = levada("export", model, "-o", out, "--json")
    assert code == 0, said
    told = json.loads(printed)
    assert (told["path"], told["network"], told["size"]) == (str(out), "tcn", out.stat().st_size)
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["name"] == "a test"
    code, printed, said = levada("export", model, "-o", out)
    assert (code, printed) == (2, "")
    assert "exists already" in said


@pytest.mark.parametrize(
    ("name", "out", "problem"),
    [
        ("model", None, "Missing option"),
        ("model", "model.pt", "must end in .onnx"),
        ("nothing", "model.onnx", "there is no model"),
        ("empty", "model.onnx", "is not a model"),
        ("patterns", "model.onnx", "cannot be exported"),
    ],
)
def test_mistakes_are_a_sentence(levada, model, tmp_path, name, out, problem):
    pytest.importorskip("onnx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "patterns").mkdir()
    config = (model / CONFIG).read_text(encoding="utf-8")
    (tmp_path / "patterns" / CONFIG).write_text(config.replace('"tcn"', '"bayes"'), encoding="utf-8")
    code, printed, said = levada("export", tmp_path / name, *([] if out is None else ["-o", tmp_path / out]))
    assert (code, printed) == (2, "")
    assert problem in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.onnx"))


def test_models_that_come_with_levada_are_found_by_name():
    assert find_folder("base").is_dir()
