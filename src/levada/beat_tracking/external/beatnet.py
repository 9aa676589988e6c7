"""BeatNet, offline: its authors' networks with levada's decoder, and as networks to fine-tune.

Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan, "BeatNet: CRNN and Particle Filtering for Online Joint Beat, Downbeat
and Meter Tracking", ISMIR 2021. Only its weights are read, from wherever the package BeatNet is installed: it is not
imported, so its requirements need not be installed. `levada.beat_tracking.networks.crnn` gives the probabilities that
its own code gives.

What differs from its offline mode is the decoder: levada's in place of madmom's, with the same tempi, the same metres,
and one metre for a whole recording. Beats lie between frames, where madmom's lie on one of the 50 a second. The state
of the network is reset for each recording; BeatNet's own object carries it over from the one before.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.external.installed import MissingPackage, is_finite, package_folder, read_checkpoint
from levada.beat_tracking.network_tracker import NetworkTracker, network_tracker
from levada.beat_tracking.spectrogram import QUARTER_TONES
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["FRONT_END", "LICENCE", "tracker", "weights"]

LICENCE = "CC-BY-4.0"
"""Of BeatNet's models; those fine-tuned from them must name its authors."""

FRONT_END = QUARTER_TONES
"""The spectrogram that the networks take: 136 bands, 50 frames a second, of audio at 22.05 kHz."""

_DECODER = DecoderSettings(min_tempo_bpm=55.0, max_tempo_bpm=215.0, metres=(2, 3, 4), metre_change=0.0)

_HELD_OUT = {
    1: ("GTZAN", 0.7544, 0.4649),
    2: ("Ballroom", 0.7741, 0.4745),
    3: ("Rock Corpus", 0.7313, 0.4498),
}
"""The dataset that each model was not trained on, and its authors' F-measures there, of beats and downbeats."""


def tracker(model: int = 1) -> NetworkTracker:
    """Return BeatNet's network with levada's decoder, with the tempi and metres of its own offline mode.

    Parameters
    ----------
    model : int
        Which, from 1 to 3: see `weights`.

    Returns
    -------
    NetworkTracker

    Raises
    ------
    MissingExtra, InputError
        As for `weights`.
    """
    path = _path(model)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    name = "beatnet" if model == 1 else f"beatnet-{model}"
    return network_tracker(_net(path), name=name, settings=_DECODER, identity=f"beatnet {digest}")


def weights(model: int = 1) -> Weights:
    """Read one of BeatNet's three networks, to fine-tune.

    Parameters
    ----------
    model : int
        Which: 1 was trained without GTZAN, 2 without Ballroom, 3 without the Rock Corpus. Its authors recommend 1.

    Returns
    -------
    Weights
        Their card names the authors, as their licence asks.

    Raises
    ------
    MissingExtra
        If BeatNet is not installed.
    InputError
        If there is no such model, or it is missing or damaged.
    """
    from levada.learning.weights import Card, Weights

    net = _net(_path(model))
    held_out, beat, downbeat = _HELD_OUT[model]
    card = Card(
        name=f"beatnet-{model}",
        origin=(
            f"Model {model} of the three that come with BeatNet (https://github.com/mjhydri/BeatNet), by Mojtaba "
            "Heydari, Frank Cwitkowitz and Zhiyao Duan: BeatNet: CRNN and Particle Filtering for Online Joint Beat, "
            "Downbeat and Meter Tracking, ISMIR 2021. Changed: the same numbers in another file."
        ),
        licence=LICENCE,
        data=(
            f"The datasets that its paper names, without {held_out}. Their minutes are not stated beside the weights, "
            "and are not counted here."
        ),
        minutes=0.0,
        scores={
            f"beat F, {held_out}": f"{beat:.4f} in the paper, online, with its authors' particle filter",
            f"downbeat F, {held_out}": f"{downbeat:.4f} in the paper, online, with its authors' particle filter",
        },
    )
    return Weights(net, card, asdict(_DECODER))


def _path(model: int) -> Path:
    if isinstance(model, bool) or model not in _HELD_OUT:
        raise InputError(f"BeatNet has models 1 to {len(_HELD_OUT)}, and none {model!r}")
    folder = package_folder("BeatNet")
    if folder is None:
        raise MissingPackage(
            "BeatNet is needed to use its networks: pip install --no-deps BeatNet (without its requirements, which no "
            "longer install and are not used)"
        )
    path = folder / "models" / f"model_{model}_weights.pt"
    if not path.is_file():
        raise InputError("is missing from the BeatNet that is installed: install it again", path=path)
    return path


def _net(path: Path) -> Any:
    import torch

    from levada.beat_tracking.networks.crnn import from_beatnet

    tensors = read_checkpoint(path, advice="install BeatNet again")
    if not isinstance(tensors, dict) or not all(torch.is_tensor(tensor) for tensor in tensors.values()):
        raise InputError("holds no table of tensors: install BeatNet again", path=path)
    if not is_finite(tensors.values()):
        raise InputError("is damaged: it holds numbers that are not finite; install BeatNet again", path=path)
    try:
        return from_beatnet(tensors)
    except ValueError as error:
        raise InputError(f"is not a network of BeatNet's: {error}", path=path) from None
