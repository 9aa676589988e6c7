"""Beat grids of programs for disc jockeys, read only: rekordbox's XML and Traktor's NML.

Both hold collections: of several recordings the one is read whose file has the name of the annotation, and `layer:NAME`
chooses another. A grid is a list of places where a tempo begins: beats are counted on from each to the next, and from
the last to the end of the recording. rekordbox numbers the beats of the bar (Battito); Traktor's markers are downbeats
of bars of four, by its documentation, which a note states.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from levada.errors import InputError
from levada.io.formats.layers import Layer, Marker, normalize_text
from levada.io.formats.xml_reader import parse_number, parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["parse_rekordbox", "parse_traktor"]

_MOST = 200_000  # beats of a recording
Anchor = tuple[float, float, int, int]  # time in seconds, bpm, position of its beat in the bar, beats of the bar


def parse_rekordbox(text: str, *, path: str | Path) -> list[Layer]:
    """Read the grids of all recordings of a rekordbox collection.

    Raises
    ------
    InputError
        If a time or a tempo is damaged.
    """
    layers = []
    for track in parse_xml(text, path=path).iter("TRACK"):
        anchors = []
        for tempo in track.iter("TEMPO"):
            metre = tempo.get("Metro", "4/4").partition("/")[0]
            time_s, bpm = _number(tempo, "Inizio", path), _number(tempo, "Bpm", path)
            beats = int(metre) if re.fullmatch("[0-9]{1,2}", metre) else 4
            anchors.append((time_s, bpm, int(_number(tempo, "Battito", path, "1")), beats))
        end = _number(track, "TotalTime", path, "0")
        name = PurePosixPath(unquote(track.get("Location", ""))).stem or track.get("Name", "")
        layers.append(_layer(name, anchors, end, path, ()))
    return layers


def parse_traktor(text: str, *, path: str | Path) -> list[Layer]:
    """Read the grids of all recordings of a Traktor collection; errors as of `parse_rekordbox`."""
    layers = []
    note = "Traktor's grid has no metre: its markers are taken for downbeats of bars of four"
    for entry in parse_xml(text, path=path).iter("ENTRY"):
        tempo, info, location = entry.find("TEMPO"), entry.find("INFO"), entry.find("LOCATION")
        bpm = 0.0 if tempo is None else _number(tempo, "BPM", path, "0")
        anchors = []
        for cue in entry.iterfind(".//CUE_V2[@TYPE='4']"):
            grid = cue.find("GRID")
            cue_bpm = bpm if grid is None else _number(grid, "BPM", path, str(bpm))
            anchors.append((_number(cue, "START", path) / 1000, cue_bpm, 1, 4))
        end = 0.0
        if info is not None:
            end = _number(info, "PLAYTIME_FLOAT", path, info.get("PLAYTIME", "0"))
        name = "" if location is None else PurePosixPath(location.get("FILE", "")).stem
        layers.append(_layer(name or entry.get("TITLE", ""), anchors, end, path, (note,)))
    return layers


def _layer(name: str, anchors: list[Anchor], end: float, path: str | Path, notes: tuple[str, ...]) -> Layer:
    anchors.sort()
    last = [(max(end, anchors[-1][0] + 1e-3), 1.0, 1, 4)] if anchors else []
    marks: list[Marker] = []
    for (start, bpm, position, metre), (stop, *_) in pairwise([*anchors, *last]):
        if not 10 <= bpm <= 1000 or not 1 <= position <= 64 or metre < 1:
            raise InputError(f"{name}: a grid of {bpm:g} bpm and beat {position} is invalid", path=path)
        beat = 60 / bpm
        count = (stop - start) / beat
        if count > _MOST or len(marks) > _MOST:
            raise InputError(f"{name}: a grid of more than {_MOST} beats is invalid", path=path)
        is_end = stop == last[0][0]
        beats = int(count) + 1 if is_end else max(1, round(count))
        marks += [
            Marker(start + i * beat, str((position - 1 + i) % metre + 1), len(marks) + i + 1) for i in range(beats)
        ]
    own = normalize_text(name) == normalize_text(Path(path).stem)
    return Layer(
        tuple(marks), name, 1 if own else -1, "beat", "positions", is_sorted=False, notes=notes if marks else ()
    )


def _number(element: Element, name: str, path: str | Path, otherwise: str = "") -> float:
    return parse_number(element.get(name, otherwise), name, path=path)
