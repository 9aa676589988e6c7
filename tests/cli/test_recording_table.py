"""The table of the recordings of a folder, the least certain first."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from levada.cli.recording_table import MOST_ROWS, print_recordings, recordings_by_certainty
from levada.io import audio

KNOWN = {
    "status": "written", "file": "x.beats", "tempo_bpm": 120.0, "metre": "4", "tempo_changes": 0, "beats": 40,
    "confidence": 0.9, "position_confidence": 0.8, "alternative": "half a bar later", "alternative_probability": 0.1,
    "octave_probability": 0.02, "half_bar_probability": 0.1, "compared_with": "latin", "agreement": 0.95,
}  # fmt: skip


def row(path: str, **facts: object) -> dict[str, object]:
    return {**KNOWN, "path": path, **facts}


def test_the_least_certain_come_first() -> None:
    rows = [
        row("sure"),
        row("wrong phase", position_confidence=0.3),
        row("models differ", agreement=0.11),
        row("silent", beats=0, confidence=None, position_confidence=None, agreement=None),
        row("no positions", confidence=0.5, position_confidence=None, agreement=None),
        row("older version", confidence=None, position_confidence=None, agreement=None),
        row("bad", status="failed"),
    ]
    names = [one["path"] for one in recordings_by_certainty(rows)]
    assert names == ["silent", "models differ", "wrong phase", "no positions", "sure", "older version"]


def test_long_tables_are_cut(capsys: pytest.CaptureFixture[str]) -> None:
    print_recordings(recordings_by_certainty([row(f"{i:02d}.wav") for i in range(MOST_ROWS + 7)]))
    lines = capsys.readouterr().out.splitlines()
    assert sum(".wav" in line for line in lines) == MOST_ROWS
    assert "7 more" in lines[MOST_ROWS + 1]
    assert lines[0].endswith("F of latin")


def test_stretches_without_beats_are_named(levada, rendered, tmp_path) -> None:
    samples, rate = audio.read(rendered / "a.wav")
    silence = np.zeros((len(samples), 5 * rate), np.float32)
    audio.write(tmp_path / "a.wav", np.concatenate([silence, samples, silence], axis=1), rate=rate)
    code, _, err = levada("track", tmp_path / "a.wav", "-m", "flux", "-o", tmp_path / "a.beats")
    assert code == 0
    stretches = re.findall(r"from (\d+):(\d\d) to (\d+):(\d\d)", err)
    begin, end = ([60 * int(a) + int(b), 60 * int(c) + int(d)] for a, b, c, d in stretches)
    duration_s = samples.shape[1] / rate + 10
    assert begin[0] == 0
    assert begin[1] == pytest.approx(5, abs=1)
    assert end == pytest.approx([duration_s - 5, duration_s], abs=2)


def test_pieces_of_a_recording_follow_it(capsys: pytest.CaptureFixture[str]) -> None:
    pieces = [
        {"start_s": 5.0, "end_s": 70.2, "tempo_bpm": 90.0, "metre": 4, "beats": 98},
        {"start_s": 85.0, "end_s": 3700.0, "tempo_bpm": 140.04, "metre": None, "beats": 300},
    ]
    print_recordings(recordings_by_certainty([row("two.wav", pieces=pieces), row("one.wav", pieces=pieces[:1])]))
    _, *lines = (re.split("  +", line.strip())[:3] for line in capsys.readouterr().out.splitlines())
    assert lines[0][0] == "two.wav"
    assert lines[1:3] == [["0:05 to 1:10", "90.0", "4"], ["1:25 to 1:01:40", "140.0", "–"]]
    assert lines[3][0] == "one.wav"


def test_of_a_folder(levada, rendered, tmp_path) -> None:
    shutil.copy(rendered / "a.wav", tmp_path)
    words = ("track", tmp_path / "a.wav", "-m", "flux")
    one = json.loads(levada(*words, "--json")[1])
    code, out, _ = levada("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--compare", "flux")
    assert code == 0
    heading, line = out.splitlines()[:2]
    names = ["recording", "bpm", "metre", "changes", "time", "position", "or else", "p", "F of flux"]
    assert re.split("  +", heading) == names
    assert line.split()[:2] == ["a.wav", f"{one['analysis']['tempo_bpm']:.1f}"]
    assert line.split()[-1] == "1.00"
    (found,) = json.loads(levada("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--json")[1])["recordings"]
    assert found["confidence"] == one["analysis"]["time_confidence"]
    assert found["position_confidence"] == one["analysis"]["position_confidence"]
    assert found["alternative"] == one["analysis"]["readings"][0]["name"]
    assert (found["compared_with"], found["agreement"]) == ("flux", 1)
