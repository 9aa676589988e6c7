"""The page of the recordings that a model tracks worst."""

import json
import re

import numpy as np
import pytest

import levada
from levada.errors import InputError
from levada.io import audio
from levada.player.worst import save_worst

RATE = 11_025
TIMES_S = np.arange(0.5, 49, 0.5)
BEATS = levada.Beats(TIMES_S, np.arange(len(TIMES_S)) % 4 + 1)
EARLIER = levada.Beats(np.where(TIMES_S > 35, TIMES_S - 0.2, TIMES_S), BEATS.positions)
"""Wrong from 35 s on."""


class Fixed:
    def __init__(self, name, beats):
        self.name, self.identity, self.trained_spans, self.beats = name, name, {}, iter(beats)

    def track(self, *_, **__):
        return next(self.beats)


@pytest.fixture
def corpus(tmp_path):
    for name in ("a", "b", "c"):
        audio.write(tmp_path / f"{name}.wav", np.full((1, 50 * RATE), 0.1, np.float32), rate=RATE)
        BEATS.save(tmp_path / f"{name}.beats")
    return levada.load_corpus(tmp_path)


def test_the_worst_recordings_are_first_where_they_are_wrong(corpus, tmp_path):
    one = Fixed("one", [BEATS, EARLIER, levada.Beats([])])
    other = Fixed("other", [levada.Beats([]), BEATS, BEATS])
    result = levada.evaluate({"one": one, "other": other}, corpus, trim_s=0)
    assert save_worst(tmp_path / "page.html", result, corpus.tracks, most=2) == ("c", "b")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    found = [json.loads(part) for part in re.findall(r"<script type=.application/json.>(.*?)</script>", text)]
    assert [data["title"].split()[0] for data in found] == ["c", "b"]
    last = found[1]
    assert [(layer["name"], layer["is_reference"]) for layer in last["layers"]] == [
        ("reference", True), ("one", False), ("other", False),
    ]  # fmt: skip
    assert last["duration_s"] == pytest.approx(30, abs=1.1)
    assert last["start_s"] <= 35
    assert last["start_s"] + last["duration_s"] >= 48.5
    inside = BEATS.between(last["start_s"], last["start_s"] + last["duration_s"]).shift(-last["start_s"])
    assert [beat[0] for beat in last["layers"][0]["beats"]] == pytest.approx(inside.times_s.tolist(), abs=1e-3)
    with pytest.raises(InputError, match="exists"):
        save_worst(tmp_path / "page.html", result, corpus.tracks)


def test_without_scores_there_is_no_page(corpus, tmp_path):
    result = levada.evaluate({"one": Fixed("one", [BEATS] * 3)}, corpus)
    with pytest.raises(InputError, match="no recording has scores"):
        save_worst(tmp_path / "page.html", result, [])


@pytest.mark.usefixtures("corpus")
def test_evaluate_writes_it(tmp_path, levada):
    code, _, err = levada("evaluate", tmp_path, "-m", "flux", "--processes", 1, "--page", tmp_path / "worst.html")
    assert (code, err.count("Error")) == (0, 0)
    assert (tmp_path / "worst.html").read_text(encoding="utf-8").count("<levada-player><script") == 3
    code, _, err = levada("evaluate", tmp_path, "-m", "flux", "--page", tmp_path / "worst.txt")
    assert code == 2
    assert "html" in err
