"""Beat This!: its authors' checkpoints with their peak picking, and as networks to fine-tune.

Francesco Foscarin, Jan Schlüter and Gerhard Widmer, "Beat This! Accurate Beat Tracking Without DBN Postprocessing",
ISMIR 2024 (https://arxiv.org/abs/2407.21658). The network is built by the package `beat_this`; the spectrogram before
it, the cutting into pieces and the peak picking are done here, so torchaudio is not needed. A checkpoint is a file, or
a name: then it is looked for in the folder of torch.hub, and downloaded from its authors where it is not there.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.external.installed import is_finite, read_checkpoint
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.network_tracker import network_tracker
from levada.beat_tracking.spectrogram import MEL_BANDS, log_spectrogram
from levada.beat_tracking.tracker import TrackerLike
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.run_folder import sha256_of
from levada.learning.card import Card

if TYPE_CHECKING:
    from levada.beat_tracking.adaptation import AdaptSettings
    from levada.beat_tracking.networks.beat_this import BeatThis
    from levada.learning.weights import Weights

__all__ = ["LAYERS", "URL", "finetune_settings", "peaks", "tracker", "weights"]

URL = "https://cloud.cp.jku.at/public.php/dav/files/7ik4RrBKTS273gp"
"""Where the authors keep the checkpoints: `URL`/final0.ckpt and so on."""
LAYERS = ("transformer", "heads")
"""The layers after the front end, as names for `AdaptSettings`."""

Floats32 = npt.NDArray[np.float32]

_NAME = re.compile(r"(?P<kind>final|small|hung|single_[a-z]+)[0-2]|(?P<fold>fold)[0-7]")
_TIMEOUT_S = 10.0
_REACH = 3  # a peak is the highest of so many frames on either side: 60 ms

_CORPORA = (
    "ASAP, Ballroom, Beatles, candombe, Filosax, Groove MIDI, GuitarSet, Hainsworth, Harmonix, HJDB, JAAH, RWC, SIMAC, "
    "SMC and TapCorrect"
)
_NOT_FAIR = "All 35 recordings of candombe are among them, so that scores on candombe are not fair. BRID is not."
_TRAINING_DATA = {
    "final": f"{_CORPORA}, all of them; not GTZAN. {_NOT_FAIR}",
    "small": f"{_CORPORA}, all of them; not GTZAN. {_NOT_FAIR}",
    "fold": f"Seven eighths of {_CORPORA}, and not GTZAN. Scores on candombe are fair for the recordings of this fold "
    "alone (candombe/8-folds.split among the authors' annotations). BRID is not among them.",
    "single": f"The training part of {_CORPORA}, and not GTZAN. 30 recordings of candombe are in it: scores are fair "
    "for the others alone, ansina1_03, ansina2_01, ansina2_04, cuareim_02 and zavala.muniz.2014_41. BRID is not in it.",
    "hung": "Those of another paper, according to its authors; but their code, as published, takes all of "
    f"{_CORPORA}. Candombe may be among them, so that scores on candombe may not be fair. BRID is not.",
    "": f"Unknown: the file does not name it. The authors' own are trained on {_CORPORA}. Unless it is known to be "
    "otherwise, scores on candombe are not fair.",
}


def tracker(checkpoint: str | Path = "final0", *, settings: DecoderSettings | None = None) -> TrackerLike:
    """Return Beat This! as a tracker.

    Parameters
    ----------
    checkpoint : str or path-like
        See `weights`.
    settings : DecoderSettings, optional
        Settings of levada's decoder, which then follows the network; by default beats are the peaks of the network's
        logits, as its authors find them (see `peaks`).

    Returns
    -------
    TrackerLike
        With levada's decoder it takes hints; with peak picking it takes none.

    Raises
    ------
    MissingExtra, InputError
        As for `weights`.
    """
    loaded = _load(checkpoint)
    name = "beat_this" if loaded.name == "final0" else f"beat_this:{checkpoint}"
    if settings is None:
        identity = f"beat_this {loaded.digest} peaks"
        return ExternalTracker(name, partial(_track, loaded.net), identity=identity, networks=(loaded.net,))
    settings_digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:8]
    identity = f"beat_this {loaded.digest} {settings_digest}"
    return network_tracker(loaded.net, name=f"{name}+decoder", settings=settings, identity=identity)


def weights(checkpoint: str | Path = "final0") -> Weights:
    """Read one of the authors' networks, to fine-tune.

    Parameters
    ----------
    checkpoint : str or path-like
        A file, or a name: "final0" to "final2", "small0" to "small2", "single_final0" to "single_final2", "fold0" to
        "fold7" and others that the package's page lists. A name is looked for in the folder of torch.hub, and
        downloaded where it is not there (78 MB, 8 MB for "small"). Code in the file is not run.

    Returns
    -------
    Weights
        Their card names what they were trained on.

    Raises
    ------
    MissingExtra
        If the package `beat_this`, or what its network is made of, is not installed.
    InputError
        If there is no such file or name, it cannot be downloaded, or it is not a checkpoint of Beat This!.
    """
    from levada.learning.weights import Weights

    loaded = _load(checkpoint)
    return Weights(loaded.net, _card(loaded.name))


def peaks(logits: npt.ArrayLike, *, fps: float = 50) -> Beats:
    """Find beats at the peaks of the network's two logits, as the package does: no model of tempo or of metre.

    A peak is above 0 and the highest within 60 ms; neighbours as high as each other are one. Downbeats move to the
    nearest beat. Positions count from each downbeat to the next, and after the last; before the first, beats count
    down to it if they are fewer than in the first whole bar, and are unknown otherwise.

    Parameters
    ----------
    logits : array_like [shape=(frames, 2)]
        Of a beat and of a downbeat, each by itself.
    fps : float
        Frames per second.

    Returns
    -------
    Beats
        With the probability of each as its confidence.

    Raises
    ------
    InputError
        If the logits are not finite numbers in two columns.
    """
    values = np.asarray(logits, np.float64)
    if values.ndim != 2 or values.shape[1] != 2 or not np.isfinite(values).all():
        raise InputError(f"logits must be finite numbers of shape (frames, 2), not of shape {values.shape}")
    beats, downbeats = (_peak_frames(column) for column in values.T)
    first = np.zeros(len(beats), np.bool_)
    for frame in downbeats if len(beats) else []:
        first[np.abs(beats / fps - frame / fps).argmin()] = True
    height = values[beats.astype(int), 0]
    return Beats(beats / fps, _positions(first), 1 / (1 + np.exp(-height)))


def _peak_frames(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not len(column):
        return np.empty(0)
    around = np.pad(column, _REACH, constant_values=-np.inf)
    highest = np.lib.stride_tricks.sliding_window_view(around, 2 * _REACH + 1).max(axis=1)
    groups: list[list[int]] = []
    for frame in np.flatnonzero((column == highest) & (column > 0)).tolist():
        if groups and frame - np.mean(groups[-1]) <= 1:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return np.array([np.mean(group) for group in groups], np.float64)


def _positions(first: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    starts = np.flatnonzero(first)
    positions = np.zeros(len(first), np.int64)
    for start, end in pairwise([*starts, len(first)]):
        positions[start:end] = np.arange(1, end - start + 1)
    if len(starts) > 1 and starts[0] < (bar := starts[1] - starts[0]):
        positions[: starts[0]] = np.arange(bar - starts[0], bar) + 1
    return positions


def _track(net: BeatThis, samples: Floats32, rate: int) -> Beats:
    import torch

    from levada.learning.weights import device_of

    bands = torch.from_numpy(log_spectrogram(samples, rate, front_end=MEL_BANDS))
    with torch.inference_mode():
        logits = net.logits(bands[None].to(device_of(net)))
    return peaks(logits[0].cpu().numpy(), fps=net.fps)


@dataclass(frozen=True)
class _Loaded:
    net: BeatThis
    name: str
    digest: str


def _load(checkpoint: str | Path) -> _Loaded:
    from levada.beat_tracking.networks.beat_this import package_network

    package_network()  # a missing package is reported before a long download
    path = _find_file(checkpoint)
    return _Loaded(_read(path), path.stem.removeprefix("beat_this-"), sha256_of(path)[:16])


def _find_file(checkpoint: str | Path) -> Path:
    import torch

    path, name = Path(checkpoint), str(checkpoint)
    if path.is_file():
        return path
    if not _NAME.fullmatch(name):
        raise InputError(
            f"there is no checkpoint {name!r}: name a file, or one of the authors', such as final0, small0, "
            "single_final0 or fold0"
        )
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"beat_this-{name}.ckpt"
    if not path.is_file():
        _download(f"{URL}/{name}.ckpt", path)
    return path


def _download(url: str, path: Path) -> None:
    from http.client import HTTPException

    import torch

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    except (OSError, HTTPException) as error:
        raise InputError(f"could not be downloaded ({error}): get {url} and put it here", path=path) from None
    finally:
        socket.setdefaulttimeout(before)


def _read(path: Path) -> BeatThis:
    from levada.beat_tracking.networks.beat_this import BANDS, BeatThis, BeatThisSettings

    checkpoint = read_checkpoint(path, advice="remove it to download it again")
    whole = checkpoint if isinstance(checkpoint, Mapping) else {}
    shape, tensors = whole.get("hyper_parameters"), whole.get("state_dict")
    if not isinstance(shape, Mapping) or not isinstance(tensors, Mapping):
        raise InputError("is not a checkpoint of Beat This!: it lacks hyper_parameters or state_dict", path=path)
    if shape.get("spect_dim", BANDS) != BANDS:
        raise InputError(f"takes {shape['spect_dim']} bands, and those of Beat This! take {BANDS}", path=path)
    names = {entry.name for entry in fields(BeatThisSettings)} - {"dropout"}
    try:
        net = BeatThis(BeatThisSettings(**{name: shape[name] for name in names if name in shape}))
        net.load_state_dict({_renamed(name): tensor for name, tensor in tensors.items()})
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or no checkpoint of Beat This!: {reason}", path=path) from None
    if not is_finite(net.state_dict().values()):
        raise InputError("is damaged: it holds numbers that are not finite", path=path)
    return net.eval()


def _renamed(name: str) -> str:
    """Return a tensor's name in `BeatThis` from that in the module that was trained, compiled or not."""
    name = name.replace("_orig_mod.", "").removeprefix("model.")
    return re.sub(r"^(transformer)_blocks\.|^task_(heads)\.", lambda match: f"{match[1] or match[2]}.", name)


