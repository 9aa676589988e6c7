"""Demucs: stems that sum to the mixture, models without pickles, adaptation, and all of it through the commands."""

import json
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from levada.beat_tracking.networks import tcn
from levada.data import load_corpus
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.learning import weights as module
from levada.learning.card import CONFIG, TENSORS, Card
from levada.learning.weights import Weights
from levada.separation.augmentation import NO_AUGMENTATION
from levada.separation.external import demucs
from levada.separation.external.demucs_network import read_checkpoint, tiny
from levada.separation.separator import Separator

torch.set_num_threads(1)

RATE = 8000
SHORT = demucs.DemucsSettings(steps=2, excerpt_s=0.3)


@pytest.fixture
def net():
    pytest.importorskip("demucs")
    torch.manual_seed(0)
    return tiny()


def card():
    return Card("a test", "Drawn.", "CC0-1.0", "none", 0.0, {"any": "none"}, trained_on={"ab": [(0.0, 1.0)]})


def separator(net):
    return demucs.DemucsSeparator(net, "a test", "demucs test")


def noise(seconds, *, channels=1, rate=RATE, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (channels, round(seconds * rate))).astype(np.float32)


def checkpoint(net, path, **metadata):
    """Write a network as its authors do."""
    settings = net.settings
    kwargs = dict(settings.arguments) | {"sources": list(settings.instruments)}
    kwargs |= {"segment": {"_type": "fraction", "numerator": 1, "denominator": 1}}
    metadata = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(kwargs)} | metadata
    save_file({name: tensor.half() for name, tensor in net.model.state_dict().items()}, path, metadata)
    return path


@pytest.fixture
def corpus(tmp_path):
    """Two songs of a low and a high drum."""
    time_s = np.arange(4 * RATE) / RATE
    for song in ("a", "b"):
        (tmp_path / "corpus" / song).mkdir(parents=True)
        low = np.sin(2 * np.pi * 60 * time_s) * np.exp(-8 * (time_s % 0.5))
        high = noise(4, seed=ord(song))[0] * np.exp(-40 * ((time_s + 0.2) % 0.25)) * 5
        for name, stem in (("caixa", high), ("surdo", low)):
            audio.write(tmp_path / "corpus" / song / f"{name}.wav", stem[None].astype(np.float32) * 0.5, rate=RATE)
    return tmp_path / "corpus"


@pytest.fixture
def spans(corpus):
    return load_corpus(corpus, labels="stems").sample()


