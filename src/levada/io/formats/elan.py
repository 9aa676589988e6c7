"""Annotations of ELAN, `.eaf`: XML with time slots in milliseconds, and tiers whose annotations begin and end there."""

from __future__ import annotations

from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker, spans_ms
from levada.io.formats.provenance import Metadata
from levada.io.formats.xml_reader import comment, escape, parse_xml

__all__ = ["dump", "parse"]


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read all tiers that have times; where an annotation begins is a mark.

    Raises
    ------
    InputError
        If it is not whole, or a time slot is damaged.
    """
    root = parse_xml(text, path=path)
    slots: dict[str, float] = {}
    for slot in root.iter("TIME_SLOT"):
        value = slot.get("TIME_VALUE")
        if value is None:
            continue  # ELAN leaves some open
        if not value.lstrip("-").isascii() or not value.lstrip("-").isdigit() or len(value) > 12:
            raise InputError(f"has a damaged time of {value[:20]!r} ms", path=path)
        slots[slot.get("TIME_SLOT_ID", "")] = int(value) / 1000
    layers = []
    for tier in root.iter("TIER"):
        marks = []
        for number, annotation in enumerate(tier.iter("ALIGNABLE_ANNOTATION"), 1):
            start = slots.get(annotation.get("TIME_SLOT_REF1", ""))
            end = slots.get(annotation.get("TIME_SLOT_REF2", ""))
            if start is None:
                raise InputError(f"annotation {number} of tier {tier.get('TIER_ID')!r} has no time", path=path)
            marks.append(Marker(start, (annotation.findtext("ANNOTATION_VALUE") or "").strip(), number, end))
        layers.append(Layer(tuple(marks), tier.get("TIER_ID") or "", unit="annotation", is_sorted=False))
    return layers


def dump(beats: Beats, metadata: Metadata) -> str:
    """Write one tier, whose annotations last 50 ms or up to the next beat; times are rounded to milliseconds."""
    spans = spans_ms(beats)
    slots = sorted({time for span in spans for time in span})
    names = {time: f"ts{number}" for number, time in enumerate(slots, 1)}
    order = "".join(f'    <TIME_SLOT TIME_SLOT_ID="{names[time]}" TIME_VALUE="{time}"/>\n' for time in slots)
    annotations = "".join(
        f'    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" TIME_SLOT_REF1="{names[start]}" '
        f'TIME_SLOT_REF2="{names[end]}"><ANNOTATION_VALUE>{escape(text)}</ANNOTATION_VALUE>'
        "</ALIGNABLE_ANNOTATION></ANNOTATION>\n"
        for number, ((start, end), text) in enumerate(zip(spans, format_labels(beats), strict=True), 1)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"{comment(metadata.comment)}"
        '<ANNOTATION_DOCUMENT AUTHOR="" DATE="1970-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">\n'
        '  <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>\n'
        f"  <TIME_ORDER>\n{order}  </TIME_ORDER>\n"
        '  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="beats">\n'
        f"{annotations}  </TIER>\n"
        '  <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>\n'
        "</ANNOTATION_DOCUMENT>\n"
    )
