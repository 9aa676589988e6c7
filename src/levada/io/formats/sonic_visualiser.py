"""Layers and sessions of Sonic Visualiser, `.svl` and `.sv`: XML with the frame number and label of every point.

A session is the same XML compressed by bzip2, with every layer that was open. Of several layers the one of time
instants is read, then one of text, of values, of regions; the values of a layer without labels are its labels.
"""

from __future__ import annotations

import bz2
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker
from levada.io.formats.provenance import Metadata, seal
from levada.io.formats.xml_reader import comment, escape, parse_number, parse_xml
from levada.io.text import decode_text

__all__ = ["dump", "dump_session", "is_session", "parse", "parse_session"]

_RATE = 44100  # of the frames that are written, in Hz
_LARGEST = 50_000_000  # bytes of an unpacked session
_RANKS = {"timeinstants": 5, "text": 4, "timevalues": 3, "regions": 2, "boxes": -1, "notes": -1, "flexinotes": -1}
_BY_DIMENSIONS = {"1": "timeinstants", "2": "timevalues", "3": "regions"}


def is_session(content: bytes) -> bool:
    """Whether bytes are compressed as sessions are."""
    return content.startswith(b"BZh")


def parse_session(content: bytes, *, path: str | Path) -> list[Layer]:
    """Read all layers of points of a session.

    Raises
    ------
    InputError
        If it is damaged or larger than any session; and as `parse`.
    """
    reader = bz2.BZ2Decompressor()
    try:
        data = reader.decompress(content, max_length=_LARGEST + 1)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"is a damaged session of Sonic Visualiser ({error})", path=path) from error
    if len(data) > _LARGEST:
        raise InputError("is too large to be a session of Sonic Visualiser", path=path)
    if not reader.eof:
        raise InputError("is a damaged session of Sonic Visualiser: its end is missing", path=path)
    return parse(decode_text(data), path=path)


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read all layers of points.

    Raises
    ------
    InputError
        If it is not XML, declares entities, or has no layer of points. Points are counted from 1.
    """
    root = parse_xml(text, path=path)
    kinds = {layer.get("model", ""): layer for layer in root.iter("layer")}
    datasets = {dataset.get("id", ""): dataset for dataset in root.iter("dataset")}
    layers = []
    for model in root.iter("model"):
        if model.get("type") != "sparse":
            continue
        shown = kinds.get(model.get("id", ""))
        kind = shown.get("type", "") if shown is not None else model.get("subtype", "")
        kind = kind if kind in _RANKS else _BY_DIMENSIONS.get(model.get("dimensions", ""), "")
        name = "" if shown is None else shown.get("presentationName") or shown.get("name") or ""
        dataset = datasets.get(model.get("dataset", ""))
        points = [] if dataset is None else list(dataset.iter("point"))
        rate = parse_number(model.get("sampleRate", ""), "sampleRate", path=path, limit=1e15)
        if not 0 < rate < 1e9:
            raise InputError(f"has a sample rate of {rate:g} Hz", path=path)
        rank = _RANKS.get(kind, 0)
        if rank < 0:
            continue
        labels = [(point.get("label") or "").strip() for point in points]
        if not any(labels) and kind != "regions":
            labels = [_value(point.get("value", "")) for point in points]
        marks = []
        for number, (point, label) in enumerate(zip(points, labels, strict=True), 1):
            start = parse_number(point.get("frame", ""), "frame", path=path, limit=1e15) / rate
            length = parse_number(point.get("duration", "0") or "0", "duration", path=path, limit=1e15) / rate
            marks.append(Marker(start, label, number, start + length if length else None))
        layers.append(Layer(tuple(marks), name or kind, rank, unit="point", is_sorted=False))
    if root.tag != "sv" or not layers:
        raise InputError("has no layer of points: export a time instants layer", path=path)
    return layers


def _value(text: str) -> str:
    """A value as a label: 1.0 and 1 are the same."""
    return text[:-2] if text.endswith(".0") else text


def dump(beats: Beats, metadata: Metadata) -> str:
    """Write a layer of time instants at 44.1 kHz, labelled with the positions; provenance becomes a comment."""
    frames = [round(time * _RATE) for time, _ in beats]
    points = "".join(
        f'      <point frame="{frame}" label="{escape(text)}" />\n'
        for frame, text in zip(frames, format_labels(beats), strict=True)
    )
    start, end = (frames[0], frames[-1] + 1) if frames else (0, 0)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n'
        f"{comment(metadata.comment)}<sv>\n  <data>\n"
        f'    <model id="1" name="" sampleRate="{_RATE}" start="{start}" end="{end}" type="sparse" '
        'dimensions="1" resolution="1" notifyOnAdd="true" dataset="0" />\n'
        f'    <dataset id="0" dimensions="1">\n{points}    </dataset>\n  </data>\n  <display>\n'
        '    <layer id="2" type="timeinstants" name="Beats" model="1" plotStyle="0" colourName="Purple" '
        'colour="#c832ff" darkBackground="false" />\n  </display>\n</sv>\n'
    )


def dump_session(beats: Beats, metadata: Metadata) -> bytes:
    """Write a session with that layer alone."""
    return bz2.compress(seal(dump(beats, metadata).encode()))
