"""The grid: every combination once, ids that change with what decides and nothing else, and what is left out."""

import hashlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from levada.beat_tracking.augmentation import NO_AUGMENTATION
from levada.beat_tracking.pretrained import EXTERNAL
from levada.data import load_corpus
from levada.data.rendered import sounds_digest
from levada.errors import InputError, MissingExtra
from levada.experiments.corpora import OpenCorpus, data_digest, placeholder, render_source, sample_labels, split_corpus
from levada.experiments.cost import Clock, guess_s
from levada.experiments.grid import fingerprint, make_grid, settings_of
from levada.experiments.runner import open_corpora
from levada.experiments.spec import Budget, Source, Study, read_spec
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats

SCRATCH = 'strategies = ["scratch"]\nminutes = [1]\n'
FINETUNE = 'strategies = ["finetune"]\nminutes = [0.1]\n'
BASIC = ("pretrained", "decoder", "scratch", "finetune", "finetune+augment")


def record(folder, name, *, seconds=16, tempo_bpm=120, seed=0):
    """A recording of clicks in four, with its beats."""
    beats = Beats(
        np.arange(0.5, seconds - 0.2, 60 / tempo_bpm),
        np.arange(len(np.arange(0.5, seconds - 0.2, 60 / tempo_bpm))) % 4 + 1,
    )
    noise = 0.01 * np.random.default_rng(seed).standard_normal((1, seconds * 8000)).astype(np.float32)
    clicks = audio.clicks(beats, rate=8000, duration_s=seconds)[None]
    folder.mkdir(parents=True, exist_ok=True)
    audio.write(folder / f"{name}.wav", clicks + noise, rate=8000)
    write_beats(folder / f"{name}.beats", beats)


@pytest.fixture(scope="module")
def clicks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora") / "clicks"
    for seed, name in enumerate("abcd"):
        record(folder, name, seed=seed, tempo_bpm=100 + 10 * seed)
    return folder


def opened(folder, name="clicks", **said):
    source = Source(name, path=str(folder), **said)
    corpus = load_corpus(folder, labels="beats")
    return OpenCorpus(source, corpus, data_digest(corpus))


def study(folder, *, strategies=("pretrained",), name="mine", **said):
    return Study(name, (Source("clicks", path=str(folder)),), strategies, **said)


