"""The card of a pretrained tracker: what its pieces were made of, and under which licences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.data.sources import Source, combined_licence
from levada.learning.card import Card, lineage
from levada.synth.traditions import list_traditions as shipped_traditions
from levada.synth.traditions import read_tradition

if TYPE_CHECKING:
    from levada.beat_tracking.pretraining import PretrainSettings

__all__ = ["card"]


def card(settings: PretrainSettings, *, name: str, start: Card | None = None) -> Card:
    """Return the card of a base tracker that was trained with these settings, from a model or from nothing."""
    pieces = settings.first_pieces + int(settings.steps * settings.pieces_per_step)
    performed = (
        f" {settings.traditions:.0%} are played by the traditions that come with levada "
        f"({', '.join(shipped_traditions())}), {settings.soloists:.0%} of these by one or two instruments alone. "
        f"{_checked()} The others:"
        if settings.traditions
        else " All are of drum kits and bands; none is of the percussion ensemble of a tradition."
    )
    mixed = f", interpolated with its start (alpha {settings.alpha:g})" if settings.start and settings.alpha < 1 else ""
    before = f" Data of its start: see {Path(settings.start).name}." if settings.start else ""
    fonts = (
        f" SoundFonts beside synthesised voices: {', '.join(settings.soundfonts)} (MIT)." if settings.soundfonts else ""
    )
    own = Source(name, "CC-BY-4.0" if settings.material.groove else "Apache-2.0")
    sources = () if start is None else (*lineage(start), own)
    except_start = " except those that its start was adapted to" if start is not None and start.trained_on else ""
    return Card(
        name=name,
        origin=f"Trained from {Path(settings.start).name or 'nothing'} by `levada pretrain` in {settings.steps} steps "
        f"on rendered music alone{mixed}; trained on no recordings{except_start}.",
        licence=combined_licence(sources or [own]),
        data=f"{pieces} pieces of up to {settings.material.piece_s:g} s, composed and rendered by levada."
        f"{performed} {settings.material.sources()}{fonts}{before}",
        minutes=round(pieces * settings.material.piece_s / 60, 1),
        scores={"on real recordings": "benchmarks/RESULTS.md of the project"},
        trained_on={} if start is None else start.trained_on,
        sources=sources,
    )


def _checked() -> str:
    """Return which traditions have a metre that no source was compared with, or only in part."""
    traditions = [read_tradition(name) for name in shipped_traditions()]
    none = ", ".join(one.name for one in traditions if not one.checked)
    part = ", ".join(one.name for one in traditions if one.checked and one.unchecked)
    return f"Their metre was compared with sources, but for {none}, and in part for {part}."
