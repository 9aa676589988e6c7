"""A page beside the report that plays recordings with their labels and the beats of two methods, before and after."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

from levada.beat_tracking.task import read_estimates
from levada.data import Corpus, Track
from levada.errors import InputError, MissingExtra, suggest
from levada.experiments.corpora import FOLDER, data_digest, is_missing, open_source
from levada.experiments.report.results import Method, Results, Unit
from levada.experiments.report.text import leading_method, main_budget
from levada.experiments.spec import Source
from levada.experiments.store import Run
from levada.io.beats import Beats
from levada.player.player import Player, save_players
from levada.player.worst import excerpt_player

__all__ = ["PLAYERS", "PlayerPage", "write_players"]

PLAYERS = "players.html"
EXCERPT_S = 15.0
SCORES = ("beat_f", "downbeat_f")
LEAST = 0.01
"""Change of a mean score that makes a recording better or worse."""

_Pair = tuple[tuple[Method, float], tuple[Method, float]]


@dataclass(frozen=True)
class PlayerPage:
    """A page of players that was written.

    Parameters
    ----------
    recordings : tuple of str
        As "corpus: recording", in their order on the page.
    mb : float
        Size.
    licences : tuple of str
        A sentence for each corpus.
    notes : tuple of str
        Why others are not on it.
    """

    recordings: tuple[str, ...]
    mb: float
    licences: tuple[str, ...]
    notes: tuple[str, ...]


def write_players(
    path: Path,
    results: Results,
    *,
    runs: Path,
    most: int,
    recordings: Sequence[str] = (),
    methods: Sequence[str] = (),
) -> PlayerPage:
    """Write a page with excerpts of the recordings that got worse, and better, from one method to another.

    Of each recording it has the 15 s in which the two methods have most wrong beats, with the labels and the beats of
    both. It takes about 200 kB for each.

    Parameters
    ----------
    path : Path
    results : Results
    runs : Path
        The folder of the study.
    most : int
        Number of recordings of each corpus, in turn one that got worse and one that got better, those that changed most
        first; then those with the lowest scores.
    recordings : sequence of str
        Ids of recordings to show, in place of these.
    methods : sequence of str
        Names in tables of the method before and the one after. By default the base, and the trained method with the
        highest scores at the main budget.

    Raises
    ------
    InputError
        If there is no such recording or method, or none can be played: then why.
    """
    players, shown, licences, notes = list[Player](), list[str](), list[str](), list[str]()
    _check(results, recordings, methods)
    for corpus in results.corpora:
        try:
            pair = _pair(results, corpus, methods)
            chosen = _chosen(results, corpus, pair, recordings)
            if not recordings:
                chosen = chosen[:most]
            made = list(_players(results, corpus, pair, chosen, runs))
        except (InputError, MissingExtra) as error:
            notes.append(f"{corpus}: no players, as {error}")
            continue
        players += [player for player, _ in made]
        shown += [f"{corpus}: {track.id}" for _, track in made]
        licences += dict.fromkeys(f"Sound of {corpus}: {_licence(track)}." for _, track in made)
    if not players:
        raise InputError("; ".join(notes) or "no recording was scored with both methods", path=runs)
    title = "Recordings before and after adaptation"
    lead = [*licences, "The sound is in this page: publish it only where these licences permit it."]
    save_players(path, players, title=title, lead=lead)
    return PlayerPage(tuple(shown), path.stat().st_size / 1e6, tuple(licences), tuple(notes))


def _check(results: Results, recordings: Sequence[str], methods: Sequence[str]) -> None:
    if len(methods) not in (0, 2):
        raise InputError(f"two methods are compared, before and after, not {len(methods)}")
    for name in methods:
        known = [method.name for method in results.methods]
        if name not in known:
            raise InputError(f"there is no method {name!r}; {suggest(name, known)}")
    known = sorted({track for of in results.groups.values() for track in of})
    for recording in recordings:
        if recording not in known:
            raise InputError(f"no recording {recording!r} was scored; {suggest(recording, known)}")


def _pair(results: Results, corpus: str, names: Sequence[str]) -> _Pair:
    """Return the methods before and after, each with its budget."""
    minutes = main_budget(results, corpus)
    if names:
        by_name = {method.name: (method, amount) for method, amount in results.at(corpus, minutes or 0.0)}
        if absent := [name for name in names if name not in by_name]:
            raise InputError(f"it was not scored with {' and '.join(absent)}")
        return by_name[names[0]], by_name[names[1]]
    after = None if minutes is None else leading_method(results, corpus, minutes)
    before = None if after is None else results.base_of(corpus, after)
    if before is None and after is not None:  # a strategy from scratch alone
        before = next(iter(results.external_of(corpus, after)), None)
    if minutes is None or after is None or before is None:
        raise InputError("nothing was adapted to it, or no model was scored without labels")
    return (before, 0.0), (after, minutes)


def _chosen(results: Results, corpus: str, pair: _Pair, recordings: Sequence[str]) -> list[Unit]:
    """Return a seed and a recording for each recording: the seed in which its score changed most."""
    before, after = (_means(results, corpus, *one) for one in pair)
    gains = {unit: after[unit] - before[unit] for unit in after if unit in before}
    largest = dict[str, Unit]()
    for unit in sorted(gains, key=lambda unit: (-abs(gains[unit]), unit)):
        largest.setdefault(unit[1], unit)
    if recordings:
        return [largest[name] for name in recordings if name in largest]
    units = list(largest.values())  # those that changed most are first
    worse = [unit for unit in units if gains[unit] < -LEAST]
    better = [unit for unit in units if gains[unit] > LEAST]
    in_turn = [unit for unit in chain(*zip_longest(worse, better)) if unit is not None]
    return [*in_turn, *sorted(set(units) - set(in_turn), key=lambda unit: (after[unit], unit))]


def _means(results: Results, corpus: str, method: Method, amount: float) -> dict[Unit, float]:
    """Return the mean of beat F and downbeat F, as far as there are these, for each seed and recording."""
    values = [results.values((corpus, method, amount), score) for score in SCORES]
    units = dict.fromkeys(unit for of in values for unit in of)
    return {unit: sum(of[unit] for of in values if unit in of) / sum(unit in of for of in values) for unit in units}


def _players(
    results: Results, corpus: str, pair: _Pair, units: Sequence[Unit], folder: Path
) -> Iterator[tuple[Player, Track]]:
    runs = [_runs(results, corpus, *one) for one in pair]
    estimates = {run.id: read_estimates(run.folder) for of in runs for run in of.values()}
    if not any(estimates.values()):
        raise InputError("its runs hold no beats: they were done by a version that did not keep them")
    opened: Corpus[Track] | None = None
    for seed, track_id in units:
        both = [of[seed] for of in runs if seed in of]
        beats = [estimates[run.id].get(track_id) for run in both]
        if len(beats) < len(pair) or any(one is None for one in beats):
            continue
        opened = opened or _open(both[-1], folder)
        (track,) = (one for one in opened.tracks if one.id == track_id)
        found = [next(row for row in run.scores if row["track"] == track_id) for run in both]
        names = [f"{when}: {_name(results, corpus, one)}" for when, one in zip(("before", "after"), pair, strict=True)]
        layers: Mapping[str, Beats] = {name: one for name, one in zip(names, beats, strict=True) if one is not None}
        scores = ", ".join(f"{name} {_scores(row)}" for name, row in zip(names, found, strict=True))
        title = f"{corpus}, {track_id}, seed {seed}: beat F / downbeat F {scores}"
        span_s = float(found[-1]["start_s"]), float(found[-1]["end_s"])
        yield (
            excerpt_player(track, layers, layers.values(), title=title, span_s=span_s, length_s=EXCERPT_S),
            track,
        )


def _runs(results: Results, corpus: str, method: Method, amount: float) -> dict[int, Run]:
    """Return the runs of a method at a budget by their seeds."""
    key = corpus, method, amount
    return {
        run.seed: run
        for run in results.runs
        if (results.corpus_of[run.id], results.method_of[run.id], run.budget.amount) == key
    }


def _open(run: Run, folder: Path) -> Corpus[Track]:
    """Open the corpus of a run, if its recordings and labels are those that were scored."""
    stated = run.record.get("source", {})
    source = Source(run.corpus, path=str(stated.get("path", "")), left_out=tuple(stated.get("left_out", ())))
    if is_missing(source):  # the folder of the study, with what was rendered into it, may have been moved
        source = Source(run.corpus, path=str(folder / FOLDER / Path(source.path).name), left_out=source.left_out)
    if not source.path or is_missing(source):
        raise InputError(f"its recordings are not at hand: {stated.get('path', '')} is not there")
    corpus: Corpus[Track] = open_source(source)
    if data_digest(corpus) != run.config["data"]:
        raise InputError("its recordings or labels have changed since they were scored", path=source.path)
    return corpus


def _name(results: Results, corpus: str, one: tuple[Method, float]) -> str:
    method, amount = one
    return f"{method.name}, {results.short_text(corpus, amount)}" if amount else method.name


def _scores(row: Mapping[str, str | float]) -> str:
    return " / ".join("–" if math.isnan(value := float(row[name])) else f"{value:.2f}" for name in SCORES)


def _licence(track: Track) -> str:
    licence = " ".join(track.corpus.licence.split()) if track.corpus else ""
    return licence or "its licence is not stated"