class TestPlans:
    def test_every_combination_once(self, clicks):
        asked = study(
            clicks, strategies=BASIC, minutes=(0.1, 0.2), external=("flux",), seeds=(0, 1),
            augmentation=(("all",), ("none",), ("noise", "tempo")),
        )  # fmt: skip
        plans = make_grid(asked, [opened(clicks)]).plans
        assert len({plan.id for plan in plans}) == len(plans)
        told = [(p.strategy, p.base, p.minutes, "+".join(p.augmentation)) for p in plans if p.seed == 0]
        each = [
            ("decoder", "base", ""),
            *(("scratch", "", level) for level in ("all", "none", "tempo+noise")),
            ("finetune", "base", ""),  # which is fine-tuning with augmentation by nothing too
            *(("finetune+augment", "base", level) for level in ("all", "tempo+noise")),
        ]
        expected = {("pretrained", "base", 0.0, ""), ("pretrained", "flux", 0.0, "")}
        expected |= {(strategy, base, minutes, level) for strategy, base, level in each for minutes in (0.1, 0.2)}
        assert set(told) == expected
        assert len(told) == len(expected)
        assert [plan.seed for plan in plans] == sorted(plan.seed for plan in plans)

    def test_settings_are_resolved(self, clicks):
        asked = study(
            clicks, strategies=("scratch", "finetune", "finetune+augment"), minutes=(0.1,), seeds=(4,),
            settings={"steps": 7, "scratch": {"steps": 9, "learning_rate": 1}}, layers=(("head",),),
            augmentation=(("tempo",),),
        )  # fmt: skip
        by = {plan.strategy: plan for plan in make_grid(asked, [opened(clicks)]).plans}
        scratch, plain, augmented = (by[name].settings for name in ("scratch", "finetune", "finetune+augment"))
        assert (scratch.steps, scratch.learning_rate, scratch.layers, scratch.seed) == (9, 1.0, (), 4)
        assert (plain.steps, plain.layers, plain.augmentation) == (7, ("head",), NO_AUGMENTATION)
        assert augmented.augmentation == replace(NO_AUGMENTATION, tempo=0.15)
        assert by["finetune"].config()["settings"]["augmentation"]["noise_db"] == "-inf"

    def test_settings_that_are_lists_are_axes(self, clicks):
        settings = {
            "batch": [1, 2], "scratch": {"channels": [24, 40, 56]}, "finetune+augment": {"steps": [5, 9], "batch": 3}
        }  # fmt: skip
        listed = study(clicks, strategies=("decoder", "scratch", "finetune+augment"), minutes=(0.1,), settings=settings)
        plans = make_grid(listed, [opened(clicks)]).plans
        of = {name: [plan.settings for plan in plans if plan.strategy == name] for name in listed.strategies}
        assert of["decoder"] == [None]
        assert [(one.batch, one.channels) for one in of["scratch"]] == [(b, c) for b in (1, 2) for c in (24, 40, 56)]
        assert [one.network().channels for one in of["scratch"]] == [24, 40, 56] * 2
        assert [(one.batch, one.steps) for one in of["finetune+augment"]] == [(3, 5), (3, 9)]
        assert len({plan.id for plan in plans}) == len(plans) == 9
        long, short = (guess_s(one, scored_min=0.0) for one in (plans[-1], plans[-2]))
        assert long > short

    def test_a_setting_without_a_value_is_not_in_the_configuration(self, clicks):
        """Runs that were done before there was such a setting keep their ids."""
        usual, wide = (
            make_grid(study(clicks, strategies=("scratch",), minutes=(0.1,), settings=s), [opened(clicks)]).plans[0]
            for s in ({}, {"channels": 48})
        )
        assert set(wide.config()["settings"]) - set(usual.config()["settings"]) == {"channels"}

    def test_a_setting_that_is_a_tuple_is_a_list_of_lists(self, clicks):
        stems = replace(study(clicks, strategies=("unet",)), task="stems")
        one, axis = ({"unet": {"channels": value}} for value in ([8, 16], [[8, 16], [8, 16, 32]]))
        assert [s.channels for s in settings_of(replace(stems, settings=one), "unet")] == [(8, 16)]
        assert [s.channels for s in settings_of(replace(stems, settings=axis), "unet")] == [(8, 16), (8, 16, 32)]

    def test_budgets_of_recordings(self, clicks):
        there = opened(clicks)
        grid = make_grid(study(clicks, strategies=("decoder",), files=(1, 2, 5)), [there])
        split = split_corpus(there.source, there.corpus, seed=0, test=0.5)
        assert [(p.budget.text, p.minutes, p.files) for p in grid.plans] == [("1 file", 0, 1), ("2 files", 0, 2)]
        assert "clicks, labels of 5 files: " in grid.left_out[0]
        one, two = (sample_labels(split, task="beats", budget=p.budget, selection="random", seed=0) for p in grid.plans)
        assert {span.track.id for span in one} < {span.track.id for span in two} == {t.id for t in split.train}
        assert sum(span.duration_s for span in one) == pytest.approx(np.ptp(one[0].track.beats().times_s))
        assert set(grid.plans[0].config()) - set(self.minutes_plan(clicks).config()) == {"files"}

    def minutes_plan(self, clicks):
        return make_grid(study(clicks, strategies=("decoder",), minutes=(0.1,)), [opened(clicks)]).plans[0]

    def test_budgets_that_are_fractions(self, clicks):
        there = opened(clicks)
        grid = make_grid(study(clicks, strategies=("decoder",), fraction=(0.25, 1.0)), [there])
        split = split_corpus(there.source, there.corpus, seed=0, test=0.5)
        texts = [plan.budget.text for plan in grid.plans]
        assert texts == ["25 % of the training set", "100 % of the training set"]
        quarter, whole = (
            sum(s.duration_s for s in sample_labels(split, task="beats", budget=p.budget, selection="random", seed=0))
            for p in grid.plans
        )
        bars_s = sum(np.ptp(track.beats().downbeats_s) for track in split.train)
        assert whole == pytest.approx(bars_s)
        assert bars_s / 4 - 2.5 < quarter <= bars_s / 4

    def test_recordings_by_a_scheme_of_selection(self, clicks):
        there = opened(clicks)
        split = split_corpus(there.source, there.corpus, seed=0, test=0.25)
        for scheme in ("facility", "diversity"):
            spans = sample_labels(split, task="beats", budget=Budget(2, "files"), selection=scheme, seed=0)
            assert len({span.track.id for span in spans}) == 2

    def test_other_corpora_that_are_scored_too(self, clicks, tmp_path):
        record(tmp_path / "other", "a", seed=9)
        both = (opened(clicks), opened(tmp_path / "other", name="other", adapt=False))
        sources = tuple(there.source for there in both)
        of = Study("mine", sources, ("pretrained", "decoder"), minutes=(0.1,), also=("clicks", "other"))
        plans = make_grid(of, both).plans
        assert [(p.corpus, p.strategy, [a.corpus for a in p.also]) for p in plans] == [
            ("clicks", "pretrained", []), ("clicks", "decoder", ["other"]), ("other", "pretrained", [])
        ]  # fmt: skip
        alone = make_grid(replace(of, also=()), both).plans
        assert [plan.id for plan in alone if plan.strategy == "pretrained"] == [plans[0].id, plans[2].id]
        assert "also" not in alone[1].config()
        assert alone[1].id != plans[1].id
        assert [track.id for track in split_corpus(sources[1], both[1].corpus, seed=0, test=0.5).test] == ["a"]

    def test_all_strategies_and_budgets_of_a_seed_are_scored_on_the_same(self, clicks):
        there = opened(clicks)
        first, again, other = (split_corpus(there.source, there.corpus, seed=seed, test=0.5) for seed in (0, 0, 3))
        assert first == again
        assert {track.id for track in first.train} | {track.id for track in first.test} == set("abcd")
        assert {track.id for track in first.test} != {track.id for track in other.test}
        drawn = [sample_labels(first, task="beats", budget=Budget(0.2), selection="random", seed=0) for _ in range(2)]
        assert drawn[0] == drawn[1]
        assert {span.track.id for span in drawn[0]} <= {track.id for track in first.train}

    def test_halves_of_one_recording(self, tmp_path):
        record(tmp_path, "only", seconds=30)
        there = opened(tmp_path, halves=True)
        split = split_corpus(there.source, there.corpus, seed=0, test=0.5)
        (scored,) = split.test
        spans = sample_labels(split, task="beats", budget=Budget(0.2), selection="random", seed=0)
        assert not {*split.train[0].beats().times_s} & {*scored.beats.times_s}  # nor is the beat in the middle in both
        assert max(span.end_s for span in spans) < scored.start_s
        assert scored.start_s == pytest.approx(15, abs=2)
        assert scored.end_s == there.corpus.tracks[0].beats().times_s[-1]
        plans = make_grid(study(tmp_path, strategies=("decoder",), minutes=(0.1,)), [there]).plans
        assert [plan.halves for plan in plans] == [True]


