"""The training loop of all networks.

It resumes interrupted training (Ctrl-C, SIGTERM, kill), averages weights and writes a CSV log. Batches are a
function of the step, so that a resumed run has the same batches as an uninterrupted one.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from levada.errors import InputError, Interrupted, MissingExtra
from levada.io.files import atomic_file
from levada.learning.training_log import DIGITS, LOG, VALIDATION_LOSS, append_row, read_log, truncate_log

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Batch", "FitSettings", "Loss", "LossParts", "fit"]

Progress = Callable[[int, int, float], None]
CHECKPOINT, LOWEST = "training.ckpt", "lowest.pt"
"""Where training goes on, and the weights of the lowest loss in validation."""
SAVE_EVERY_S = 10.0


Batch = Any
"""A named tuple of tensors whose first entry is the input of the network."""


class LossParts(NamedTuple):
    """A loss and the parts that it is the weighted sum of, which are logged.

    Parameters
    ----------
    total : tensor [shape=()]
        What is minimised.
    parts : mapping of str to tensor [shape=()]
        By the name of their column in the log, before they are weighted.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


Loss = Callable[["Tensor", Batch], "Tensor | LossParts"]


@dataclass(frozen=True)
class FitSettings:
    """Settings of the training.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    learning_rate : float
        Peak learning rate, after warm-up and before cosine decay.
    warmup : float
        Share of the steps for the warm-up.
    weight_decay : float
    clip : float
        Maximum norm of the gradient.
    average : float
        Decay of the exponential average of the weights, which is returned; 0 returns the last weights.
    precision : str
        "float32", or "bfloat16" for automatic mixed precision, twice as fast on processors that support it.
    patience : int
        Early stopping: validations in succession without a lower loss after which training ends. The weights of the
        lowest loss are returned. 0 trains for all steps, and returns the last weights.
    seed : int
    """

    steps: int = 200
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 1e-4
    clip: float = 0.5
    average: float = 0.98
    precision: str = "float32"
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or not 0 <= self.average < 1 or not 0 <= self.warmup <= 1:
            raise InputError(f"invalid training settings: {self}")
        if self.patience < 0:
            raise InputError(f"invalid training settings: patience is a number of validations, not {self.patience}")


def fit(
    net: nn.Module,
    batches: Callable[[int], Iterator[Batch]],
    *,
    settings: FitSettings = FitSettings(),
    loss: Loss,
    folder: str | Path,
    trained: Callable[[str], bool] | None = None,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    validate_every: int = 0,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
    save_every_s: float = SAVE_EVERY_S,
) -> nn.Module:
    """Train a copy of a network, on a GPU if there is one.

    Parameters
    ----------
    net : nn.Module
        Spectrograms to logits, in the mode (`train` or `eval`) in which it is to be trained.
    batches : callable
        From the number of a step to an iterator over its batch and the following ones.
    settings : FitSettings
    loss : callable
        From logits and a batch to a scalar, or to `LossParts`, whose parts have columns of their own in the log.
    folder : path-like
        The folder of `log.csv` (see `levada.learning.training_log`) and of the checkpoint; training is resumed from an
        existing checkpoint.
    trained : callable, optional
        Which parameters are trained, by name; all by default.
    validate : callable, optional
        Scores of the averaged network, for the log. Early stopping needs `VALIDATION_LOSS` among them.
    validate_every : int
        Steps from one validation to the next; 0 is never.
    progress : callable, optional
        Called after each step with steps done, all steps and the loss.
    time_limit_s : float, optional
        Maximum time in seconds, including earlier interrupted runs.
    save_every_s : float
        Minimum time between two checkpoints; the last is written at the end.

    Returns
    -------
    nn.Module
        A trained copy, its weights averaged, in evaluation mode.

    Raises
    ------
    InputError
        If the loss is no longer finite, nothing is to be trained, the folder cannot be written, or a checkpoint in it
        is damaged or of another run.
    Interrupted
        After SIGINT (Ctrl-C), and SIGTERM where the program handles it: the step is finished and saved, and the same
        call goes on from there. A second signal ends it at once.
    """
    check_torch()
    import torch

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=folder) from None
    checkpoint, log = folder / CHECKPOINT, folder / LOG
    state = _State(net, settings, trained)
    if checkpoint.exists():
        state.load(checkpoint)
    truncate_log(log, after=state.step)
    lowest = _Lowest(folder, settings.patience * validate_every)
    last_step = 0 if lowest.is_over else settings.steps
    began, last_saved = time.monotonic() - state.seconds, time.monotonic()

    def save() -> None:
        torch.save(state.values(), content := BytesIO())
        with atomic_file(checkpoint, force=True) as temporary:
            temporary.write_bytes(content.getbuffer())

    with _interruptible() as received, torch.random.fork_rng(devices=()):
        for step, batch in zip(range(state.step + 1, last_step + 1), batches(state.step), strict=False):
            learning_rate = settings.learning_rate * _schedule(step - 1, settings)
            value, parts = state.update(batch, loss, learning_rate)
            due = validate is not None and validate_every and (step % validate_every == 0 or step == settings.steps)
            state.seconds = time.monotonic() - began
            scores = validate(deepcopy(state.result).eval()) if due and validate is not None else {}
            append_row(
                log,
                step=step,
                seconds=state.seconds,
                loss=value,
                learning_rate=learning_rate,
                parts=parts,
                validation=scores,
            )
            lowest.update(step, scores, state.result)
            if progress is not None:
                progress(step, settings.steps, value)
            over = received or lowest.is_over or (time_limit_s is not None and state.seconds >= time_limit_s)
            if over or step == settings.steps or time.monotonic() - last_saved > save_every_s:
                save()
                last_saved = time.monotonic()
            if over:
                break
    lowest.load_into(state.result)
    return state.result.requires_grad_(True).eval().cpu()


