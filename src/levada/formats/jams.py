"""JAMS, the JSON annotations of Humphrey et al., "JAMS: A JSON Annotated Music Specification", ISMIR 2014.

Read and written as plain JSON: namespace `beat`, whose value is the position in the bar or null, is written;
`beat_position` is read as well.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from levada.beats import Beats
from levada.errors import InputError

__all__ = ["dump", "parse"]

_log = logging.getLogger(__name__)


def parse(text: str, *, path: str | Path) -> Beats:
    """Read the first annotation of beats.

    Parameters
    ----------
    text : str
        The file's content.
    path : path-like
        What to call the file in errors.

    Raises
    ------
    InputError
        If it is not JSON, has no annotation of beats, or an observation is damaged. Beats are counted from 1.
    """
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"is not JSON ({error})", path=path, line=getattr(error, "lineno", None)) from error
    annotations = document.get("annotations") if isinstance(document, dict) else None
    wanted = ("beat_position", "beat")  # the first says more
    found = [
        annotation
        for namespace in wanted
        for annotation in (annotations if isinstance(annotations, list) else [])
        if isinstance(annotation, dict) and annotation.get("namespace") == namespace
    ]
    if not found:
        raise InputError("is JSON without an annotation of beats (JAMS namespace beat or beat_position)", path=path)
    if len(found) > 1:
        _log.warning("%s: holds %d annotations of beats, the first one is used", path, len(found))
    observations = _observations(found[0].get("data"), path)
    if not observations:
        raise InputError("has no beats", path=path)
    rows = [_row(number, observation, path) for number, observation in enumerate(observations, 1)]
    times, positions, confidences = zip(*rows, strict=True)
    sure = None if None in confidences else confidences
    return Beats(times, positions, sure)


def _observations(data: object, path: str | Path) -> list[Any]:
    if isinstance(data, list):
        return data
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        if len({len(column) for column in data.values()}) > 1:
            raise InputError("its columns of beats have different lengths", path=path)
        return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    raise InputError("its annotation of beats has no data", path=path)


def _row(number: int, observation: object, path: str | Path) -> tuple[float, int, float | None]:
    if not isinstance(observation, dict) or not _is_number(observation.get("time")):
        raise InputError(f"beat {number} has no time", path=path)
    value, confidence = observation.get("value"), observation.get("confidence")
    if isinstance(value, dict):
        value = value.get("position")
    if value is None:
        value = 0
    if not _is_number(value) or value != int(value):
        raise InputError(f"beat {number} has {value!r} as its position in the bar", path=path)
    if confidence is not None and not _is_number(confidence):
        raise InputError(f"beat {number} has {confidence!r} as its confidence", path=path)
    return float(observation["time"]), int(value), None if confidence is None else float(confidence)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def dump(beats: Beats, *, duration_s: float | None = None) -> str:
    """Write one annotation of beats.

    Parameters
    ----------
    beats : Beats
        Unknown positions become null.
    duration_s : float, optional
        Length of the recording; the time of the last beat if nobody knows.
    """
    last_s = float(beats.times_s[-1]) if len(beats) else 0.0
    duration = last_s if duration_s is None else float(duration_s)
    sure = [None] * len(beats) if beats.confidence is None else beats.confidence.tolist()
    data = [
        {"time": time, "duration": 0.0, "value": position or None, "confidence": confidence}
        for (time, position), confidence in zip(beats, sure, strict=True)
    ]
    annotation = {
        "namespace": "beat",
        "annotation_metadata": {"annotation_tools": "levada", "data_source": "program"},
        "time": 0.0,
        "duration": duration,
        "sandbox": {},
        "data": data,
    }
    metadata = {"identifiers": {}, "duration": duration, "jams_version": "0.3.4"}
    return json.dumps({"file_metadata": metadata, "annotations": [annotation], "sandbox": {}}, indent=1) + "\n"
