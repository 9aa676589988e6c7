"""JAMS, the JSON annotations of Humphrey et al., "JAMS: A JSON Annotated Music Specification", ISMIR 2014.

Read and written as plain JSON: namespace `beat`, whose value is the position in the bar or null, is written;
`beat_position` is read as well. Confidences of positions, for which observations have no place, are a list in the
sandbox of the annotation.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker
from levada.io.formats.provenance import Metadata

__all__ = ["dump", "parse"]

_NAMESPACES = {"beat_position": 2, "beat": 1}  # the first says more


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read all annotations of beats.

    Raises
    ------
    InputError
        If it is not JSON, has no annotation of beats, or an observation is damaged. Beats are counted from 1.
    """
    try:
        document = json.loads(text)
    except RecursionError as error:
        raise InputError("is not JSON (it is nested too deeply)", path=path) from error
    except ValueError as error:
        raise InputError(f"is not JSON ({error})", path=path, line=getattr(error, "lineno", None)) from error
    annotations = document.get("annotations") if isinstance(document, dict) else None
    found = [
        annotation
        for annotation in (annotations if isinstance(annotations, list) else [])
        if isinstance(annotation, dict) and annotation.get("namespace") in ("beat", "beat_position")
    ]
    if not found:
        raise InputError("is JSON without an annotation of beats (JAMS namespace beat or beat_position)", path=path)
    found = [annotation for annotation in found if annotation.get("data")] or found[:1]
    return [
        Layer(
            tuple(
                _mark(number, observation, path, sure)
                for number, (observation, sure) in enumerate(_with_position_confidences(annotation, path), 1)
            ),
            _annotator(annotation) or f"{annotation['namespace']} {index}",
            _NAMESPACES[annotation["namespace"]],
            unit="beat",
            convention=_stated(annotation),
            is_sorted=False,
        )
        for index, annotation in enumerate(found, 1)
    ]


def _annotator(annotation: dict[str, Any]) -> str:
    metadata = annotation.get("annotation_metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    people = [metadata.get(key) for key in ("annotator", "curator")]
    names = [person.get("name") for person in people if isinstance(person, dict)]
    return next((name for name in names if isinstance(name, str) and name), "")


def _stated(annotation: dict[str, Any]) -> str:
    sandbox = annotation.get("sandbox")
    return "positions" if isinstance(sandbox, dict) and sandbox.get("convention") == "positions" else ""


def _observations(data: object, path: str | Path) -> list[Any]:
    if isinstance(data, list):
        return data
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        if len({len(column) for column in data.values()}) > 1:
            raise InputError("its columns of beats have different lengths", path=path)
        return [dict(zip(data, row, strict=True)) for row in zip(*data.values(), strict=True)]
    raise InputError("its annotation of beats has no data", path=path)


def _with_position_confidences(annotation: dict[str, Any], path: str | Path) -> list[tuple[Any, float | None]]:
    """Pair each observation with the confidence of its position; None where the file has no list of them."""
    observations, sandbox = _observations(annotation.get("data"), path), annotation.get("sandbox")
    sure = sandbox.get("position_confidence") if isinstance(sandbox, dict) else None
    if not isinstance(sure, list) or len(sure) != len(observations):
        sure = [None]
    if not all(_is_number(value) and 0 <= value <= 1 for value in sure):
        return [(observation, None) for observation in observations]
    return list(zip(observations, map(float, sure), strict=True))


def _mark(number: int, observation: object, path: str | Path, position_confidence: float | None) -> Marker:
    if not isinstance(observation, dict) or not _is_number(observation.get("time")):
        raise InputError(f"beat {number} has no time", path=path)
    value, confidence = observation.get("value"), observation.get("confidence")
    if isinstance(value, dict):
        value = value.get("position")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        value = ""
    if _is_number(value):
        value = str(int(value)) if value == int(value) else repr(float(value))
    if not isinstance(value, str):
        raise InputError(f"beat {number} has {str(value)[:40]!r} as its position in the bar", path=path)
    if isinstance(confidence, float) and math.isnan(confidence):
        confidence = None
    if confidence is not None and not _is_number(confidence):
        raise InputError(f"beat {number} has {str(confidence)[:40]!r} as its confidence", path=path)
    if confidence is not None and not 0 <= confidence <= 1:
        raise InputError(f"the confidence of beat {number} is not between 0 and 1", path=path)
    return Marker(
        float(observation["time"]),
        value,
        number,
        confidence=None if confidence is None else float(confidence),
        position_confidence=position_confidence,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def dump(beats: Beats, metadata: Metadata) -> str:
    """Write one annotation of beats, in which unknown positions are null.

    Provenance is in the sandbox of the annotation, its version also in `annotation_metadata`, and its comment in the
    sandbox of the file. Without a duration, the annotation ends with the last beat.
    """
    last_s = float(beats.times_s[-1]) if len(beats) else 0.0
    duration = last_s if metadata.duration_s is None else float(metadata.duration_s)
    sure = [None] * len(beats) if beats.confidence is None else beats.confidence.tolist()
    data = [
        {"time": time, "duration": 0.0, "value": position or None, "confidence": confidence}
        for (time, position), confidence in zip(beats, sure, strict=True)
    ]
    plain = format_labels(beats) == [str(position or "") for _, position in beats]
    sandbox: dict[str, Any] = {} if plain else {"convention": "positions"}
    if beats.position_confidence is not None:
        sandbox["position_confidence"] = beats.position_confidence.tolist()
    if metadata.provenance:
        sandbox["levada"] = dict(metadata.provenance)
    annotation = {
        "namespace": "beat",
        "annotation_metadata": {
            "annotation_tools": "levada",
            "data_source": "program",
            "version": (metadata.provenance or {}).get("version", ""),
        },
        "time": 0.0,
        "duration": duration,
        "sandbox": sandbox,
        "data": data,
    }
    comment = {"origin": metadata.comment} if metadata.comment else {}
    file = {"identifiers": {}, "duration": duration, "jams_version": "0.3.4"}
    whole = {"sandbox": comment, "file_metadata": file, "annotations": [annotation]}
    return json.dumps(whole, indent=1) + "\n"
