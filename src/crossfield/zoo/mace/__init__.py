"""Models of mace-torch, read without its code: start at `read.py`."""

from crossfield.zoo.mace.facts import Facts
from crossfield.zoo.mace.read import Imported, read

__all__ = ["Facts", "Imported", "read"]
