"""The hybrid transformer of Demucs as a network of a model folder: safetensors, JSON and a card, with any instruments.

Nothing is unpickled, and no class is looked up by a name in a file.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from levada.errors import InputError, MissingExtra
from levada.learning.card import Card
from levada.learning.weights import Weights
from levada.separation.label_matching import initial_instruments

__all__ = ["HTDemucs", "HTDemucsSettings", "read_checkpoint", "tiny"]

HUB = "adefossez"
"""Namespace of the authors' models on the hub."""

_NAME = re.compile(r"htdemucs(_[a-z0-9]+)?")


@dataclass(frozen=True)
class HTDemucsSettings:
    """Settings of a network of Demucs.

    Parameters
    ----------
    instruments : tuple of str
        Its stems, in the order of its outputs.
    segment_s : float
        Length of the excerpts that it was trained on and separates at once, in seconds.
    arguments : mapping
        All other arguments of `demucs.htdemucs.HTDemucs`, by name.

    Raises
    ------
    ValueError
        If there are no instruments, two are the same, an argument is unknown, or the segment is not 0.05 to 600 s.
    """

    instruments: tuple[str, ...]
    segment_s: float
    arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", tuple(self.instruments))  # JSON has lists
        if not all(isinstance(one, str) and one for one in self.instruments) or not self.instruments:
            raise ValueError(f"the instruments of Demucs are names, not {self.instruments}")
        if len(set(self.instruments)) < len(self.instruments):
            raise ValueError(f"two instruments of Demucs have the same name: {', '.join(self.instruments)}")
        if not isinstance(self.segment_s, int | float) or not 0.05 <= self.segment_s <= 600:
            raise ValueError(f"a segment lasts 0.05 to 600 seconds, not {self.segment_s!r}")
        if unknown := sorted(self.arguments.keys() - {*_parameters()} | self.arguments.keys() & {"sources", "segment"}):
            raise ValueError(f"Demucs has no settings {', '.join(unknown)}")

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> HTDemucsSettings:
        """Read settings from the arguments that its authors save in a checkpoint."""
        others = dict(arguments)
        sources, segment = others.pop("sources", ()), others.pop("segment", 10)
        if not isinstance(sources, list):
            raise ValueError(f"the instruments of Demucs are a list of names, not {sources!r}")
        if isinstance(segment, dict):  # a fraction
            segment = segment["numerator"] / segment["denominator"]
        return cls(tuple(sources), segment, others)


class HTDemucs(nn.Module):
    """Waveforms of all instruments from the waveform of a mixture.

    Parameters
    ----------
    settings : HTDemucsSettings

    Attributes
    ----------
    model : demucs.htdemucs.HTDemucs

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    ValueError
        If no network can be built from the settings.
    """

    kind = "demucs"
    settings_type = HTDemucsSettings

    def __init__(self, settings: HTDemucsSettings) -> None:
        super().__init__()
        self.settings = settings
        try:
            self.model: Any = _demucs_class()(
                sources=list(settings.instruments), segment=settings.segment_s, **settings.arguments
            )
        except MissingExtra:
            raise
        except Exception as error:  # its layers check their sizes with assertions, divisions and errors of all kinds
            raise ValueError(f"no network of Demucs has these settings: {error or type(error).__name__}") from None

    @property
    def instruments(self) -> tuple[str, ...]:
        """Its stems, in the order of its outputs."""
        return self.settings.instruments

    @property
    def rate(self) -> int:
        """Sample rate of its input, in Hz."""
        return int(self.model.samplerate)

    @property
    def channels(self) -> int:
        """Channels of its input."""
        return int(self.model.audio_channels)

    def forward(self, mixtures: Tensor) -> Tensor:
        """Separate mixtures.

        Parameters
        ----------
        mixtures : float32 tensor [shape=(batch, channels, samples)]

        Returns
        -------
        float32 tensor [shape=(batch, instruments, channels, samples)]
        """
        stems: Tensor = self.model(mixtures)
        self.model.segment = self.settings.segment_s  # in training it sets it to the length of its input
        return stems

    def with_instruments(self, instruments: Sequence[str]) -> HTDemucs:
        """Return a copy with other instruments.

        Parameters
        ----------
        instruments : sequence of str
            Each is initialised from the instrument of the same voice, else from "drums", or from the mean of all.

        Returns
        -------
        HTDemucs
        """
        drums = "drums" if "drums" in self.instruments else None
        initial = [one or drums for one in initial_instruments(instruments, self.instruments)]
        rows = [None if one is None else self.instruments.index(one) for one in initial]
        new = HTDemucs(replace(self.settings, instruments=tuple(instruments)))
        last = tuple(f"model.{way}.{len(getattr(self.model, way)) - 1}." for way in ("decoder", "tdecoder"))
        state = self.state_dict()
        for name, tensor in state.items():
            if name.startswith(last) and ".conv_tr." in name:
                axis = 1 if tensor.ndim > 1 else 0  # filters of a transposed convolution
                filters = tensor.unflatten(axis, (len(self.instruments), -1)).movedim(axis, 0)
                chosen = torch.stack([filters.mean(0) if row is None else filters[row] for row in rows])
                state[name] = chosen.movedim(0, axis).flatten(axis, axis + 1)
        new.load_state_dict(state)
        return new.train(self.training)


