"""Studies of one instrument from solos: mixtures, bases of a strategy, early stopping, losses and audio in a report."""

import re

import numpy as np
import pytest

from levada.errors import InputError
from levada.experiments import read_runs, read_spec, run_study, with_corpus
from levada.experiments.report import write_report
from levada.experiments.runner import plan_study
from levada.io import audio
from levada.learning.training_log import VALIDATION_LOSS, read_log

RATE = 22050
DRUMS = {"surdo": 80, "tamborim": 1500, "agogo": 900}
SPEC = """
task = "stems"
strategies = ["nmf-conv", "unet", "finetune+augment"]
external = ["mixture"]
fraction = [0.5, 1]
layers = ["all", "up"]
test = 0.4
listen = 1
[bases]
"finetune+augment" = ["unet-bass"]
[settings.unet]
channels = [4, 8]
bins = 32
batch = 1
steps = 3
validation = 0.4
patience = 1
[settings."finetune+augment"]
batch = 1
steps = 2
validation = 0.4
[corpora.solos]
path = "solos"
remix = { mixtures = 10, seconds = 1, target = "surdo", coherent = false, rooms = false }
"""


@pytest.fixture
def spec(tmp_path):
    """A spec of five players with three drums each."""
    rng, time = np.random.default_rng(0), np.arange(2000) / RATE
    lines = []
    for player in range(5):
        for name, hz in DRUMS.items():
            solo = np.zeros(2 * RATE, np.float32)
            for start in range(0, 2 * RATE - 2000, RATE // 4):
                stroke = np.exp(-time / 0.03) * np.sin(2 * np.pi * hz * (1 + 0.1 * rng.random()) * time)
                solo[start:][:2000] += np.float32(0.3) * stroke.astype(np.float32)
            audio.write(tmp_path / "solos" / f"{name}-{player}.wav", solo[None], rate=RATE)
        lines.append(f'"*-{player}" = "player {player}"\n')
    (tmp_path / "solos" / "corpus.toml").write_text('layout = "solos"\n[groups]\n' + "".join(lines))
    (tmp_path / "mine.toml").write_text(SPEC)
    return tmp_path / "mine.toml"


def changed(spec, *pairs):
    text = spec.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    spec.write_text(text)
    return spec


class TestPlans:
    def test_each_strategy_has_its_bases_and_settings(self, spec, tmp_path):
        plans = [plan for plan, _ in plan_study(read_spec(spec), out=tmp_path / "runs").runs]
        assert len(plans) == 1 + 2 * (1 + 1 + 2)
        tuned = [plan for plan in plans if plan.strategy == "finetune+augment"]
        assert {(plan.base, plan.layers) for plan in tuned} == {("unet-bass", ("all",)), ("unet-bass", ("up",))}
        assert {(of.settings.steps, of.settings.validation, of.settings.patience) for of in tuned} == {(2, 0.4, 0)}
        (new,) = {plan.settings for plan in plans if plan.strategy == "unet"}
        assert (new.channels, new.patience) == ((4, 8), 1)

    def test_strategies_without_bases_of_their_own_start_from_the_base(self, spec):
        study = read_spec(changed(spec, ('["nmf-conv", "unet"', '["nmf-conv", "auto", "unet"')))
        assert (study.bases_for("auto"), study.bases_for("finetune+augment")) == (("base",), ("unet-bass",))
        assert set(study.bases) == {"base", "unet-bass"}

    def test_a_plan_before_mixing_has_as_many_runs_as_after(self, spec, tmp_path):
        before = plan_study(read_spec(spec), out=tmp_path / "runs")
        assert not (tmp_path / "runs").exists()
        run_study(spec, out=tmp_path / "runs", executor=lambda _, jobs: ((job, InputError("no")) for job in jobs))
        after = plan_study(read_spec(spec), out=tmp_path / "runs")
        assert len(before.runs) == len(after.runs) == 9

    def test_the_study_that_ships_is_found_by_its_name(self):
        study = read_spec("surdo")
        assert (study.fraction, study.listen, study.bases_for("auto")) == ((0.25, 0.5, 1), 2, ("base",))
        (source,) = study.corpora
        scored = round(source.remix.mixtures * source.remix.test)
        assert (scored, source.remix.target) == (30, "surdo")
        assert round((source.remix.mixtures - scored) * study.settings["unet"]["validation"]) == 10

    def test_another_corpus_and_another_target(self, spec):
        study = with_corpus(read_spec("surdo"), spec.parent / "solos", target="agogo")
        (source,) = study.corpora
        assert (source.name, source.path, source.render) == ("solos", str(spec.parent / "solos"), "")
        assert (source.remix.target, source.remix.mixtures) == ("agogo", 140)


class TestWrong:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("mixtures = 10", "mixture = 10", "'mixture' is not a key of it; did you mean 'mixtures'"),
            ("mixtures = 10", "mixtures = 0", "remix: there must be at least one mixture"),
            ("mixtures = 10", "mixtures = true", "remix: mixtures cannot be True"),
            ("seconds = 1", 'seconds = "long"', "remix: seconds cannot be 'long'"),
            ("seconds = 1", "tempo_bpm = [90]", r"remix: tempo_bpm cannot be \[90\]"),
            ("seconds = 1", "test = 0.5", "'test' is not a key of it"),
            ('target = "surdo"', 'target = "cuica"', "has no cuica; its instruments are agogo, surdo, tamborim"),
            ("remix = {", "halves = true\nremix = {", "leave out halves"),
            ("remix = { mixtures = 10", "remix = 3  # { mixtures = 10", "remix must be a table"),
            ('task = "stems"', 'task = "beats"', "stems"),
            ("listen = 1", "listen = -1", "listen must be a whole number"),
            ('"finetune+augment" = ["unet', '"finetune" = ["unet', "'finetune' is no strategy of the study"),
            ('["unet-bass"]', '"unet-bass"', "finetune\\+augment must be a list"),
            ('["unet-bass"]', '["unet-bas"]', "there is no model 'unet-bas'"),
            ('layers = ["all", "up"]', 'layers = ["all", "upp"]', "has no layers 'upp'"),
            ("patience = 1", "patience = -1", "patience must be a whole number"),
        ],
    )
    def test_is_told(self, spec, tmp_path, old, new, told):
        with pytest.raises(InputError, match=told):
            run_study(changed(spec, (old, new)), out=tmp_path / "runs", executor=lambda *_: iter(()))

    def test_one_group_of_solos(self, spec, tmp_path):
        (tmp_path / "solos" / "corpus.toml").write_text('layout = "solos"\n[groups]\n"*" = "all"\n')
        with pytest.raises(InputError, match="one group and cannot be split"):
            run_study(spec, out=tmp_path / "runs", executor=lambda *_: iter(()))

    def test_corpora_and_targets_that_cannot_be_replaced(self, spec, tmp_path):
        plain = read_spec(changed(spec, ("remix = {", "# {")))
        with pytest.raises(InputError, match="it has no target"):
            with_corpus(plain, target="agogo")
        study = read_spec(changed(spec, ("[corpora.solos]", '[corpora]\nmore = "more"\n[corpora.solos]')))
        with pytest.raises(InputError, match="several corpora, more, solos"):
            with_corpus(study, tmp_path)

    def test_a_name_that_does_not_ship(self):
        with pytest.raises(InputError, match=r"there is no such file"):
            read_spec("surdos")