def check_torch() -> None:
    """Check that networks can be trained, without the seconds that the import takes.

    Raises
    ------
    MissingExtra
        If PyTorch is not installed.
    """
    try:
        found = find_spec("torch")
    except ImportError:
        found = None
    if found is None:
        raise MissingExtra("torch", extra="train", purpose="train")


def _schedule(step: int, settings: FitSettings) -> float:
    """Return the share of the peak learning rate: warm-up, then cosine decay."""
    warm = max(1, round(settings.warmup * settings.steps))
    falling = (step - warm) / max(1, settings.steps - warm)
    return min((step + 1) / warm, 0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, falling)))))


class _Lowest:
    """The lowest loss in validation so far, its weights, and whether there was none for too many steps.

    Losses are compared as the log has them, so that a resumed run ends where an uninterrupted one does. Weights on
    disk that are of a later step than the checkpoint are written again, the same, when that step is repeated.
    """

    def __init__(self, folder: Path, patience_steps: int) -> None:
        self.path, self.patience_steps = folder / LOWEST, patience_steps
        rows = read_log(folder / LOG) if patience_steps and (folder / LOG).exists() else []
        losses = [(row[VALIDATION_LOSS], int(row["step"])) for row in rows if VALIDATION_LOSS in row]
        self.loss, self.at = min(losses, default=(math.inf, 0))
        self.is_over = bool(losses) and losses[-1][1] - self.at >= patience_steps

    def update(self, step: int, scores: Mapping[str, float], net: nn.Module) -> None:
        """Compare the loss of a step, if there is one."""
        import torch

        if not self.patience_steps or not scores:
            return
        loss = round(scores[VALIDATION_LOSS], DIGITS)
        if loss < self.loss:
            self.loss, self.at = loss, step
            torch.save(net.state_dict(), content := BytesIO())
            with atomic_file(self.path, force=True) as temporary:
                temporary.write_bytes(content.getbuffer())
        self.is_over = step - self.at >= self.patience_steps

    def load_into(self, net: nn.Module) -> None:
        """Put the weights of the lowest loss into a network; without early stopping it stays as it is."""
        import torch

        if self.patience_steps and self.path.exists():
            device = next(net.parameters()).device
            net.load_state_dict(torch.load(self.path, weights_only=True, map_location=device))