class TestIds:
    def plan(self, clicks, **said):
        (plan,) = make_grid(study(clicks, **said), [opened(clicks)]).plans
        return plan

    def test_what_decides_changes_it(self, clicks):
        plan = self.plan(clicks, strategies=("finetune",), minutes=(0.1,))
        changes = {
            "corpus": "x", "strategy": "scratch", "base": "latin", "minutes": 0.2, "selection": "vote-k",
            "augmentation": ("tempo",), "layers": ("head",), "seed": 1, "test_share": 0.4, "trim_s": 0.0,
            "halves": True, "ignore_groups": True, "settings": replace(plan.settings, steps=3), "code": "x",
            "data": "x", "weights": "x", "task": "stems", "unscored": ("a",),
        }  # fmt: skip
        assert set(changes) == set(plan.config())
        ids = {replace(plan, **{key: value}).id for key, value in changes.items()}
        assert len(ids | {plan.id}) == len(changes) + 1

    def test_what_does_not_decide_leaves_it(self, clicks):
        one = self.plan(clicks, strategies=("decoder",), minutes=(0.1,))
        other = make_grid(
            study(
                clicks, strategies=("pretrained", "scratch", "decoder"), minutes=(0.1, 0.2), name="other", seeds=(0, 5),
                keep_weights=True, external=("flux",), settings={"steps": 3},
            ),
            [opened(clicks)],
        )  # fmt: skip
        assert one.id in {plan.id for plan in other.plans}

    def test_it_is_the_hash_of_what_is_written(self, clicks):
        plan = self.plan(clicks)
        assert plan.id == fingerprint(plan.config())
        assert fingerprint(dict(reversed(plan.config().items()))) == plan.id
        assert len(plan.id) == 16

    @pytest.mark.parametrize("change", ["audio", "beat", "position", "group", "new", "gone"])
    def test_the_data(self, clicks, tmp_path, change):
        folder = tmp_path / "copy"
        shutil.copytree(clicks, folder)
        before = data_digest(load_corpus(folder, labels="beats"))
        assert before == data_digest(load_corpus(clicks, labels="beats"))
        if change == "audio":
            record(tmp_path / "new", "a", seed=9)
            shutil.copy(tmp_path / "new" / "a.wav", folder)
        elif change in ("beat", "position"):
            beats = load_corpus(folder, labels="beats").tracks[1].beats()
            times_s = beats.times_s + (0.01 if change == "beat" else 0.0)
            positions = np.roll(beats.positions, 1 if change == "position" else 0)
            write_beats(folder / "b.beats", Beats(times_s, positions), force=True)
        elif change == "group":
            (folder / "corpus.toml").write_text('[groups]\na = "one"\nb = "one"\n')
        elif change == "new":
            record(folder, "e")
        else:
            (folder / "a.beats").unlink()
        assert data_digest(load_corpus(folder, labels="beats")) != before

    def test_a_recording_without_labels_decides_nothing(self, clicks, tmp_path):
        folder = tmp_path / "copy"
        shutil.copytree(clicks, folder)
        shutil.copy(folder / "a.wav", folder / "unlabelled.wav")
        assert data_digest(load_corpus(folder, labels="beats")) == data_digest(load_corpus(clicks, labels="beats"))


