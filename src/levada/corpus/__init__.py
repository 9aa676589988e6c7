"""Corpora: recordings with beat annotations, from a folder or through mirdata, and budgets drawn from them.

A corpus is data: tracks, each with its audio, its annotation and its *group* (performer, session or
instrument set), and the licence and citation that travel with every model learnt from it. Files are read when
asked for.

>>> corpus = open_corpus("my-recordings")                                   # doctest: +SKIP
>>> train, test = split(corpus, test=0.5, rng=np.random.default_rng(0))      # doctest: +SKIP
>>> spans = draw(train, minutes=1.5, rng=np.random.default_rng(0))           # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from levada.corpus.budget import annotated_span, draw, hold_out, split
from levada.corpus.check import Problem, Report, Row, check
from levada.corpus.folder import open_folder, single
from levada.corpus.mirdata import get, open_mirdata
from levada.corpus.tracks import Corpus, Span, Track

__all__ = [
    "Corpus",
    "Problem",
    "Report",
    "Row",
    "Span",
    "Track",
    "annotated_span",
    "check",
    "draw",
    "get",
    "hold_out",
    "open_corpus",
    "open_folder",
    "open_mirdata",
    "single",
    "split",
]

MIRDATA = "mirdata:"


def open_corpus(spec: str | Path, *, home: str | Path | None = None) -> Corpus:
    """Open a corpus by the name a user gives it.

    Parameters
    ----------
    spec : str or path-like
        A folder of recordings, or ``mirdata:NAME`` (``mirdata:NAME@VERSION``) for a dataset mirdata knows.
    home : path-like or None
        Where mirdata's datasets lie, one folder each; ``~/mir_datasets`` by default. Folders do not need it.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        If there is no such folder, it has no audio or a wrong `corpus.toml`, or the dataset is not
        downloaded.
    MissingExtra
        If mirdata is asked for and not installed.
    """
    if str(spec).startswith(MIRDATA):
        return open_mirdata(str(spec).removeprefix(MIRDATA), home=home)
    return open_folder(spec)