@pytest.mark.slow
def test_from_solos_to_a_report_with_losses_and_audio(spec, tmp_path):
    summary = run_study(spec, out=tmp_path / "runs")
    assert (summary.done, summary.failed) == (9, {})
    runs = read_runs(tmp_path / "runs")
    players = {row["group"] for run in runs for row in run.scores}
    assert len(players) == 2  # those of the surdos of the test set
    assert all(str(row["track"]).startswith("test/") for run in runs for row in run.scores)
    learnt = {one[0] for run in runs for one in run.record["labels"]}
    assert learnt
    assert all(name.startswith("train/") for name in learnt)
    for run in runs:
        if run.strategy == "unet":
            rows = [row for row in read_log(run.folder / "log.csv") if VALIDATION_LOSS in row]
            assert len(rows) >= 2
        kept = sorted(path.relative_to(run.folder / "listen").as_posix() for path in run.folder.glob("listen/**/*.mp3"))
        song = re.sub("/", "-", run.record["test"][0])
        assert kept == [f"{song}/surdo.mp3"] + [f"{song}/true/surdo.mp3"] * (run.base == "mixture")
    assert run_study(spec, out=tmp_path / "runs").kept == 9  # the same mixtures, and nothing again
    more = changed(spec, ("listen = 1", "listen = 2"))
    again = plan_study(read_spec(more), out=tmp_path / "runs")
    assert not again.done  # audio of a second recording is not there yet
    report = write_report(tmp_path / "runs", out=tmp_path / "report").page.read_text()
    assert report.count("<audio ") == 2 + 4  # mixture, true, and four methods at the largest budget
    assert (tmp_path / "report" / "figures" / "losses-solos.svg").exists()
    table = (tmp_path / "report" / "tables" / "trainings-solos.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * 3
    table = (tmp_path / "report" / "tables" / "surdo-solos.md").read_text().splitlines()
    assert [row.split(" | ")[0] for row in table[2:]].count("| mixture") == 1
    assert len(table) == 2 + 1 + 2 * 4
