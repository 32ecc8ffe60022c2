"""Models on disk."""

from crossfield.zoo.load import Backend, load

__all__ = ["Backend", "load"]
