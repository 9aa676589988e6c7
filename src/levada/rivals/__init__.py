"""Trackers that others made, each behind one function and none of them needed."""

__all__: list[str] = []