class TestSeparator:
    @pytest.mark.parametrize(("channels", "rate", "seconds"), [(1, RATE, 3.3), (2, 11025, 2.5), (2, RATE, 0.05)])
    def test_stems_sum_to_the_mixture(self, net, channels, rate, seconds):
        samples = noise(seconds, channels=channels, rate=rate)
        stems = separator(net).separate(samples, rate)
        assert tuple(stems) == ("surdo", "caixa", "rest")
        assert all(stem.shape == samples.shape and stem.dtype == np.float32 for stem in stems.values())
        assert np.abs(sum(stems.values()) - samples).max() < 1e-6

    @pytest.mark.usefixtures("net")
    def test_mono_is_duplicated_for_a_stereo_network(self):
        stereo, samples = tiny(channels=2), noise(1.5)
        stems = separator(stereo).separate(samples, RATE)
        doubled = separator(stereo).separate(np.repeat(samples, 2, 0), RATE)
        assert np.allclose(stems["surdo"][0], doubled["surdo"].mean(0), atol=1e-6)

    def test_estimates_are_those_of_the_package(self, net):
        from demucs.apply import apply_model

        samples = noise(3.25)  # whole segments: 1 s each, 0.75 s apart
        theirs = apply_model(net.model, torch.from_numpy(samples)[None], shifts=0, overlap=0.25)[0].numpy()
        ours = separator(net).separate(samples, RATE)
        last = round(3 * RATE)  # the package pads the last segment in its own way
        assert np.allclose(ours["surdo"][:, :last], theirs[0][:, :last], atol=1e-5)
        assert np.allclose(ours["caixa"][:, :last], theirs[1][:, :last], atol=1e-5)

    @pytest.mark.parametrize("size", [700, 8000, 13000])
    def test_pieces_of_any_size_give_what_the_whole_gives(self, net, size):
        samples, model = noise(3.4, channels=2), separator(net)
        whole_stems = model.separate(samples, RATE)
        pieces = (samples[:, start : start + size] for start in range(0, samples.shape[1], size))
        parts = list(model.stream(pieces, RATE, level=1.0))
        for name, stem in whole_stems.items():
            assert np.allclose(np.concatenate([part[name] for part in parts], 1), stem, atol=1e-6)
        assert max(part["rest"].shape[1] for part in parts) <= 8000  # memory does not grow

    @pytest.mark.usefixtures("net")
    def test_a_rest_of_the_network_takes_what_is_left(self):
        model = separator(tiny(("surdo", "rest")))
        assert model.instruments == ("surdo", "rest")
        samples = noise(1.2)
        assert np.abs(sum(model.separate(samples, RATE).values()) - samples).max() < 1e-6

    def test_silence(self, net):
        stems = separator(net).separate(np.zeros((1, RATE)), RATE)
        assert all(np.isfinite(stem).all() for stem in stems.values())

    def test_progress_in_seconds(self, net):
        calls = []
        separator(net).separate(noise(3.0), RATE, progress=lambda *seconds: calls.append(seconds))
        assert calls[-1] == (3, 3)
        assert calls == sorted(calls)

    @pytest.mark.parametrize("wrong", [np.full((1, 100), np.nan), np.zeros((0, 100)), np.zeros((2, 0))])
    def test_no_recording(self, net, wrong):
        with pytest.raises(InputError):
            separator(net).separate(wrong, RATE)

    def test_it_can_be_sent_to_another_process(self, net):
        copy = pickle.loads(pickle.dumps(separator(net)))
        samples = noise(1.1)
        assert np.array_equal(copy.separate(samples, RATE)["surdo"], separator(net).separate(samples, RATE)["surdo"])


class TestFolders:
    def test_a_saved_model_is_the_same(self, net, tmp_path):
        model = Weights(net, card())
        module.save(tmp_path / "model", model)
        assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["README.md", CONFIG, TENSORS]
        loaded = Separator.from_pretrained(tmp_path / "model")
        samples = noise(1.5)
        for name, stem in loaded.separate(samples, RATE).items():
            assert np.array_equal(stem, separator(net).separate(samples, RATE)[name])
        assert loaded.name == "model"
        assert loaded.trained_on == {"ab": [[0.0, 1.0]]}
        assert loaded.identity == module.digest(model)

    @pytest.mark.parametrize(
        "change",
        [
            {"instruments": ["surdo", "surdo"]},
            {"instruments": []},
            {"instruments": ["surdo", "caixa", "agogo"]},
            {"segment_s": -1},
            {"arguments": {"channels": "many"}},
            {"arguments": {"no_such": 1}},
            {"no_such": 1},
        ],
    )
    def test_damage(self, net, tmp_path, change):
        module.save(tmp_path / "model", Weights(net, card()))
        path = tmp_path / "model" / CONFIG
        config = json.loads(path.read_text(encoding="utf-8"))
        config["settings"] |= change
        path.write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(InputError, match="damaged"):
            demucs.weights(tmp_path / "model")

    @pytest.mark.usefixtures("net")
    def test_another_network_is_refused(self, spans, tmp_path):
        other = Weights(tcn.tiny(), card())
        module.save(tmp_path / "tcn", other)
        with pytest.raises(InputError):
            demucs.weights(tmp_path / "tcn")
        with pytest.raises(InputError, match="not a network of Demucs"):
            demucs.adapt(spans, base=other, folder=tmp_path)


