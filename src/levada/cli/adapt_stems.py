"""`levada adapt --task stems`: minutes of stems become a separator, scored on songs it has not heard."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.cli import loggers, terminal
from levada.cli.evaluate_stems import notes, open_corpus
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Multitrack, Span
    from levada.separation.adaptation import Model
    from levada.separation.evaluation import StemEvaluation
    from levada.separation.masking import SeparatorLike

__all__ = ["adapt"]

BASELINE = "nmf"


def adapt(
    corpus: str,
    *,
    out: Path,
    minutes: float | None,
    strategy: str,
    model: str,
    layers: tuple[str, ...],
    track: list[str] | None,
    seed: int,
    force: bool,
    as_json: bool,
) -> None:
    """Adapt a separator, and score it beside the base and beside dictionaries of the same stems."""
    import numpy as np

    from levada.learning.names import argument_for
    from levada.separation.adaptation import STRATEGIES, settings_of
    from levada.separation.adaptation import adapt as adapt_separator
    from levada.separation.pretrained import base_weights as stem_weights
    from levada.separation.pretrained import load_separator

    if strategy not in STRATEGIES:
        raise InputError(f"{strategy} is for beats; for stems there are {', '.join(STRATEGIES)}")
    began = time.monotonic()
    spans, unseen = _chosen(corpus, minutes, np.random.default_rng(seed))
    base = stem_weights(model) if strategy.startswith("finetune") else None
    before = load_separator(model) if base is not None else None  # now: with --force, its folder may be replaced
    settings = replace(settings_of(strategy, base=base, layers=layers if base is not None else ()), seed=seed)
    used_s, songs = sum(span.duration_s for span in spans), len({span.track.id for span in spans})
    instruments = sorted({name for span in spans for name in span.track.instruments})
    heard = f"{terminal.length(used_s)} of {terminal.count(songs, 'song')}: {', '.join(instruments)}"
    terminal.say(f"adapting {model if base is not None else 'from nothing'} to {heard}; {strategy}")
    config = {"strategy": strategy, "model": model, "stems_s": used_s, **asdict(settings)}
    with loggers.followed(track, out, config) as told:
        with terminal.progress("adapting") as progress:
            adapted = adapt_separator(
                spans, strategy=strategy, base=base, out=out, settings=settings, force=force,
                progress=loggers.both(progress, told),
            )  # fmt: skip
        use = f"levada separate song.wav --model {argument_for(out)}"
        terminal.say(f"{out}: saved after {time.monotonic() - began:.0f} s; {use}")
        evaluation = None
        if unseen:
            evaluation = _scored(out, adapted, strategy, None if before is None else model, before, spans, unseen)
        if told is not None and evaluation is not None:
            told.log_table("scores", [row.flat() for row in evaluation.rows])
    if evaluation is None:
        terminal.say("all songs were used, so there is nothing to score it on; --minutes keeps some aside")
    if as_json:
        scores = evaluation and json.loads(evaluation.to_json())
        terminal.print_json(
            {"model": str(out), "stems_s": used_s, "songs": songs, "instruments": instruments, "evaluation": scores}
        )
    if evaluation is not None:
        if not as_json:
            terminal.print_stem_evaluation(evaluation)
        notes(evaluation)


def _chosen(corpus: str, minutes: float | None, rng: Any) -> tuple[list[Span[Multitrack]], tuple[Multitrack, ...]]:
    """What to learn from, and songs of other groups to score on."""
    opened = open_corpus(corpus)
    if minutes is None:
        return opened.sample(), ()
    if opened.is_solos:
        terminal.say("these are solos, which are mixed at random; levada remix makes mixtures that can be scored")
        return opened.sample(minutes=minutes, seed=rng), ()
    if len(opened.groups) < 2:
        terminal.say(f"all songs are of one group ({opened.grouping}): there are none left to score on")
        return opened.sample(minutes=minutes, seed=rng), ()
    for test in (0.6, 0.4, 0.2):
        train, unseen = opened.split(test_size=test, seed=rng)
        if sum(song.duration_s for song in train) >= 60 * minutes * 1.02:
            return train.sample(minutes=minutes, seed=rng), unseen.tracks
    terminal.say("too few stems to keep any aside: all groups are used, and nothing is scored")
    return opened.sample(minutes=minutes, seed=rng), ()


def _scored(
    out: Path,
    adapted: Model,
    strategy: str,
    model: str | None,
    before: SeparatorLike | None,
    spans: list[Span[Multitrack]],
    unseen: tuple[Multitrack, ...],
) -> StemEvaluation:
    """The adapted model beside its base and dictionaries of the same stems; its card gets its scores."""
    from levada.learning.adaptation import with_scores
    from levada.learning.names import display_names, folder_of
    from levada.separation.adaptation import adapt as adapt_stems
    from levada.separation.evaluation import evaluate_stems
    from levada.separation.pretrained import load_separator, separator_of
    from levada.separation.song_scores import MIXTURE, ORACLE

    given = [out, *([] if model is None else [folder_of(model) or model]), BASELINE, MIXTURE, ORACLE]
    mine, *others = display_names(given)[:-2]
    separators = {} if before is None else {others[0]: before}
    if strategy != BASELINE:
        learnt = adapt_stems(spans, strategy=BASELINE)
        separators[others[-1]] = separator_of(learnt, name=BASELINE)
    separators[mine] = load_separator(out)
    with terminal.progress("scoring", at_once=2) as progress:
        evaluation = evaluate_stems(unseen, separators, processes=2, progress=progress)
    with_scores(out, adapted, evaluation.card_scores(mine))
    return evaluation
