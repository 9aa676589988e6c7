"""What models of both tasks have in common: a name, a card, and a folder that they are saved in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from levada.arguments import checked
from levada.errors import InputError
from levada.learning.card import Card

if TYPE_CHECKING:
    from typing import Self

__all__ = ["LoadedModel", "Model"]


class Model(Protocol):
    """What a model's folder holds: a network with its settings, rhythmic patterns, or dictionaries."""

    @property
    def card(self) -> Card:
        """Origin, licence, data and scores."""

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write it into a folder."""


class LoadedModel:
    """A model that is ready to use: `levada.BeatTracker` or `levada.Separator`.

    Parameters
    ----------
    backend : TrackerLike or SeparatorLike
        What does the work.
    model : Weights, Patterns or Dictionaries, optional
        What `adapt` starts from and `save` writes; models of other projects have none.
    """

    backend: Any
    model: Any

    def __init__(self, backend: Any, model: Model | None = None) -> None:
        self.backend, self.model = backend, model

    @property
    def name(self) -> str:
        """Its name in tables."""
        return str(self.backend.name)

    @property
    def identity(self) -> str:
        """A digest that changes whenever its results might."""
        return str(self.backend.identity)

    @property
    def card(self) -> Card | None:
        """Origin, licence, data and scores of the model; None for models of other projects."""
        return None if self.model is None else self.model.card

    @checked
    def to(self, device: str) -> Self:
        """Move the networks of the model to a device, where it then runs; what has no network stays on the CPU.

        Parameters
        ----------
        device : str
            As PyTorch names it: "cpu", "cuda", "cuda:1" or "mps".

        Returns
        -------
        BeatTracker or Separator
            This model.

        Raises
        ------
        InputError
            If there is no such device.
        """
        if device != "cpu":
            from levada.learning.weights import check_device

            check_device(device)
        for network in self._networks():
            network.to(device)
        return self

    @property
    def device(self) -> str:
        """Where its networks run; "cpu" without any."""
        from levada.learning.weights import device_of

        return next((getattr(network, "device", "") or str(device_of(network)) for network in self._networks()), "cpu")

    def _networks(self) -> list[Any]:
        """Return the networks that run, and that of the model if it has been built."""
        networks = [*getattr(self.backend, "networks", ()), getattr(self.model, "source", None)]
        return [network for network in networks if hasattr(network, "to")]

    @checked
    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write the model into a folder: tensors, settings and a card.

        Parameters
        ----------
        folder : path-like
        force : bool
            Whether a model that exists there may be replaced.

        Raises
        ------
        InputError
            If it is a model of another project, the folder exists and `force` is not set, or it cannot be written.
        """
        if self.model is None:
            raise InputError(f"{self.name} is not a model of levada's and cannot be saved", path=folder)
        self.model.save(folder, force=force)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"
