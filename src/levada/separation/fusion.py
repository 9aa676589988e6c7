"""Dictionaries and a network behind one mask, as a model that is saved in one folder.

Dictionaries separate the drums that they were learnt from better than a network does, and other drums worse. Labels do
not tell which of the two the next recording has; how well dictionaries explain it does. The masks of both are
multiplied, and the worse the dictionaries explain a recording, beside the labels that were held out of them, the more
the network counts. For other drums the dictionaries are fitted to the recording first, and further ones are learnt from
what both separate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, check_number
from levada.learning.card import Card
from levada.learning.model_folder import ModelFolder, joined_facts, write_model
from levada.separation import nmf
from levada.separation.masking import (
    MOST_BLIND,
    Decision,
    MaskSeparator,
    Progress,
    Spans,
    for_stream,
    level_of,
    product,
    sample_pieces,
    sound_of,
)  # fmt: skip
from levada.separation.masks import BLIND_WEIGHT, MEAN_WEIGHT, mask_separator
from levada.separation.networks import inference_of
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["NETWORK", "Fusion", "FusionSeparator", "decide", "load", "separator"]

Floats32 = npt.NDArray[np.float32]
Masks = Callable[[Floats32, float, int], Floats32]

NETWORK = "stem_fusion"

LEAST = np.float32(1e-12)
SAME, OTHER, FAR = 1.1, 1.7, 5.0
"""Divergence of a recording relative to that of held-out labels: up to the first it has the same drums, at the second
`WEIGHT_OTHER` is best, and from the last on dictionaries count least, if the network is of use for such music."""
MOST_FAR = 0.85
"""Largest weight of the network there: dictionaries that are fitted to the recording cost nothing beside it, and save
what it does not separate at all."""
WEIGHT_OTHER = 0.7
UNLIKE = 1.3
"""From this on dictionaries that are learnt from the recording itself, starting from the masks of both, count as much
as they do beside a network alone; up to `SAME` nothing is learnt from it, for labels of the same drums are better."""
LEAST_DIVERGENCE = 0.02
"""Of held-out labels: copies of a sample are explained better, and takes of one drum never are."""


@dataclass(frozen=True, eq=False)
class Fusion:
    """Dictionaries and a network of the same instruments.

    Parameters
    ----------
    dictionaries : Dictionaries
    network : Weights
        A mask network of the same instruments and, as a base has more, of others that may play in a recording.
    weight : float
        Weight of the network for a recording that the dictionaries explain as well as held-out labels, from 0 to 1.
    divergence : float
        Of held-out labels from their reconstruction by dictionaries of the others.
    card : Card
    training : mapping
        How it was chosen.
    weight_other, divergence_other : float, optional
        The same for labels of other takes than the dictionaries learnt from, where there were any.
    weight_far : float
        Of the network for a recording that dictionaries do not explain; lower where it does not separate the labels
        either.

    Raises
    ------
    InputError
        If the network lacks an instrument of the dictionaries, or a number is out of range.
    """

    dictionaries: nmf.Dictionaries
    network: Weights
    weight: float
    divergence: float
    card: Card
    training: Mapping[str, Any] = field(default_factory=dict)
    weight_other: float | None = None
    divergence_other: float | None = None
    weight_far: float = 1.0

    def __post_init__(self) -> None:
        check_number("the weight of the network", self.weight, 0, 1)
        check_number("the weight of the network for other recordings", self.weight_far, 0, 1)
        check_number("the divergence of held-out labels", self.divergence, 0)
        if self.weight_other is not None:
            check_number("the weight of the network for other takes", self.weight_other, 0, 1)
        if self.divergence_other is not None:
            check_number("the divergence of other takes", self.divergence_other, 0)
        if missing := set(self.instruments) - {*self.available}:
            raise InputError(f"the network lacks {', '.join(sorted(missing))} of the dictionaries")

    @cached_property
    def inference(self) -> Any:
        """What computes the masks of the network."""
        return inference_of(self.network)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Instruments of the labels, which are separated if no others are named."""
        return self.dictionaries.instruments

    @property
    def available(self) -> tuple[str, ...]:
        """Instruments that can be separated: those, and others of the network."""
        return tuple(self.inference.instruments)

    def facts(self) -> dict[str, Any]:
        """Return everything that determines its results, as `levada.learning.model_folder.write_model` takes it."""
        from levada.learning.weights import model_facts

        parts = {"dictionaries": self.dictionaries.facts(), "network": model_facts(self.network)}
        own: dict[str, Any] = {
            "instruments": list(self.instruments),
            "weight": self.weight,
            "divergence": self.divergence,
        }
        if self.weight_far < 1:
            own["weight_far"] = self.weight_far
        own |= {
            name: value for name in ("weight_other", "divergence_other") if (value := getattr(self, name)) is not None
        }
        return joined_facts(NETWORK, own, parts)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write both into a folder."""
        write_model(folder, **self.facts(), card=self.card, training=self.training, force=force)


def load(folder: str | Path | ModelFolder) -> Fusion:
    """Read dictionaries and a network from a folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    from levada.separation import networks

    stored = ModelFolder.of(folder)
    settings = stored.settings(NETWORK, noun="dictionaries with a network", parts=("dictionaries", "network"))
    return Fusion(
        nmf.load(stored.part("dictionaries")),
        networks.load(stored.part("network")),
        settings.get("weight"),  # type: ignore[arg-type]  # checked when made
        settings.get("divergence"),  # type: ignore[arg-type]
        stored.card,
        stored.config["training"],
        settings.get("weight_other"),
        settings.get("divergence_other"),
        settings.get("weight_far", 1.0),
    )