class TestCheckpoints:
    def test_a_file_of_the_authors(self, net, tmp_path):
        read = read_checkpoint(checkpoint(net, tmp_path / "theirs.safetensors"))
        assert read.card.name == "demucs-theirs"
        assert read.card.licence == "other"
        assert read.net.settings == net.settings
        for name, tensor in net.state_dict().items():
            assert torch.allclose(read.net.state_dict()[name], tensor, atol=1e-2), name

    @pytest.mark.parametrize(
        "metadata",
        [{"klass": "os.system"}, {"structure": "{}"}, {"kwargs": "{"}, {"kwargs": '{"sources": ["a"]}'}],
    )
    def test_other_files(self, net, tmp_path, metadata):
        with pytest.raises(InputError, match=r"theirs\.safetensors"):
            read_checkpoint(checkpoint(net, tmp_path / "theirs.safetensors", **metadata))

    @pytest.mark.usefixtures("net")
    def test_no_file_and_no_connection(self, tmp_path, monkeypatch):
        (tmp_path / "text.safetensors").write_text("nothing", encoding="utf-8")
        with pytest.raises(InputError, match="format of Demucs"):
            read_checkpoint(tmp_path / "text.safetensors")
        with pytest.raises(InputError, match="htdemucs_6s"):
            read_checkpoint(tmp_path / "nowhere")

        def offline(*_):
            raise ConnectionError("no route")

        monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=offline))
        with pytest.raises(InputError, match=r"no route.*safetensors file of https://huggingface\.co/"):
            read_checkpoint("htdemucs")

    def test_a_name_is_downloaded(self, net, tmp_path, monkeypatch):
        """The real code with a hub that is a folder."""
        (tmp_path / "htdemucs.yaml").write_text("models: ['955717e8']\n", encoding="utf-8")
        checkpoint(net, tmp_path / "955717e8.safetensors")
        hub = SimpleNamespace(hf_hub_download=lambda _, name: str(tmp_path / name))
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
        model = demucs.weights("htdemucs")
        assert model.card.name == "demucs-htdemucs"
        assert "MIT" in model.card.licence
        (tmp_path / "htdemucs_ft.yaml").write_text("models: [a, b]\n", encoding="utf-8")
        with pytest.raises(InputError, match="several networks in one"):
            demucs.weights("htdemucs_ft")


@pytest.mark.slow
class TestAdapting:
    def test_instruments_are_initialised_by_their_voice(self, net):
        other = net.with_instruments(["agogo", "surdo_de_primeira", "caixa"])
        assert other.instruments == ("agogo", "surdo_de_primeira", "caixa")
        samples = torch.from_numpy(noise(1.0))[None]
        with torch.no_grad():
            old, new = net(samples)[0], other(samples)[0]
        assert torch.allclose(new[2], old[1], atol=1e-6)
        assert torch.allclose(new[0], old.mean(0), atol=1e-6)

    @pytest.mark.usefixtures("net")
    def test_percussion_is_initialised_from_drums(self):
        pretrained = tiny(("drums", "bass", "other"))
        adapted = pretrained.with_instruments(["pandeiro", "violin"])
        samples = torch.from_numpy(noise(1.0))[None]
        with torch.no_grad():
            old, new = pretrained(samples)[0], adapted(samples)[0]
        assert torch.allclose(new, old[[0, 2]], atol=1e-6)

    def test_training_reduces_the_error(self, net, spans, tmp_path):
        truth, mixture = spans[0].read(["surdo", "caixa"], rate=RATE, channels=1)
        calls = []
        settings = demucs.DemucsSettings(40, 3e-3, excerpt_s=0.5, augmentation=NO_AUGMENTATION, average=0.9)
        adapted = demucs.adapt(
            spans[:1], base=Weights(net, card()), settings=settings, folder=tmp_path,
            progress=lambda *now: calls.append(now),
        )  # fmt: skip
        assert not adapted.net.training
        errors = []
        for one in (net, adapted.net):
            stems = separator(one).separate(mixture, RATE)
            errors.append(
                sum(np.abs(stems[name] - stem).mean() for name, stem in zip(("surdo", "caixa"), truth, strict=True))
            )
        assert errors[1] < 0.6 * errors[0], errors
        assert calls[-1][:2] == (40, 40)
        assert adapted.card.trained_on.keys() == {"ab", *spans[0].track.stem_hashes}
        module.save(tmp_path / "model", adapted)
        assert Separator.from_pretrained(tmp_path / "model").instruments == ("caixa", "surdo", "rest")

    def test_the_same_seed_gives_the_same_weights(self, net, spans, tmp_path):
        one, other = (
            demucs.adapt(spans, base=Weights(net, card()), settings=SHORT, folder=tmp_path / name) for name in "ab"
        )
        assert module.digest(one) == module.digest(other) != module.digest(Weights(net, card()))

    def test_only_some_layers(self, net, spans, tmp_path):
        settings = demucs.DemucsSettings(2, excerpt_s=0.3, layers=("model.decoder", "model.tdecoder"))
        adapted = demucs.adapt(spans, base=Weights(net, card()), settings=settings, folder=tmp_path)
        for name, tensor in net.state_dict().items():
            if "encoder" in name:
                assert torch.equal(adapted.net.state_dict()[name], tensor), name

    @pytest.mark.parametrize("wrong", [{"batch": 0}, {"excerpt_s": 0.0}])
    def test_wrong_settings(self, wrong):
        with pytest.raises(InputError):
            demucs.DemucsSettings(**wrong)


