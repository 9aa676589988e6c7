"""Recordings of several pieces: each is listed, of many the first ones."""

import numpy as np
import pytest

from levada.io import audio

RATE = 22050


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    """Clicks at three tempi, with ten seconds of silence between them."""
    parts = []
    for beat_s in (0.5, 0.65, 0.4):
        part = np.zeros(25 * RATE, np.float32)
        for time_s in np.arange(0, 15, beat_s):
            first = round(time_s * RATE)
            part[first : first + 400] = np.random.default_rng(0).normal(0, 0.3, 400) * np.exp(-np.arange(400) / 80)
        parts.append(part)
    path = tmp_path_factory.mktemp("rehearsal") / "rehearsal.wav"
    audio.write(path, np.concatenate(parts)[None], rate=RATE)
    return path


@pytest.mark.parametrize(("most", "rest"), [(20, None), (2, "and 1 more piece; --json lists all")])
def test_pieces_are_listed(levada, rehearsal, tmp_path, monkeypatch, most, rest):
    monkeypatch.setattr("levada.cli.track.MOST_PIECES", most)
    code, _, said = levada("track", rehearsal, "-o", tmp_path / "a.beats")
    assert code == 0, said
    listed = [line for line in said.splitlines() if line.startswith("piece ")]
    assert len(listed) == min(most, 3)
    assert "120.0 bpm" in listed[0]
    assert "92.3 bpm" in listed[1]
    assert (rest in said) if rest else ("more piece" not in said)
