"""Loggers of a run: plain files always, TensorBoard and Weights & Biases where they are named.

Neither library is imported unless it is named, and none can stop a run: one that fails is dropped with a warning.
"""

from levada.learning.loggers.run import NAMES, Logger, RunLogger, check, log_progress, log_training, start

__all__ = ["NAMES", "Logger", "RunLogger", "check", "log_progress", "log_training", "start"]
