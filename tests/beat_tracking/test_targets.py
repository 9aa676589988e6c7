"""The loss of the phase of the downbeats."""

import numpy as np
import pytest
import torch

from levada.beat_tracking.targets import Batch, frame_targets, phase_loss, pretraining_loss, widened_target_loss
from levada.io.beats import Beats


def batch(*positions):
    """Excerpts of 10 s with a beat every half second, at these positions in the bar."""
    columns = []
    for row in positions:
        targets, mask = frame_targets(Beats(np.arange(0.2, 0.2 + 0.5 * len(row), 0.5)[: len(row)], row), 1000)
        columns.append((torch.zeros(1000, 81), torch.from_numpy(targets), torch.from_numpy(mask)))
    return Batch(*(torch.stack(column) for column in zip(*columns, strict=True)))


def logits(given, *, shift=0, height=4.0):
    """Logits of downbeats at every beat: high at the downbeats, or `shift` beats later."""
    values = torch.full((*given.targets.shape[:2], 2), -height)
    for row, targets in zip(values, given.targets, strict=True):
        at = torch.nonzero(targets[:, 0])[:, 0]
        row[at[torch.roll(targets[at, 1], shift) > 0], 1] = height
    return values


FOUR = [3, 4, *[1, 2, 3, 4] * 4]


class TestPhaseLoss:
    def test_right_and_half_a_bar_late(self):
        given = batch(FOUR)
        assert phase_loss(logits(given), given) < 1e-4
        assert phase_loss(logits(given, shift=2), given) > 10

    @pytest.mark.parametrize("metre", [2, 3, 4])
    def test_undecided_it_is_the_logarithm_of_the_metre(self, metre):
        given = batch([position % metre + 1 for position in range(18)])
        value = phase_loss(torch.zeros(1, 1000, 2), given)
        assert value == pytest.approx(np.log(metre), rel=1e-5)

    def test_one_wrong_beat_does_not_decide(self):
        given = batch(FOUR)
        values = logits(given)
        at = torch.nonzero(given.targets[0, :, 0])[4, 0]
        values[0, at, 1] = 4.0
        assert phase_loss(values, given) < 0.05

    def test_excerpts_without_a_bar_do_not_count(self):
        both = batch(FOUR, [1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4])
        one = batch(FOUR)
        assert phase_loss(logits(both, shift=1), both) == phase_loss(logits(one, shift=1), one)
        nothing = batch([0] * 8, [])
        value = phase_loss(torch.zeros(2, 1000, 2, requires_grad=True), nothing)
        assert value == 0
        value.backward()

    def test_it_is_added_with_its_weight(self):
        given = batch(FOUR)
        values = torch.randn(1, 1000, 2, generator=torch.Generator().manual_seed(0))
        expected = widened_target_loss(values, given, downbeat_weight=0.5) + 0.3 * phase_loss(values, given)
        assert pretraining_loss(values, given, downbeat_weight=0.5, phase_weight=0.3) == pytest.approx(float(expected))
