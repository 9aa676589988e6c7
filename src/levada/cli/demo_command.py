"""`levada demo --task stems`: an ensemble, a separator adapted to it, and what it takes apart."""

from __future__ import annotations

from pathlib import Path

from levada.cli import evaluate_stems, terminal

__all__ = ["demo"]


def demo(out: Path, *, real: Path | None, minutes: float, seed: int, force: bool) -> None:
    """Adapt a separator, show before and after, and say where to look and listen."""
    from levada.cli.demo import demo_stems

    result = demo_stems(
        out, corpus=real, minutes=minutes, seed=seed, force=force, say=terminal.say, progress=terminal.progress
    )
    evaluate_stems.show(result.evaluation, as_json=False)
    used = terminal.length(60 * result.minutes)
    print(
        f"\nadapted to {used} of music with stems in {result.adapt_s:.0f} s; {result.total_s:.0f} s in all\n"
        f"look at    {out / 'stems.png'}, {out / 'leaks.png'}\n"
        f"listen to  {out / 'listen'}\n"
        f"go on      levada separate my-song.wav --model {out / 'adapted'} -o my-stems"
    )
