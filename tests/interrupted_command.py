"""Run a levada command to which something happens midway: ``interrupted_command.py SIGKILL 2 track …``.

The first argument is a signal that is sent when so much (the second argument) of the work is done; or `full`: no file
may grow beyond that many bytes; or `nothing`. Adapting takes three steps and writes a checkpoint at each.
"""

import itertools
import os
import resource
import signal
import sys
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace


def prepare(what: str, at: int) -> None:
    from levada.beat_tracking import adaptation
    from levada.cli import terminal
    from levada.learning import training

    for strategy, settings in adaptation.DEFAULTS.items():
        adaptation.DEFAULTS[strategy] = replace(settings, steps=3, batch=1, excerpt_s=2.0)
    training.time = SimpleNamespace(monotonic=itertools.count(0, 3600).__next__)  # an hour a step
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if what == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (at, at))

    @contextmanager
    def progress(_label, **_):
        def report(done, *_):
            if what.startswith("SIG") and done >= at:
                os.kill(os.getpid(), getattr(signal, what))

        yield report

    terminal.progress = progress


if __name__ == "__main__":
    prepare(sys.argv.pop(1), int(sys.argv.pop(1)))
    from levada.cli import main

    main()
