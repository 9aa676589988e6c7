"""What a run tells those who keep an eye on it: plain files always, TensorBoard and Weights & Biases if they are named.

None of them is imported unless it is named, and none can stop a run: one that fails on the way is told no more, and a
warning says so.
"""

from levada.learning.loggers.run import NAMES, Tracking, check, progress, start

__all__ = ["NAMES", "Tracking", "check", "progress", "start"]
