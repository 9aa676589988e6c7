"""The demo of the studio: recordings of a tradition that the base does not follow, without labels, to annotate."""

from __future__ import annotations

from pathlib import Path

from levada.cli import terminal
from levada.cli.demo.output import make_folder
from levada.io import audio
from levada.synth.render import render_tradition

__all__ = ["demo_studio"]

TRADITION = "candombe"
SEEDS = range(31, 35)
"""Of the recordings; none of the base's training pieces has one."""
LENGTH_S = 60.0
FILES = {
    "recordings/": "rendered recordings without labels, to annotate",
    "truth/": "their beats, to compare with afterwards",
}


def demo_studio(out: str | Path, *, force: bool = False, length_s: float = LENGTH_S) -> Path:
    """Render recordings for the studio.

    Parameters
    ----------
    out : path-like
    force : bool
        Whether an earlier demo there may be replaced.
    length_s : float
        Of each recording, in seconds.

    Returns
    -------
    Path
        The folder of the recordings.
    """
    out = make_folder(out, FILES, force=force)
    recordings, truth = out / "recordings", out / "truth"
    recordings.mkdir()
    truth.mkdir()
    with terminal.progress("rendering recordings") as progress:
        for done, seed in enumerate(SEEDS):
            piece = render_tradition(TRADITION, duration_s=length_s, seed=seed)
            name = f"{TRADITION}-{done + 1}"
            audio.write(recordings / f"{name}.flac", piece.mixture, rate=piece.rate)
            piece.beats.save(truth / f"{name}.beats")
            progress(done + 1, len(SEEDS))
    return recordings
