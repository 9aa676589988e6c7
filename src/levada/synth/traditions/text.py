"""Text descriptions of traditions: properties, and patterns as grids under a ruler of beats and tatums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from textwrap import wrap

from levada.synth.traditions.model import Instrument, Tradition

__all__ = ["describe", "format_tradition"]


def describe(tradition: Tradition) -> dict[str, str]:
    """Describe the whole ensemble, one phrase for each property.

    Returns
    -------
    dict of str to str
        "cycle", "tempo", "microtiming", "players" and "form", unless empty.
    """
    mean, deviation = tradition.tempo_bpm
    faster, differs = (100 * value for value in tradition.acceleration)
    hurry = f"{abs(faster):.1f}% {'faster' if faster > 0 else 'slower'} at the end" if round(faster, 1) else "steady"
    form, ensemble = tradition.form, tradition.ensemble
    goes = [f"sections of {_span(form.section)} cycle{'' if form.section == (1, 1) else 's'}"]
    goes += [
        f"{what} in {chance:.0%}"
        for what, chance in (("entries one by one", form.entries), ("breaks", form.breaks), ("endings", form.endings))
        if chance
    ]
    facts = {
        "cycle": f"{_count(tradition.beats, 'beat')} of {_tatums(tradition)}",
        "tempo": f"{mean:g} ± {deviation:g} bpm; {hurry} (± {differs:.0f}%)",
        "microtiming": _late(tradition, tradition.microtiming, tradition.spread),
        "players": f"{_span(ensemble)} in all" if ensemble else "",
        "form": "; ".join(goes),
    }
    return {fact: text for fact, text in facts.items() if text}


def format_tradition(tradition: Tradition, *, width: int = 80) -> list[str]:
    """Format a tradition as lines of text.

    Parameters
    ----------
    tradition : Tradition
    width : int
        Columns of the page. Longer cycles are split into several systems, each with a ruler.

    Returns
    -------
    list of str
        Title, facts, every instrument with its patterns, the legend and the sources.
    """
    lines = [tradition.title or tradition.name, *wrap(tradition.about, width), ""]
    for fact, text in describe(tradition).items():
        lines += wrap(text, width, initial_indent=f"{fact:13}", subsequent_indent=" " * 13)
    margin = max(9, *(len(part.name) + 2 for part in tradition.instruments))
    systems = list(_systems(tradition, width - margin))
    lines += ["", " " * margin + _ruler(tradition, *systems[0])] if len(systems) == 1 else [""]
    for part in tradition.instruments:
        lines += wrap(
            _describe_part(part, tradition),
            width,
            initial_indent=part.name.ljust(margin),
            subsequent_indent=" " * margin,
        ) or [part.name]
        for first, last, gap in systems:
            if len(systems) > 1:
                lines.append(" " * margin + _ruler(tradition, first, last, gap))
            for label, grid in _rows(part):
                for start in range(0, len(grid), tradition.cycle):
                    letters = grid[start + tradition.tatums_before(first) : start + tradition.tatums_before(last)]
                    shown = label if start == 0 else ""
                    lines.append(
                        f"{shown:>{margin - 2}}  {_spaced(letters, tradition.beat_tatums[first:last], gap)}".rstrip()
                    )
        lines.append("")
    lines += _metre(tradition, width)
    lines += ["x stroke   o ghost note   . rest   a capital is an accent"]
    if tradition.sources:
        lines += ["", "sources"]
    for source in tradition.sources:
        lines += wrap(source, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    return lines


def _metre(tradition: Tradition, width: int) -> list[str]:
    """Return what the metre was compared with, and what was not."""
    lines = list[str]()
    for index, evidence in enumerate(tradition.checked):
        beats = ", ".join(f"{beat:g}" for beat in evidence.beats)
        found = f"{evidence.instrument} {' '.join(evidence.strokes)} on {beats}: {evidence.source}"
        heading = f"{'' if index else 'checked':13}"
        lines += wrap(found, width, initial_indent=heading, subsequent_indent=" " * 15, break_on_hyphens=False)
    if tradition.unchecked:
        lines += wrap(tradition.unchecked, width, initial_indent=f"{'unchecked':13}", subsequent_indent=" " * 15)
    return [*lines, ""] if lines else []


def _systems(tradition: Tradition, width: int) -> Iterator[tuple[int, int, str]]:
    """Return ranges of beats that fit on a line, and the separator of tatums."""
    beats, tatums = tradition.beats, tradition.tatums
    if 2 * tradition.cycle - 1 <= width:
        yield 0, beats, " "
        return
    fit = max(1, (width + 1) // (tatums + 1))
    even = max(count for count in range(1, beats + 1) if beats % count == 0 and count <= fit)
    step = even if 2 * even > min(fit, beats) else fit
    for first in range(0, beats, step):
        yield first, min(first + step, beats), ""


def _ruler(tradition: Tradition, first: int, last: int, gap: str) -> str:
    """Return a ruler with the numbers of beats, cut to the last digit if space is short."""
    cells = []
    for beat in range(first + 1, last + 1):
        number = str(beat) if len(gap) + tradition.tatums > 2 or beat < 10 else str(beat % 10)
        rest = [gap + "."] * (tradition.beat_tatums[beat - 1] - 1)
        if len(number) > 1 and rest:
            rest[0] = rest[0][len(number) - 1 :] if gap else ""
        cells.append(number + "".join(rest))
    return " ".join(cells)


def _spaced(letters: str, tatums: Sequence[int], gap: str) -> str:
    ends = list(accumulate(tatums))
    return " ".join(gap.join(letters[end - length : end]) for end, length in zip(ends, tatums, strict=True))


def _tatums(tradition: Tradition) -> str:
    """Return the tatums of a beat, or of each beat where these are not all the same."""
    return "+".join(map(str, tradition.unequal)) + " tatums" if tradition.unequal else _count(tradition.tatums, "tatum")


def _rows(part: Instrument) -> Iterator[tuple[str, str]]:
    total = sum(pattern.probability for pattern in part.patterns)
    for pattern in part.patterns:
        yield "" if len(part.patterns) == 1 else f"{100 * pattern.probability / total:.0f}%", pattern.grid
    for kind, grids in (("call", part.calls), ("fill", part.fills)):
        for grid in grids:
            yield kind, grid


def _describe_part(part: Instrument, tradition: Tradition) -> str:
    """Describe an instrument: voice, stroke letters, players, presence, level, timing."""
    parts = [part.voice] if part.voice != part.name else []
    parts.append(", ".join(f"{letter} {stroke}" for letter, stroke in part.strokes.items()))
    if part.players != (1, 1):
        parts.append(f"{_span(part.players)} players")
    if part.presence < 1:
        parts.append(f"there in {100 * part.presence:.0f}%")
    if part.level_db:
        parts.append(f"{part.level_db:+g} dB")
    if part.enters is not None:
        parts.append(f"enters after {_count(part.enters, 'cycle')}" if part.enters else "enters first")
    if part.calls:
        parts.append(f"calls in {100 * part.call_chance:.0f}%")
    if part.fills:
        parts.append(f"fills in {100 * part.fill_chance:.0f}%")
    if part.microtiming or part.spread is not None:
        spread = tradition.spread if part.spread is None else part.spread
        parts.append(_late(tradition, part.microtiming or tradition.microtiming, spread))
    return "; ".join(filter(None, parts))


def _late(tradition: Tradition, microtiming: tuple[float, ...], spread: float) -> str:
    beat_ms = 60000 / tradition.tempo_bpm[0]
    places = " ".join(f"{round(beat_ms * late):+d}" if round(beat_ms * late) else "0" for late in microtiming)
    on = f"{places} ms" if any(microtiming) else "on the grid"
    return f"{on}, strokes ± {beat_ms * spread:.0f} ms"


def _span(span: tuple[int, int]) -> str:
    return f"{span[0]}" if span[0] == span[1] else f"{span[0]} to {span[1]}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
