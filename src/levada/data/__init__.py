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

from levada.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(
    globals(),
    {
        "REST": "levada.data.multitracks",
        "Corpus": "levada.data.corpus",
        "DatasetInfo": "levada.data.mirdata",
        "Labels": "levada.data.corpus",
        "Multitrack": "levada.data.multitracks",
        "Problem": "levada.data.problems",
        "Report": "levada.data.checking",
        "Row": "levada.data.beat_check",
        "SongRow": "levada.data.stem_check",
        "Span": "levada.data.tracks",
        "Split": "levada.data.corpus",
        "Track": "levada.data.tracks",
        "annotated_spans": "levada.data.spans",
        "check": "levada.data.checking",
        "check_labels": "levada.data.label_check",
        "get": "levada.data.mirdata",
        "list_datasets": "levada.data.mirdata",
        "load_corpus": "levada.data.loading",
        "log_notes": "levada.data.problems",
        "sample": "levada.data.sampling",
        "single": "levada.data.folder",
        "usable": "levada.data.label_check",
    },
)
