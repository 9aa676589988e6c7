"""The training loop of all networks, with Lightning.

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
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from levada.errors import InputError, Interrupted, MissingExtra, quiet
from levada.io.files import atomic_file
from levada.learning.training_log import LOG, append_row, truncate_log

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["Batch", "FitSettings", "Loss", "LossParts", "fit"]

Progress = Callable[[int, int, float], None]
CHECKPOINT = "training.ckpt"
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
    seed : int
    """

    steps: int = 200
    learning_rate: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 1e-4
    clip: float = 0.5
    average: float = 0.98
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.learning_rate > 0 or not 0 <= self.average < 1 or not 0 <= self.warmup <= 1:
            raise InputError(f"invalid training settings: {self}")


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
    """Train a copy of a network.

    Parameters
    ----------
    net : nn.Module
        Spectrograms to logits.
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
        Scores of the averaged network, for the log.
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
    lightning = import_lightning()
    import torch

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=folder) from None
    checkpoint = folder / CHECKPOINT
    start = _steps_done(checkpoint)
    truncate_log(folder / LOG, after=start)
    module = _module(lightning, net, settings, loss, trained)
    watcher = _watcher(lightning, folder, settings.steps, progress, validate, validate_every, save_every_s)
    with _interruptible(watcher), quiet("lightning.pytorch", "lightning.fabric"), torch.random.fork_rng(devices=()):
        trainer = lightning.Trainer(
            accelerator="auto",
            devices=1,
            max_steps=settings.steps,
            max_time=None if time_limit_s is None else timedelta(seconds=time_limit_s),
            gradient_clip_val=settings.clip,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[watcher],
        )
        try:
            trainer.fit(module, _steps(batches, start), ckpt_path=str(checkpoint) if start else None, weights_only=True)
        except (KeyError, RuntimeError, ValueError) as error:
            if "state_dict" in str(error) or "state dict" in str(error):
                raise InputError("holds the checkpoint of another run; move it away", path=folder) from None
            raise
    trained_net: nn.Module = module.result()
    return trained_net.eval().cpu()


def _steps(batches: Callable[[int], Iterator[Batch]], start: int) -> Any:
    """Return the batches from a step on as a data set of PyTorch."""
    from torch.utils.data import IterableDataset

    class Steps(IterableDataset[Any]):
        def __iter__(self) -> Iterator[Batch]:
            return batches(start)

    return Steps()


def _steps_done(checkpoint: Path) -> int:
    import torch

    if not checkpoint.exists():
        return 0
    try:
        return int(torch.load(checkpoint, weights_only=True, map_location="cpu")["global_step"])
    except Exception as error:
        raise InputError(f"cannot be continued ({error}); remove it to start again", path=checkpoint) from None


def check_lightning() -> None:
    """Check that networks can be trained, without the seconds that the import takes.

    Raises
    ------
    MissingExtra
        If PyTorch or Lightning is not installed.
    """
    for name in ("torch", "lightning"):
        try:
            found = find_spec(name)
        except ImportError:
            found = None
        if found is None:
            raise MissingExtra(name, extra="train", purpose="train")


def import_lightning() -> Any:
    try:
        import torch  # noqa: F401  # which Lightning needs
    except ImportError:
        raise MissingExtra("torch", extra="train", purpose="train") from None
    try:
        import lightning.pytorch as lightning
    except ImportError:
        raise MissingExtra("lightning", extra="train", purpose="train") from None
    return lightning


def _module(
    lightning: Any, net: nn.Module, settings: FitSettings, loss: Loss, trained: Callable[[str], bool] | None
) -> Any:
    from copy import deepcopy

    import torch
    from torch.optim.swa_utils import AveragedModel

    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        share = max(1 - settings.average, 9 / (10 + int(count)))  # faster decay in the first steps
        return averaged + share * (current - averaged)

    class Module(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = deepcopy(net)
            self.averaged = AveragedModel(self.net, avg_fn=average)
            for name, parameter in self.net.named_parameters():
                parameter.requires_grad_(trained is None or trained(name))
            if not any(parameter.requires_grad for parameter in self.net.parameters()):
                raise InputError("there is nothing to train: no layer of the network is selected")

        def training_step(self, batch: Batch, _: int) -> Tensor:
            seed = settings.seed + 1_000_003 * self.global_step  # the same after resuming
            if batch[0].device.type == "cpu":  # `torch.manual_seed` keeps a traceback for each device there might be
                torch.default_generator.manual_seed(seed)
            else:
                torch.manual_seed(seed)
            with torch.autocast(batch[0].device.type, torch.bfloat16, enabled=settings.precision == "bfloat16"):
                logits = self.net(batch[0])
            computed = loss(logits.float(), batch)
            value, parts = computed if isinstance(computed, LossParts) else (computed, {})
            self.parts = {name: float(part.detach()) for name, part in parts.items()}
            self.learning_rate = float(self.trainer.optimizers[0].param_groups[0]["lr"])
            if not math.isfinite(float(value.detach())):
                raise InputError("training diverged: the loss is no longer finite; lower the learning rate")
            return value

        def configure_optimizers(self) -> Any:
            active = [parameter for parameter in self.net.parameters() if parameter.requires_grad]
            decay = settings.weight_decay
            optimiser = torch.optim.AdamW(active, lr=settings.learning_rate, weight_decay=decay, fused=True)
            warm = max(1, round(settings.warmup * settings.steps))

            def rate(step: int) -> float:
                falling = (step - warm) / max(1, settings.steps - warm)
                return min(
                    (step + 1) / warm,
                    0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * min(1.0, max(0.0, falling)))),
                )

            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
            return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

        def result(self) -> nn.Module:
            source = self.averaged.module if settings.average else self.net
            return deepcopy(source).requires_grad_(True)

    return Module()


def _watcher(
    lightning: Any,
    folder: Path,
    steps: int,
    progress: Progress | None,
    validate: Callable[[nn.Module], dict[str, float]] | None,
    validate_every: int,
    save_every_s: float,
) -> Any:
    """Return the callback that averages weights, logs, saves checkpoints and stops after a signal."""

    class Watcher(lightning.Callback):  # type: ignore[misc]
        received: int | None = None
        handlers: Mapping[int, Any] = {}

        def on_train_start(self, *_: Any) -> None:
            self.began = self.saved = time.monotonic()
            for number, handler in self.handlers.items():  # in place of Lightning's, after which a run looks finished
                signal.signal(number, handler)

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, *_: Any) -> None:
            step, value = trainer.global_step, float(outputs["loss"])
            module.averaged.update_parameters(module.net)
            due = validate is not None and validate_every and (step % validate_every == 0 or step == steps)
            append_row(
                folder / LOG,
                step=step,
                seconds=time.monotonic() - self.began,
                loss=value,
                learning_rate=module.learning_rate,
                parts=module.parts,
                validation=validate(module.result().eval()) if due and validate is not None else {},
            )
            if progress is not None:
                progress(step, steps, value)
            if time.monotonic() - self.saved > save_every_s:
                self.save(trainer)
            trainer.should_stop |= self.received is not None

        def on_train_end(self, trainer: Any, _: Any) -> None:
            self.save(trainer)

        def save(self, trainer: Any) -> None:
            with atomic_file(folder / CHECKPOINT, force=True) as temporary:
                trainer.save_checkpoint(temporary)
            self.saved = time.monotonic()

    return Watcher()


@contextmanager
def _interruptible(watcher: Any) -> Iterator[None]:
    """End the training after the step in which a signal arrives, and at once with a second one.

    Handlers of signals that are ignored, or not handled by Python, are not replaced, as in worker processes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _: object) -> None:
        if watcher.received is not None:
            raise _AtOnce
        watcher.received = number

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    watcher.handlers = {
        number: interrupt if callable(handler) else handler for number, handler in before.items() if handler
    }
    for number, handler in watcher.handlers.items():
        signal.signal(number, handler)
    try:
        yield
    except _AtOnce:
        raise Interrupted(watcher.received) from None
    finally:
        for number in watcher.handlers:
            signal.signal(number, before[number])
    if watcher.received is not None:
        raise Interrupted(watcher.received)


class _AtOnce(BaseException):
    """A second signal; Lightning ends the process upon a `KeyboardInterrupt`, and lets this one through."""
