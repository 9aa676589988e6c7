"""Studies: how many minutes of labels, which, and which strategy; a grid of runs on any corpora.

A TOML file names corpora, budgets, strategies, bases and the rest (`spec`). Every combination is a run (`grid`), with a
hash of its configuration as id, and done here, by a pool of processes or on other machines (`run`, `runner`). Its
folder holds configuration, scores and costs (`store`); `levada report` makes a page of them.

>>> summary = run_study("studies/minutes.toml", out="runs")     # doctest: +SKIP
>>> runs = read_runs("runs")                                     # doctest: +SKIP
"""

from __future__ import annotations

from levada.experiments.runner import Summary, processes_that_fit, run_study
from levada.experiments.spec import Study, read_spec, with_corpus
from levada.experiments.store import Run, read_runs

__all__ = ["Run", "Study", "Summary", "processes_that_fit", "read_runs", "read_spec", "run_study", "with_corpus"]
