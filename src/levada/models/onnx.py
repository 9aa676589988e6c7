"""Networks as ONNX files, for programs without torch: a phone, a browser, a plug-in.

The transform before the network and after it stays outside; what it is stands in the file, with the model's card. The
number of frames is free. A file is written only if ONNX Runtime gives what torch gives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError, MissingExtra, quiet
from levada.io.files import atomic_file
from levada.learning.card import lineage

if TYPE_CHECKING:
    from torch import Tensor, nn

    from levada.learning.weights import Weights

__all__ = ["EXPORTED", "LARGEST_DIFFERENCE", "write_onnx"]

EXPORTED = {"masks": "masks", "unet": "masks", "tcn": "logits", "tcn2019": "logits"}
"""Networks that can be exported, and the names of their outputs."""
LARGEST_DIFFERENCE = 1e-4
"""Between the outputs of ONNX Runtime and torch for the same input; harmonic change sums hundreds of frames."""

_FRAMES = (256, 131)  # lengths of the input that is traced, and of one that it is tested with


def write_onnx(path: str | Path, weights: Weights, *, description: Mapping[str, Any], force: bool = False) -> float:
    """Write a network as an ONNX file.

    Its input is called "bands", float32 [shape=(batch, frames, bands)]: what the network's `forward` is given. Its
    output is "masks", float32 [shape=(batch, instruments, frames, bands)], which sum to one over instruments, or
    "logits", float32 [shape=(batch, frames, 2)], of a beat and of a downbeat given a beat.

    Parameters
    ----------
    path : path-like
    weights : Weights
    description : mapping
        What comes before and after the network; each entry becomes one of the file's metadata.
    force : bool
        Whether a file that exists may be replaced.

    Returns
    -------
    float
        The largest difference between what ONNX Runtime and torch gave.

    Raises
    ------
    MissingExtra
        If onnx, onnxruntime or onnxscript are not installed.
    InputError
        If it is a network that cannot be exported, the file exists and `force` is not set, it cannot be written, or
        ONNX Runtime does not give what torch gives.
    """
    _need()
    from levada.learning.weights import network_kind

    network = network_kind(weights.net)
    if network not in EXPORTED:
        raise InputError(
            f"{weights.card.name} is a network ({network}) that cannot be exported; those of kind "
            f"{', '.join(EXPORTED)} can"
        )
    wrapped = _wrapped(weights.net.eval(), EXPORTED[network])
    with atomic_file(path, force=force) as temporary:
        proto = _proto(wrapped, _bands(weights.net), EXPORTED[network])
        _describe(proto, weights, {"levada.network": network, **description})
        temporary.write_bytes(proto.SerializeToString())
        difference = _difference(temporary, wrapped, _bands(weights.net))
        if not difference < LARGEST_DIFFERENCE:
            raise InputError(
                f"will not be written: ONNX Runtime gives something else than torch ({difference:.1g} apart); "
                "another version of onnx, onnxruntime or torch may help",
                path=path,
            )
    return difference


def _need() -> None:
    from importlib.util import find_spec

    for library in ("onnx", "onnxruntime", "onnxscript"):
        if find_spec(library) is None:
            if library == "onnx":
                raise MissingExtra("onnx", extra="onnx", purpose="export a network")
            raise MissingExtra("onnxruntime", extra="onnx", purpose="try an exported network")


def _bands(net: Any) -> int:
    """How many numbers a frame of the input has."""
    from levada.beat_tracking.network_tracker import front_end_of

    settings = net.settings
    for name in ("bands", "bins"):
        if hasattr(settings, name):
            return int(getattr(settings, name))
    return front_end_of(net).bands


def _wrapped(net: nn.Module, output: str) -> nn.Module:
    """Masks in place of their logits."""
    from torch import nn

    class Masks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, bands: Tensor) -> Tensor:
            logits: Tensor = self.net(bands)
            return logits.softmax(1)

    return Masks().eval() if output == "masks" else net


def _proto(net: nn.Module, bands: int, output: str) -> Any:
    import torch

    free = torch.export.Dim.DYNAMIC
    with quiet("torch.onnx", "torch.export", "onnxscript", "onnx_ir"):
        program = torch.onnx.export(
            net,
            (torch.rand(2, _FRAMES[0], bands),),
            dynamo=True,
            verbose=False,
            input_names=["bands"],
            output_names=[output],
            dynamic_shapes=({0: free, 1: free},),
        )
    if program is None:
        raise RuntimeError("torch gave no ONNX program")
    proto = program.model_proto
    sizes = proto.graph.input[0].type.tensor_type.shape.dim
    sizes[0].dim_param, sizes[1].dim_param = "batch", "frames"
    given = proto.graph.output[0].type.tensor_type.shape.dim
    given[0].dim_param, given[2 if output == "masks" else 1].dim_param = "batch", "frames"
    del proto.graph.value_info[:]  # sizes between layers, under names that are gone
    return proto


def _describe(proto: Any, weights: Weights, description: Mapping[str, Any]) -> None:
    card = asdict(weights.card)
    metadata = {
        "name": card["name"],
        "licence": card["licence"],
        "origin": card["origin"],
        "data": card["data"],
        "citation": "\n".join(source.citation for source in lineage(weights.card) if source.citation),
        **{key: value if isinstance(value, str) else json.dumps(value) for key, value in description.items()},
        "levada.settings": json.dumps(asdict(weights.net.settings)),
        "levada.card": json.dumps(card),
    }
    for key, value in metadata.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value
    proto.doc_string = f"{card['name']}: {card['origin']}"
    proto.producer_name = "levada"


def _difference(path: Path, net: nn.Module, bands: int) -> float:
    """Return the largest difference between ONNX Runtime and torch, for several lengths and batch sizes."""
    import numpy as np
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    rng, most = np.random.default_rng(0), 0.0
    for batch, frames in ((1, _FRAMES[0]), (2, _FRAMES[1]), (1, 1)):
        inputs = rng.random((batch, frames, bands), np.float32) * 2 - 1
        with torch.inference_mode():
            expected = net(torch.from_numpy(inputs)).numpy()
        (output,) = session.run(None, {"bands": inputs})
        if output.shape != expected.shape:
            return float("inf")
        most = max(most, float(np.abs(output - expected).max()))
    return most
