"""levada adapts beat trackers to a musical tradition from minutes of annotation, on a laptop."""

__version__ = "0.1.0"