@pytest.mark.slow
class TestCommands:
    @pytest.fixture
    def theirs(self, net, tmp_path):
        return checkpoint(net, tmp_path / "theirs.safetensors")

    @pytest.fixture
    def song(self, tmp_path):
        soundfile.write(tmp_path / "roda.wav", noise(2.0, channels=2).T, RATE, subtype="PCM_16")
        return tmp_path / "roda.wav"

    def test_separate_with_a_file_of_the_authors(self, levada, theirs, song, tmp_path):
        code, _, _ = levada("separate", song, "--model", f"demucs:{theirs}", "-o", tmp_path / "stems")
        assert code == 0
        stems = [audio.read(path)[0] for path in sorted((tmp_path / "stems").iterdir())]
        assert len(stems) == 3
        assert np.abs(np.sum(stems, axis=0) - audio.read(song)[0]).max() < 1e-6

    def test_adapt_then_separate(self, levada, theirs, corpus, song, tmp_path, monkeypatch):
        from levada.separation import adaptation

        monkeypatch.setattr(adaptation, "DEMUCS", SHORT)
        mine = tmp_path / "mine"
        code, _, _ = levada("adapt", corpus, "--model", f"demucs:{theirs}", "-o", mine)
        assert code == 0
        model = demucs.weights(mine)
        assert model.net.instruments == ("caixa", "surdo")
        assert model.training["base"] == "demucs-theirs"
        for number, name in enumerate((mine, f"demucs:{mine}")):
            assert levada("separate", song, "--model", name, "-o", tmp_path / f"stems-{number}")[0] == 0
        first, second = (sorted((tmp_path / f"stems-{number}").iterdir()) for number in (0, 1))
        assert [path.name for path in first] == ["caixa.wav", "rest.wav", "surdo.wav"]
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]

    def test_evaluate(self, levada, theirs, corpus):
        code, printed, _ = levada("evaluate", corpus, "--model", f"demucs:{theirs}", "--json")
        assert code == 0
        assert f"demucs:{theirs}" in json.loads(printed)["models"]

    @pytest.mark.usefixtures("net")
    def test_errors(self, levada, song, corpus, tmp_path):
        for name in ("demucs:no-such", f"demucs:{tmp_path}"):
            assert levada("separate", song, "--model", name, "-o", tmp_path / "stems")[0] == 2
            assert levada("adapt", corpus, "--model", name, "-o", tmp_path / "mine")[0] == 2
        assert not (tmp_path / "stems").exists()
        assert not (tmp_path / "mine").exists()


def test_without_the_package(hide_module, levada, tmp_path):
    hide_module("demucs")
    with pytest.raises(MissingExtra, match=r"levada\[demucs\]"):
        tiny()
    soundfile.write(tmp_path / "roda.wav", noise(0.5).T, RATE)
    code, _, errors = levada("separate", tmp_path / "roda.wav", "--model", "demucs:htdemucs", "-o", tmp_path / "stems")
    assert code == 2
    assert "levada[demucs]" in errors
