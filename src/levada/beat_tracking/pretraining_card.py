"""The card of a pretrained tracker: what its pieces were made of, and under which licences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.data.sources import Source, combined_licence
from levada.learning.card import Card, lineage
from levada.synth.traditions import list_traditions as shipped_traditions

if TYPE_CHECKING:
    from levada.beat_tracking.pretraining import PretrainSettings

__all__ = ["card"]


def card(settings: PretrainSettings, *, name: str, start: Card | None = None) -> Card:
    """What is to be known of a base model made with these settings, from the model of that card or from nothing."""
    pieces = settings.first_pieces + int(settings.steps * settings.pieces_per_step)
    heard = (
        f" {settings.traditions:.0%} are played by the traditions that come with levada "
        f"({', '.join(shipped_traditions())}). Of the others:"
        if settings.traditions
        else " It has heard kits and bands only, no percussion ensemble of any tradition."
    )
    halfway = f", and {settings.partway:.0%} of the way there" if settings.start and settings.partway < 1 else ""
    before = f" Before that: see {Path(settings.start).name}." if settings.start else ""
    fonts = f" SoundFonts beside our own voices: {', '.join(settings.soundfonts)} (MIT)." if settings.soundfonts else ""
    own = Source(name, "CC-BY-4.0" if settings.material.groove else "Apache-2.0")
    sources = () if start is None else (*lineage(start), own)
    but = " but those that its start was adapted to" if start is not None and start.trained_on else ""
    return Card(
        name=name,
        origin=f"Trained from {Path(settings.start).name or 'nothing'} by `levada pretrain` in {settings.steps} steps "
        f"on rendered music alone{halfway}; it has heard no recording{but}.",
        licence=combined_licence(sources or [own]),
        data=f"{pieces} pieces of up to {settings.material.piece_s:g} s, composed and rendered by levada."
        f"{heard} {settings.material.sources()}{fonts}{before}",
        minutes=round(pieces * settings.material.piece_s / 60, 1),
        scores={"on real recordings": "benchmarks/RESULTS.md of the project"},
        trained_on={} if start is None else start.trained_on,
        sources=sources,
    )
