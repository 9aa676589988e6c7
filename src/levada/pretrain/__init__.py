"""Base models from nothing but rendered music: a tracker, and a separator."""

from levada.pretrain.beats import (
    Exam,
    Piece,
    PretrainSettings,
    card,
    describe,
    exam,
    hear,
    make,
    pretrain,
    read_settings,
)
from levada.pretrain.stems import StemPretrainSettings, make_separator, read_stem_settings

__all__ = [
    "Exam",
    "Piece",
    "PretrainSettings",
    "StemPretrainSettings",
    "card",
    "describe",
    "exam",
    "hear",
    "make",
    "make_separator",
    "pretrain",
    "read_settings",
    "read_stem_settings",
]
