"""Recordings are taken apart: a file an instrument, which sum to what was recorded."""

from levada.separate.masking import MaskSeparator, Separator, level_of, masked, matched
from levada.separate.masks import Oracle, net_separator, nmf_separator, oracle

__all__ = [
    "MaskSeparator",
    "Oracle",
    "Separator",
    "level_of",
    "masked",
    "matched",
    "net_separator",
    "nmf_separator",
    "oracle",
]