class TestSounds:
    def test_a_soundfont_or_one_shot_that_is_replaced_renders_anew(self, tmp_path):
        shots = tmp_path / "shots"
        shots.mkdir()
        source = Source("made", render="candombe", recordings=1, seconds=5, sounds=str(shots))
        folders = set()
        for level in (0.9, 0.5):
            audio.write(shots / "chico-open.wav", np.full((1, 400), level, np.float32), rate=44100, force=True)
            folders.add(render_source(source, out=tmp_path / "out").path)
        shutil.copytree(shots, tmp_path / "elsewhere" / "others")
        moved = replace(source, sounds=str(tmp_path / "elsewhere" / "others"))
        assert len(folders) == 2
        assert placeholder(moved, out=tmp_path / "out") is None  # it is there: the same sounds under another name

    def test_digests_are_of_contents(self, tmp_path):
        font = tmp_path / "mine.sf2"
        font.write_bytes(b"RIFF one")
        first = sounds_digest(str(font))
        assert first == hashlib.sha256(b"RIFF one").hexdigest()
        font.write_bytes(b"RIFF two")
        assert sounds_digest(str(font)) != first
        assert sounds_digest("synthesised") == ""


class TestLeftOut:
    def test_budgets_larger_than_the_side_that_gives_labels(self, clicks):
        grid = make_grid(study(clicks, strategies=("decoder",), minutes=(0.1, 9), seeds=(0, 1)), [opened(clicks)])
        assert {plan.minutes for plan in grid.plans} == {0.1}
        (told,) = grid.left_out
        assert told.startswith("clicks, 9 minutes of labels: of the training side, the corpus has 0.")
        assert told.endswith("fewer than 9")

    def test_a_corpus_with_budgets_of_its_own(self, clicks):
        asked = study(clicks, strategies=("decoder",), minutes=(9,))
        grid = make_grid(asked, [opened(clicks), opened(clicks, "own", minutes=(0.1, 0.2))])
        assert {(plan.corpus, plan.minutes) for plan in grid.plans} == {("own", 0.1), ("own", 0.2)}

    def test_budgets_shorter_than_a_bar(self, clicks):
        with pytest.raises(InputError, match=r"leaves nothing to run: clicks, 0.01 .* shorter than a bar"):
            make_grid(study(clicks, strategies=("decoder",), minutes=(0.01,)), [opened(clicks)])

    def test_one_recording_and_one_group(self, clicks, tmp_path):
        record(tmp_path / "one", "only")
        shutil.copytree(clicks, tmp_path / "same")
        (tmp_path / "same" / "corpus.toml").write_text('[groups]\n"*" = "one"\n')
        one, same = opened(tmp_path / "one", "one"), opened(tmp_path / "same", "same")
        grid = make_grid(study(clicks), [one, same, opened(clicks)])
        assert {plan.corpus for plan in grid.plans} == {"clicks"}
        assert any("one: has one annotated recording" in told and "halves = true" in told for told in grid.left_out)
        assert any("same: has all 4 annotated recordings" in told and "ignore_groups" in told for told in grid.left_out)
        with pytest.raises(InputError, match=r"leaves nothing to run: one: .*; same: "):
            make_grid(study(clicks), [one, same])
        ignoring = make_grid(study(clicks), [opened(tmp_path / "same", "same", ignore_groups=True)])
        assert len(ignoring.plans) == 1
        assert ignoring.notes == ("same: groups are ignored",)

    def test_nobody_said_who_plays(self, clicks, tmp_path):
        assert "it is unknown who plays" in make_grid(study(clicks), [opened(clicks)]).notes[0]
        shutil.copytree(clicks, tmp_path / "told")
        (tmp_path / "told" / "corpus.toml").write_text('[groups]\n"[ab]" = "x"\n"[cd]" = "y"\n')
        assert make_grid(study(clicks), [opened(tmp_path / "told")]).notes == ()

    def test_models_that_are_not_installed(self, clicks, monkeypatch):
        def missing():
            raise MissingExtra("librosa", extra="librosa", purpose="score it")

        monkeypatch.setitem(EXTERNAL, "librosa", missing)
        grid = make_grid(study(clicks, external=("librosa",)), [opened(clicks)])
        assert [plan.base for plan in grid.plans] == ["base"]
        assert grid.left_out == ("librosa: librosa is needed to score it: pip install 'levada[librosa]'",)

    def test_what_can_be_missing_and_is(self, clicks, tmp_path):
        spec = tmp_path / "mine.toml"
        spec.write_text(
            f'strategies = ["pretrained"]\n[corpora]\nthere = "{clicks}"\nnone = {{ path = "none", optional = true }}\n'
        )
        there, missing, _ = open_corpora(read_spec(spec), out=tmp_path)
        assert [one.source.name for one in there] == ["there"]
        assert missing == [f"none: there is no folder {tmp_path / 'none'}"]
        spec.write_text('strategies = ["pretrained"]\n[corpora]\nnone = "none"\n')
        with pytest.raises(InputError, match=r"none: there is no folder .*; with optional = true") as error:
            open_corpora(read_spec(spec), out=tmp_path)
        assert (error.value.path, error.value.line) == (spec, 3)


