"""Beat This!: its authors' checkpoints, with their own way from logits to beats, and as networks to fine-tune.

Francesco Foscarin, Jan Schlüter and Gerhard Widmer, "Beat This! Accurate Beat Tracking Without DBN Postprocessing",
ISMIR 2024 (https://arxiv.org/abs/2407.21658). The network is built by the package `beat_this`; the spectrogram before
it, the pieces it is heard in and the peaks after it are done here, so that torchaudio is not needed. A checkpoint is a
file, or a name: then it is looked for where the package keeps it, and fetched from its authors where it is not there.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings, learn_settings
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.network_tracker import network_tracker
from levada.beat_tracking.spectrogram import MEL_BANDS, file_log_spectrogram, log_spectrogram
from levada.beat_tracking.tracker import TrackerLike
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.run_folder import sha256_of
from levada.learning.card import Card, adapted_card

if TYPE_CHECKING:
    from levada.beat_tracking.adaptation import AdaptSettings
    from levada.beat_tracking.networks.beat_this import BeatThis
    from levada.beat_tracking.targets import Batch
    from levada.data import Span
    from levada.learning.weights import Weights

__all__ = ["LAYERS", "URL", "finetune", "finetune_settings", "peaks", "tracker", "weights"]

URL = "https://cloud.cp.jku.at/public.php/dav/files/7ik4RrBKTS273gp"
"""Where the authors keep the checkpoints: `URL`/final0.ckpt and so on."""
LAYERS = ("transformer", "heads")
"""What comes after the front end, as names of layers for `AdaptSettings`."""

Floats32 = npt.NDArray[np.float32]

_NAME = re.compile(r"(?P<kind>final|small|hung|single_[a-z]+)[0-2]|(?P<fold>fold)[0-7]")
_PATIENCE_S = 10.0
_REACH = 3  # a peak is the highest of so many frames on either side: 60 ms
_PARTWAY = 0.5

_CORPORA = (
    "ASAP, Ballroom, Beatles, candombe, Filosax, Groove MIDI, GuitarSet, Hainsworth, Harmonix, HJDB, JAAH, RWC, SIMAC, "
    "SMC and TapCorrect"
)
_NOT_FAIR = "All 35 recordings of candombe are among them, so that scores on candombe are not fair. BRID is not."
_HEARD = {
    "final": f"{_CORPORA}, all of them; not GTZAN. {_NOT_FAIR}",
    "small": f"{_CORPORA}, all of them; not GTZAN. {_NOT_FAIR}",
    "fold": f"Seven eighths of {_CORPORA}, and not GTZAN. Scores on candombe are fair for the recordings of this fold "
    "alone (candombe/8-folds.split among the authors' annotations). BRID is not among them.",
    "single": f"The training part of {_CORPORA}, and not GTZAN. 30 recordings of candombe are in it: scores are fair "
    "for the others alone, ansina1_03, ansina2_01, ansina2_04, cuareim_02 and zavala.muniz.2014_41. BRID is not in it.",
    "hung": "Those of another paper, it is said; but the authors' code, as published, takes all of "
    f"{_CORPORA}. Candombe may be among them, so that scores on candombe may not be fair. BRID is not.",
    "": f"Unknown: the file does not say. The authors' own are trained on {_CORPORA}. Unless it is known to be "
    "otherwise, scores on candombe are not fair.",
}


def tracker(checkpoint: str | Path = "final0", *, settings: DecoderSettings | None = None) -> TrackerLike:
    """Give Beat This! as a tracker.

    Parameters
    ----------
    checkpoint : str or path-like
        See `weights`.
    settings : DecoderSettings, optional
        Puts the network before our decoder, which believes this; without, its beats are its authors' own, the peaks of
        its logits (see `peaks`).

    Returns
    -------
    TrackerLike
        Before our decoder it takes hints; with its own peaks it takes none.

    Raises
    ------
    MissingExtra, InputError
        As for `weights`.
    """
    loaded = _load(checkpoint)
    name = "beat_this" if loaded.name == "final0" else f"beat_this-{loaded.name}"
    if settings is None:
        return ExternalTracker(name, partial(_find, loaded.net), identity=f"beat_this {loaded.digest} peaks")
    beliefs = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode()).hexdigest()[:8]
    identity = f"beat_this {loaded.digest} {beliefs}"
    return network_tracker(loaded.net, name=f"{name}+decoder", settings=settings, identity=identity)


def weights(checkpoint: str | Path = "final0") -> Weights:
    """One of the authors' networks, to fine-tune.

    Parameters
    ----------
    checkpoint : str or path-like
        A file, or a name: "final0" to "final2", "small0" to "small2", "single_final0" to "single_final2", "fold0" to
        "fold7" and others that the package's page lists. A name is looked for in the folder of torch.hub, and fetched
        where it is not there (78 MB, 8 MB for "small"). It is read without running code that it may hold.

    Returns
    -------
    Weights
        Its card says what it was trained on.

    Raises
    ------
    MissingExtra
        If the package `beat_this`, or what its network is made of, is not installed.
    InputError
        If there is no such file or name, it cannot be fetched, or it is no checkpoint of Beat This!.
    """
    from levada.learning.weights import Weights

    loaded = _load(checkpoint)
    return Weights(loaded.net, _card(loaded.name))


def peaks(logits: npt.ArrayLike, *, fps: float = 50) -> Beats:
    """Beats at the peaks of the network's own two logits, as in the package: no model of tempo or of metre.

    A peak is above 0 and the highest within 60 ms; neighbours as high as each other are one. Downbeats move to the
    nearest beat. Positions count from each downbeat to the next, and after the last; before the first, beats count
    down to it if they are fewer than in the first whole bar, and are unknown otherwise.

    Parameters
    ----------
    logits : array_like [shape=(frames, 2)]
        Of a beat and of a downbeat, asked apart.
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


