"""Features of harmonic change: how much the notes after a moment differ from those before it.

Chords change at downbeats more often than anywhere else, and a network that sees magnitudes alone learns little of it.
For each register, the mean spectra of a while before and of a while after a frame are compared, over four lengths.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from levada.beat_tracking.networks.registers import DENOMINATOR, REACHES_S, registers

__all__ = ["HarmonicChange"]


class HarmonicChange(nn.Module):
    """Fifteen features of harmonic change from semitone bands.

    Registers are the bass (below 210 Hz), the chords (180 to 800 Hz) and the twelve pitch classes of all above 130 Hz.
    For each, 1 - cosine of the mean spectra before and after a frame, over 0.24, 0.5, 1 and 2 s, and the mean rise over
    0.24 s. Nothing is learnt.
    """

    n_features = 3 * (len(REACHES_S) + 1)

    def __init__(self) -> None:
        super().__init__()
        self.bass, self.chords, classes, self.reaches = registers()
        self.classes: Tensor
        self.register_buffer("classes", torch.from_numpy(classes), persistent=False)

    @property
    def context(self) -> int:
        """Steps on either side that a feature depends on."""
        return max(self.reaches)

    def forward(self, bands: Tensor) -> Tensor:
        """Compute the features of all steps with context on either side.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, steps + 2 * context, 61)]
            Compressed magnitudes of semitone bands, 50 steps a second.

        Returns
        -------
        float32 tensor [shape=(batch, steps, 15)]
        """
        registers = (bands[..., self.bass], bands[..., self.chords], bands @ self.classes)
        return torch.cat([self._changes(register) for register in registers], -1)

    def _changes(self, register: Tensor) -> Tensor:
        """Return the five features of a register [shape=(batch, steps, 5)]."""
        context, steps = self.context, register.shape[1] - 2 * self.context
        sums = torch.nn.functional.pad(register, (0, 0, 1, 0)).cumsum(1)
        centre = sums[:, context : context + steps]
        columns: list[Tensor] = []
        for reach in self.reaches:
            before = (centre - sums[:, context - reach : context - reach + steps]) / reach
            after = (sums[:, context + reach : context + reach + steps] - centre) / reach
            if not columns:
                columns.append((after - before).relu().mean(-1))
            before, after = before - before.mean(-1, keepdim=True), after - after.mean(-1, keepdim=True)
            columns.append(1 - (before * after).sum(-1) / (before.norm(dim=-1) * after.norm(dim=-1) + DENOMINATOR))
        return torch.stack(columns, -1)
