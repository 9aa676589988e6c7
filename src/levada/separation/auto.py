"""The strategy `auto`: it chooses among the pretrained base, dictionaries, fine-tuning and their fusion.

Each candidate is scored on labels that it did not learn from: on other takes where there are several of an instrument,
else on blocks of time that are apart, which flatters what is learnt from the same drums in the same room. The best one
is then learnt from all labels. Where there are other takes, blocks of time tell what is best for recordings of the same
drums, and takes what is best for others. Where dictionaries are clearly better than the base no network is trained, and
where nothing is clearly better the base is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.data.spans import units_of
from levada.learning.card import Card, adapted_card
from levada.learning.choice import Choice
from levada.learning.weights import Weights, base_facts, device_of
from levada.separation import nmf
from levada.separation.examples import RATE, Example, in_bands, magnitudes, power_of, read_examples
from levada.separation.fusion import Fusion
from levada.separation.masking import product
from levada.separation.masks import BLIND_WEIGHT, MEAN_WEIGHT, mask_separator
from levada.separation.metrics import si_sdr_improvement
from levada.separation.stft import BAND_EDGES, N_BANDS, Stft

if TYPE_CHECKING:
    from levada.data import Multitrack, Span
    from levada.separation.networks.mask_net import MaskNet

__all__ = ["Fold", "Mixture", "blocks_of", "choose", "decide", "folds_of", "levelled"]

CLEAR_DB = 1.0
"""By how much dictionaries, alone or with the base, must be better than the base so that no network is trained."""
BETTER_DB = 0.3
"""By how much a candidate must be better than the base."""
HALF_DB = 1.0
"""Dictionaries beside the base may be worse than the best by this: they are scored after half of the labels."""
TRAINED_DB = 1.0
"""By how much fine-tuning must be better than all others: one that was better by .3 dB was worse on other songs."""
WEIGHTS = (0.15, 0.3, 0.5, 0.7, 0.85)
"""Weights of a network beside dictionaries that are tried."""
TRUSTED_DB = 3.0
"""A network counts fully for recordings that dictionaries do not explain if it gains so much on labels; if it gains
nothing, it does not stand beside dictionaries."""
WEIGHT_FEW = 0.5
"""The weight where too few labels leave nothing to choose it by."""
GAP_S, SHORTEST_S = 0.5, 1.5
"""Between two blocks of time that are apart, and the length of the shortest block."""
KINDS = {"nmf-conv": nmf.CONVOLUTIVE, "nmf": nmf.NmfSettings(bands=True)}
"""Dictionaries that are candidates. Bases of bins, as of the strategy `nmf`, take seven times as long, for no gain."""

FRAME, INAUDIBLE, TOGETHER = RATE // 10, 1e-5, 0.1
"""Instruments of a recording play one after the other if, of the frames (of so many samples) in which one is audible
(at this power, where that of the mixture is 1), fewer than this part have two."""
MOST_FITTED = 2750
"""Frames of a mixture that a separator is fitted to, about a minute, as in recordings."""
UNSEEN = 1.5
"""Divergence of mixtures that dictionaries did not learn from, relative to the labels, where none is held out."""
LEVEL_UPDATES, MOST_LEVEL = 8, 3.0
"""Updates of the level of each instrument, and its largest correction either way, in nepers of power (13 dB)."""

TAKES = "other takes"
LEVELS, TUNED = "base + levels", "fine-tuned"

_log = logging.getLogger(__name__)

Floats32 = npt.NDArray[np.float32]
Spans = Sequence["Span[Multitrack]"]
FineTune = Callable[[Sequence[Example], int], Weights]


class Fold(NamedTuple):
    """Examples to learn from, with their mixtures, and mixtures to score."""

    train: list[Example]
    mixtures: list[Mixture]
    test: list[Mixture]


class Mixture:
    """The mixture of some stems, in bands: the masks of all candidates are the same for all bins of a band.

    Parameters
    ----------
    stems : mapping of str to float32 or float16 [shape=(samples,)]
        At `RATE`.
    """

    def __init__(self, stems: Mapping[str, npt.NDArray[Any]]) -> None:
        transform = Stft(RATE)
        self.instruments = tuple(stems)
        spectra = [transform.forward(stem) for stem in stems.values()]
        whole = np.asarray(np.sum(spectra, axis=0), np.complex64)
        self.power = power_of(whole)
        self.bands = transform.to_bands(self.power)
        self.level = float(self.bands.mean())
        self.length = max(map(len, stems.values()))
        self.cross, self.powers = map(np.stack, zip(*(in_bands(one, whole) for one in spectra), strict=True))

    def masks(self, model: Any) -> Floats32:
        """Compute the masks of a model for the instruments that play [shape=(instruments, frames, N_BANDS)]."""
        separator = mask_separator(model, name="", instruments={name: name for name in self.instruments})
        if isinstance(model, nmf.Dictionaries):
            return separator.masks(self.power, self.level, RATE)[..., BAND_EDGES]
        separator = replace(separator, mean_weight=MEAN_WEIGHT, blind_weight=BLIND_WEIGHT)  # as that of a model
        fitted = separator.fitted([self.power[:MOST_FITTED]], self.level, RATE)
        return Stft(RATE).mean_over_bands(fitted.masks(self.power, self.level, RATE))

    def score(self, masks: Floats32) -> float:
        """Return the mean SI-SDR improvement of the stems that masks give, in dB; NaN for one stem alone.

        It is computed from spectra, mostly .1 to .3 dB below that of samples: overlapping frames average errors out.
        """
        mixture = float(self.bands.sum(dtype=np.float64))
        scores = [
            si_sdr_improvement(_sum(power), _sum(mask * cross), _sum(mask**2 * self.bands), _sum(cross), mixture)
            for mask, cross, power in zip(masks, self.cross, self.powers, strict=True)
        ]
        return float(np.nanmean(scores))


def choose(
    spans: Spans,
    *,
    base: Weights,
    earlier: Sequence[str] = (),
    before: nmf.Dictionaries | None = None,
    fine_tune: FineTune,
    seed: int = 0,
) -> Fusion:
    """Choose among the candidates and return the best, learnt from all labels.

    Parameters
    ----------
    spans : sequence of Span[Multitrack]
    base : Weights
        A mask network of at least the instruments of the labels.
    earlier : sequence of str
        Instruments that an adapted base keeps.
    before : Dictionaries, optional
        Learnt earlier; their bases stay beside the new ones.
    fine_tune : callable
        From examples, and the number of their fold or 0 for all labels, to fine-tuned weights.
    seed : int
        Of the dictionaries.

    Returns
    -------
    Fusion
        With the scores of all candidates in the card.
    """
    kinds = {name: one for name, one in KINDS.items() if before is None or one.is_like(before.settings)}
    names = sorted({name for span in spans for name in span.track.instruments})
    learn = partial(_learn, instruments=sorted({*names, *earlier}), before=before, card=base.card)
    parts = [_apart(one) for one in read_examples(spans, names)]
    examples = [one for several in parts for one in several]
    folds, how = folds_of(spans, parts)
    network = replace(base, source=levelled(base.net, _mixtures(examples)))
    finish = partial(_fusion, spans, base, how)
    if not folds:
        kind, settings = next(iter(kinds.items()))
        dictionaries = learn(examples, replace(settings, seed=seed))
        labels = [Mixture(one.stems) for one in examples if one.stems]
        divergence = UNSEEN * _mean([(_divergence(dictionaries, one), one) for one in labels])
        choice = Choice(f"{kind} + base", {}, "too few labels to hold some of them out", "dB")
        return finish(choice, dictionaries, network, WEIGHT_FEW, divergence)
    held_out = [(number, mixture) for number, fold in enumerate(folds) for mixture in fold.test]

    def masks_of(models: Sequence[Any]) -> list[Floats32]:
        return [mixture.masks(models[number]) for number, mixture in held_out]

    def score(masks: Sequence[Floats32]) -> float:
        return _mean([(one.score(mask), one) for (_, one), mask in zip(held_out, masks, strict=True)])

    def score_products(kind: str, name: str, masks: Sequence[Floats32]) -> None:
        by_weight = {
            weight: score([product(*pair, weight) for pair in zip(of_kind[kind], masks, strict=True)])
            for weight in WEIGHTS
        }
        best[name] = max(by_weight, key=lambda weight: by_weight[weight])
        scores[name] = by_weight[best[name]]

    of_levels = masks_of([levelled(base.net, fold.mixtures) for fold in folds])
    scores = {"base": score(masks_of([base.net] * len(folds))), LEVELS: score(of_levels)}
    of_kind, best, divergences = dict[str, list[Floats32]](), dict[str, float](), dict[str, float]()
    for kind, settings in kinds.items():
        learnt = [learn(fold.train, replace(settings, seed=seed)) for fold in folds]
        divergences[kind] = _mean([(_divergence(learnt[number], one), one) for number, one in held_out])
        of_kind[kind] = masks_of(learnt)
        scores[kind] = score(of_kind[kind])
        if scores[LEVELS] > 0:
            score_products(kind, f"{kind} + base", of_levels)
    blocks = blocks_of(examples) if how == TAKES else []
    first = next(iter(kinds))

    def score_blocks(kind: str) -> _ByWeight | None:
        learn_kind = partial(learn, settings=replace(kinds[kind], seed=seed))
        return _by_weight(blocks, learn_kind, base.net) if blocks else None

    same = score_blocks(first)
    clear = same is not None and same.scores[0.0] > same.scores[1.0] + CLEAR_DB
    if max(scores.values()) <= scores["base"] + CLEAR_DB and not clear:
        tuned = masks_of([fine_tune(fold.train, number).net for number, fold in enumerate(folds, start=1)])
        scores[TUNED] = score(tuned)
        for kind in kinds:
            score_products(kind, f"{kind} + {TUNED}", tuned)
    choice = decide(scores)
    kind = next((one for one in kinds if choice.name.startswith(f"{one} + ") or choice.name == one), "")
    if TUNED in choice.name:
        network = fine_tune(examples, 0)
    elif choice.name == "base":
        network = base
    weight = best.get(choice.name, 0.0 if kind else 1.0)
    kind = kind or first
    of_network = scores[TUNED if TUNED in choice.name else LEVELS]
    finish = partial(finish, weight_far=round(float(np.clip(of_network / TRUSTED_DB, 0, 1)), 3))
    dictionaries = learn(examples, replace(kinds[kind], seed=seed))
    same = same if kind == first else score_blocks(kind)
    if same is None:
        return finish(choice, dictionaries, network, weight, divergences[kind])
    best_same = max(same.scores, key=lambda one: same.scores[one])
    if best_same < weight:
        choice = replace(choice, name=f"{kind} for the same drums and {choice.name} for others")
    text = ", ".join(f"{one:g}: {score:.2f}" for one, score in same.scores.items())
    fusion = finish(choice, dictionaries, network, best_same, same.divergence)
    scores_of = {**fusion.card.scores, "held-out blocks of time, by the weight of the network": text}
    return replace(
        fusion, weight_other=max(weight, best_same), divergence_other=divergences[kind],
        card=replace(fusion.card, scores=scores_of),
    )  # fmt: skip


def decide(scores: Mapping[str, float]) -> Choice:
    """Choose by the scores of the candidates on held-out labels, in dB."""
    untrained = {name: score for name, score in scores.items() if TUNED not in name}
    top = max(scores, key=lambda name: scores[name])
    if scores[top] <= max(untrained.values()) + TRAINED_DB:
        top = max(untrained, key=lambda name: untrained[name])
    both = {name: score for name, score in untrained.items() if name in (f"{kind} + base" for kind in KINDS)}
    best = max(both, key=lambda name: both[name], default="base")
    near = scores[top] <= scores["base"] + BETTER_DB
    if (near or top == LEVELS) and best in both and both[best] >= scores[top] - HALF_DB:
        return Choice(best, scores, f"within {HALF_DB:g} dB of the best after half of the labels", "dB")
    if near:
        return Choice("base", scores, f"nothing is better than the base by more than {BETTER_DB:g} dB", "dB")
    return Choice(top, scores, "the best on held-out labels", "dB")


def folds_of(spans: Spans, examples_of: Sequence[Sequence[Example]]) -> tuple[list[Fold], str]:
    """Divide labels into folds.

    Parameters
    ----------
    spans : sequence of Span[Multitrack]
    examples_of : sequence of sequences of Example
        Of each span.

    Returns
    -------
    folds : list of Fold
        Two, or none where there are too few labels.
    how : str
        What is held out, in a few words.
    """
    halves: list[list[Example]] = [[], []]
    seconds = [0.0, 0.0]
    by_span = {id(span): several for span, several in zip(spans, examples_of, strict=True)}
    examples = [one for several in examples_of for one in several]
    for unit in sorted(_takes(spans), key=lambda unit: -sum(span.duration_s for span in unit)):
        new = [one for span in unit for one in by_span[id(span)]]
        lacks = [len(_instruments(new) - _instruments(half)) for half in halves]
        half = int((lacks[1], -seconds[1]) > (lacks[0], -seconds[0]))
        halves[half] += new
        seconds[half] += sum(span.duration_s for span in unit)
    both = _instruments(halves[0]) & _instruments(halves[1])
    if len(both) >= max(2, len(_instruments(examples)) / 2) and len(folds := _folds(halves)) == len(halves):
        return folds, TAKES
    how = f"blocks of time {GAP_S:g} s apart, of the same takes as the labels: such scores are too high"
    return blocks_of(examples), how


def blocks_of(examples: Sequence[Example]) -> list[Fold]:
    """Divide each example in two blocks of time; none where they are too short."""
    halves: list[list[Example]] = [[], []]
    gap = round(GAP_S * RATE / 2)
    for example in examples:
        length = max((len(stem) for stem in example.stems.values()), default=0)
        for half, part in enumerate((slice(0, length // 2 - gap), slice(length // 2 + gap, None))):
            stems = {name: stem[part] for name, stem in example.stems.items() if stem[part].any()}
            if length > 2 * (SHORTEST_S * RATE + gap) and stems:
                halves[half].append(Example(stems, example.instruments))
    folds = _folds(halves)
    return folds if all(fold.mixtures for fold in folds) else []


class _ByWeight(NamedTuple):
    """Scores of dictionaries beside a network, by its weight, and the divergence of what is scored."""

    scores: dict[float, float]
    divergence: float


def _by_weight(folds: Sequence[Fold], learn: Callable[[list[Example]], nmf.Dictionaries], net: MaskNet) -> _ByWeight:
    scored: list[list[tuple[float, Mixture]]] = []
    divergences = []
    weights = (0.0, *WEIGHTS, 1.0)
    for fold in folds:
        dictionaries, network = learn(fold.train), levelled(net, fold.mixtures)
        for mixture in fold.test:
            masks = mixture.masks(dictionaries), mixture.masks(network)
            scored.append([(mixture.score(product(*masks, weight)), mixture) for weight in weights])
            divergences.append((_divergence(dictionaries, mixture), mixture))
    return _ByWeight(
        {weight: _mean([one[at] for one in scored]) for at, weight in enumerate(weights)}, _mean(divergences)
    )


def _folds(halves: Sequence[list[Example]]) -> list[Fold]:
    """Return folds that learn from one half and are scored on mixtures of the same instruments in the other."""
    folds, mixtures = [], [_mixtures(half) for half in halves]
    for train, test in ((0, 1), (1, 0)):
        known, scored = _instruments(halves[train]), mixtures[test]
        if not _instruments(halves[test]) <= known:
            kept = [{name: stem for name, stem in one.stems.items() if name in known} for one in halves[test]]
            scored = _mixtures([one._replace(stems=stems) for one, stems in zip(halves[test], kept, strict=True)])
        if scored:
            folds.append(Fold(halves[train], mixtures[train], scored))
    return folds


def _takes(spans: Spans) -> list[list[Span[Multitrack]]]:
    """Divide labels into what must not be divided: groups, or songs, and those mixed from the same recordings."""
    joined: list[tuple[set[str], list[Span[Multitrack]]]] = []
    for unit in units_of(spans):
        hashes = {digest for span in unit for digest in (*span.track.hashes, *span.track.sources)}
        same = [one for one in joined if one[0] & hashes]
        joined = [one for one in joined if not one[0] & hashes]
        joined.append((hashes.union(*(one[0] for one in same)), [*unit, *(span for one in same for span in one[1])]))
    return [unit for _, unit in joined]


def _apart(example: Example) -> list[Example]:
    """Return a solo of each instrument of an example in which they play one after the other; else the example."""
    frames = {name: stem[: len(stem) // FRAME * FRAME].reshape(-1, FRAME) for name, stem in example.stems.items()}
    active = {name: np.square(one, dtype=np.float32).mean(axis=1) > INAUDIBLE for name, one in frames.items()}
    counts = np.sum([*active.values()], axis=0)
    if len(active) < 2 or (counts > 1).sum() > TOGETHER * (counts > 0).sum():
        return [example]
    solos = []
    for name, stem in example.stems.items():
        if len(at := np.flatnonzero(active[name])):
            solos.append(Example({name: stem[at[0] * FRAME : (at[-1] + 1) * FRAME]}, example.instruments))
    return solos


def _instruments(examples: Sequence[Example]) -> set[str]:
    return {name for example in examples for name in example.stems}


def _mixtures(examples: Sequence[Example]) -> list[Mixture]:
    """Return the mixtures of examples; those of one stem, solos, are mixed at the same level."""
    solos: dict[str, list[npt.NDArray[Any]]] = {}
    for example in examples:
        if len(example.stems) == 1:
            for name, stem in example.stems.items():
                solos.setdefault(name, []).append(stem)
    stems = [dict(example.stems) for example in examples if len(example.stems) > 1]
    if len(solos) > 1:
        joined = {name: np.concatenate(takes) for name, takes in solos.items()}
        length = min(map(len, joined.values()))
        stems.append({name: one[:length] / _rms(one[:length]) for name, one in joined.items()})
    return [Mixture({name: stem for name, stem in one.items() if stem.any()}) for one in stems]


def _rms(samples: npt.NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) + 1e-9


def levelled(net: MaskNet, mixtures: Sequence[Mixture]) -> MaskNet:
    """Correct the level of each instrument, so that masks hold as much of it as there is in some mixtures.

    A constant is added to the logits of an instrument, by iterative scaling. Each band counts alike, however loud.

    Parameters
    ----------
    net : MaskNet
    mixtures : sequence of Mixture

    Returns
    -------
    MaskNet
        A copy; an instrument that is in no mixture stays as it is.
    """
    import torch

    from levada.separation.networks.mask_net import features

    if not mixtures:
        return net
    number, tables = {name: index for index, name in enumerate(net.instruments)}, []
    for mixture in mixtures:
        rows = [number[name] for name in mixture.instruments]
        bands = mixture.bands / (mixture.level + 1e-20)
        with torch.inference_mode():
            logits = net(features(torch.from_numpy(bands), 1.0)[None].to(device_of(net)))[0, rows].cpu().numpy()
        tables.append((rows, bands, logits, (mixture.powers / (mixture.level + 1e-20)).sum(axis=1)))
    levels = np.zeros(len(number), np.float32)
    for _ in range(LEVEL_UPDATES):
        true, given = np.zeros((2, len(number), N_BANDS))
        for rows, bands, logits, power in tables:
            masks = np.exp(logits + levels[rows, None, None] - logits.max(axis=0))
            given[rows] += (masks / masks.sum(axis=0) * bands).sum(axis=1)
            true[rows] += power
        whole = true.sum(axis=0) + 1e-12
        ratio = ((true / whole).mean(axis=1) + 1e-6) / ((given / whole).mean(axis=1) + 1e-6)
        levels = np.clip(levels + np.log(ratio), -MOST_LEVEL, MOST_LEVEL).astype(np.float32)
    corrected = deepcopy(net)
    scale = 1 / net.settings.trust if net.settings.bases and net.settings.trust else 1.0
    with torch.no_grad():
        bias = corrected.head.bias
        assert bias is not None
        bias += torch.from_numpy(np.repeat(levels * np.float32(scale), net.settings.bands)).to(bias.device)
    return corrected


def _learn(
    examples: Sequence[Example],
    settings: nmf.NmfSettings,
    *,
    instruments: Sequence[str],
    before: nmf.Dictionaries | None,
    card: Card,
) -> nmf.Dictionaries:
    """Learn dictionaries of all instruments, beside those learnt earlier."""
    names = [name for name in instruments if name in _instruments(examples)]
    bases = nmf.learn(magnitudes(examples, names), settings=settings)
    return nmf.joined(before, nmf.Dictionaries(tuple(names), bases, card, settings), instruments)


def _sum(values: Floats32) -> float:
    return float(values.sum(dtype=np.float64))


def _divergence(dictionaries: nmf.Dictionaries, mixture: Mixture) -> float:
    return nmf.divergence(dictionaries.restricted(mixture.instruments), np.sqrt(mixture.power))


def _mean(values: Sequence[tuple[float, Mixture]]) -> float:
    """Return the mean of a value of each mixture, weighted by length."""
    return float(np.average([value for value, _ in values], weights=[one.length for _, one in values]))


def _fusion(
    spans: Spans, base: Weights, how: str,
    choice: Choice, dictionaries: nmf.Dictionaries, network: Weights, weight: float, divergence: float,
    *, weight_far: float = 1.0,
) -> Fusion:  # fmt: skip
    """Return dictionaries with a network, with a card that says why."""
    _log.info("%s", choice.line())
    new = adapted_card(spans, origin=f"Dictionaries and a network ({choice.name})", base=base.card, stems=True)
    training = {**choice.facts(), "held_out": how, **base_facts(base)}
    card = _with_choice(new, choice, how)
    return Fusion(dictionaries, network, weight, divergence, card, training, weight_far=weight_far)


def _with_choice(card: Card, choice: Choice, how: str) -> Card:
    chosen = choice.on(card)
    return replace(chosen, scores={**chosen.scores, "held-out labels are": how})