def _find(net: BeatThis, samples: Floats32, rate: int) -> Beats:
    import torch

    with torch.inference_mode():
        logits = net.logits(torch.from_numpy(log_spectrogram(samples, rate, front_end=MEL_BANDS))[None])
    return peaks(logits[0].numpy(), fps=net.fps)


@dataclass(frozen=True)
class _Loaded:
    net: BeatThis
    name: str
    digest: str


def _load(checkpoint: str | Path) -> _Loaded:
    from levada.beat_tracking.networks.beat_this import package_network

    package_network()  # before a long download
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
        _fetch(f"{URL}/{name}.ckpt", path)
    return path


def _fetch(url: str, path: Path) -> None:
    from http.client import HTTPException

    import torch

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    except (OSError, HTTPException) as error:
        raise InputError(f"could not be fetched ({error}): fetch {url} elsewhere and put it here", path=path) from None
    finally:
        socket.setdefaulttimeout(before)


def _read(path: Path) -> BeatThis:
    import torch

    from levada.beat_tracking.networks.beat_this import BANDS, BeatThis, BeatThisSettings

    try:
        checkpoint = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch has one of its own for each way in which a file can be damaged
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"cannot be read as a checkpoint ({reason}); remove it to fetch it again", path=path) from None
    whole = checkpoint if isinstance(checkpoint, Mapping) else {}
    shape, tensors = whole.get("hyper_parameters"), whole.get("state_dict")
    if not isinstance(shape, Mapping) or not isinstance(tensors, Mapping):
        raise InputError("is no checkpoint of Beat This!: it lacks hyper_parameters or state_dict", path=path)
    if shape.get("spect_dim", BANDS) != BANDS:
        raise InputError(f"hears {shape['spect_dim']} bands, where those of Beat This! hear {BANDS}", path=path)
    known = {entry.name for entry in fields(BeatThisSettings)} - {"dropout"}
    try:
        net = BeatThis(BeatThisSettings(**{name: shape[name] for name in known if name in shape}))
        net.load_state_dict({_renamed(name): tensor for name, tensor in tensors.items()})
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or no checkpoint of Beat This!: {reason}", path=path) from None
    if not all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values()):
        raise InputError("is damaged: it holds numbers that are not finite", path=path)
    return net.eval()


def _renamed(name: str) -> str:
    """A tensor's name in our network, from that in the module that was trained, compiled or not."""
    name = name.replace("_orig_mod.", "").removeprefix("model.")
    return re.sub(r"^(transformer)_blocks\.|^task_(heads)\.", lambda found: f"{found[1] or found[2]}.", name)


def _card(name: str) -> Card:
    known = _NAME.fullmatch(name)
    kind = (known["kind"] or known["fold"]).split("_")[0] if known else ""
    table = {"final": 2, "small": 2, "hung": 2, "single": 3, "fold": 1}.get(kind)
    paper = "https://arxiv.org/abs/2407.21658"
    origin = (
        f"Checkpoint {name} of Beat This! (https://github.com/CPJKU/beat_this), by Francesco Foscarin, Jan Schlüter "
        "and Gerhard Widmer: Beat This! Accurate Beat Tracking Without DBN Postprocessing, ISMIR 2024. Changed: it "
        "says how likely a downbeat is given a beat."
        if kind
        else f"The file {name}, in the format of Beat This! (https://github.com/CPJKU/beat_this), ISMIR 2024."
    )
    return Card(
        name=f"beat_this-{name}",
        origin=origin,
        licence="MIT (that of the code, which announces the weights; none is stated for them)" if kind else "other",
        data=f"{_HEARD[kind]} Their minutes are not stated beside the weights, and are not counted here.",
        minutes=0.0,
        scores={"published": f"table {table} of {paper}"} if table else {"none": "none are known"},
    )


def finetune_settings() -> AdaptSettings:
    """Settings for fine-tuning Beat This!: small steps, the front end as it is.

    No real checkpoint has been tried with them: they are a guess from the rate the network was trained with, 8e-4.
    """
    from levada.beat_tracking.adaptation import AdaptSettings

    return AdaptSettings(
        steps=50, learning_rate=1e-4, batch=2, excerpt_s=15.0, layers=LAYERS, dropout=0.0, partway=_PARTWAY
    )


