"""The version of the code, as far as results of runs may depend on it.

Everything in the package counts, data too, but a short list of packages that no run and no rendering can reach by any
import: a new module counts until somebody lists it. Sources count by their bytes, comments included.
"""

from __future__ import annotations

from levada.io.package_digest import package_digest
from levada.version import __version__

__all__ = ["ASIDE", "code_digest"]

ASIDE = frozenset(
    [
        *("cli", "experiments/report", "experiments/cluster", "models/export", "models/onnx"),
        *("beat_tracking/plots", "separation/plots", "learning/figures"),
        *(
            "beat_tracking/pretraining",
            "beat_tracking/pretraining_card",
            "separation/pretraining",
            "models/pretraining",
        ),
        *("synth/composition", "synth/songs", "synth/arrangement"),
    ]
)
"""What cannot change the result of a run: a test follows all imports from `experiments.runner` and
`experiments.run`."""


def code_digest() -> str:
    """Version and 16 hexadecimal digits that change with every file of the package outside `ASIDE`."""
    return f"{__version__}-{package_digest(ASIDE)[:16]}"
