"""Corpora: recordings with beat annotations or with stems, from a folder or through mirdata, and budgets of them.

A corpus is data: tracks, each with its audio, its annotation and its *group* (performer, session or
instrument set), and the licence and citation that travel with every model learnt from it. Files are read when
asked for.

>>> corpus = open_corpus("my-recordings")                                   # doctest: +SKIP
>>> train, test = split(corpus, test=0.5, rng=np.random.default_rng(0))      # doctest: +SKIP
>>> spans = draw(train, minutes=1.5, rng=np.random.default_rng(0))           # doctest: +SKIP

A corpus of stems has songs, of which it is known what each instrument plays:

>>> corpus = open_stems("my-stems")                                          # doctest: +SKIP
>>> train, test = split_stems(corpus, rng=np.random.default_rng(0))          # doctest: +SKIP
>>> spans = draw_stems(train, minutes=1.5, rng=np.random.default_rng(0))     # doctest: +SKIP
>>> stems, mixture = spans[0].read(corpus.instruments, rate=44100)           # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from levada.data.budget import draw, hold_out, split
from levada.data.check import Report, Row, check
from levada.data.folder import open_folder, single
from levada.data.label_check import check_labels, usable
from levada.data.loading import load_corpus
from levada.data.mirdata import get, open_mirdata
from levada.data.multitracks import REST, Multitrack, StemCorpus, StemSpan
from levada.data.problems import Problem, say_notes
from levada.data.spans import annotated_spans
from levada.data.stem_budget import draw_stems, split_stems, whole
from levada.data.stem_check import check_stems
from levada.data.stem_folder import open_stem_folder
from levada.data.stem_mirdata import open_stem_mirdata
from levada.data.tracks import Corpus, Span, Track

__all__ = [
    "REST",
    "Corpus",
    "Multitrack",
    "Problem",
    "Report",
    "Row",
    "Span",
    "StemCorpus",
    "StemSpan",
    "Track",
    "annotated_spans",
    "check",
    "check_labels",
    "check_stems",
    "draw",
    "draw_stems",
    "get",
    "hold_out",
    "load_corpus",
    "open_corpus",
    "open_folder",
    "open_mirdata",
    "open_stem_folder",
    "open_stem_mirdata",
    "open_stems",
    "say_notes",
    "single",
    "split",
    "split_stems",
    "usable",
    "whole",
]

MIRDATA = "mirdata:"


def open_corpus(spec: str | Path, *, home: str | Path | None = None, convention: str = "") -> Corpus:
    """Open a corpus by the name a user gives it.

    Parameters
    ----------
    spec : str or path-like
        A folder of recordings, or ``mirdata:NAME`` (``mirdata:NAME@VERSION``) for a dataset mirdata knows.
    home : path-like or None
        Where mirdata's datasets lie, one folder each; ``~/mir_datasets`` by default. Folders do not need it.
    convention : str
        What the labels of a folder mean, where it cannot be told: a name in `levada.io.formats.CONVENTIONS`.

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
    return open_folder(spec, convention=convention)


def open_stems(
    place: str | Path, *, home: str | Path | None = None, instruments: Mapping[str, str] | None = None
) -> StemCorpus:
    """Open a corpus of stems, or of solos, by the name a user gives it.

    Parameters
    ----------
    place : str or path-like
        A folder (`levada.data.stem_folder` says how it may look), or ``mirdata:NAME`` for a dataset with stems or
        solos.
    home : path-like or None
        Where mirdata's datasets lie, as for `open_corpus`.
    instruments : mapping of str to str, optional
        In a folder, a file's path without suffix, or a pattern -> its instrument, where its name says too little.

    Returns
    -------
    StemCorpus

    Raises
    ------
    InputError
        If there is no such folder, it has no stems or a wrong `corpus.toml`, or the dataset is not downloaded.
    MissingExtra
        If mirdata is asked for and not installed.
    """
    if str(place).startswith(MIRDATA):
        return open_stem_mirdata(str(place).removeprefix(MIRDATA), home=home)
    return open_stem_folder(place, instruments=instruments)
