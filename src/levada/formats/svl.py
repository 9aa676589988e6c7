"""Layers of Sonic Visualiser, `.svl`: XML with the frame number and label of every point."""

from __future__ import annotations

import re
from pathlib import Path

from levada.beats import Beats
from levada.errors import InputError
from levada.formats import tables

__all__ = ["dump", "parse"]

_RATE = 44100  # of the frames that are written, in Hz


def parse(text: str, *, path: str | Path) -> Beats:
    """Read the first layer of points.

    Parameters
    ----------
    text : str
        The file's content.
    path : path-like
        What to call the file in errors.

    Raises
    ------
    InputError
        If it is not XML, declares entities, or has no layer of points. Points are counted from 1.
    """
    from xml.etree import ElementTree

    if re.search(r"<!ENTITY|<!DOCTYPE[^>]*\[", text):
        raise InputError("declares XML entities: this is no Sonic Visualiser layer", path=path)
    try:
        root = ElementTree.fromstring(re.sub(r"^\s*<\?xml.*?\?>", "", text))
    except ElementTree.ParseError as error:
        raise InputError(f"is not whole XML ({error})", path=path, line=error.position[0]) from error
    models = [model for model in root.iter("model") if model.get("type") == "sparse"]
    if root.tag != "sv" or not models:
        raise InputError("has no layer of points: export a time instants layer", path=path)
    model = models[0]
    points = [
        point
        for dataset in root.iter("dataset")
        if dataset.get("id") == model.get("dataset")
        for point in dataset.iter("point")
    ]
    try:
        rate = float(model.get("sampleRate", ""))
        frames = [int(point.get("frame", "")) for point in points]
    except ValueError as error:
        raise InputError(f"has a damaged frame number or sample rate ({error})", path=path) from error
    if not rate > 0:
        raise InputError(f"has a sample rate of {rate:g} Hz", path=path)
    points.sort(key=lambda point: int(point.get("frame", "")))
    labels = [(number, point.get("label", "").strip()) for number, point in enumerate(points, 1)]
    try:
        positions = tables.places(labels, path)
    except InputError as error:
        raise InputError(f"point {error.line}: {error.problem}", path=path) from error
    return Beats([frame / rate for frame in sorted(frames)], positions)


def dump(beats: Beats) -> str:
    """Write a layer of time instants at 44.1 kHz, labelled with the positions."""
    frames = [round(time * _RATE) for time, _ in beats]
    points = "".join(
        f'      <point frame="{frame}" label="{position or ""}" />\n'
        for frame, (_, position) in zip(frames, beats, strict=True)
    )
    start, end = (frames[0], frames[-1] + 1) if frames else (0, 0)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE sonic-visualiser>\n<sv>\n  <data>\n'
        f'    <model id="1" name="" sampleRate="{_RATE}" start="{start}" end="{end}" type="sparse" '
        'dimensions="1" resolution="1" notifyOnAdd="true" dataset="0" />\n'
        f'    <dataset id="0" dimensions="1">\n{points}    </dataset>\n  </data>\n  <display>\n'
        '    <layer id="2" type="timeinstants" name="Beats" model="1" plotStyle="0" colourName="Purple" '
        'colour="#c832ff" darkBackground="false" />\n  </display>\n</sv>\n'
    )
