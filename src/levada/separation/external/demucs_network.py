"""The hybrid transformer of Demucs as a model of ours: safetensors, JSON and a card, with any instruments.

Nothing is unpickled, and no class is looked up by a name in a file.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError, MissingExtra
from levada.learning.card import CONFIG, TENSORS, Card, read_card, read_config
from levada.learning.model_folder import read_tensors, write_model
from levada.synth.instrument_names import voice_of

if TYPE_CHECKING:
    from torch import Tensor

    from levada.learning.weights import Weights

__all__ = ["base", "is_demucs", "load", "save", "telling", "tiny"]

KIND = "demucs"
HUB = "adefossez"
"""Whose models on the hub are fetched by name."""

_NAME = re.compile(r"htdemucs(_[a-z0-9]+)?")


def is_demucs(net: Any) -> bool:
    """Whether a network is this one.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    """
    return isinstance(net, _class())


def save(folder: str | Path, weights: Weights, *, force: bool = False) -> None:
    """Write a folder of weights, whole or not at all.

    Raises
    ------
    InputError
        If it is another network, a weight is not finite, the folder exists and `force` is not set, or it cannot be
        written.
    """
    if not is_demucs(weights.net):
        raise InputError(f"{weights.card.name} is not Demucs: it is saved by levada.learning.weights", path=folder)
    write_model(
        folder,
        network=KIND,
        settings=_shape(weights.net),
        tensors={name: tensor.detach().cpu().numpy() for name, tensor in weights.net.state_dict().items()},
        card=weights.card,
        decoder=weights.decoder,
        training=weights.training,
        force=force,
    )


def load(folder: str | Path) -> Weights:
    """Read a folder of weights.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    InputError
        If it is no such model, or a file is missing or damaged.
    """
    import torch

    from levada.learning.weights import Weights

    config, card = read_config(folder), read_card(folder)
    if config["network"] != KIND:
        raise InputError(f"is another kind of model ({config['network']}), not Demucs", path=folder)
    tensors = {name: torch.from_numpy(tensor) for name, tensor in read_tensors(folder).items()}
    net = _built(config["settings"], tensors, config=Path(folder) / CONFIG, weights=Path(folder) / TENSORS)
    return Weights(net, card, config["decoder"], config["training"])


def base(checkpoint: str | Path = "htdemucs") -> Weights:
    """One of its authors' networks, to adapt.

    Parameters
    ----------
    checkpoint : str or path-like
        A file in the authors' format (.safetensors), or a name on the hub, "htdemucs" or "htdemucs_6s", which is
        fetched once.

    Returns
    -------
    Weights

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    InputError
        If there is no such file or name, it cannot be fetched, or it is no single hybrid transformer.
    """
    from safetensors import SafetensorError, safe_open

    from levada.learning.weights import Weights

    _class()
    path = Path(checkpoint)
    given_file = path.is_file()
    if not given_file:
        path = _fetched(str(checkpoint))
    try:
        with safe_open(str(path), framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        given = json.loads(about["kwargs"])
        names = list(inspect.signature(_class().__init__).parameters)[1:]
        settings = {**dict(zip(names, json.loads(about["args"]), strict=False)), **given}
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"is no network in the format of Demucs: {reason}", path=path) from None
    if not about.get("klass", "").endswith(".HTDemucs") or "structure" in about:
        raise InputError("is no hybrid transformer of Demucs: only those can be adapted", path=path)
    net = _built(settings, tensors, config=path, weights=path)
    name = path.stem if given_file else str(checkpoint)
    card = Card(
        name=f"demucs-{name}",
        origin=f"The file {path.name} in the format of Demucs (https://github.com/adefossez/demucs), by Simon Rouard, "
        "Francisco Massa and Alexandre Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023.",
        licence="other" if given_file else "MIT (that of the code, which announces the weights)",
        data="Unknown: the file does not say."
        if given_file
        else "MUSDB18-HQ and 800 songs more, as its authors say; their minutes are not counted here.",
        minutes=0.0,
        scores={"published": "https://arxiv.org/abs/2211.08553"},
    )
    return Weights(net, card)


def telling(net: Any, instruments: Sequence[str]) -> Any:
    """The same network with other instruments: each begins as the one of its voice, or as the mean of all.

    Parameters
    ----------
    net : HTDemucs
    instruments : sequence of str

    Returns
    -------
    HTDemucs
    """
    import torch

    known = {voice_of(name, among=net.sources) or name: name for name in net.sources} | {
        one: one for one in net.sources
    }
    like = [known.get(name) or known.get(voice_of(name, among=instruments) or "") for name in instruments]
    new = _class()(**{**_arguments(_shape(net)), "sources": list(instruments)})
    state = net.state_dict()
    with torch.no_grad():
        for name, tensor in new.state_dict().items():
            old = state[name]
            if name.startswith((_last(net, "decoder"), _last(net, "tdecoder"))) and ".conv_tr." in name:
                axis = 1 if old.ndim > 1 else 0  # filters of a transposed convolution
                rows = old.unflatten(axis, (len(net.sources), -1)).movedim(axis, 0)
                chosen = [rows.mean(0) if one is None else rows[list(net.sources).index(one)] for one in like]
                old = torch.stack(chosen).movedim(0, axis).reshape(tensor.shape)
            tensor.copy_(old)
    new.segment = net.segment
    return new.train(net.training)


def tiny(instruments: Sequence[str] = ("surdo", "caixa"), *, rate: int = 8000, channels: int = 1) -> Any:
    """A network small enough to train inside a test.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    """
    return _class()(
        sources=list(instruments), audio_channels=channels, samplerate=rate, segment=1.0, channels=8, growth=2,
        depth=2, nfft=512, t_layers=1, t_heads=2,
    ).eval()  # fmt: skip


def _class() -> Any:
    try:
        from demucs.htdemucs import HTDemucs
    except ImportError:
        raise MissingExtra("demucs", extra="demucs", purpose="separate with Demucs") from None
    return HTDemucs


def _last(net: Any, way: str) -> str:
    return f"{way}.{len(getattr(net, way)) - 1}."


def _shape(net: Any) -> dict[str, Any]:
    """The arguments it was made with, of which JSON can be made."""
    args, kwargs = net._init_args_kwargs
    names = list(inspect.signature(_class().__init__).parameters)[1:]
    settings = {**dict(zip(names, args, strict=False)), **kwargs, "segment": net.segment, "sources": list(net.sources)}
    return {name: float(value) if isinstance(value, Fraction) else value for name, value in settings.items()}


def _arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from what a file says: plain values under names that the network has."""
    known = list(inspect.signature(_class().__init__).parameters)[1:]
    if unknown := sorted(settings.keys() - set(known)):
        raise ValueError(f"Demucs has no {', '.join(unknown)}")
    made = dict(settings)
    segment = made.get("segment", 10)
    if isinstance(segment, dict):  # as its authors write fractions
        segment = segment["numerator"] / segment["denominator"]
    if not isinstance(segment, int | float | Fraction) or not 0.05 <= segment <= 600:
        raise ValueError(f"a segment has 0.05 to 600 seconds, not {segment!r}")
    sources = made.get("sources")
    if not isinstance(sources, list) or not all(isinstance(one, str) and one for one in sources):
        raise ValueError("its sources are a list of names")
    if not sources or len(set(sources)) != len(sources):
        raise ValueError(f"it tells different instruments apart, not {', '.join(sources)}")
    return {**made, "segment": segment}