def read_checkpoint(checkpoint: str | Path = "htdemucs") -> Weights:
    """Read a network as its authors publish it.

    Parameters
    ----------
    checkpoint : str or path-like
        A file in the authors' format (.safetensors), or a name on the hub, "htdemucs" or "htdemucs_6s", which is
        downloaded once.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    InputError
        If there is no such file or name, it cannot be downloaded, or it is not a single hybrid transformer.
    """
    from safetensors import SafetensorError, safe_open

    names = _parameters()
    path = Path(checkpoint)
    is_file = path.is_file()
    if not is_file:
        path = _download(str(checkpoint))
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {f"model.{name}": file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        arguments = {**dict(zip(names, json.loads(metadata["args"]), strict=False)), **json.loads(metadata["kwargs"])}
    except (SafetensorError, OSError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"is not a network in the format of Demucs: {_first_line(error)}", path=path) from None
    if not metadata.get("klass", "").endswith(".HTDemucs") or "structure" in metadata:
        raise InputError("is not a hybrid transformer of Demucs: only those can be used", path=path)
    try:
        net = HTDemucs(HTDemucsSettings.from_arguments(arguments))
        net.load_state_dict(tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"is damaged: {error}", path=path) from None
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or not the weights of its settings: {reason}", path=path) from None
    card = Card(
        name=f"demucs-{path.stem if is_file else checkpoint}",
        origin=f"The file {path.name} in the format of Demucs (https://github.com/adefossez/demucs), by Simon Rouard, "
        "Francisco Massa and Alexandre Défossez: Hybrid Transformers for Music Source Separation, ICASSP 2023.",
        licence="other" if is_file else "MIT (that of the code, which announces the weights)",
        data="Unknown: the file does not state it."
        if is_file
        else "MUSDB18-HQ and 800 more songs, according to its authors; their minutes are not counted here.",
        minutes=0.0,
        scores={"published": "https://arxiv.org/abs/2211.08553"},
    )
    return Weights(net.eval(), card)


def tiny(instruments: Sequence[str] = ("surdo", "caixa"), *, rate: int = 8000, channels: int = 1) -> HTDemucs:
    """Return a network small enough to train inside a test.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    """
    arguments = {
        "audio_channels": channels, "samplerate": rate, "channels": 8, "growth": 2, "depth": 2, "nfft": 512,
        "t_layers": 1, "t_heads": 2,
    }  # fmt: skip
    return HTDemucs(HTDemucsSettings(tuple(instruments), 1.0, arguments)).eval()


def _demucs_class() -> Any:
    try:
        from demucs import htdemucs
    except ImportError:
        raise MissingExtra("demucs", extra="demucs", purpose="separate with Demucs") from None
    return htdemucs.HTDemucs


def _parameters() -> list[str]:
    """Names of the arguments of the network."""
    return list(inspect.signature(_demucs_class().__init__).parameters)[1:]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _download(name: str) -> Path:
    """Download a network from the hub, unless an earlier call did, and return its file."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"there is no network of Demucs {name!r}: name a folder, a .safetensors file, or htdemucs or htdemucs_6s"
        )
    try:
        import yaml  # type: ignore[import-untyped]
        from demucs.hf import hf_repo_name
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise MissingExtra("demucs", extra="demucs", purpose="download its networks") from None
    repository = f"{HUB}/{hf_repo_name(name)}"
    try:
        bag = yaml.safe_load(Path(hf_hub_download(repository, f"{name}.yaml")).read_text(encoding="utf-8"))
        models = [str(one) for one in bag["models"]]
        if len(models) == 1:
            return Path(hf_hub_download(repository, f"{models[0]}.safetensors"))
    except Exception as error:  # the hub's library has many, of several libraries beneath it
        raise InputError(
            f"{name} could not be downloaded ({_first_line(error)}): connect to the internet once, or download the "
            f".safetensors file of https://huggingface.co/{repository} on another machine and name that file"
        ) from None
    raise InputError(f"{name} is several networks in one; only single ones can be used, such as htdemucs")
