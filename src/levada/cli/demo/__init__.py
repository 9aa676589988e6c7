"""The whole road in one go, for beats and for stems: something to learn from, a model adapted, before and after."""

from levada.cli.demo.beats import Demo, demo
from levada.cli.demo.stems import StemDemo, demo_stems

__all__ = ["Demo", "StemDemo", "demo", "demo_stems"]
