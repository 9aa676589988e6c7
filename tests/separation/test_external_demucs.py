"""Demucs: stems that sum to the mixture however it is read, models kept without pickles, and that it adapts."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from levada.beat_tracking.networks import tcn
from levada.data.sources import Source
from levada.errors import InputError, MissingExtra
from levada.learning import weights as nets
from levada.learning.card import CONFIG, TENSORS, Card
from levada.separation.augmentation import AS_IT_IS
from levada.separation.external import demucs, demucs_network

torch.set_num_threads(1)

RATE = 8000


@pytest.fixture
def net():
    pytest.importorskip("demucs")
    torch.manual_seed(0)
    return demucs_network.tiny()


def a_card():
    return Card(
        name="a test", origin="made", licence="CC0-1.0", data="none", minutes=0.0, scores={"no": "no"},
        trained_on={"ab": [(0.0, 1.0)]},
    )  # fmt: skip


def a_separator(net):
    return demucs.DemucsSeparator(net, "a test", "demucs test")


def noise(seconds, *, channels=1, rate=RATE, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (channels, round(seconds * rate))).astype(np.float32)


class TestSeparator:
    @pytest.mark.parametrize(("channels", "rate", "seconds"), [(1, RATE, 3.3), (2, 11025, 2.5), (2, RATE, 0.05)])
    def test_stems_sum_to_the_mixture(self, net, channels, rate, seconds):
        samples = noise(seconds, channels=channels, rate=rate)
        stems = a_separator(net).separate(samples, rate)
        assert tuple(stems) == ("surdo", "caixa", "rest")
        assert all(stem.shape == samples.shape and stem.dtype == np.float32 for stem in stems.values())
        assert np.abs(sum(stems.values()) - samples).max() < 1e-6

    def test_a_stereo_network_hears_one_channel_as_two(self):
        pytest.importorskip("demucs")
        stereo, samples = demucs_network.tiny(channels=2), noise(1.5)
        stems = a_separator(stereo).separate(samples, RATE)
        doubled = a_separator(stereo).separate(np.repeat(samples, 2, 0), RATE)
        assert np.allclose(stems["surdo"][0], doubled["surdo"].mean(0), atol=1e-6)

    def test_it_gives_what_the_package_gives(self, net):
        from demucs.apply import apply_model

        samples = noise(3.25)  # whole stretches: 1 s each, 0.75 s apart
        theirs = apply_model(net, torch.from_numpy(samples)[None], shifts=0, overlap=0.25)[0].numpy()
        ours = a_separator(net).separate(samples, RATE)
        last = round(3 * RATE)  # what fills up the last stretch is the package's own affair
        assert np.allclose(ours["surdo"][:, :last], theirs[0][:, :last], atol=1e-5)
        assert np.allclose(ours["caixa"][:, :last], theirs[1][:, :last], atol=1e-5)

    @pytest.mark.parametrize("size", [700, 8000, 13000])
    def test_pieces_of_any_size_give_what_the_whole_gives(self, net, size):
        samples, separator = noise(3.4, channels=2), a_separator(net)
        whole = separator.separate(samples, RATE)
        pieces = (samples[:, start : start + size] for start in range(0, samples.shape[1], size))
        parts = list(separator.stream(pieces, RATE, level=1.0))
        for name, stem in whole.items():
            assert np.allclose(np.concatenate([part[name] for part in parts], 1), stem, atol=1e-6)
        assert max(part["rest"].shape[1] for part in parts) <= 8000  # memory does not grow

    def test_a_rest_of_its_own_takes_what_is_left(self):
        pytest.importorskip("demucs")
        separator = a_separator(demucs_network.tiny(("surdo", "rest")))
        assert separator.instruments == ("surdo", "rest")
        samples = noise(1.2)
        assert np.abs(sum(separator.separate(samples, RATE).values()) - samples).max() < 1e-6

    def test_silence_and_nothing(self, net):
        stems = a_separator(net).separate(np.zeros((1, RATE)), RATE)
        assert all(np.isfinite(stem).all() for stem in stems.values())
        assert a_separator(net).separate(np.zeros((2, 0)), RATE)["surdo"].shape == (2, 0)

    def test_progress_is_told_in_seconds(self, net):
        told = []
        a_separator(net).separate(noise(3.0), RATE, progress=lambda *seconds: told.append(seconds))
        assert told[-1] == (3, 3)
        assert told == sorted(told)

    @pytest.mark.parametrize("wrong", [np.zeros(100), np.full((1, 100), np.nan), np.zeros((0, 100))])
    def test_what_is_no_recording(self, net, wrong):
        with pytest.raises(InputError, match="finite numbers of shape"):
            a_separator(net).stems(wrong, RATE)


class TestFolders:
    def test_what_is_saved_comes_back(self, net, tmp_path):
        demucs_network.save(tmp_path / "model", nets.Weights(net, a_card()))
        assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["README.md", CONFIG, TENSORS]
        loaded = demucs.separator(tmp_path / "model")
        samples = noise(1.5)
        for name, stem in loaded.separate(samples, RATE).items():
            assert np.array_equal(stem, a_separator(net).separate(samples, RATE)[name])
        assert loaded.name == "a test"
        assert loaded.trained_on == {"ab": [[0.0, 1.0]]}
        assert loaded.identity == demucs.separator(tmp_path / "model").identity
        with pytest.raises(InputError, match="exists"):
            demucs_network.save(tmp_path / "model", nets.Weights(net, a_card()))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"sources": ["surdo", "surdo"]}, "different instruments"),
            ({"sources": "surdo"}, "list of names"),
            ({"sources": ["surdo", "caixa", "agogo"]}, "not the weights of its settings"),
            ({"segment": -1}, "segment"),
            ({"channels": "many"}, "damaged"),
            ({"no_such": 1}, "no_such"),
        ],
    )
    def test_damage_is_said(self, net, tmp_path, change, said):
        demucs_network.save(tmp_path / "model", nets.Weights(net, a_card()))
        path = tmp_path / "model" / CONFIG
        config = json.loads(path.read_text(encoding="utf-8"))
        config["settings"] |= change
        path.write_text(json.dumps(config), encoding="utf-8")
        with pytest.raises(InputError, match=said):
            demucs_network.load(tmp_path / "model")

    def test_other_models_are_not_this_one(self, net, tmp_path):
        other = nets.Weights(tcn.tiny(), a_card())
        nets.save(tmp_path / "tcn", other)
        with pytest.raises(InputError, match="another kind of model"):
            demucs_network.load(tmp_path / "tcn")
        with pytest.raises(InputError, match="is not Demucs"):
            demucs_network.save(tmp_path / "model", other)
        with pytest.raises(InputError, match="is not Demucs"):
            demucs.adapt([], base=other, folder=tmp_path)
        demucs_network.save(tmp_path / "model", nets.Weights(net, a_card()))
        with pytest.raises(InputError, match="no network"):
            nets.load(tmp_path / "model")


class TestAuthorsFiles:
    def written(self, net, path, **about):
        from safetensors.torch import save_file

        shape = demucs_network._shape(net) | {"segment": {"_type": "fraction", "numerator": 1, "denominator": 1}}
        told = {"klass": "demucs.htdemucs.HTDemucs", "args": "[]", "kwargs": json.dumps(shape)} | about
        save_file({name: tensor.half() for name, tensor in net.state_dict().items()}, path, told)
        return path

    def test_a_file_of_theirs_is_read(self, net, tmp_path):
        read = demucs_network.base(self.written(net, tmp_path / "theirs.safetensors"))
        assert read.card.name == "demucs-theirs"
        assert read.card.licence == "other"
        assert read.net.segment == 1
        for name, tensor in net.state_dict().items():
            assert torch.allclose(read.net.state_dict()[name], tensor, atol=1e-2), name

    @pytest.mark.parametrize(
        ("about", "said"),
        [
            ({"klass": "os.system"}, "no hybrid transformer"),
            ({"structure": "{}"}, "no hybrid transformer"),
            ({"kwargs": "{"}, "no network in the format"),
            ({"kwargs": '{"sources": ["a"]}'}, "not the weights"),
        ],
    )
    def test_what_is_none_of_theirs(self, net, tmp_path, about, said):
        with pytest.raises(InputError, match=said):
            demucs_network.base(self.written(net, tmp_path / "theirs.safetensors", **about))

    @pytest.mark.usefixtures("net")
    def test_no_such_file_and_no_network(self, tmp_path, monkeypatch):
        (tmp_path / "text.safetensors").write_text("nothing", encoding="utf-8")
        with pytest.raises(InputError, match="no network in the format"):
            demucs_network.base(tmp_path / "text.safetensors")
        with pytest.raises(InputError, match="there is no network"):
            demucs_network.base(tmp_path / "nowhere")

        def down(*_):
            raise ConnectionError("no route")

        hub = SimpleNamespace(hf_hub_download=down)
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
        with pytest.raises(InputError, match=r"no route.*needs a network"):
            demucs_network.base("htdemucs")

    @pytest.mark.usefixtures("net")
    def test_a_bag_of_networks_is_refused(self, tmp_path, monkeypatch):
        (tmp_path / "bag.yaml").write_text("models: [a, b]\n", encoding="utf-8")
        hub = SimpleNamespace(hf_hub_download=lambda *_: str(tmp_path / "bag.yaml"))
        monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
        with pytest.raises(InputError, match="several networks in one"):
            demucs_network.base("htdemucs_ft")


class TestAdapting:
    def test_instruments_begin_as_those_of_their_voice(self, net):
        other = demucs_network.telling(net, ["agogo", "surdo_de_primeira", "caixa"])
        assert list(other.sources) == ["agogo", "surdo_de_primeira", "caixa"]
        heard = torch.from_numpy(noise(1.0))[None]
        with torch.no_grad():
            old, new = net(heard)[0], other(heard)[0]
        assert torch.allclose(new[2], old[1], atol=1e-6)
        assert torch.allclose(new[0], old.mean(0), atol=1e-6)

    def spans(self, seconds=4.0):
        time_s = np.arange(round(seconds * RATE)) / RATE
        low = np.sin(2 * np.pi * 60 * time_s) * np.exp(-8 * (time_s % 0.5))
        high = noise(seconds)[0] * np.exp(-40 * ((time_s + 0.2) % 0.25)) * 5
        stems = {"caixa": high.astype(np.float32), "surdo": low.astype(np.float32)}
        song = SimpleNamespace(
            id="song",
            group="",
            instruments=("caixa", "surdo"),
            hashes=("a1", "b2"),
            source=Source("songs", "CC BY 4.0"),
        )

        def read(instruments, *, rate, channels):
            assert rate == RATE
            given = np.stack([np.repeat(stems[name][None], channels, 0) for name in instruments])
            return given, given.sum(0)

        return [SimpleNamespace(song=song, recording=song, start_s=0.0, end_s=seconds, duration_s=seconds, read=read)]

    def test_it_learns_what_it_is_given(self, net, tmp_path):
        (span,) = self.spans()
        truth, mixture = span.read(["surdo", "caixa"], rate=RATE, channels=1)
        told = []
        settings = demucs.DemucsSettings(40, 3e-3, excerpt_s=0.5, augmentation=AS_IT_IS, average=0.9)
        made = demucs.adapt(
            [span], base=nets.Weights(net, a_card()), settings=settings, folder=tmp_path,
            progress=lambda *now: told.append(now),
        )  # fmt: skip
        assert made.net.segment == 1.0
        assert not made.net.training
        errors = []
        for one in (net, made.net):
            stems = a_separator(one).separate(mixture, RATE)
            errors.append(
                sum(np.abs(stems[name] - stem).mean() for name, stem in zip(("surdo", "caixa"), truth, strict=True))
            )
        assert errors[1] < 0.6 * errors[0], errors
        assert told[-1][:2] == (40, 40)
        assert made.card.trained_on == {"ab": [(0.0, 1.0)], "a1": [(0.0, 4.0)], "b2": [(0.0, 4.0)]}
        assert made.card.licence == "CC0-1.0 (a test); CC BY 4.0 (songs)"
        demucs_network.save(tmp_path / "model", made)
        assert demucs.separator(tmp_path / "model").instruments == ("caixa", "surdo", "rest")

    def test_the_same_step_sees_the_same(self):
        heard = [self.spans(3.0)[0].read(["surdo", "caixa"], rate=RATE, channels=2)[0]]
        settings = demucs.DemucsSettings(5)
        whole = list(demucs._batches(heard, settings, RATE, 0.5, 0))
        (late,) = demucs._batches(heard, settings, RATE, 0.5, 4)
        assert torch.equal(whole[4].stems, late.stems)
        assert late.stems.shape == (2, 2, 2, 4000)
        assert torch.equal(late.bands, late.stems.sum(1))
        assert torch.allclose(late.stems[:, :, 0], late.stems[:, :, 1])  # channels are changed alike

    def test_one_instrument_or_silence_cannot_be_learnt(self, net, tmp_path):
        (span,) = self.spans()
        base = nets.Weights(net, a_card())
        span.track.instruments = ("surdo",)
        with pytest.raises(InputError, match="two instruments or more"):
            demucs.adapt([span], base=base, folder=tmp_path)
        span.track.instruments, span.read = ("surdo", "caixa"), lambda *_, **__: (np.zeros((2, 1, 100)), None)
        with pytest.raises(InputError, match="silent"):
            demucs.adapt([span], base=base, folder=tmp_path)

    @pytest.mark.parametrize("wrong", [{"batch": 0}, {"excerpt_s": 0.0}, {"augmentation": {"remix": 2}}])
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError):
            demucs.DemucsSettings(**wrong)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs.htdemucs", None)
    with pytest.raises(MissingExtra, match=r"levada\[demucs\]"):
        demucs_network.tiny()
