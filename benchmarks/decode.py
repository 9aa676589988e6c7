"""How fast the decoder is and how much memory it takes: `python benchmarks/decode.py [SECONDS]`.

Each line is a process of its own: import, decode twice (the second time nothing is left to load), peak memory.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import numpy as np

SECONDS = 300


def activations(seconds: int) -> np.ndarray:
    """Beats of a band around 115 bpm that drifts and is not always played, at 100 frames a second."""
    rng = np.random.default_rng(0)
    frames = np.arange(100 * seconds) / 100
    phase = np.cumsum(1.9 + 0.2 * np.sin(frames / 40)) / 100
    played = rng.uniform(size=int(phase[-1]) + 2) > 0.1
    distance = (phase - np.round(phase)) / 0.04
    beat = 0.85 * np.exp(-0.5 * distance**2) * played[np.round(phase).astype(int)]
    downbeat = 0.7 * beat * (np.round(phase) % 4 == 0)
    return np.clip(np.stack([beat, downbeat], axis=1) + rng.uniform(0, 0.05, (len(frames), 2)), 0, 1)


def measure(impl: str, seconds: int) -> None:
    from levada.beat_tracking.decoder import decode_beats

    sound = activations(seconds)
    walls = []
    for _ in range(2):
        start = time.perf_counter()
        beats = decode_beats(sound, impl=impl)  # type: ignore[arg-type]
        walls.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    print(
        f"{impl}: {seconds} s at 100 frames/s, metres 2, 3, 4, 55 to 215 bpm, with confidences: first "
        f"{walls[0]:.2f} s, then {walls[1]:.2f} s; {peak:.0f} MB; {len(beats)} beats",
        flush=True,
    )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(sys.argv[1], int(sys.argv[2]))
    else:
        seconds = sys.argv[1] if len(sys.argv) == 2 else str(SECONDS)
        for impl in ("numpy", "numba"):
            subprocess.run([sys.executable, __file__, impl, seconds], check=True)
