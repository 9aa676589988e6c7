"""A tracker of another project: one function from a recording to its beats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.tracker import AudioLike, Progress, Spans
from levada.errors import InputError
from levada.io.audio import samples_of
from levada.io.beats import Beats

__all__ = ["ExternalTracker"]

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ExternalTracker:
    """A tracker of another project: one function from a recording to its beats.

    Parameters
    ----------
    name : str
        Its name in tables.
    function : callable
        From samples [shape=(channels, samples)] and rate to beats.
    identity : str
        A digest that changes whenever its beats might.
    networks : tuple of nn.Module
        Networks that the function runs and that may be moved to another device.
    """

    name: str
    function: Callable[[Floats32, int], Beats]
    identity: str = ""
    trained_spans: Spans = field(default_factory=dict)
    networks: tuple[Any, ...] = ()

    def track(
        self,
        audio: AudioLike,
        rate: int | None = None,
        *,
        hints: Beats | None = None,
        progress: Progress | None = None,  # noqa: ARG002
    ) -> Beats:
        """Find the beats of a recording, which is read whole and without progress; see `levada.BeatTracker.track`.

        Raises
        ------
        InputError
            If there are hints, which it cannot take.
        """
        if hints is not None:
            raise InputError(f"{self.name} takes no hints: use a model of levada's")
        return self.function(*samples_of(audio, rate))
