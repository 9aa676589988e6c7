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

from levada.lazy import lazy_names
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

__getattr__, __dir__ = lazy_names(
    globals(),
    {
        "BeatTracker": "levada.beat_tracking.tracker",
        "Beats": "levada.io.beats",
        "Player": "levada.player.player",
        "Separator": "levada.separation.separator",
        "Stems": "levada.separation.separator",
        "evaluate": "levada.models.evaluation",
        "load_corpus": "levada.data",
        "read_beats": "levada.io.formats",
        "render": "levada.synth.render:render_tradition",
    },
)