def finetune(
    spans: Sequence[Span],
    *,
    base: Weights,
    settings: AdaptSettings | None = None,
    folder: str | Path,
    progress: Callable[[int, int, float], None] | None = None,
) -> Weights:
    """What comes after the front end, trained on with the labels as they are.

    The front end is left alone, and each piece of a recording goes through it once, exactly as when beats are tracked:
    a step takes a quarter of the time for a checkpoint "small", four fifths for a "final". With augmentation it has to
    listen anew in each step: that is `levada.beat_tracking.adaptation` with the settings `gentle()`.

    Parameters
    ----------
    spans : sequence of Span
    base : Weights
        Of Beat This!.
    settings : AdaptSettings, optional
        `gentle()` by default. The augmentation, layers and dropout are not used.
    folder : path-like
        Where the log and the checkpoint for resuming lie.
    progress : callable, optional
        Told steps done, steps in all and the loss, after each step.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If the base is another network, there are no annotated beats, or as for `levada.learning.training.fit`.
    """
    from copy import deepcopy

    from levada.beat_tracking.networks.beat_this import BeatThis, Rhythm
    from levada.beat_tracking.targets import shift_tolerant_loss, widened_target_loss
    from levada.learning.training import FitSettings, fit
    from levada.learning.weights import Weights, interpolate

    settings = settings or finetune_settings()
    if not isinstance(base.net, BeatThis):
        raise InputError(f"{base.card.name} is not Beat This!: fine-tune it with levada adapt")
    if not any(len(span.beats) for span in spans):
        raise InputError("there are no annotated beats to learn from")
    weight = settings.downbeat_weight
    loss = (
        partial(shift_tolerant_loss, tolerance=settings.tolerance, downbeat_weight=weight)
        if settings.tolerance
        else partial(widened_target_loss, downbeat_weight=weight)
    )
    trained = fit(
        Rhythm(base.net),
        partial(_batches, _lessons(base.net, spans), settings),
        settings=FitSettings(settings.steps, settings.learning_rate, average=settings.average, seed=settings.seed),
        loss=loss,
        folder=folder,
        progress=progress,
    )
    net = deepcopy(base.net)
    Rhythm(net).load_state_dict(trained.state_dict())
    made = interpolate(base.net, net, alpha=_PARTWAY if settings.partway is None else settings.partway)
    learnt = learn_settings([span.beats for span in spans], start=DecoderSettings.from_dict(base.decoder))
    card = adapted_card(spans, origin="Fine-tuned, its front end as it was,", base=base.card)
    return Weights(made, card, asdict(learnt), asdict(settings))


@dataclass(frozen=True)
class _Lesson:
    """A piece of a recording: what the front end makes of it, and what is known of it."""

    features: Floats32
    targets: Floats32
    known: Floats32


def _lessons(net: BeatThis, spans: Sequence[Span]) -> list[_Lesson]:
    """Each piece of each recording in which something is annotated, through the front end once."""
    import torch

    from levada.beat_tracking.networks.beat_this import BORDER, pieces
    from levada.beat_tracking.targets import frame_targets

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    frontend, grid, lessons = net.frontend.to(device), MEL_BANDS.grid, []
    for recording in dict.fromkeys(span.track.audio for span in spans):
        bands = torch.from_numpy(file_log_spectrogram(recording, front_end=MEL_BANDS))[None]
        stretches = [(span.beats, (span.start_s, span.end_s)) for span in spans if span.track.audio == recording]
        marked = [frame_targets(beats, bands.shape[1], known_s=known_s, grid=grid) for beats, known_s in stretches]
        targets, known = (np.max([pair[column] for pair in marked], axis=0) for column in (0, 1))
        for start, piece in pieces(net.compress(bands)):
            end = start + piece.shape[1] - 2 * BORDER
            if not known[start:end].any():
                continue
            with torch.no_grad():
                features = frontend(piece.to(device))[0].float().cpu().numpy()
            edges = ((BORDER, BORDER), (0, 0))
            lessons.append(_Lesson(features, np.pad(targets[start:end], edges), np.pad(known[start:end], edges)))
    frontend.cpu()
    return lessons


def _batches(lessons: Sequence[_Lesson], settings: AdaptSettings, start: int) -> Iterator[Batch]:
    """Excerpts around frames of which something is known, each of those as often as any other."""
    import torch

    from levada.beat_tracking.targets import Batch

    known = [np.flatnonzero(lesson.known.any(axis=1)) for lesson in lessons]
    shares = np.array([len(frames) for frames in known]) / sum(map(len, known))
    length = round(settings.excerpt_s * MEL_BANDS.grid.fps)
    for step in range(start, settings.steps):
        rng = np.random.default_rng([settings.seed, step])
        chosen = rng.choice(len(lessons), settings.batch, p=shares).tolist()
        frames = min(length, *(len(lessons[index].features) for index in chosen))
        rows: list[tuple[Any, ...]] = []
        for index in chosen:
            lesson = lessons[index]
            first = int(rng.choice(known[index])) - int(rng.integers(frames))
            first = min(max(0, first), len(lesson.features) - frames)
            rows.append(tuple(part[first : first + frames] for part in (lesson.features, lesson.targets, lesson.known)))
        yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*rows, strict=True)))
