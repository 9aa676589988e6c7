"""The version of levada."""

__all__ = ["__version__"]

__version__ = "0.1.0"