def _built(settings: Mapping[str, Any], tensors: Mapping[str, Tensor], *, config: Path, weights: Path) -> Any:
    kind = _class()
    try:
        net = kind(**_arguments(settings))
    except Exception as error:  # its layers check their sizes with assertions, divisions and errors of all kinds
        raise InputError(f"is damaged: {error or type(error).__name__}", path=config) from None
    try:
        net.load_state_dict(dict(tensors))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or not the weights of its settings: {reason}", path=weights) from None
    return net.eval()


def _fetched(name: str) -> Path:
    """A network from the hub, or from where an earlier call put it."""
    if not _NAME.fullmatch(name):
        raise InputError(f"there is no network {name!r}: name a .safetensors file, or htdemucs or htdemucs_6s")
    try:
        import yaml  # type: ignore[import-untyped]
        from demucs.hf import hf_repo_name
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtra("demucs", extra="demucs", purpose="fetch its networks") from None
    place = f"{HUB}/{hf_repo_name(name)}"
    try:
        bag = yaml.safe_load(Path(hf_hub_download(place, f"{name}.yaml")).read_text(encoding="utf-8"))
        models = [str(one) for one in bag["models"]]
        if len(models) == 1:
            return Path(hf_hub_download(place, f"{models[0]}.safetensors"))
    except Exception as error:  # the hub's library has many, of several libraries beneath it
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{name} could not be fetched ({reason}): it needs a network; or fetch the .safetensors file of "
            f"https://huggingface.co/{place} elsewhere and name that"
        ) from None
    raise InputError(f"{name} is several networks in one; only single ones can be adapted, such as htdemucs")
