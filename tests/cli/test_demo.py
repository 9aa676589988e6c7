"""The demo of beats with four short recordings and a tiny network: everything that it lists is written."""

import csv
import re
import shutil

import numpy as np
import pytest

from levada.beat_tracking.networks import load
from levada.beat_tracking.pretrained import read_model
from levada.cli.demo import beats as demo
from levada.cli.demo.output import CONTENTS
from levada.data import annotated_spans, load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.formats import read_beats

pytestmark = [pytest.mark.usefixtures("few_steps"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def small(tiny_model, empty_weights):
    (empty_weights / "base").symlink_to(tiny_model)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Where the demo of this module is left."""
    return tmp_path_factory.mktemp("demo") / "it"


def steps(text):
    """Messages, without the lines of progress, which depend on the machine."""
    return [line for line in text.splitlines() if not re.match(r"\d{4}-", line)]


@pytest.fixture
def result(left, request, capsys):
    """The result of the demo and its messages; it runs once."""
    known = request.session.stash.setdefault(KEY, {})
    if not known:
        found = demo.demo_beats(left, minutes=0.25, recordings=4, length_s=12.0)
        known["it"] = found, steps(capsys.readouterr().err)
    return known["it"]


KEY = pytest.StashKey()


def test_scores_what_it_promises(result):
    found, _ = result
    assert found.evaluation.models == ("base", "decoder adapted", "adapted", "flux")
    assert 0.15 < found.minutes <= 0.25
    assert 0 < found.adapt_s < found.total_s
    assert not any(row.trained_on or row.error for row in found.evaluation.rows)


def test_reports_its_steps(result):
    _, messages = result
    assert messages[0] == "rendering 4 recordings of candombe, which the base model was not trained on"
    assert messages[1].startswith("adapting to 0.2")
    assert messages[2].startswith("auto chose ")
    assert messages[3].startswith("scoring on 2 recordings of other groups")


@pytest.mark.usefixtures("result")
class TestFiles:
    def test_are_those_it_names(self, left):
        there = {path.name for path in left.iterdir()}
        named = {line.split()[0].rstrip("/") for line in (left / CONTENTS).read_text().splitlines()}
        assert there == named | {CONTENTS}

    def test_recordings_are_a_corpus(self, left):
        corpus = load_corpus(left / "recordings", labels="beats")
        assert (corpus.name, corpus.licence) == ("Candombe, rendered", "CC0-1.0")
        assert [track.id for track in corpus.tracks] == [f"candombe-00{number}" for number in (1, 2, 3, 4)]
        assert all(annotated_spans(track)[0].duration_s > 10 for track in corpus.tracks)
        assert len({track.content_hash for track in corpus.tracks}) == 4

    def test_models_can_be_loaded_and_know_what_they_heard(self, left):
        adapted, decoder = read_model(left / "adapted"), load(left / "decoder-only")
        assert set(adapted.card.scores) >= {"beat_f", "beat_cmlt", "downbeat_f", "scored on", "chosen"}
        assert adapted.card.trained_on == decoder.card.trained_on
        assert adapted.card.minutes <= 0.25
        with (left / "scores.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        scored = {row["track"] for row in rows}
        assert len(rows) == 4 * len(scored)
        hashes = {audio.content_hash(left / "recordings" / f"{track}.wav") for track in scored}
        assert not hashes & set(adapted.card.trained_on)

    def test_beats_and_clicks_are_of_the_unseen_before_and_after(self, left, result):
        unseen = {row.track for row in result[0].evaluation.rows}
        wanted = {f"{track}-{word}" for track in unseen for word in ("before", "after")}
        assert {path.stem for path in (left / "beats").iterdir()} == wanted
        assert {path.stem for path in (left / "clicks").iterdir()} == wanted
        for row in result[0].evaluation.of("adapted"):
            heard = read_beats(left / "beats" / f"{row.track}-after.beats")
            np.testing.assert_allclose(heard.times_s, row.estimate.times_s, atol=1e-5)

    def test_clicks_begin_where_the_beats_are(self, left):
        path = next((left / "clicks").glob("*-after.wav"))
        samples, rate = audio.read(path)
        plain, _ = audio.read(left / "recordings" / f"{path.stem.removesuffix('-after')}.wav")
        assert samples.shape == plain.shape
        assert 0.3 < np.abs(samples).max() <= 1
        sounding = np.abs(plain[0]) > 0.05
        only = samples[0] - plain[0] * np.median(samples[0][sounding] / plain[0][sounding])
        beats = read_beats(left / "beats" / f"{path.stem}.beats")
        quietest = min(np.abs(only[round(at * rate) :][: rate // 20]).max() for at in beats.times_s)
        loud = np.flatnonzero(np.abs(only) > quietest / 2) / rate
        first = loud[np.diff(loud, prepend=-1) > 0.1]
        np.testing.assert_allclose(first, beats.times_s[: len(first)], atol=0.001)
        assert len(first) >= len(beats) - 1

    def test_the_picture_is_one(self, left):
        assert (left / "before-and-after.png").read_bytes().startswith(b"\x89PNG")
        assert (left / "before-and-after.png").stat().st_size > 20_000


class TestFolder:
    def test_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="is not empty and no earlier demo"):
            demo.demo_beats(tmp_path, force=True)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_that_is_a_file_is_refused(self, tmp_path):
        (tmp_path / "x").write_text("years of work")
        with pytest.raises(InputError, match="is a file; the demo writes a folder"):
            demo.demo_beats(tmp_path / "x", force=True)
        assert (tmp_path / "x").read_text() == "years of work"

    def test_of_an_earlier_demo_is_replaced_with_force_alone(self, tmp_path, rendered):
        (tmp_path / CONTENTS).write_text("earlier")
        (tmp_path / "scores.csv").write_text("earlier")
        with pytest.raises(InputError, match="contains an earlier demo; --force replaces it"):
            demo.demo_beats(tmp_path, corpus=rendered, minutes=0.1)
        assert (tmp_path / "scores.csv").read_text() == "earlier"
        (tmp_path / "notes.txt").write_text("mine")
        demo.demo_beats(tmp_path, corpus=rendered, minutes=0.1, force=True)
        assert (tmp_path / "notes.txt").read_text() == "mine"
        assert (tmp_path / "scores.csv").read_text().startswith("track,")


class TestCorpus:
    def test_of_ones_own_is_used_and_not_rendered(self, tmp_path, rendered):
        found = demo.demo_beats(tmp_path / "it", corpus=rendered, minutes=0.1)
        assert {row.track for row in found.evaluation.rows} < {"a", "b", "c"}
        assert not (tmp_path / "it" / "recordings").exists()

    def test_with_names_that_agree_in_two_folders_keeps_both(self, tmp_path, rendered):
        for name in "abcd":
            shutil.copytree(rendered, tmp_path / "corpus" / name, ignore=shutil.ignore_patterns("b.*", "c.*"))
        demo.demo_beats(tmp_path / "it", corpus=tmp_path / "corpus", minutes=0.1)
        names = {path.name for path in (tmp_path / "it" / "beats").iterdir()}
        assert len(names) >= 4
        assert all(name.split("-")[1] == "a" for name in names)

    def test_too_small_is_refused(self, tmp_path, rendered):
        with pytest.raises(InputError, match="too few annotated recordings to train on 9 minutes and score on others"):
            demo.demo_beats(tmp_path / "it", corpus=rendered, minutes=9)