class TestWrong:
    @pytest.mark.parametrize(
        ("text", "told", "line"),
        [
            ('strategies = ["finetun"]\nminutes = [1]\n', "no strategy 'finetun'; did you mean 'finetune'?", 1),
            ('strategies = ["pretrained"]\nselection = ["votek"]\n', "there is no selection 'votek'", 2),
            ('strategies = ["pretrained"]\nbases = ["bse"]\n', "no model 'bse'; did you mean 'base'?", 2),
            (FINETUNE + 'bases = ["flux"]\n', "no weights to train on", 3),
            ('external = ["fluxx"]\n', "no model 'fluxx'; did you mean 'flux'?", 1),
            ('external = ["./none"]\n', "there is no model", 1),
            (FINETUNE + 'layers = ["haed"]\n', "no layers 'haed'; did you mean 'head'?", 3),
            ('strategies = ["scratch"]\nfiles = [1.5]\n', "files must hold numbers of recordings", 2),
            ('strategies = ["scratch"]\nfiles = [0]\n', "files must hold numbers of recordings", 2),
            ('strategies = ["scratch"]\nfraction = [0.5, 1.5]\n', "fraction must hold", 2),
            ('strategies = ["scratch"]\nfraction = [nan]\n', "fraction must hold", 2),
            (SCRATCH + 'also = ["click"]\n', "there is no corpus 'click' to score also; did you mean 'clicks'?", 3),
            (SCRATCH + 'also = ["clicks"]\n', 'also compares scores .* name "pretrained"', 3),
            (SCRATCH + "files = [1]\n", "budgets in minutes and in files", 3),
            (SCRATCH + '[settings]\nstep = 3\n', "'step' is not a setting .* did you mean 'steps'?", 4),
            (SCRATCH + '[settings]\nseed = 3\n', "'seed' is not a setting", 4),
            (SCRATCH + '[settings]\nsteps = 1.5\n', "steps must be a whole number", 4),
            (SCRATCH + '[settings]\nsteps = 0\n', "steps must be a whole number", 4),
            (SCRATCH + '[settings]\nsteps = []\n', "steps is empty", 4),
            (SCRATCH + '[settings]\nsteps = [5, 9, 5]\n', "steps has 5 twice", 4),
            (SCRATCH + '[settings]\nsteps = [5, 0]\n', "steps must be a whole number", 4),
            (SCRATCH + '[settings]\nsteps = [[5]]\n', "steps must be a whole number", 4),
            (SCRATCH + '[settings.scratch]\nchannels = [24, "x"]\n', "channels must be a whole number", 4),
            (SCRATCH + '[settings.scratch]\nchannels = [24, 4000]\n', "512 channels", 3),
            (FINETUNE + '[settings.finetune]\nchannels = 24\n', "'channels' is not a setting of finetune", 4),
            (SCRATCH + '[settings]\nlearning_rate = "x"\n', "learning_rate must be a number", 4),
            (SCRATCH + '[settings]\nexcerpt_s = nan\n', "excerpt_s must be a number", 4),
            (SCRATCH + '[settings.scrath]\nsteps = 3\n', "no strategy 'scrath' to set", 3),
            (SCRATCH + '[settings.scratch]\nstep = 3\n', "'step' is not a setting of scratch", 4),
        ],
    )  # fmt: skip
    def test_names_that_do_not_exist(self, clicks, tmp_path, text, told, line):
        spec = tmp_path / "mine.toml"
        head, mark, settings = text.partition("[settings")
        spec.write_text(f'{head}{mark}{settings}[corpora]\nclicks = "{clicks}"\n')
        with pytest.raises(InputError, match=told.replace("?", r"\?")) as error:
            make_grid(read_spec(spec), [opened(clicks)])
        assert (error.value.path, error.value.line) == (spec, line)

    def test_layers_that_one_of_two_bases_has(self, clicks, tiny_model):
        asked = study(
            clicks,
            strategies=("finetune",),
            minutes=(0.1,),
            bases=("base", str(tiny_model)),
            layers=(("nowhere",), ("all",)),
        )
        grid = make_grid(asked, [opened(clicks)])
        assert len(grid.plans) == 2
        assert sum("has no layers nowhere" in told for told in grid.left_out) == 2

    def test_labels_that_cannot_be_read(self, clicks, tmp_path):
        shutil.copytree(clicks, tmp_path / "copy")
        (tmp_path / "copy" / "a.beats").write_text("one two three\n")
        with pytest.raises(InputError) as error:
            open_corpora(study(tmp_path / "copy"), out=tmp_path)
        assert error.value.path == tmp_path / "copy" / "a.beats"

    def test_no_labels_at_all(self, tmp_path):
        record(tmp_path / "bare", "a")
        (tmp_path / "bare" / "a.beats").unlink()
        with pytest.raises(InputError, match="no annotated recordings"):
            open_corpora(study(tmp_path / "bare"), out=tmp_path)

    def test_no_such_tradition(self, tmp_path):
        asked = Study("mine", (Source("x", render="samab", line=7),), ("pretrained",), path=tmp_path / "mine.toml")
        with pytest.raises(InputError, match="samab"):
            open_corpora(asked, out=tmp_path)

    def test_settings_without_a_strategy_that_has_them(self, clicks):
        assert len(make_grid(study(clicks, settings={"steps": 3}), [opened(clicks)]).plans) == 1
        with pytest.raises(InputError, match="'stepz' is not a setting of any strategy"):
            make_grid(study(clicks, settings={"stepz": 3}), [opened(clicks)])
        with pytest.raises(InputError, match="'steps' is not a setting of decoder; there are none"):
            make_grid(study(clicks, settings={"decoder": {"steps": 3}}), [opened(clicks)])


