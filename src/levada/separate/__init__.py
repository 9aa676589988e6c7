"""Recordings are taken apart: a file an instrument, which sum to what was recorded."""

from levada.separate.folder import separate_folder
from levada.separate.masking import MaskSeparator, Separator, level_of, masked, matched
from levada.separate.masks import Oracle, net_separator, nmf_separator, oracle
from levada.separate.recording import Separated, outputs, separate_file

__all__ = [
    "MaskSeparator",
    "Oracle",
    "Separated",
    "Separator",
    "level_of",
    "masked",
    "matched",
    "net_separator",
    "nmf_separator",
    "oracle",
    "outputs",
    "separate_file",
    "separate_folder",
]
