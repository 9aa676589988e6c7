"""Corpora of recordings with beats and of songs with stems: from a folder, through mirdata, or rendered.

A corpus has tracks, each with its audio, its labels and its *group* (performer, session or instrument set), and the
licence and citation that travel with every model trained on it. Files are read on first use.

>>> corpus = load_corpus("my-recordings")                       # doctest: +SKIP
>>> train, test = corpus.split(test_size=0.5, seed=0)            # doctest: +SKIP
>>> spans = train.sample(minutes=1.5, seed=0)                    # doctest: +SKIP
>>> spans[0].beats                                               # doctest: +SKIP

A corpus of stems has songs with a recording of each instrument:

>>> corpus = load_corpus("my-stems")                             # doctest: +SKIP
>>> (span, *others) = corpus.sample(minutes=1.5, seed=0)         # doctest: +SKIP
>>> stems, mixture = span.read(corpus.instruments, rate=44100)   # doctest: +SKIP

Modules are imported when a name in them is first used: to track needs few of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from levada.data.beat_check import Row
    from levada.data.checking import Report, check
    from levada.data.corpus import Corpus, Labels, Split
    from levada.data.folder import single
    from levada.data.label_check import check_labels, usable
    from levada.data.loading import load_corpus
    from levada.data.mirdata import DatasetInfo, get, list_datasets
    from levada.data.multitracks import REST, Multitrack
    from levada.data.problems import Problem, log_notes
    from levada.data.sampling import sample
    from levada.data.spans import annotated_spans
    from levada.data.stem_check import SongRow
    from levada.data.tracks import Span, Track

__all__ = [
    "REST",
    "Corpus",
    "DatasetInfo",
    "Labels",
    "Multitrack",
    "Problem",
    "Report",
    "Row",
    "SongRow",
    "Span",
    "Split",
    "Track",
    "annotated_spans",
    "check",
    "check_labels",
    "get",
    "list_datasets",
    "load_corpus",
    "log_notes",
    "sample",
    "single",
    "usable",
]

_MODULES = {
    "REST": "multitracks",
    "Corpus": "corpus",
    "DatasetInfo": "mirdata",
    "Labels": "corpus",
    "Multitrack": "multitracks",
    "Problem": "problems",
    "Report": "checking",
    "Row": "beat_check",
    "SongRow": "stem_check",
    "Span": "tracks",
    "Split": "corpus",
    "Track": "tracks",
    "annotated_spans": "spans",
    "check": "checking",
    "check_labels": "label_check",
    "get": "mirdata",
    "list_datasets": "mirdata",
    "load_corpus": "loading",
    "log_notes": "problems",
    "sample": "sampling",
    "single": "folder",
    "usable": "label_check",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'levada.data' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"levada.data.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
