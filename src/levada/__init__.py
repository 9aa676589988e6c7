"""Beat tracking and source separation adapted to a musical tradition from minutes of annotation.

>>> import levada
>>> corpus = levada.load_corpus("my-recordings")                             # doctest: +SKIP
>>> train, test = corpus.split(test_size=0.5, seed=0)                        # doctest: +SKIP
>>> base = levada.BeatTracker.from_pretrained("base")
>>> mine = base.adapt(train.sample(minutes=1.5, seed=0))                     # doctest: +SKIP
>>> print(levada.evaluate({"base": base, "mine": mine}, test).summary())     # doctest: +SKIP
>>> mine.track("song.wav").save("song.beats")                                # doctest: +SKIP

Names are imported when they are first used: ``import levada`` loads neither torch nor SciPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from levada.version import __version__

if TYPE_CHECKING:
    from levada.beat_tracking.tracker import BeatTracker
    from levada.data import load_corpus
    from levada.io.beats import Beats
    from levada.io.formats import read_beats
    from levada.models.evaluation import evaluate
    from levada.player.player import Player
    from levada.separation.separator import Separator, Stems
    from levada.synth.render import render_tradition as render

__all__ = [
    "BeatTracker",
    "Beats",
    "Player",
    "Separator",
    "Stems",
    "__version__",
    "evaluate",
    "load_corpus",
    "read_beats",
    "render",
]

_PLACES = {
    "BeatTracker": ("levada.beat_tracking.tracker", "BeatTracker"),
    "Beats": ("levada.io.beats", "Beats"),
    "Player": ("levada.player.player", "Player"),
    "Separator": ("levada.separation.separator", "Separator"),
    "Stems": ("levada.separation.separator", "Stems"),
    "evaluate": ("levada.models.evaluation", "evaluate"),
    "load_corpus": ("levada.data", "load_corpus"),
    "read_beats": ("levada.io.formats", "read_beats"),
    "render": ("levada.synth.render", "render_tradition"),
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'levada' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
