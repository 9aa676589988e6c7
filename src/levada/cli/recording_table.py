"""The table at the end of tracking a folder, with the least certain recordings first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from levada.cli import terminal
from levada.io.text import clock

__all__ = ["print_recordings", "recordings_by_certainty"]

MOST_ROWS = 30
LONGEST_NAME = 34
PLAIN = ("path", "file", "tempo_bpm", "metre", "tempo_changes", "beats", "confidence", "position_confidence",
         "alternative", "alternative_probability", "octave_probability", "half_bar_probability", "compared_with",
         "agreement", "pieces")  # fmt: skip


def recordings_by_certainty(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is known of each tracked recording, the least certain first.

    Certainty is the lower of the confidence of the positions, or of the times where positions have none, and of the
    agreement with the other tracker, where there is one. Recordings without beats come first.

    Parameters
    ----------
    rows : sequence of mapping
        As of `levada.io.batch.BatchReport`.
    """
    tracked = [{key: row.get(key) for key in PLAIN} for row in rows if row["status"] in ("written", "kept")]
    return sorted(tracked, key=_certainty)


def _certainty(row: Mapping[str, Any]) -> float:
    if not row["beats"]:
        return -1.0
    confidence = row["confidence"] if row["position_confidence"] is None else row["position_confidence"]
    return min((value for value in (confidence, row["agreement"]) if value is not None), default=math.inf)


def print_recordings(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the recordings that `recordings_by_certainty` returns, the first of many."""
    compared = next((row["compared_with"] for row in rows if row["compared_with"]), "")
    headings = ["recording", "bpm", "metre", "changes", "time", "position", "or else", "p"]
    cells = list[list[str]]()
    for row in rows[:MOST_ROWS]:
        one = [
            _shortened(row["path"]),
            "–" if row["tempo_bpm"] is None else f"{row['tempo_bpm']:.1f}",
            row["metre"] or "–",
            "–" if row["tempo_changes"] is None else str(row["tempo_changes"]),
            *(_probability(row[key]) for key in ("confidence", "position_confidence")),
            row["alternative"] or "–",
            _probability(row["alternative_probability"]),
            *([_probability(row["agreement"])] if compared else []),
        ]
        cells.append(one)
        pieces = row.get("pieces") or []
        cells += [_piece(piece, len(one)) for piece in pieces if len(pieces) > 1]
    terminal.print_table([*headings, *([f"F of {compared}"] if compared else [])], cells)
    if len(rows) > MOST_ROWS:
        print(f"… and {len(rows) - MOST_ROWS} more, which are more certain; --table lists all")
    print("time, position: probability that a beat, and that its position too, is right; or else: the next reading")


def _probability(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _piece(piece: Mapping[str, Any], columns: int) -> list[str]:
    """Return the cells of a piece of a recording, which follow those of the recording."""
    span = f"  {clock(piece['start_s'])} to {clock(piece['end_s'])}"
    cells = [span, f"{piece['tempo_bpm']:.1f}", str(piece["metre"] or "–")]
    return cells + [""] * (columns - len(cells))


def _shortened(name: str) -> str:
    """Return the end of a long path."""
    return name if len(name) <= LONGEST_NAME else "…" + name[1 - LONGEST_NAME :]
