"""Export models to ONNX, with a description of their input and their card, for programs without torch.

The transforms before and after the network are described in the file, and are not part of its graph: frames
last as long at every rate, so that a phone at 48 kHz and a field recorder at 44.1 kHz use the same file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levada.errors import InputError

__all__ = ["Exported", "describe", "export"]

SUFFIX = ".onnx"


@dataclass(frozen=True)
class Exported:
    """The result of an export.

    Parameters
    ----------
    path : Path
    name : str
        Name of the model.
    network : str
        Kind of the network.
    size : int
        Bytes of the file.
    difference : float
        Largest absolute difference between the outputs of ONNX Runtime and torch.
    """

    path: Path
    name: str
    network: str
    size: int
    difference: float


def export(model: str | Path, path: str | Path, *, force: bool = False) -> Exported:
    """Write a model as an ONNX file.

    Parameters
    ----------
    model : path-like
        The folder of a network's weights.
    path : path-like
        The file, which ends in .onnx.
    force : bool
        Whether an existing file may be replaced.

    Returns
    -------
    Exported

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or onnxscript are not installed.
    InputError
        If the folder is not a model, or its network cannot be exported; if the file does not
        end in .onnx, exists and `force` is not set, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise InputError(f"is not the name of an ONNX file: it must end in {SUFFIX}", path=path)
    if path.exists() and not force:
        raise InputError("exists already; use --force to replace it", path=path)
    from levada.learning.card import SEPARATORS, read_config
    from levada.models.onnx import EXPORTED, write_onnx

    network = read_config(model)["network"]
    if network not in EXPORTED:
        raise InputError(
            f"is a model ({network}) that cannot be exported; those of kind {', '.join(EXPORTED)} can", path=model
        )
    if network in SEPARATORS:
        from levada.separation.networks import load
    else:
        from levada.beat_tracking.networks import load
    weights = load(model)
    difference = write_onnx(path, weights, description=describe(weights.net), force=force)
    return Exported(path, weights.card.name, network, path.stat().st_size, difference)


def describe(net: Any) -> dict[str, Any]:
    """Describe the input and the output of a network, for implementations in other programs.

    Parameters
    ----------
    net : nn.Module
        A network for stems or for beats.

    Returns
    -------
    dict
        Serialisable as JSON.
    """
    return _of_stems(net) if hasattr(net, "instruments") else _of_beats(net)


def _of_stems(net: Any) -> dict[str, Any]:
    from levada.separation.stft import BAND_EDGES, REFERENCE_HOP, REFERENCE_RATE

    magnitudes = hasattr(net, "stride_frames")  # the U-Net: linear frequencies, and no logarithm
    hop_s = REFERENCE_HOP / REFERENCE_RATE
    frames = {
        "hop_s": hop_s,
        "hop_samples": f"round(rate * {REFERENCE_HOP} / {REFERENCE_RATE}) at any rate; nothing is resampled",
        "window_samples": "2 * hop_samples",
        "window": "sqrt(0.5 - 0.5 * cos(pi * n / hop_samples)), before the transform and after its inverse",
        "scale": "spectra are divided by window_samples",
        "first_frame": "centred on the first sample; silence lies before it and after the last",
        "bin_hz": 1 / (2 * hop_s),
    }
    features: dict[str, Any] = {
        "power": "mean over channels of the squared magnitudes of the spectra",
        "level": "mean over all frames and bands of the whole recording of the power summed over each band",
        "band_edges": [int(edge) for edge in BAND_EDGES],
        "bands_are": "sums of power over the bins from each edge up to the next; the last is open above",
    }
    if magnitudes:
        features["input"] = (
            f"sqrt(power / (level + 1e-20)) of the first {net.settings.bins} bins, 0 where a rate lacks them"
        )
        applied = "each bin's mask times the mixture's spectra; bins above take the last one's"
    else:
        features["input"] = "log10(band power / (level + 1e-20) + 1e-6) / 2 + 1"
        applied = "each band's mask times the mixture's spectra in all bins of the band"
    pieces = {"context_frames": net.context_frames, "multiples_of_frames": getattr(net, "stride_frames", 1)}
    return {
        "task": "stems",
        "instruments": list(net.instruments),
        "frames": frames,
        "features": features,
        "output": f"masks that sum to 1 over instruments: {applied}, the same for all channels",
        "pieces": pieces,
    }


def _of_beats(net: Any) -> dict[str, Any]:
    from levada.beat_tracking.spectrogram import FRONT_ENDS

    front = FRONT_ENDS[net.front_end]
    return {
        "task": "beats",
        "frames": {
            "rate": front.grid.rate,
            "hop_samples": front.grid.hop,
            "window_samples": front.window,
            "window": "Hann",
            "first_frame": "centred on the first sample",
        },
        "features": {
            "input": "ln(magnitudes through bands + 1e-6)",
            "front_end": net.front_end,
            "bands": front.bands,
            "filters": "levada.beat_tracking.spectrogram.FRONT_ENDS holds their weights",
        },
        "output": "log odds of a beat (downbeats included), and of a downbeat given a beat, a frame",
    }
