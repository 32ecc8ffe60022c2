"""Models on disk."""

from crossfield.zoo.load import load

__all__ = ["load"]
