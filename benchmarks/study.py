"""What running a study costs beside its runs, and what a second process gains: `python benchmarks/study.py`.

Runs one grid of short fine-tunings on a rendered tradition twice, each time in a folder of its own: one run after the
other, and two at once. Everything counts but the rendering: looking up models, laying out the grid, starting processes,
writing folders. Only times of an idle machine are valid; the load before each is printed beside it.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path

from levada.experiments import read_spec, run_study
from levada.experiments.runner import Summary, open_corpora
from levada.io import workers

SPEC = """
strategies = ["pretrained", "decoder", "finetune+augment"]
minutes = [0.5, 1.5]
seeds = {seeds}
[corpora]
candombe = {{ render = "candombe", recordings = 8, seconds = 40, seed = 1 }}
"""


def timed(spec: Path, folder: Path, processes: int) -> tuple[float, Summary]:
    """Seconds of a study from its spec to its last run, corpora being there."""
    open_corpora(read_spec(spec), out=folder)
    began = time.perf_counter()
    each = partial(workers.parallel_map, processes=processes)
    summary = run_study(spec, out=folder, executor=each, max_workers=processes)
    return time.perf_counter() - began, summary


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seeds", type=int, default=3, help="five runs each")
    wanted = arguments.parse_args()
    took = {}
    print("| processes | load before | runs | s in all | s of work | beside the work |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        spec = Path(name) / "bench.toml"
        spec.write_text(SPEC.format(seeds=wanted.seeds), encoding="utf-8")
        for processes in (1, 2):
            load = os.getloadavg()[0]
            took[processes], found = timed(spec, Path(name) / str(processes), processes)
            if found.failed:
                raise SystemExit(f"runs failed: {found.failed}")
            beside = processes * took[processes] / found.work_s - 1
            cells = [f"{processes}", f"{load:.1f}", f"{found.done}", f"{took[processes]:.0f}", f"{found.work_s:.0f}"]
            print(f"| {' | '.join(cells)} | {beside:.1%} |")
    print(f"\ntwo processes are {took[1] / took[2]:.2f} times as fast as one (wanted: at least 1.6)")


if __name__ == "__main__":
    main()