class _State:
    """A network in training: its weights, their average, the moments of AdamW, and how far it is.

    The optimiser is PyTorch's function: its class imports a compiler, which takes longer than thirty steps.
    """

    def __init__(self, net: nn.Module, settings: FitSettings, trained: Callable[[str], bool] | None) -> None:
        import torch

        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        self.settings, self.device = settings, torch.device(kind)
        self.net = deepcopy(net).to(self.device)
        for name, parameter in self.net.named_parameters():
            parameter.requires_grad_(trained is None or trained(name))
        self.weights = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
        if not self.weights:
            raise InputError("there is nothing to train: no layer of the network is selected")
        self.result = deepcopy(self.net) if settings.average else self.net
        pairs = zip(self.result.parameters(), self.net.parameters(), strict=True)
        self.averaged: list[tuple[Tensor, Tensor]] = [(mean, weight) for mean, weight in pairs if weight.requires_grad]
        self.statistics = list(zip(self.result.buffers(), self.net.buffers(), strict=True))
        self.means = [torch.zeros_like(weight) for weight in self.weights]
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.updates = [torch.zeros((), device=self.device) for _ in self.weights]
        self.step, self.seconds = 0, 0.0

    def values(self) -> dict[str, Any]:
        """Return what a checkpoint holds."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "net": self.net.state_dict(),
            "average": self.result.state_dict(),
            "optimiser": [self.means, self.squares, self.updates],
        }

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        InputError
            If it is damaged, or of another run.
        """
        import torch

        try:
            values = torch.load(checkpoint, weights_only=True, map_location=self.device)
            self.step, self.seconds = int(values["step"]), float(values["seconds"])
        except Exception as error:
            raise InputError(f"cannot be continued ({error}); remove it to start again", path=checkpoint) from None
        try:
            self.net.load_state_dict(values["net"])
            self.result.load_state_dict(values["average"])
            for tensors, loaded in zip(self.values()["optimiser"], values["optimiser"], strict=True):
                for tensor, value in zip(tensors, loaded, strict=True):
                    tensor.copy_(value)
        except (KeyError, RuntimeError, ValueError):
            raise InputError("holds the checkpoint of another run; move it away", path=checkpoint.parent) from None

    def update(self, batch: Batch, loss: Loss, learning_rate: float) -> tuple[float, dict[str, float]]:
        """Take a step, and return the loss and its parts."""
        import torch

        seed = self.settings.seed + 1_000_003 * self.step  # the same after resuming
        if self.device.type == "cpu":  # `torch.manual_seed` keeps a traceback for each device there might be
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
            batch = type(batch)(*(tensor.to(self.device) for tensor in batch))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            logits = self.net(batch[0])
        computed = loss(logits.float(), batch)
        total, parts = computed if isinstance(computed, LossParts) else (computed, {})
        value = float(total.detach())
        if not math.isfinite(value):
            raise InputError("training diverged: the loss is no longer finite; lower the learning rate")
        for weight in self.weights:
            weight.grad = None
        total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.weights, self.settings.clip)
        self._optimise(learning_rate)
        self.step += 1
        if self.settings.average:
            self._average()
        return value, {name: float(part.detach()) for name, part in parts.items()}

    def _optimise(self, learning_rate: float) -> None:
        import torch
        from torch.optim.adamw import adamw

        rows = zip(self.weights, self.means, self.squares, self.updates, strict=True)
        used = [(weight, weight.grad, *moments) for weight, *moments in rows if weight.grad is not None]
        weights, gradients, means, squares, updates = (list(column) for column in zip(*used, strict=True))
        with torch.no_grad():
            adamw(
                weights, gradients, means, squares, [], updates,
                fused=True, amsgrad=False, beta1=0.9, beta2=0.999, lr=learning_rate,
                weight_decay=self.settings.weight_decay, eps=1e-8, maximize=False,
            )  # fmt: skip

    def _average(self) -> None:
        """Move the average towards the weights, faster in the first steps; statistics of batches are the last."""
        import torch

        share = 1.0 if self.step == 1 else max(1 - self.settings.average, 9 / (9 + self.step))
        with torch.no_grad():
            for mean, value in self.averaged:
                mean.lerp_(value, share)
            for mean, value in self.statistics:
                mean.copy_(value)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Collect signals, so that training ends after the step in which one arrives, and at once with a second one.

    Handlers of signals that are ignored, or not handled by Python, are not replaced, as in worker processes.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def interrupt(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise Interrupted(received[0])

    before = {
        number: handler for number in (signal.SIGINT, signal.SIGTERM) if callable(handler := signal.getsignal(number))
    }
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise Interrupted(received[0])
