"""Separators of other projects, each behind one function and none of them required."""