def _card(name: str) -> Card:
    match = _NAME.fullmatch(name)
    kind = (match["kind"] or match["fold"]).split("_")[0] if match else ""
    table = {"final": 2, "small": 2, "hung": 2, "single": 3, "fold": 1}.get(kind)
    paper = "https://arxiv.org/abs/2407.21658"
    origin = (
        f"Checkpoint {name} of Beat This! (https://github.com/CPJKU/beat_this), by Francesco Foscarin, Jan Schlüter "
        "and Gerhard Widmer: Beat This! Accurate Beat Tracking Without DBN Postprocessing, ISMIR 2024. Changed: its "
        "second output is the probability of a downbeat given a beat."
        if kind
        else f"The file {name}, in the format of Beat This! (https://github.com/CPJKU/beat_this), ISMIR 2024."
    )
    return Card(
        name=f"beat_this-{name}",
        origin=origin,
        licence="MIT (that of the code, which announces the weights; none is stated for them)" if kind else "other",
        data=f"{_TRAINING_DATA[kind]} Their minutes are not stated beside the weights, and are not counted here.",
        minutes=0.0,
        scores={"published": f"table {table} of {paper}"} if table else {"none": "none published"},
    )


def finetune_settings() -> AdaptSettings:
    """Return settings for fine-tuning Beat This!: a low learning rate, the front end frozen, halfway interpolation.

    They are a guess from the rate that the network was trained with, 8e-4: no published checkpoint has been tried.
    """
    from levada.beat_tracking.adaptation import AdaptSettings

    return AdaptSettings(steps=50, learning_rate=1e-4, batch=2, excerpt_s=15.0, layers=LAYERS, dropout=0.0, alpha=0.5)