@dataclass(frozen=True)
class FusionSeparator:
    """The separator of a `Fusion`.

    Parameters
    ----------
    name : str
        Name in tables.
    fusion : Fusion
    sources : mapping of str to str
        Names of the stems -> instruments of the model.
    identity : str
        A digest that changes whenever its stems might.
    """

    name: str
    fusion: Fusion
    sources: Mapping[str, str]
    identity: str = ""

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of the stems."""
        return tuple(self.sources)

    @property
    def available(self) -> tuple[str, ...]:
        """Names of the stems that it can be restricted to: these, and others of the network."""
        return (*self.sources, *(one for one in self.fusion.available if one not in self.sources.values()))

    @property
    def trained_on(self) -> Spans:
        """SHA-256 of each recording it was trained on -> the spans used, in seconds."""
        return self.fusion.card.trained_on

    @property
    def networks(self) -> tuple[Any, ...]:
        """The network, as `levada.learning.model.LoadedModel` moves it to a device."""
        return (self.fusion.inference,)

    def restricted(self, instruments: Sequence[str]) -> FusionSeparator:
        """Return the separator of some of the available instruments; see `MaskSeparator.restricted`."""
        kept = {name: self.sources.get(name, name) for name in self.available if name in instruments}
        return separator(self.fusion, name=self.name, instruments=kept, identity=self.identity)

    def for_recording(self, pieces: Iterable[Floats32], rate: int) -> tuple[MaskSeparator, Decision]:
        """Decide how a recording is separated.

        Parameters
        ----------
        pieces : iterable of float32 [shape=(channels, n)]
            Consecutive pieces of the whole recording.
        rate : int
            In Hz.

        Returns
        -------
        separator : MaskSeparator
        decision : Decision
        """
        sampled = sample_pieces(pieces, rate)
        spectra = [Stft(rate).forward(piece) for piece in sampled]
        powers = [np.mean(one.real**2 + one.imag**2, axis=0) for one in spectra]
        magnitudes = [np.sqrt(power) for power in powers]
        fusion = self.fusion
        learnt = {name: one for name, one in self.sources.items() if one in fusion.instruments}
        dictionaries = fusion.dictionaries.restricted([*learnt.values()]) if learnt else fusion.dictionaries
        decision = Decision(1.0, float("nan"), fusion.divergence)
        if learnt:
            decision = decide(
                fusion.weight, nmf.divergence(dictionaries, np.concatenate(magnitudes)), fusion.divergence,
                weight_other=fusion.weight_other, divergence_other=fusion.divergence_other,
                weight_far=fusion.weight_far,
            )  # fmt: skip
        alone = decision.weight == 0 and len(learnt) == len(self.sources)  # no network is needed
        network = None if alone else self._network(sampled, rate)
        if decision.weight == 1 and network is not None:
            return network, decision
        if unlike := _unlike(decision):
            dictionaries = nmf.adapted(dictionaries, magnitudes)
        chosen = self._separator(dictionaries, learnt)
        if network is not None:
            rows = [*map([*self.sources].index, learnt)]
            chosen = replace(
                network,
                masks=partial(_fused, chosen.masks, network.masks, rows, decision.weight),
                context_frames=max(chosen.context_frames, network.context_frames),
                restrict=None,
            )
        if unlike and 1 < len(self.sources) <= MOST_BLIND:
            level = level_of(sampled, rate)
            masks = [chosen.masks(power, level, rate) for power in powers]
            chosen = chosen.with_blind_dictionaries(powers, masks, BLIND_WEIGHT * unlike)
        return chosen, decision

    def _network(self, pieces: Sequence[Floats32], rate: int) -> MaskSeparator:
        """Return the network, fitted to the recording without labels."""
        network = self._separator(self.fusion.inference, self.sources)
        return replace(network, mean_weight=MEAN_WEIGHT, blind_weight=BLIND_WEIGHT).for_recording(pieces, rate)[0]

    def _separator(self, model: Any, sources: Mapping[str, str]) -> MaskSeparator:
        return mask_separator(
            model, name=self.name, instruments=sources, identity=self.identity, trained_on=self.trained_on
        )

    def separate(self, samples: Floats32, rate: int, *, progress: Progress | None = None) -> dict[str, Floats32]:
        """Separate a mixture in memory, as `levada.separation.masking.MaskSeparator.separate`."""
        sound = sound_of(samples)
        return self.for_recording([sound], rate)[0].separate(sound, rate, progress=progress)

    def stream(self, pieces: Iterable[Floats32], rate: int, *, level: float) -> Iterator[dict[str, Floats32]]:
        """Separate a mixture in consecutive pieces; it is decided by those of the first minute how."""
        chosen, pieces = for_stream(self, pieces, rate)
        return chosen.stream(iter(pieces), rate, level=level)


def separator(
    fusion: Fusion, *, name: str, instruments: Mapping[str, str] | None = None, identity: str = ""
) -> FusionSeparator:
    """Return the separator of dictionaries and a network; for the arguments see `masks.mask_separator`."""
    if instruments is None:
        return FusionSeparator(name, fusion, {one: one for one in fusion.instruments}, identity)
    network = mask_separator(fusion.inference, name=name, instruments=instruments, identity=identity)
    return FusionSeparator(name, fusion, dict(instruments), network.identity)


def decide(
    weight: float,
    divergence: float,
    held_out: float,
    *,
    weight_other: float | None = None,
    divergence_other: float | None = None,
    weight_far: float = 1.0,
) -> Decision:
    """Choose the weight of the network for a recording.

    Parameters
    ----------
    weight : float
        Of a recording with the drums of the labels.
    divergence, held_out : float
        See `Decision`.
    weight_other, divergence_other, weight_far : float, optional
        See `Fusion`.

    Returns
    -------
    Decision
        The weight grows with the logarithm of the divergence.
    """
    ratio = divergence / max(held_out, LEAST_DIVERGENCE)
    other = OTHER if divergence_other is None else divergence_other / max(held_out, LEAST_DIVERGENCE)
    ratios = [SAME, max(other, OTHER), max(FAR, other * FAR / OTHER)]
    far = max(weight, min(weight_far, MOST_FAR), 0.0 if weight_other is None else weight_other)
    weights = [weight, min(far, max(weight, WEIGHT_OTHER if weight_other is None else weight_other)), far]
    chosen = np.interp(np.log(max(ratio, 1e-9)), np.log(ratios), weights)
    return Decision(round(float(chosen), 3), divergence, held_out)


def _unlike(decision: Decision) -> float:
    """Return from 0 to 1 how surely the drums of a recording are others than those of the labels."""
    ratio = decision.divergence / max(decision.held_out, LEAST_DIVERGENCE)
    return float(np.interp(np.log(max(ratio, 1e-9)), np.log([SAME, UNLIKE]), [0, 1]))


def _fused(
    dictionaries: Masks, network: Masks, learnt: list[int], weight: float, power: Floats32, level: float, rate: int
) -> Floats32:
    """Multiply the masks of both; the network alone decides how much is of instruments without dictionaries."""
    masks = network(power, level, rate)
    whole = masks[learnt].sum(axis=0) + LEAST
    masks[learnt] = whole * product(dictionaries(power, level, rate), masks[learnt] / whole, weight)
    return masks