class TestCost:
    def test_a_guess_grows_with_the_work(self, clicks):
        asked = study(clicks, strategies=("pretrained", "scratch", "finetune"), minutes=(0.1,))
        by = {plan.strategy: plan for plan in make_grid(asked, [opened(clicks)]).plans}
        guesses = [guess_s(by[name], scored_min=2.0) for name in ("pretrained", "scratch", "finetune")]
        assert guesses == sorted(guesses)
        assert guess_s(by["pretrained"], scored_min=4.0) > guesses[0]

    def test_what_was_measured_counts_and_the_closest_first(self, clicks):
        class Known:
            def __init__(self, strategy, seconds, minutes=0.1):
                self.id, self.corpus, self.base, self.budget = "", "clicks", "base", Budget(minutes)
                self.strategy, self.costs = strategy, {"wall_s": seconds}

        asked = study(clicks, strategies=("decoder", "finetune", "scratch"), minutes=(0.1,))
        plans = make_grid(asked, [opened(clicks)]).plans
        by = {plan.strategy: plan for plan in plans}
        clock = Clock(max_workers=2)
        assert np.isnan(clock.left_s(plans))
        for known in (Known("decoder", 2.0), Known("finetune", 10.0), Known("finetune", 40.0, minutes=3)):
            clock.add(known)
        assert clock.expected_s(by["finetune"]) == 10
        assert clock.expected_s(by["decoder"]) == 2
        assert clock.expected_s(by["scratch"]) == pytest.approx(52 / 3)
        assert clock.left_s([by["decoder"], by["finetune"], by["finetune"]]) == 11

    def test_what_short_runs_took_says_nothing_of_long_ones(self, clicks):
        """Eight of a second are done, one that trains is not: its guess, scaled by how fast this machine is."""

        class Known:
            corpus, costs = "clicks", {"wall_s": 2.0}

            def __init__(self, plan):
                self.id, self.strategy, self.base, self.budget = plan.id, plan.strategy, plan.base, plan.budget

        asked = study(clicks, strategies=("pretrained", "scratch"), minutes=(0.1,), external=("flux",))
        *short, long = make_grid(asked, [opened(clicks)]).plans
        guesses = {plan.id: 1.0 for plan in short} | {long.id: 90.0}
        clock = Clock((Known(plan) for plan in short), guesses=guesses, max_workers=2)
        assert clock.expected_s(long) == pytest.approx(180)
        assert clock.left_s([long]) == pytest.approx(180)  # two max_workers do not halve one run
        assert clock.left_s([long, long, long]) == pytest.approx(270)
        assert Clock(guesses=guesses).expected_s(long) == 90
